import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris

from sklearn_aae import AdversarialAutoencoder, load, save
from sklearn_aae._learned import flow as _flow
from sklearn_aae._learned.flow import (
    SplineFlow,
    Transport,
    fit_flow,
    rational_quadratic_spline,
    whiten,
)
from sklearn_aae.callbacks import PriorMatch
from sklearn_aae.modules import Autoencoder, MultilayerPerceptron
from sklearn_aae.priors import Empirical, MixtureOfGaussians, Normal, Uniform, draw

X = load_iris().data


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_flow(k, **options):
    """A flow whose splines are not the identity, in double precision."""
    # More layers of random splines multiply slopes until rounding is all that is left.
    options = {"n_layers": 8, "n_bins": 8, **options}
    flow = SplineFlow(k, generator=generator(), **options).double()
    with torch.no_grad():
        for layer in flow.layers:
            layer.network[-1].weight.normal_(std=0.02, generator=generator(1))
            layer.network[-1].bias.normal_(generator=generator(2))
    whiten(flow, 3 + torch.randn(50, k, generator=generator(3)).double())
    return flow


def random_transport(k):
    transport = Transport(k, generator=generator()).double()
    transport.of_codes = random_flow(k)
    transport.of_prior = random_flow(k, n_layers=2)
    return transport


def estimator(**options):
    return AdversarialAutoencoder(2, max_iter=15, random_state=0, **options)


@pytest.fixture
def brief(monkeypatch):
    """Few steps, where what is tested does not depend on how well the flow is trained."""
    monkeypatch.setattr(_flow, "_N_STEPS", 20)


def test_spline_undoes_its_inverse_and_knows_its_derivative():
    x = torch.linspace(-6, 6, 101).double()[:, None].expand(-1, 3).clone().requires_grad_()
    shape = torch.randn(101, 3, 14, generator=generator()).double()
    y, log_slope = rational_quadratic_spline(x, shape)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(log_slope, slope.log())
    back, log_slope_back = rational_quadratic_spline(y, shape, inverse=True)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(log_slope_back, -log_slope)


def test_spline_of_zeros_is_the_identity_and_no_spline_moves_values_outside():
    x = torch.linspace(-6, 6, 101)[:, None]
    y, log_slope = rational_quadratic_spline(x, torch.zeros(101, 1, 11))
    torch.testing.assert_close(y, x)
    torch.testing.assert_close(log_slope, torch.zeros(101, 1))
    y, log_slope = rational_quadratic_spline(x, torch.randn(101, 1, 11, generator=generator()))
    outside = x.abs() >= 4
    assert torch.equal(y[outside], x[outside])
    assert not log_slope[outside].any()


@pytest.mark.parametrize("k", [1, 2, 5])
def test_flow_undoes_its_inverse_and_knows_its_determinant(k):
    flow = random_flow(k)
    e = 3 + 2 * torch.randn(40, k, generator=generator(4)).double()
    z, log_determinant = flow(e)
    torch.testing.assert_close(flow.inverse(z), e, rtol=1e-8, atol=1e-8)
    jacobian = torch.autograd.functional.jacobian(lambda row: flow(row[None])[0][0], e[0])
    torch.testing.assert_close(log_determinant[0], torch.linalg.slogdet(jacobian).logabsdet)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_transport_undoes_its_inverse(k):
    transport = random_transport(k)
    e = 3 + 2 * torch.randn(40, k, generator=generator(4)).double()
    z = transport(e)
    assert not torch.allclose(z, e)
    torch.testing.assert_close(transport.inverse(z), e, rtol=1e-7, atol=1e-7)


def test_whitened_rows_have_no_mean_and_no_covariance_also_where_a_column_never_varies():
    e = torch.randn(500, 3, generator=generator()) @ torch.randn(3, 3, generator=generator(1)) + 5
    e[:, 2] = e[:, 0]
    flow = SplineFlow(3, generator=generator())
    whiten(flow, e)
    z, _ = flow(e)
    assert torch.isfinite(flow.inverse(z)).all()
    variances = torch.linalg.eigvalsh(torch.cov(z.T))
    torch.testing.assert_close(variances[1:], torch.ones(2), rtol=1e-2, atol=0)
    assert variances[0] < 1e-2


