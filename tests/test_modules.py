"""Check the networks' shapes and initial weights, and the three posteriors."""

import math

import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from sklearn_aae.modules import (
    ACTIVATIONS,
    Autoencoder,
    CategoricalAutoencoder,
    ConditionalAutoencoder,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    EmbeddingAutoencoder,
    MultilayerPerceptron,
)

IMAGE_SHAPES = [(1, 1, 1), (1, 5, 7), (1, 1, 6), (2, 8, 3), (1, 28, 28), (3, 9, 4)]

BUILDERS = {
    "dense": lambda generator: MultilayerPerceptron(35, 2, (8, 4), "tanh", generator),
    "encoder": lambda generator: ConvolutionalEncoder((1, 5, 7), 2, (8,), "relu", 0, generator),
    "decoder": lambda generator: ConvolutionalDecoder(2, (1, 5, 7), (8,), "relu", generator),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def kinds(network):
    """Names of the layers that compute, in order."""
    leaves = [m for m in network.modules() if not list(m.children())]
    return [type(m).__name__ for m in leaves]


# Building -------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_weights_follow_the_local_generator_and_leave_the_global_one(build):
    before = torch.get_rng_state()
    first, same, other = build(seeded(0)), build(seeded(0)), build(seeded(1))
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(first.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)
    for name, a in first.named_parameters():
        assert name.endswith("bias") or not torch.equal(a, other.get_parameter(name))


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_weights_come_from_the_global_generator_without_a_local_one(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = build(None)
        torch.manual_seed(0)
        second = build(None)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_biases_start_at_zero_and_weights_do_not(build):
    for name, parameter in build(seeded()).named_parameters():
        assert torch.isfinite(parameter).all()
        assert bool((parameter == 0).all()) is name.endswith("bias")


def test_hidden_weights_fill_he_bounds_and_output_weights_a_tenth_of_glorots():
    hidden, _, output = MultilayerPerceptron(50, 30, (40,), "relu", seeded())
    he, glorot = math.sqrt(6 / 50), math.sqrt(6 / (40 + 30))
    assert_allclose(hidden.weight.abs().max().item(), he, rtol=0.02)
    assert_allclose(output.weight.abs().max().item(), 0.1 * glorot, rtol=0.02)


# Dense network --------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(), (3,), (6, 5, 4), [7]])
def test_dense_network_has_the_widths_and_a_linear_output(sizes):
    network = MultilayerPerceptron(5, 2, sizes, generator=seeded())
    widths = [(m.in_features, m.out_features) for m in network if isinstance(m, nn.Linear)]
    assert widths == list(zip([5, *sizes], [*sizes, 2], strict=True))
    assert kinds(network) == ["Linear", "ReLU"] * len(sizes) + ["Linear"]


def test_dense_network_without_hidden_layers_is_linear():
    network = MultilayerPerceptron(4, 3, generator=seeded())
    a, b = torch.randn((2, 6, 4), generator=seeded())
    assert_allclose(network(a + 2 * b).detach(), (network(a) + 2 * network(b)).detach(), atol=1e-5)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_activation_is_the_one_that_was_named(activation):
    network = MultilayerPerceptron(4, 3, (5,), activation, seeded())
    x = torch.randn((6, 4), generator=seeded())
    inner = ACTIVATIONS[activation]()(x @ network[0].weight.T + network[0].bias)
    expected = inner @ network[2].weight.T + network[2].bias
    assert_allclose(network(x).detach(), expected.detach(), atol=1e-6)


# Convolutional networks -----------------------------------------------------------------------


@pytest.mark.parametrize("image_shape", IMAGE_SHAPES)
@pytest.mark.parametrize("sizes", [(), (6, 5)])
def test_encoder_and_decoder_fit_together(image_shape, sizes):
    encoder = ConvolutionalEncoder(image_shape, 2, sizes, generator=seeded())
    decoder = ConvolutionalDecoder(2, image_shape, sizes[::-1], generator=seeded())
    x = torch.randn((3, math.prod(image_shape)), generator=seeded())
    z = encoder(x)
    assert z.shape == (3, 2)
    assert decoder(z).shape == x.shape


@pytest.mark.parametrize("image_shape", IMAGE_SHAPES)
def test_decoder_mirrors_the_encoders_feature_maps(image_shape):
    encoder = ConvolutionalEncoder(image_shape, 2, generator=seeded())
    decoder = ConvolutionalDecoder(2, image_shape, generator=seeded())
    shapes = []
    for module in encoder.convolutions:
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _, x: shapes.append(x[0].shape))
    for module in decoder.layers:
        if isinstance(module, nn.ConvTranspose2d):
            module.register_forward_hook(lambda _m, _x, output: shapes.append(output.shape))
    encoder(torch.zeros(1, math.prod(image_shape)))
    decoder(torch.zeros(1, 2))
    to_code, to_image = shapes[:2], shapes[2:]
    assert to_code == to_image[::-1]


def test_encoder_and_decoder_end_without_an_activation():
    encoder = ConvolutionalEncoder((1, 5, 7), 2, (4,), "tanh", generator=seeded())
    assert kinds(encoder) == ["Conv2d", "Tanh"] * 2 + ["Flatten", "Linear", "Tanh", "Linear"]
    decoder = ConvolutionalDecoder(2, (1, 5, 7), (4,), "tanh", generator=seeded())
    assert kinds(decoder) == [
        *["Linear", "Tanh"] * 2,
        *["Unflatten", "ConvTranspose2d", "Tanh", "ConvTranspose2d", "Flatten"],
    ]


def test_pixels_are_read_in_rows_of_the_image():
    encoder = ConvolutionalEncoder((2, 4, 6), 3, generator=seeded())
    images = torch.randn((5, 2, 4, 6), generator=seeded())
    expected = encoder.dense(encoder.convolutions(images))
    assert torch.equal(encoder(images.flatten(1)), expected)


@pytest.mark.parametrize("image_shape", IMAGE_SHAPES)
def test_every_pixel_reaches_the_code_and_the_code_reaches_every_pixel(image_shape):
    n_pixels = math.prod(image_shape)
    encoder = ConvolutionalEncoder(image_shape, 2, activation="tanh", generator=seeded())
    decoder = ConvolutionalDecoder(2, image_shape, activation="tanh", generator=seeded())
    x = torch.randn((1, n_pixels), generator=seeded())
    z = torch.randn((1, 2), generator=seeded())
    to_code = torch.autograd.functional.jacobian(lambda x: encoder(x)[0], x)
    to_image = torch.autograd.functional.jacobian(lambda z: decoder(z)[0], z)
    assert (to_code.reshape(2, n_pixels) != 0).any(dim=0).all()
    assert (to_image.reshape(n_pixels, 2) != 0).any(dim=1).all()


def test_noise_columns_join_behind_the_convolutions():
    encoder = ConvolutionalEncoder((1, 5, 7), 2, n_noise=3, generator=seeded())
    x = torch.randn((4, 38), generator=seeded())
    maps = encoder.convolutions(x[:, :35].reshape(4, 1, 5, 7))
    assert torch.equal(encoder(x), encoder.dense(torch.cat([maps, x[:, 35:]], dim=1)))
    assert not torch.equal(encoder(x), encoder(torch.cat([x[:, :35], x.new_zeros(4, 3)], dim=1)))


# Posteriors -----------------------------------------------------------------------------------


def autoencoder(posterior, n_features=5, n_components=2):
    n_in, n_out = Autoencoder.encoder_widths(n_features, n_components, posterior)
    encoder = MultilayerPerceptron(n_in, n_out, (6,), "tanh", seeded(0))
    decoder = MultilayerPerceptron(n_components, n_features, (6,), "tanh", seeded(1))
    return Autoencoder(encoder, decoder, n_components, posterior)


X = torch.randn((4, 5), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("posterior", "widths"),
    [("deterministic", (5, 2)), ("gaussian", (5, 4)), ("implicit", (7, 2))],
)
def test_encoder_widths_of_the_posteriors(posterior, widths):
    assert Autoencoder.encoder_widths(5, 2, posterior) == widths


@pytest.mark.parametrize("posterior", ["deterministic", "gaussian", "implicit"])
def test_without_a_generator_the_code_is_the_centre(posterior):
    model = autoencoder(posterior)
    before = torch.get_rng_state()
    z = model.encode(X)
    centre = {
        "deterministic": lambda: model.encoder(X),
        "gaussian": lambda: model.encoder(X)[:, :2],
        "implicit": lambda: model.encoder(torch.cat([X, torch.zeros(4, 2)], dim=1)),
    }[posterior]()
    assert torch.equal(z, centre)
    assert torch.equal(model(X), model.decoder(z))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("posterior", ["gaussian", "implicit"])
def test_with_a_generator_the_code_is_a_reproducible_draw(posterior):
    model = autoencoder(posterior)
    before = torch.get_rng_state()
    z = model.encode(X, seeded(5))
    assert torch.equal(model.encode(X, seeded(5)), z)
    assert not torch.equal(model.encode(X, seeded(6)), z)
    assert not torch.equal(model.encode(X), z)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_deterministic_posterior_ignores_the_generator():
    model, generator = autoencoder("deterministic"), seeded()
    assert torch.equal(model.encode(X, generator), model.encode(X))
    assert torch.equal(generator.get_state(), seeded().get_state())


def test_gaussian_draws_have_the_encoders_moments():
    model = autoencoder("gaussian")
    with torch.no_grad():
        model.encoder[-1].bias.copy_(torch.tensor([1.0, -2.0, 0.5, -1.0]))
        mu, log_sigma = model.encoder(X[:1])[0].split(2)
        z = model.encode(X[:1].expand(20_000, 5), seeded())
    sigma = log_sigma.exp()
    assert not torch.allclose(sigma, torch.ones(2), atol=0.1)
    assert_allclose((z.mean(dim=0) - mu) / sigma, [0, 0], atol=0.03)
    assert_allclose(torch.cov((z / sigma).T), torch.eye(2), atol=0.03)


def test_gaussian_draws_pass_the_gradient_on_to_both_moments():
    model = autoencoder("gaussian")
    model.encode(X, seeded()).sum().backward()
    gradient = model.encoder[-1].bias.grad
    eta = torch.randn((4, 2), generator=seeded())
    with torch.no_grad():
        expected = (model.encoder(X)[:, 2:].exp() * eta).sum(dim=0)
    assert_allclose(gradient[:2], [4, 4])
    assert_allclose(gradient[2:], expected, rtol=1e-5)


def test_implicit_draws_feed_standard_normal_columns():
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(x)
            return x[:, 3:]

    rows = torch.arange(15_000.0).reshape(5000, 3)
    model = Autoencoder(Spy(), nn.Identity(), 2, "implicit")
    z = model.encode(rows, seeded())
    assert torch.equal(seen[0][:, :3], rows)
    assert_allclose(z.mean(dim=0), [0, 0], atol=0.05)
    assert_allclose(torch.cov(z.T), torch.eye(2), atol=0.06)


@pytest.mark.parametrize("posterior", ["deterministic", "gaussian", "implicit"])
def test_codes_keep_the_precision_of_the_rows(posterior):
    model = autoencoder(posterior).double()
    assert model.encode(X.double(), seeded()).dtype == torch.float64


# Range of the training data -------------------------------------------------------------------


def test_any_value_reaches_the_encoder_until_a_range_is_set():
    model = Autoencoder(nn.Identity(), nn.Identity(), 5)
    assert torch.equal(model.encode(1e6 * X), 1e6 * X)


def test_values_beyond_the_range_are_moved_to_its_border_and_ranges_add_up():
    model = Autoencoder(nn.Identity(), nn.Identity(), 2)
    x = torch.tensor([[-9.0, 0.5], [0.3, 9.0], [9.0, -9.0]])
    model.extend_range(torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 2.0]))
    assert_allclose(model.encode(x), [[-1, 0.5], [0.3, 2], [1, 0]])
    model.extend_range(torch.tensor([0.0, -3.0]), torch.tensor([4.0, 1.0]))
    assert_allclose(model.encode(x), [[-1, 0.5], [0.3, 2], [4, -3]])


