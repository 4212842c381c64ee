"""The density on top of the autoencoder, its columns and its p-values."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import false_discovery_control, kstest, multivariate_normal
from sklearn.datasets import make_blobs
from sklearn.metrics import roc_auc_score
from skorch.callbacks import Callback

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae._learned.density import (
    NeighborSearch,
    column_contributions,
    fit_density,
    log_density,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def X():  # noqa: N802  # the matrix
    rng = np.random.default_rng(0)
    return rng.normal(size=(600, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(600, 6))


@pytest.fixture(scope="module")
def fitted(X):
    return AdversarialAutoencoder(max_iter=30, random_state=0).fit(X)


def neighbor_distances(density, decoded, residual, dtype="float64"):
    return NeighborSearch(density, np.dtype(dtype)).mean_squares(decoded, residual)


# Pure functions.


@pytest.mark.parametrize("offset", [0, 1e3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distances_agree_with_all_pairs(rng, dtype, offset):
    decoded, residual = offset + rng.normal(size=(2, 50, 4))
    queries = offset + rng.normal(size=(2, 7, 4))
    queries[:, 0] = decoded[0], residual[0]
    density = fit_density(decoded, residual, n_components=2)
    kept = density.references
    joined = np.concatenate([queries[0], math.sqrt(4 / 2) * queries[1]], axis=1)
    squares = np.square(joined[:, None] - kept[None]).sum(axis=2)
    expected = np.sort(squares, axis=1)[:, : density.n_neighbors].mean(axis=1)
    rtol = {"float32": 1e-5, "float64": 1e-7}[dtype]
    assert_allclose(neighbor_distances(density, *queries, dtype), expected, rtol=rtol)


@pytest.mark.parametrize("n_references", [3, 11, 40])
def test_a_row_near_ten_copies_of_a_reference_is_near_in_float32(rng, n_references):
    reference = 100 + rng.normal(size=(1, 30))
    decoded = np.repeat(reference, n_references, axis=0)
    density = fit_density(decoded, 0 * decoded, n_components=5)
    query = reference + 1e-4
    found = neighbor_distances(density, query, 0 * query, "float32")
    assert_allclose(found, 30 * 1e-8, rtol=1e-3)


def test_rows_that_overflow_in_float32_have_exact_distances(rng):
    decoded = rng.normal(size=(50, 4))
    density = fit_density(decoded, 0 * decoded, n_components=2)
    queries = decoded[:3] + np.array([[0], [1e25], [1e60]])
    found = neighbor_distances(density, queries, 0 * queries, "float32")
    assert_allclose(found, neighbor_distances(density, queries, 0 * queries), rtol=1e-5)


def test_density_of_a_normal_sample_is_near_the_normal_density(rng):
    # With decoded = x and no residual it is the nearest-neighbour estimate of the density of x.
    x = rng.normal(size=(2000, 2))
    density = fit_density(x, np.zeros_like(x), n_components=2)
    queries = rng.normal(size=(300, 2))
    found = log_density(density, neighbor_distances(density, queries, np.zeros_like(queries)))
    expected = multivariate_normal(np.zeros(2)).logpdf(queries)
    # rho² is the mean square over k neighbours, half the square of the k-th in two dimensions.
    assert_allclose(np.median(found - expected), math.log(2), atol=0.2)
    assert np.corrcoef(found, expected)[0, 1] > 0.9


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e13])
def test_rounding_of_float32_does_not_move_the_density(rng, size):
    # Copies of a few rows, far from zero in units of their differences.
    decoded = np.repeat(size * (1 + 1e-4 * rng.normal(size=(5, 3))), 20, axis=0)
    residual = np.zeros_like(decoded)
    density = fit_density(decoded, residual, n_components=2)
    rounded = decoded * (1 + np.finfo(np.float32).eps * rng.choice([-1, 1], decoded.shape))
    exact, moved = (
        log_density(density, neighbor_distances(density, rows, residual))
        for rows in (decoded, rounded)
    )
    assert_allclose(moved, exact, atol=0.2)


def test_contributions_add_up_to_the_distance(rng):
    decoded, residual = rng.normal(size=(2, 60, 5))
    density = fit_density(decoded, residual, n_components=2)
    queries = rng.normal(size=(2, 9, 5))
    contributions = column_contributions(density, *queries)
    assert (contributions >= 0).all()
    assert_allclose(contributions.sum(axis=1), neighbor_distances(density, *queries))


def test_a_small_far_group_does_not_vouch_for_itself(rng):
    x = np.r_[rng.normal(size=(490, 3)), 40 + 0.01 * rng.normal(size=(15, 3))]
    density = fit_density(x, np.zeros_like(x), n_components=3)
    assert density.references[:, 0].max() < 10
    # Hardly any clean row is dropped with it.
    assert len(density.references) > 480


@pytest.mark.parametrize("n_references", [1, 2, 5, 12])
def test_few_references(rng, n_references):
    x = rng.normal(size=(n_references, 3))
    density = fit_density(x, np.zeros_like(x), n_components=1)
    assert 1 <= density.n_neighbors <= n_references
    assert np.isfinite(log_density(density, neighbor_distances(density, x, 0 * x))).all()


def test_duplicated_references_have_a_finite_density():
    x = np.ones((30, 2))
    density = fit_density(x, 0 * x, n_components=1)
    assert np.isfinite(log_density(density, neighbor_distances(density, x, 0 * x))).all()
    assert_allclose(column_contributions(density, x, 0 * x), 0, atol=1e-12)


# On the estimator.


def test_scores_fall_without_cliffs_and_ties_however_far_a_row_is(X, fitted):
    row = X[:1].repeat(400, axis=0)
    row[:, 3] = np.r_[np.linspace(10, 100, 200), np.logspace(2.1, 300, 200)]
    scores = fitted.score_samples(row)
    assert np.isfinite(scores).all()
    assert (np.diff(scores) < 0).all()
    steps = -np.diff(scores[:200])
    assert steps.max() < 50 * np.median(steps)


@pytest.mark.parametrize("column", [0, 3, 5])
def test_the_planted_column_has_the_largest_feature_score(X, fitted, column):
    rng = np.random.default_rng(1)
    planted = X[rng.choice(600, 50)].copy()
    planted[:, column] += 6 * X[:, column].std()
    contributions = fitted.feature_scores(planted)
    assert contributions.shape == planted.shape
    assert (contributions.argmax(axis=1) == column).mean() > 0.95


def test_score_is_the_documented_function_of_feature_scores(X, fitted):
    rho_squared = fitted.feature_scores(X).sum(axis=1)
    constant = fitted.score_samples(X) + 6 / 2 * np.log(rho_squared + 6e-6)
    assert_allclose(constant, constant[0])


def test_feature_scores_do_not_depend_on_the_batch(X, fitted):
    assert_allclose(fitted.feature_scores(X)[:5], fitted.feature_scores(X[:5]), rtol=1e-7)


def test_outliers_in_correlation_are_found(X, fitted):
    # Each column on its own looks ordinary.
    shuffled = np.random.default_rng(0).permuted(X, axis=0)
    is_inlier = np.r_[np.ones(len(X)), np.zeros(len(X))]
    assert roc_auc_score(is_inlier, fitted.score_samples(np.r_[X, shuffled])) > 0.95


def test_p_values_of_new_inliers_are_uniform():
    p = []
    for seed in range(8):
        X, _ = make_blobs(1400, n_features=5, centers=3, random_state=seed)
        model = AdversarialAutoencoder(max_iter=5, validation_fraction=0.5, random_state=seed)
        p.append(model.fit(X[:700]).p_values(X[700:]))
    # Rows scored with one calibration set depend on each other: one row of each would be exactly
    # uniform, the average over sets of 350 is close.
    assert kstest(np.concatenate(p), "uniform").statistic < 0.04


def test_p_values_of_outliers_are_small_and_give_discoveries(X, fitted):
    rng = np.random.default_rng(0)
    outliers = rng.uniform(-9, 9, size=(30, 6))
    assert fitted.p_values(outliers).max() <= 2 / 61
    model = AdversarialAutoencoder(max_iter=10, validation_fraction=0.5, random_state=0).fit(X)
    q = false_discovery_control(model.p_values(np.r_[X[:100], outliers]))
    assert (q[-30:] < 0.1).all()
    assert (q[:100] < 0.1).mean() < 0.1


def test_p_values_with_x_val(X):
    model = AdversarialAutoencoder(max_iter=2, random_state=0).fit(X[:300], X_val=X[300:])
    assert model.p_values(X[:5]).min() >= 1 / 301
    assert_allclose(np.sort(model.p_values(X[300:])), np.arange(2, 302) / 301)


def test_p_values_without_held_out_rows():
    X = np.random.default_rng(0).normal(size=(10, 3))
    model = AdversarialAutoencoder(max_iter=1).fit(X)
    with pytest.raises(ValueError, match="held none out: it had fewer than 20 samples"):
        model.p_values(X)


def test_held_out_rows_are_not_trained_on(X):
    class Record(Callback):
        def initialize(self):
            self.n_rows = []
            return self

        def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
            self.n_rows.append(len(dataset_train))

    record = Record()
    AdversarialAutoencoder(max_iter=1, callbacks=[record], random_state=0).fit(X)
    assert record.n_rows == [540]


def test_a_warm_start_holds_the_same_rows_out(X):
    model = AdversarialAutoencoder(max_iter=1, warm_start=True, random_state=0)
    first = model.fit(X).p_values(X)
    lowest = model._held_out_scores
    again = model.set_params(lr=1e-12, discriminator_lr=1e-12).fit(X)
    assert_allclose(again._held_out_scores, lowest, atol=1e-2)
    assert_allclose(again.p_values(X), first, atol=0.05)