@pytest.mark.thorough  # the ring, below, has a hole
def test_fitted_flow_fills_the_gap_between_two_clusters(monkeypatch):
    monkeypatch.setattr(_flow, "_N_STEPS", 300)
    sign = torch.where(torch.arange(4000) % 2 == 0, 1.0, -1.0)[:, None]
    e = 3 * sign + 0.3 * torch.randn(4000, 2, generator=generator())
    flow = SplineFlow(2, generator=generator())
    whiten(flow, e[:3000])
    prior = Normal(n_components=2)

    def likelihood():
        z, log_determinant = flow(e[3000:])
        return float((prior.log_prob(z) + log_determinant).mean())

    before = likelihood()
    fit_flow(flow, e[:3000], generator())
    # The entropy of the rows: that of two equally likely normals which do not overlap.
    entropy = np.log(2) + np.log(2 * np.pi * np.e * 0.3**2)
    assert before < -entropy - 0.5
    assert -entropy - 0.15 < likelihood() < -entropy + 0.1
    z = flow(e[3000:])[0]
    # 38 % of a normal distribution is within half a standard deviation of a hyperplane through its
    # centre, in every direction.
    for direction in torch.eye(2):
        assert 0.28 < float(((z @ direction).abs() < 0.5).float().mean()) < 0.48
    assert not any(p.requires_grad for p in flow.parameters())


@pytest.fixture(scope="module")
def mapped():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_flow, "_N_STEPS", 300)
        return estimator(normalizing_flow=True).fit(X)


def test_reconstructions_and_scores_are_those_without_a_flow(mapped):
    plain = estimator().fit(X)
    np.testing.assert_array_equal(mapped.reconstruct(X), plain.reconstruct(X))
    np.testing.assert_array_equal(mapped.score_samples(X), plain.score_samples(X))
    np.testing.assert_allclose(
        mapped.inverse_transform(mapped.transform(X)), mapped.reconstruct(X), atol=1e-10
    )
    # Of all rows: the 15 that are held out are too few to tell the two apart.
    monitor = PriorMatch(mapped.prior_)
    with_flow, without = (
        monitor.measure(torch.from_numpy(model.transform(X))) for model in (mapped, plain)
    )
    assert with_flow < 0.6 * without
    assert with_flow < 1.5 * monitor.null_
    assert without > 1.5 * monitor.null_


def test_codes_follow_a_normal_prior_of_any_scale(mapped, brief):
    scaled = estimator(normalizing_flow=True, prior=Normal(scale=3.0)).fit(X)
    assert len(scaled.net_.module_.flow.of_prior.layers) == 0
    e = torch.randn(5, 2, generator=generator())
    flow = scaled.net_.module_.flow
    torch.testing.assert_close(flow(e), 3 * flow.of_codes(e)[0])


RING = np.c_[np.cos(np.arange(500.0)), np.sin(np.arange(500.0))]


@pytest.mark.parametrize(
    "prior",
    # The first without a density and with a hole in its midst.
    [Empirical(RING), MixtureOfGaussians(n_classes=3), "uniform", "swiss_roll"],
)
@pytest.mark.thorough
def test_codes_follow_priors_of_any_shape_with_a_density_or_without(prior, monkeypatch):
    monkeypatch.setattr(_flow, "_N_STEPS", 300)
    plain = estimator(prior=prior).fit(X)
    mapped = estimator(prior=prior, normalizing_flow=True).fit(X)
    z = torch.from_numpy(mapped.transform(X))
    draws = draw(mapped.prior_, 2000, generator())

    def distance_to_the_nearest_draw(model):
        codes = torch.from_numpy(model.transform(X)).float()
        return float(torch.cdist(codes, draws).amin(dim=1).median())

    assert distance_to_the_nearest_draw(mapped) < 0.06
    if prior == "swiss_roll" or isinstance(prior, Empirical):
        assert distance_to_the_nearest_draw(mapped) < 0.5 * distance_to_the_nearest_draw(plain)
    # All of it is used: of the prior's own draws, a quarter lies beyond each quartile.
    for column, own in zip(z.T, draws.double().T, strict=True):
        lower, upper = own.quantile(torch.tensor([0.25, 0.75], dtype=torch.double))
        assert 0.12 < float((column < lower).double().mean()) < 0.38
        assert 0.12 < float((column > upper).double().mean()) < 0.38
    np.testing.assert_allclose(mapped.inverse_transform(z.numpy()), mapped.reconstruct(X))
    rows = X.astype(np.float32)
    np.testing.assert_allclose(
        mapped.inverse_transform(mapped.transform(rows)), mapped.reconstruct(rows), atol=0.05
    )


def test_columns_of_a_prior_keep_their_units(brief):
    draws = np.random.default_rng(0).standard_normal((3000, 2)) * [1, 100]
    model = estimator(prior=Empirical(draws), normalizing_flow=True).fit(X)
    np.testing.assert_allclose(model.transform(X).std(axis=0), [1, 100], rtol=0.25)


def test_a_map_that_is_no_longer_wanted_goes(mapped):
    model = copy.deepcopy(mapped).set_params(warm_start=True, normalizing_flow=False).fit(X)
    assert model.net_.module_.flow is None