# Codes with classes ---------------------------------------------------------------------------

POSTERIORS = ["deterministic", "gaussian", "implicit"]


def with_classes(structure, posterior="deterministic", n_classes=3):
    n_in, n_out = structure.encoder_widths(5, 2, posterior, n_classes)
    n_decoded = structure.decoder_width(2, n_classes)
    encoder = MultilayerPerceptron(n_in, n_out, (6,), "tanh", seeded(0))
    decoder = MultilayerPerceptron(n_decoded, 5, (6,), "tanh", seeded(1))
    return structure(encoder, decoder, 2, posterior, n_classes, seeded(3))


@pytest.mark.parametrize(
    ("structure", "further_outputs", "n_decoded"),
    [
        (Autoencoder, 0, 2),
        (CategoricalAutoencoder, 3, 5),
        (EmbeddingAutoencoder, 3, 2),
        (ConditionalAutoencoder, 0, 5),
    ],
)
@pytest.mark.parametrize("posterior", POSTERIORS)
def test_widths_with_classes(structure, further_outputs, n_decoded, posterior):
    n_in, n_out = Autoencoder.encoder_widths(5, 2, posterior)
    assert structure.encoder_widths(5, 2, posterior, 3) == (n_in, n_out + further_outputs)
    assert structure.decoder_width(2, 3) == n_decoded


