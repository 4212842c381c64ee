"""Check how "auto" is resolved, what networks are built, and what is refused before training."""

import math
import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from sklearn_aae._rows.labels import check_component_labels
from sklearn_aae._training.critics import Critic
from sklearn_aae._training.networks import (
    check_image_shape,
    check_networks,
    make_networks,
    resolve_device,
    resolve_layer_sizes,
    seeded_global_generator,
)
from sklearn_aae._training.plan import (
    resolve_batch_size,
    resolve_max_iter,
    resolve_n_components,
    resolve_n_iter_no_change,
    resolve_steps_of_epoch,
)
from sklearn_aae.modules import ConvolutionalDecoder, ConvolutionalEncoder, MultilayerPerceptron
from sklearn_aae.priors import Normal

POSTERIORS = ["deterministic", "gaussian", "implicit"]


def networks(n_features=5, n_components=2, n_classes=0, critics=None, **parameters):
    """Networks with defaults for what a test does not speak of, and their critics."""
    if critics is None:
        prior = Normal(n_components=n_components)
        critics = [Critic("prior", prior, 1.0, n_classes=n_classes)]
    defaults = {
        "encoder": None,
        "decoder": None,
        "discriminator": None,
        "hidden_layer_sizes": (8, 4),
        "activation": "relu",
        "image_shape": None,
        "posterior": "deterministic",
        "seed": 0,
    }
    built = make_networks(n_features, n_components, critics, **{**defaults, **parameters})
    return *built, critics


def linear_widths(network):
    return [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]


# Resolving "auto" -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_features", "expected"),
    [(1, 1), (2, 1), (3, 2), (4, 2), (6, 2), (7, 3), (30, 5), (64, 8), (256, 16), (784, 16)],
)
def test_auto_code_is_about_the_square_root_of_the_columns(n_features, expected):
    assert resolve_n_components("auto", n_features) == expected


def test_auto_code_is_narrower_than_the_data_and_at_most_sixteen():
    for n_features in range(2, 400):
        assert 1 <= resolve_n_components("auto", n_features) <= min(16, n_features - 1)


@pytest.mark.parametrize("n_components", [1, 7, np.int64(30)])
def test_a_given_code_width_is_kept_even_if_wider_than_the_data(n_components):
    resolved = resolve_n_components(n_components, 5)
    assert resolved == n_components
    assert type(resolved) is int


@pytest.mark.parametrize(
    ("n_samples", "expected"),
    [(2, 2), (31, 31), (32, 32), (200, 32), (256, 32), (800, 100), (2048, 256), (10**6, 256)],
)
def test_auto_batch_is_an_eighth_of_the_rows_within_bounds(n_samples, expected):
    assert resolve_batch_size("auto", n_samples) == expected


@pytest.mark.parametrize(("batch_size", "expected"), [(1, 1), (50, 50), (1000, 100)])
def test_a_given_batch_is_at_most_all_rows(batch_size, expected):
    resolved = resolve_batch_size(np.int64(batch_size), 100)
    assert resolved == expected
    assert type(resolved) is int


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "n_features", "expected"),
    [
        (2000, 100, 100, 50),  # 1,000 steps in batches of 20 an epoch
        (2001, 100, 100, 48),  # 21 batches, the last one of a single row
        (1000, 100, 3, 30),  # at least 300 steps
        (5000, 100, 10_000, 50),  # at most 2,500
        (1000, 100, 10_000, 60),  # at most 60 epochs
        (100, 100, 10_000, 300),  # unless that is less than 300 steps
        (10, 10, 100, 300),
        (10**6, 256, 100, 4),  # at least 4
    ],
)
def test_auto_epochs_spend_a_budget_of_steps_within_bounds(
    n_samples, batch_size, n_features, expected
):
    assert resolve_max_iter("auto", n_samples, batch_size, n_features) == expected