@pytest.mark.parametrize("width", [pytest.param(1e-6, marks=pytest.mark.thorough), 1e18])
def test_the_unit_of_a_prior_does_not_matter(brief, width):
    model = estimator(prior=Uniform(-width, width), normalizing_flow=True).fit(X)
    np.testing.assert_allclose(model.transform(X).std(axis=0), width / np.sqrt(3), rtol=0.25)


def test_gradients_that_are_not_finite_are_an_error(brief):
    flow = SplineFlow(2)
    with pytest.raises(ValueError, match="20 of 20 gradients of the flow are not finite"):
        fit_flow(flow, torch.full((5, 2), torch.nan), generator())
    assert not any(p.requires_grad for p in flow.parameters())


def test_a_prior_that_is_a_point_gives_finite_codes(brief):
    model = estimator(prior=Empirical(np.zeros((4, 2))), normalizing_flow=True).fit(X)
    codes = model.transform(X)
    assert np.abs(codes).max() < 1e-3
    assert np.isfinite(model.inverse_transform(codes)).all()


def test_a_row_has_one_code_in_any_batch_and_a_fit_repeats_to_the_bit(brief):
    model = estimator(normalizing_flow=True).fit(X)
    codes = model.transform(X)
    np.testing.assert_allclose(model.transform(X[:1]), codes[:1], rtol=1e-9)
    np.testing.assert_array_equal(clone(model).fit(X).transform(X), codes)


def test_saved_and_pickled_models_give_the_same_bits_and_train_on_alike(mapped, tmp_path, brief):
    save(mapped, tmp_path / "model.safetensors")
    copies = [load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(mapped))]
    for model in copies:
        for method in ("transform", "reconstruct", "score_samples"):
            np.testing.assert_array_equal(getattr(model, method)(X), getattr(mapped, method)(X))
    after = [model.partial_fit(X).transform(X) for model in copies]
    np.testing.assert_array_equal(*after)
    assert not np.array_equal(after[0], mapped.transform(X))


def test_a_model_whose_flow_is_of_another_width_is_not_written(mapped, tmp_path):
    model = copy.deepcopy(mapped)
    model.net_.module_.flow = Transport(3)
    with pytest.raises(ValueError, match="has another flow"):
        save(model, tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


def test_warm_start_keeps_the_map_and_fits_it_on(brief):
    model = estimator(normalizing_flow=True, warm_start=True).fit(X)
    first = model.net_.module_.flow
    weights = copy.deepcopy(first.state_dict())
    model.fit(X)
    second = model.net_.module_.flow
    assert torch.equal(first.of_codes.whitening, second.of_codes.whitening)
    before, after = (flow.of_codes.layers[0].network[0].weight for flow in (first, second))
    assert not torch.equal(before, after)
    # Of the first fit's networks, which a failure would have brought back, nothing changed.
    assert all(torch.equal(weights[name], v) for name, v in first.state_dict().items())


def test_weights_say_whose_codes_the_map_is_for(brief):
    weight = np.r_[np.full(75, 50.0), np.ones(75)]
    mapped = estimator(normalizing_flow=True).fit(X, sample_weight=weight)
    codes = mapped.transform(X)
    # Those of the first half fill the prior, which leaves no room for others in its midst.
    assert np.abs(codes[:75].mean(axis=0)).max() < 0.3
    assert np.linalg.norm(codes[75:], axis=1).mean() > np.linalg.norm(codes[:75], axis=1).mean()


def test_labels_are_refused():
    model = estimator(prior=MixtureOfGaussians(n_classes=3), normalizing_flow=True)
    with pytest.raises(ValueError, match="Set normalizing_flow=False, or leave y out"):
        model.fit(X, load_iris().target)


def test_the_discriminator_has_not_seen_mapped_codes():
    model = estimator(normalizing_flow=True, score_method="discriminator")
    with pytest.raises(ValueError, match="as they are before the map"):
        model.fit(X)


def test_an_inverse_is_one_under_autocast():
    k = 3
    autoencoder = Autoencoder(
        MultilayerPerceptron(4, k), MultilayerPerceptron(k, 4), k, flow=random_transport(k).float()
    )
    x = torch.randn(20, 4, generator=generator())
    with torch.autocast("cpu", torch.bfloat16):
        codes = autoencoder.encode(x)
    torch.testing.assert_close(codes, autoencoder.flow(autoencoder.flow.inverse(codes)))
    assert codes.dtype == torch.float32


def test_a_flow_that_cannot_be_undone_is_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(_flow, "_N_STEPS", 2)
    model = estimator(normalizing_flow=True).fit(X)
    parameters = model.net_.module_.flow.named_parameters()
    rotations = [p for name, p in parameters if name.endswith("rotation")]
    with torch.no_grad():
        rotations[-1].zero_()
    # What is written is read once, by the rules for files.
    with pytest.raises(ValueError, match="is no rotation"):
        save(model, tmp_path / "model.safetensors")