@pytest.mark.parametrize("structure", [CategoricalAutoencoder, EmbeddingAutoencoder])
@pytest.mark.parametrize("posterior", POSTERIORS)
def test_a_code_is_the_style_and_then_the_softmax_of_the_last_outputs(structure, posterior):
    model = with_classes(structure, posterior)
    x = torch.cat([X, torch.zeros(4, 2)], dim=1) if posterior == "implicit" else X
    output = model.encoder(x)
    codes = model.encode(X)
    assert codes.shape == (4, 2 + 3)
    assert torch.equal(codes[:, :2], output[:, :2])
    assert torch.equal(codes[:, 2:], output[:, -3:].softmax(dim=1))


def test_draws_of_a_gaussian_style_leave_the_classes_alone():
    model = with_classes(CategoricalAutoencoder, "gaussian")
    centre, drawn = model.encode(X), model.encode(X, seeded(5))
    assert torch.equal(centre[:, 2:], drawn[:, 2:])
    eta = torch.randn((4, 2), generator=seeded(5))
    sigma = model.encoder(X)[:, 2:4].exp()
    assert_allclose((drawn - centre)[:, :2].detach(), (sigma * eta).detach(), rtol=1e-4, atol=1e-6)


def test_the_categorical_decoder_sees_style_and_classes_side_by_side():
    model = with_classes(CategoricalAutoencoder)
    codes = model.encode(X)
    assert torch.equal(model.decode(codes), model.decoder(codes))
    assert torch.equal(model(X), model.decoder(codes))