@pytest.mark.parametrize("max_iter", [1, 5000])
def test_a_given_number_of_epochs_is_kept(max_iter):
    assert resolve_max_iter(max_iter, 100, 10, 8) == max_iter


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize("n_samples", [20, 3000, 10**5, 10**6, 10**9])
@pytest.mark.parametrize("n_features", [1, 10, 1000])
def test_auto_epochs_take_no_more_steps_than_the_budget(n_samples, n_features, thorough):
    budget = ("auto", n_samples, resolve_batch_size("auto", n_samples), n_features)
    n_batches = -(-n_samples // budget[2])
    n_epochs = resolve_max_iter(*budget, thorough=thorough)
    part = resolve_steps_of_epoch(*budget, thorough=thorough)
    n_steps = n_epochs * (n_batches if part is None else part)
    assert part is None or part < n_batches
    most = 3000 if thorough else max(300, min(100 * math.sqrt(n_features), 2500))
    # Up to a whole epoch more, or to a whole step in each of four.
    assert n_steps < most + (n_batches if part is None else 4)
    assert resolve_steps_of_epoch(5, *budget[1:]) is None


@pytest.mark.parametrize(("n_epochs", "expected"), [(1, 1), (4, 1), (9, 1), (60, 6), (300, 30)])
def test_patience_fits_the_training(n_epochs, expected):
    assert resolve_n_iter_no_change("auto", n_epochs) == expected
    assert resolve_n_iter_no_change(7, n_epochs) == 7


# Device ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("available", [False, True])
def test_auto_device_is_the_gpu_if_there_is_one(monkeypatch, available):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert resolve_device("auto") == torch.device("cuda" if available else "cpu")


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_a_given_device_is_kept(device):
    assert resolve_device(device) == torch.device("cpu")


def test_there_is_one_cpu_whatever_its_number():
    assert resolve_device("cpu:1") == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x"])
def test_an_unknown_device_is_an_error_with_the_ways_out(device):
    message = re.escape(f"device={device!r} is not a device of torch: ")
    with pytest.raises(ValueError, match=message + r"[\s\S]*Use \"auto\", \"cpu\" or \"cuda\"\."):
        resolve_device(device)


@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda")])
def test_a_gpu_that_is_not_there_is_an_error(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    message = re.escape(f"device={device!r} asks for a GPU, but torch.cuda.is_available() is False")
    with pytest.raises(ValueError, match=message):
        resolve_device(device)


# Labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "y",
    [
        [0, 2, -1, 1],
        np.array([0, 2, -1, 1], dtype=np.int8),
        np.array([0.0, 2.0, -1.0, 1.0]),
        (0, 2, -1, 1),
    ],
)
def test_labels_of_the_components_become_int64(y):
    labels = check_component_labels(y, 4, 3)
    assert labels.dtype == np.int64
    assert_array_equal(labels, [0, 2, -1, 1])


def test_booleans_are_the_labels_zero_and_one():
    assert_array_equal(check_component_labels([True, False], 2, 2), [1, 0])


@pytest.mark.parametrize(
    ("y", "received"),
    [
        ([0, 3, 1], "[3]"),
        ([-2, 0, 1], "[-2]"),
        ([0.5, 0, 1], "[0.5]"),
        ([np.nan, 0, 1], "[nan]"),
        (["a", "b", "a"], "['a', 'b'"),
        ([None, 0, 1], "[None, 0, 1]"),
    ],
)
def test_labels_without_a_component_are_an_error_that_shows_them(y, received):
    message = re.escape(f"labels that the prior has no component for: {received}")
    with pytest.raises(ValueError, match=message + r".*With n_classes=3, labels .* from 0 to 2,"):
        check_component_labels(y, 3, 3)


def test_at_most_five_unknown_labels_are_shown():
    with pytest.raises(ValueError, match=r"component for: \[3, 4, 5, 6, 7\] of int64\. With"):
        check_component_labels(np.arange(50), 50, 3)


@pytest.mark.parametrize("shape", [(2,), (3, 1), (), (4,)])
def test_labels_have_one_value_for_each_row(shape):
    message = re.escape(f"y must have shape (n_samples,) = (3,), got {shape}.")
    with pytest.raises(ValueError, match=message):
        check_component_labels(np.zeros(shape, dtype=int), 3, 2)


# Sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((), ()), ((8, 4), (8, 4)), ([8], (8,)), (8, (8,)), (np.array([8, 4]), (8, 4))],
)
def test_layer_sizes_become_a_tuple_of_ints(sizes, expected):
    checked = resolve_layer_sizes(sizes, 8)
    assert checked == expected
    assert all(type(size) is int for size in checked)


