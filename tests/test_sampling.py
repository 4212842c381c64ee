"""Density of codes and the samples decoded from it: moments, neighbourhoods, weights, seeds."""

import copy
import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.model_selection import train_test_split

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae._learned import codes as _codes
from sklearn_aae._learned.codes import draw_codes, fit_code_density
from sklearn_aae.metrics import maximum_mean_discrepancy
from sklearn_aae.priors import draw


def seeded(seed=0):
    return np.random.RandomState(seed)


def drawn_from(codes, weights=None, n_samples=20_000):
    return draw_codes(fit_code_density(codes, weights, seeded()), n_samples, seeded(1))


@pytest.fixture
def codes():
    return seeded(2).standard_normal((300, 3)) @ np.diag([1.0, 0.3, 5.0]) + [0.0, 4.0, -2.0]


@pytest.fixture(scope="module")
def digits():
    return train_test_split(load_digits().data, random_state=0)[:2]


@pytest.fixture(scope="module")
def fitted(digits):
    return AdversarialAutoencoder(n_components=8, max_iter=20, random_state=0).fit(digits[0])


@pytest.fixture(scope="module")
def fitted_with_prior(fitted, digits):
    """The same fit, with samples from the prior."""
    return clone(fitted).set_params(sampler="prior").fit(digits[0])


# The density of codes.


@pytest.mark.parametrize("weighted", [False, True])
def test_draws_keep_mean_and_variance_of_the_codes(codes, weighted):
    weights = seeded(3).uniform(0.5, 1.5, len(codes)) if weighted else None
    drawn = drawn_from(codes, weights)
    mean = np.average(codes, axis=0, weights=weights)
    variance = np.average((codes - mean) ** 2, axis=0, weights=weights)
    assert_allclose(drawn.mean(axis=0), mean, atol=0.05 * np.sqrt(variance).max())
    assert_allclose(drawn.std(axis=0), np.sqrt(variance), rtol=0.05)


def test_of_many_codes_some_tell_how_far_to_stretch(monkeypatch):
    codes = seeded().standard_normal((3000, 4))
    on_some = drawn_from(codes)
    assert_allclose(on_some.std(axis=0), codes.std(axis=0), rtol=0.04)
    monkeypatch.setattr(_codes, "_MAX_MEASURED", 3000)
    assert_allclose(drawn_from(codes), on_some, rtol=0.04, atol=0.04)


@pytest.mark.parametrize("weights", [None, np.arange(1.0, 9.0)])
def test_where_all_codes_are_neighbors_draws_are_normal_with_their_covariance(weights):
    codes = seeded().standard_normal((8, 2)) @ np.array([[1.0, 0.8], [0.0, 0.3]])
    drawn = drawn_from(codes, weights, 100_000)
    expected = np.cov(codes.T, aweights=weights, bias=True)
    assert_allclose(np.cov(drawn.T), expected, atol=0.02 * expected.max())


def test_draws_stay_on_the_curve_that_codes_lie_on():
    angle = seeded().uniform(0, 2 * np.pi, 1000)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    radius = np.linalg.norm(drawn_from(circle), axis=1)
    assert np.abs(radius - 1).max() < 0.05


def test_draws_follow_the_weights_of_codes():
    codes, y = make_blobs(200, n_features=2, centers=[[-9, 0], [9, 0]], random_state=0)
    drawn = drawn_from(codes, np.where(y == 0, 9.0, 1.0))
    assert np.mean(drawn[:, 0] > 0) == pytest.approx(0.1, abs=0.01)


def test_draws_move_and_scale_with_the_codes(codes):
    assert_allclose(drawn_from(7 * codes - 3), 7 * drawn_from(codes) - 3)


def test_draws_are_new(codes):
    drawn = drawn_from(codes, n_samples=500)
    assert np.abs(drawn[:, None] - codes).sum(axis=2).min() > 0