def test_the_embedding_is_the_head_of_the_class_plus_the_style():
    model = with_classes(EmbeddingAutoencoder)
    y = torch.tensor([2, 0, 1, 1])
    style = torch.randn((4, 2), generator=seeded(7))
    codes = torch.cat([style, torch.eye(3)[y]], dim=1)
    assert_allclose(model.embed(codes).detach(), (style + model.heads[y]).detach(), rtol=1e-6)
    soft = model.encode(X)
    expected = soft[:, :2] + soft[:, 2:] @ model.heads
    assert torch.equal(model.embed(soft), expected)
    assert torch.equal(model.decode(soft), model.decoder(expected))


def test_an_unknown_activation_is_named():
    for build in (
        lambda: MultilayerPerceptron(4, 2, (3,), "sigmoidal"),
        lambda: ConvolutionalEncoder((1, 4, 4), 2, (), "sigmoidal"),
        lambda: ConvolutionalDecoder(2, (1, 4, 4), (), "sigmoidal"),
    ):
        with pytest.raises(ValueError, match=r"activation must be one of .*'relu'.*'sigmoidal'"):
            build()


@pytest.mark.parametrize("size", [1e2, 1e6, 1e10, 1e30])
def test_probabilities_sum_to_one_and_the_smallest_has_a_logarithm_and_a_gradient(size):
    autoencoder = CategoricalAutoencoder(nn.Identity(), nn.Identity(), 1, n_classes=3)
    x = torch.tensor([[0.0, size, -size, 0.5 * size]], requires_grad=True)
    p = autoencoder.encode(x)[:, 1:]
    assert_allclose(p.detach().sum(), 1, rtol=1e-6)
    assert torch.isfinite(p.log()).all()
    p.log()[0, 1].backward()
    assert_allclose(x.grad, [[0, -1, 1, 0]], atol=1e-6)


def test_heads_are_parameters_that_follow_the_local_generator():
    before = torch.get_rng_state()
    model = with_classes(EmbeddingAutoencoder)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(model.heads, torch.randn((3, 2), generator=seeded(3)))
    model(X).square().sum().backward()
    assert (model.heads.grad != 0).all()


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_the_conditional_decoder_sees_the_class_one_hot_and_the_code_does_not(posterior):
    model = with_classes(ConditionalAutoencoder, posterior)
    y = torch.tensor([2, 0, 1, 1])
    codes = model.encode(X)
    assert codes.shape == (4, 2)
    expected = model.decoder(torch.cat([codes, torch.eye(3)[y]], dim=1))
    assert torch.equal(model.decode(codes, y), expected)
    assert not torch.equal(model.decode(codes, y), model.decode(codes, y.flip(0)))


def test_the_conditional_decoder_needs_classes():
    with pytest.raises(ValueError, match="needs classes y to decode"):
        with_classes(ConditionalAutoencoder)(X)


@pytest.mark.parametrize(
    "structure", [CategoricalAutoencoder, EmbeddingAutoencoder, ConditionalAutoencoder]
)
def test_structures_with_classes_work_in_double_precision(structure):
    model = with_classes(structure).double()
    codes = model.encode(X.double())
    assert codes.dtype == torch.float64
    assert model.decode(codes, torch.zeros(4, dtype=torch.int64)).dtype == torch.float64