@pytest.mark.parametrize("sizes", [(8, 0), (-1,), (8.5,), "8", None, ((8, 4),)])
def test_layer_sizes_that_are_no_positive_ints_are_an_error(sizes):
    message = re.escape(f"hidden_layer_sizes must be a tuple of positive ints, got {sizes!r}.")
    with pytest.raises(ValueError, match=message):
        resolve_layer_sizes(sizes, 8)


@pytest.mark.parametrize("shape", [(3, 5, 7), [3, 5, 7], np.array([3, 5, 7])])
def test_image_shape_becomes_a_tuple_of_ints(shape):
    checked = check_image_shape(shape, 105)
    assert checked == (3, 5, 7)
    assert all(type(size) is int for size in checked)


def test_no_image_shape_stays_none():
    assert check_image_shape(None, 105) is None


@pytest.mark.parametrize("shape", [(5, 7), (1, 5, 7, 1), (1, 5, 0), (1, 5.0, 7), (1, -5, -7)])
def test_image_shape_is_three_positive_ints(shape):
    message = re.escape(f"(channels, height, width), got {shape!r}.")
    with pytest.raises(ValueError, match=message):
        check_image_shape(shape, 35)


def test_image_shape_has_as_many_values_as_a_row():
    message = re.escape("image_shape=(1, 5, 7) stands for 35 values in a row, but X has n_features")
    with pytest.raises(ValueError, match=message + "=36 columns"):
        check_image_shape((1, 5, 7), 36)


# Making networks ------------------------------------------------------------------------------


@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("image_shape", [None, (1, 5, 7)])
@pytest.mark.parametrize("n_classes", [0, 4])
def test_built_networks_fit_together(posterior, image_shape, n_classes):
    autoencoder, discriminators, critics = networks(
        35, 3, n_classes, posterior=posterior, image_shape=image_shape
    )
    x = torch.randn((6, 35), generator=torch.Generator().manual_seed(0))
    check_networks(autoencoder, discriminators, critics, x[:1])
    z = autoencoder.encode(x, torch.Generator().manual_seed(0))
    assert z.shape == (6, 3)
    assert autoencoder.decoder(z).shape == (6, 35)
    assert discriminators["prior"](torch.zeros(6, 3 + n_classes)).shape == (6, 1)


def test_dense_networks_mirror_the_hidden_layers():
    autoencoder, _, _ = networks(hidden_layer_sizes=(8, 4), posterior="gaussian")
    assert isinstance(autoencoder.encoder, MultilayerPerceptron)
    assert linear_widths(autoencoder.encoder) == [(5, 8), (8, 4), (4, 4)]
    assert linear_widths(autoencoder.decoder) == [(2, 4), (4, 8), (8, 5)]


def test_an_image_shape_asks_for_convolutions():
    autoencoder, _, _ = networks(35, image_shape=(1, 5, 7), activation="elu")
    assert isinstance(autoencoder.encoder, ConvolutionalEncoder)
    assert isinstance(autoencoder.decoder, ConvolutionalDecoder)
    for network in (autoencoder.encoder, autoencoder.decoder):
        kinds = {type(m) for m in network.modules()}
        assert nn.ELU in kinds
        assert nn.ReLU not in kinds