def test_draws_do_not_depend_on_the_chunks(codes, monkeypatch):
    expected = drawn_from(codes, n_samples=50)
    monkeypatch.setattr(_codes, "chunk_size", lambda width: 7)
    assert_allclose(drawn_from(codes, n_samples=50), expected)


def test_draws_of_equal_codes_are_equal_to_them():
    assert_allclose(drawn_from(np.full((5, 2), 3.0), n_samples=4), 3.0)


# Samples of the estimator.


def test_density_samples_are_closer_to_held_out_rows_than_prior_samples(
    fitted, fitted_with_prior, digits
):
    held_out = fitted.transform(digits[1])
    distance = {}
    for model in (fitted, fitted_with_prior):
        sampled = model.transform(model.sample(len(held_out), random_state=0))
        distance[model.sampler] = maximum_mean_discrepancy(held_out, sampled)
    assert distance["density"] < 0.5 * distance["prior"]


@pytest.mark.parametrize("sampler", ["density", "prior"])
def test_samples_repeat_with_a_seed_and_are_drawn_anew_without(fitted, fitted_with_prior, sampler):
    model = {"density": fitted, "prior": fitted_with_prior}[sampler]
    assert_array_equal(model.sample(4, random_state=0), model.sample(4, random_state=0))
    assert not np.array_equal(model.sample(4), model.sample(4))
    random_state = seeded()
    assert not np.array_equal(
        model.sample(4, random_state=random_state), model.sample(4, random_state=random_state)
    )


def test_the_sampler_can_be_changed_after_fit(fitted, fitted_with_prior):
    other = copy.deepcopy(fitted_with_prior)
    expected = other.sample(3, random_state=0)
    assert not np.array_equal(fitted.sample(3, random_state=0), expected)
    assert_array_equal(
        other.set_params(sampler="density").sample(3, random_state=0),
        fitted.sample(3, random_state=0),
    )


def test_prior_samples_are_decoded_draws_from_the_prior(fitted_with_prior):
    model = fitted_with_prior
    seed = int(seeded(5).randint(2**31 - 1))
    z = draw(model.prior_, 6, torch.Generator().manual_seed(seed)).numpy()
    assert_allclose(model.sample(6, random_state=5), model.inverse_transform(z.astype(float)))


def test_rows_of_weight_zero_do_not_count(digits):
    X = digits[0][:300]
    weight = np.repeat([1.0, 0.0], 150)
    model = AdversarialAutoencoder(n_components=2, max_iter=2, random_state=0)
    model.fit(X, sample_weight=weight)
    distance = np.abs(model._code_density.codes[:, None] - model.transform(X)).sum(axis=2)
    assert distance[:, :150].min(axis=1).max() < 1e-9
    assert distance[:, 150:].min() > 0


def test_heavy_rows_are_sampled_more_often():
    X, y = make_blobs(400, n_features=4, centers=[[-9] * 4, [9] * 4], random_state=0)
    model = AdversarialAutoencoder(n_components=2, max_iter=30, random_state=0)
    model.fit(X, sample_weight=np.where(y == 0, 9.0, 1.0))
    share = np.mean(model.sample(2000, random_state=0)[:, 0] > 0)
    assert share == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("prior", ["uniform", "mixture_of_gaussians", "swiss_roll"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_have_shape_and_dtype_of_the_data(digits, prior, dtype):
    X = digits[0][:50].astype(dtype)
    model = AdversarialAutoencoder(n_components=2, prior=prior, max_iter=1, random_state=0).fit(X)
    sampled = model.sample(7, random_state=0)
    assert sampled.shape == (7, X.shape[1])
    assert sampled.dtype == dtype


def test_a_chunk_of_partial_fit_can_be_sampled_from(digits):
    model = AdversarialAutoencoder(n_components=2, random_state=0).partial_fit(digits[0][:2])
    assert model.sample(3).shape == (3, digits[0].shape[1])


def test_an_unknown_sampler_is_named(digits):
    model = AdversarialAutoencoder(sampler="posterior")
    with pytest.raises(ValueError, match=re.escape("Got 'posterior' instead")):
        model.fit(digits[0])