def test_the_seed_decides_the_weights_and_the_global_generator_nothing():
    before = torch.get_rng_state()
    first, same, other = (networks(seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    for i in (0, 1):
        state, again, changed = (built[i].state_dict() for built in (first, same, other))
        assert state.keys() == again.keys() == changed.keys()
        weights = [name for name in state if name.endswith("weight")]
        assert weights
        assert all(torch.equal(state[name], again[name]) for name in state)
        assert not any(torch.equal(state[name], changed[name]) for name in weights)


@pytest.mark.parametrize("discriminator", [None, nn.Linear(2, 1), nn.Linear])
def test_every_critic_gets_a_discriminator_of_its_own(discriminator):
    critics = [Critic(name, Normal(n_components=2), 1.0) for name in ("style", "label")]
    _, discriminators, _ = networks(critics=critics, discriminator=discriminator)
    assert list(discriminators) == ["style", "label"]
    with torch.no_grad():
        for parameter in discriminators["style"].parameters():
            parameter.fill_(0)
    z = torch.ones(1, 2)
    assert discriminators["style"](z) == 0
    assert discriminators["label"](z) != 0


def test_a_discriminator_is_as_wide_as_its_codes_and_labels():
    critics = [Critic(f"{k}", Normal(n_components=2), 1.0, n_classes=k) for k in (0, 3)]
    _, discriminators, _ = networks(critics=critics)
    for k in (0, 3):
        assert linear_widths(discriminators[f"{k}"])[0][0] == 2 + k


def test_a_users_module_is_copied_and_single_precision():
    encoder = nn.Linear(5, 2).double()
    autoencoder, _, _ = networks(encoder=encoder)
    assert autoencoder.encoder is not encoder
    assert autoencoder.encoder.weight.dtype == torch.float32
    assert encoder.weight.dtype == torch.float64
    torch.testing.assert_close(autoencoder.encoder.weight, encoder.weight.float())
    with torch.no_grad():
        autoencoder.encoder.weight.zero_()
    assert encoder.weight.abs().sum() > 0


@pytest.mark.parametrize(
    ("posterior", "expected"),
    [("deterministic", (5, 2)), ("gaussian", (5, 4)), ("implicit", (7, 2))],
)
def test_a_users_function_is_told_the_widths(posterior, expected):
    asked = {}

    def make(name):
        def network(n_in, n_out):
            asked[name] = (n_in, n_out)
            return nn.Linear(n_in, n_out)

        return network

    networks(
        n_classes=3,
        posterior=posterior,
        encoder=make("encoder"),
        decoder=make("decoder"),
        discriminator=make("discriminator"),
    )
    assert asked == {"encoder": expected, "decoder": (2, 5), "discriminator": (5, 1)}


@pytest.mark.parametrize("name", ["encoder", "decoder", "discriminator"])
def test_a_function_that_returns_no_module_is_an_error(name):
    n_in, n_out = {"encoder": (5, 2), "decoder": (2, 5), "discriminator": (2, 1)}[name]

    def build(n_in, n_out):
        return [n_in, n_out]

    message = f"called as {name}(in_features={n_in}, out_features={n_out}), got list."
    with pytest.raises(TypeError, match=f"{name}=.*" + re.escape(message)):
        networks(**{name: build})


# Checking networks ----------------------------------------------------------------------------


class Bad(nn.Module):
    """Returns what it is told to, whatever comes in."""

    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, x):
        return self.output


@pytest.mark.parametrize(
    ("name", "posterior", "shape", "required"),
    [
        ("encoder", "deterministic", (1, 3), "(1, n_components) = (1, 2), got (1, 3)."),
        ("encoder", "gaussian", (1, 2), "(1, 2 * n_components) = (1, 4), got (1, 2)."),
        ("encoder", "implicit", (1, 4), "(1, n_components) = (1, 2), got (1, 4)."),
        ("encoder", "deterministic", (2,), "(1, n_components) = (1, 2), got (2,)."),
        ("decoder", "deterministic", (1, 4), "(1, n_features) = (1, 5), got (1, 4)."),
        ("discriminator", "deterministic", (1,), "(1, 1) = (1, 1), got (1,)."),
        ("discriminator", "deterministic", (1, 2), "(1, 1) = (1, 1), got (1, 2)."),
    ],
)
def test_a_wrong_output_shape_is_named_with_the_required_one(name, posterior, shape, required):
    built = networks(posterior=posterior, **{name: Bad(torch.zeros(shape))})
    with pytest.raises(ValueError, match=f"^{name}: .*" + re.escape(required)):
        check_networks(*built, torch.zeros(1, 5))


def test_an_output_that_is_no_tensor_is_named_by_its_type():
    built = networks(encoder=Bad((torch.zeros(1, 2), torch.zeros(1, 2))))
    with pytest.raises(ValueError, match=re.escape("(1, n_components) = (1, 2), got tuple.")):
        check_networks(*built, torch.zeros(1, 5))


@pytest.mark.parametrize(
    ("name", "posterior", "n_classes", "columns"),
    [
        ("encoder", "deterministic", 0, 5),
        ("encoder", "implicit", 0, 7),
        ("decoder", "gaussian", 0, 2),
        ("discriminator", "deterministic", 0, 2),
        ("discriminator", "deterministic", 3, 5),
    ],
)
def test_a_network_that_takes_other_columns_is_told_how_many(name, posterior, n_classes, columns):
    built = networks(posterior=posterior, n_classes=n_classes, **{name: nn.Linear(11, 2)})
    message = f"^{name}: the network failed on an input of shape \\(1, {columns}\\): "
    with pytest.raises(ValueError, match=message + f".*has to take {columns} columns"):
        check_networks(*built, torch.zeros(1, 5))


@pytest.mark.parametrize("name", ["encoder", "decoder", "discriminator"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_output_that_is_not_finite_is_an_error(name, value):
    n_out = {"encoder": 2, "decoder": 5, "discriminator": 1}[name]
    built = networks(**{name: Bad(torch.full((1, n_out), value))})
    with pytest.raises(ValueError, match=f"^{name}: the output for the first row holds NaN"):
        check_networks(*built, torch.zeros(1, 5))


def test_batch_statistics_are_neither_needed_nor_changed_by_the_check():
    encoder = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    autoencoder, discriminators, critics = networks(encoder=encoder)
    state = {k: v.clone() for k, v in autoencoder.state_dict().items()}
    before = torch.get_rng_state()
    check_networks(autoencoder, discriminators, critics, torch.ones(1, 5))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(m.training for m in [*autoencoder.modules(), *discriminators.modules()])
    assert all(torch.equal(state[k], v) for k, v in autoencoder.state_dict().items())
    assert all(p.grad is None for p in autoencoder.parameters())


# Global generator -----------------------------------------------------------------------------


def test_the_global_generator_is_seeded_inside_and_put_back_after():
    before = torch.get_rng_state()
    drawn = []
    for seed in (3, 3, 4):
        with seeded_global_generator(True, seed):
            drawn.append(torch.rand(5))
    assert torch.equal(drawn[0], torch.rand(5, generator=torch.Generator().manual_seed(3)))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_global_generator_is_put_back_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="shape"), seeded_global_generator(True, 0):
        check_component_labels(torch.rand(5), 4, 2)
    assert torch.equal(torch.get_rng_state(), before)
    # The lock is free again, also for this thread's next fit.
    with seeded_global_generator(True, 0):
        pass


def test_the_global_generator_is_left_alone_where_no_one_needs_it():
    before = torch.get_rng_state()
    with seeded_global_generator(False, 0):
        assert torch.equal(torch.get_rng_state(), before)


def test_seeded_blocks_may_be_nested():
    before = torch.get_rng_state()
    with seeded_global_generator(True, 1):
        inside = torch.get_rng_state()
        with seeded_global_generator(True, 2):
            torch.rand(3)
        assert torch.equal(torch.get_rng_state(), inside)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("n_features", "expected"), [(1, (64, 32)), (32, (64, 32)), (33, (128, 64)), (784, (256, 128))]
)
def test_auto_layer_sizes_follow_the_number_of_columns(n_features, expected):
    assert resolve_layer_sizes("auto", n_features) == expected
