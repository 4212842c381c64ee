"""Check the metrics against closed forms, second computations and hand-worked examples."""

import inspect
import pickle
import re
import subprocess
import sys
import warnings
from itertools import permutations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.stats import ortho_group
from sklearn import config_context
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, StratifiedKFold
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_aae import metrics
from sklearn_aae.metrics import (
    classifier_two_sample_score,
    clustering_error,
    density_coverage,
    frechet_distance,
    inception_score,
    maximum_mean_discrepancy,
    outlier_average_precision_scorer,
    outlier_roc_auc_scorer,
    parzen_log_likelihood,
    precision_recall,
    reconstruction_error,
)
from sklearn_aae.metrics.checks import squared_distance_chunks

# Mebibytes: a few rows of a distance matrix of a few hundred columns.
TINY_MEMORY = 0.01

PAIRS = [
    frechet_distance,
    precision_recall,
    density_coverage,
    maximum_mean_discrepancy,
    classifier_two_sample_score,
]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def _normal_with_moments(rng, n_samples, mean, factor):
    """Rows whose sample mean is `mean` and sample covariance `factor.T @ factor`, exactly."""
    X = rng.normal(size=(n_samples, factor.shape[0]))
    X -= X.mean(axis=0)
    white = np.linalg.qr(X)[0] * np.sqrt(n_samples - 1)
    return white @ factor + mean


# Shared manners -------------------------------------------------------------------------------


def test_import_needs_no_torch():
    code = "import sys, sklearn_aae.metrics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "name", [name for name in metrics.__all__ if inspect.isfunction(getattr(metrics, name))]
)
def test_documented_defaults_are_those_of_the_signature(name):
    function = getattr(metrics, name)
    documented = dict(re.findall(r"^ {4}(\w+) : .*default=(\S+)$", function.__doc__, re.M))
    signature = {
        parameter.name: str(parameter.default).replace("'", '"')
        if not isinstance(parameter.default, str)
        else f'"{parameter.default}"'
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is not parameter.empty
    }
    assert documented == signature


@pytest.mark.parametrize("function", PAIRS)
def test_pairs_need_the_same_columns(function):
    message = r"must have the same number of columns \(n_features\), got 3 and 2: compute both"
    with pytest.raises(ValueError, match=message):
        function(np.zeros((10, 3)), np.zeros((10, 2)))


@pytest.mark.parametrize("function", PAIRS)
def test_missing_values_are_named(function):
    X = np.zeros((10, 2))
    Y = X.copy()
    Y[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"Input (Y|X_generated) contains NaN"):
        function(X, Y)


@pytest.mark.parametrize("function", PAIRS)
@pytest.mark.parametrize("n_rows", [0, 1])
def test_too_few_rows_are_named(function, n_rows):
    message = rf"(X|X_real) must have at least \d rows \(n_samples\), got {n_rows}: .*more"
    with pytest.raises(ValueError, match=message):
        function(np.zeros((n_rows, 2)), np.zeros((10, 2)))


@pytest.mark.parametrize("function", PAIRS)
def test_inputs_are_not_changed(function, rng):
    X, Y = rng.normal(size=(2, 30, 3))
    before = X.copy(), Y.copy()
    function(X, Y)
    assert_array_equal(X, before[0])
    assert_array_equal(Y, before[1])


@pytest.mark.parametrize("function", [precision_recall, density_coverage, maximum_mean_discrepancy])
def test_chunks_do_not_change_the_result(function, rng):
    X, Y = rng.normal(size=(230, 3)), rng.normal(0.3, 1.2, size=(170, 3))
    whole = function(X, Y)
    with config_context(working_memory=TINY_MEMORY):
        n_chunks = sum(1 for _ in squared_distance_chunks(X, Y))
        assert n_chunks > 10
        assert_allclose(function(X, Y), whole, rtol=1e-12)


@pytest.mark.parametrize("function", [precision_recall, density_coverage, maximum_mean_discrepancy])
def test_a_far_origin_does_not_change_the_result(function, rng):
    X, Y = rng.normal(size=(60, 3)), rng.normal(size=(50, 3))
    # Representable after the shift, so that only the function's own rounding is seen.
    X, Y = np.round(X * 1024) / 1024, np.round(Y * 1024) / 1024
    assert_allclose(function(X + 2.0**30, Y + 2.0**30), function(X, Y), rtol=1e-9)


# reconstruction_error -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("norm", "per_column"), [("mse", [2.0, 8.0]), ("rmse", [2**0.5, 8**0.5]), ("mae", [1.0, 2.0])]
)
def test_reconstruction_error_by_hand(norm, per_column):
    X = [[0.0, 0.0], [0.0, 4.0]]
    X_reconstructed = [[2.0, 0.0], [0.0, 0.0]]
    raw = reconstruction_error(X, X_reconstructed, norm=norm, multioutput="raw_values")
    assert_allclose(raw, per_column)
    average = reconstruction_error(X, X_reconstructed, norm=norm)
    assert type(average) is float
    assert average == pytest.approx(np.mean(per_column))
    assert reconstruction_error(X, X, norm=norm) == 0.0


def test_reconstruction_error_weights_rows(rng):
    X, X_reconstructed = rng.normal(size=(2, 6, 3))
    weights = np.array([1, 2, 0, 1, 3, 1])
    repeated = np.repeat(np.arange(6), weights)
    assert reconstruction_error(X, X_reconstructed, sample_weight=weights) == pytest.approx(
        reconstruction_error(X[repeated], X_reconstructed[repeated])
    )


def test_reconstruction_error_errors():
    X = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"must have the same shape, got \(2, 3\) and \(3, 3\)"):
        reconstruction_error(X, np.zeros((3, 3)))
    with pytest.raises(ValueError, match="norm must be one of 'mse', 'rmse', 'mae', got 'l2'"):
        reconstruction_error(X, X, norm="l2")
    with pytest.raises(ValueError, match=r"multioutput must be one of .*, got 'mean'"):
        reconstruction_error(X, X, multioutput="mean")
    with pytest.raises(ValueError, match=r"X must have at least 1 rows \(n_samples\), got 0"):
        reconstruction_error(np.zeros((0, 3)), np.zeros((0, 3)))


# frechet_distance -----------------------------------------------------------------------------


def test_frechet_distance_of_known_gaussians(rng):
    mean_X, mean_Y = np.array([1.0, 0.0, -2.0]), np.array([0.0, 2.0, -2.0])
    scale_X, scale_Y = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.5, 3.0])
    rotation = ortho_group.rvs(3, random_state=0)
    # Commuting covariances: the distance is that of the means plus that of the scales.
    X = _normal_with_moments(rng, 50, mean_X, np.diag(scale_X) @ rotation)
    Y = _normal_with_moments(rng, 80, mean_Y, np.diag(scale_Y) @ rotation)
    expected = np.sum((mean_X - mean_Y) ** 2) + np.sum((scale_X - scale_Y) ** 2)
    assert frechet_distance(X, Y) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(Y, X) == pytest.approx(expected, rel=1e-12)


def test_frechet_distance_agrees_with_matrix_square_roots(rng):
    X = rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6))
    Y = rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6)) + 0.5
    C_X, C_Y = np.cov(X.T), np.cov(Y.T)
    root = sqrtm(C_X)
    expected = np.sum((X.mean(0) - Y.mean(0)) ** 2) + np.trace(
        C_X + C_Y - 2 * np.real(sqrtm(root @ C_Y @ root))
    )
    assert frechet_distance(X, Y) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_a_translation_and_of_equal_sets(rng):
    X = rng.normal(size=(30, 4))
    shift = np.array([1.0, -2.0, 0.0, 0.5])
    assert frechet_distance(X, X + shift) == pytest.approx(np.sum(shift**2), rel=1e-12)
    assert 0.0 <= frechet_distance(X, rng.permutation(X)) < 1e-25


@pytest.mark.parametrize(("n_X", "n_Y"), [(3, 4), (4, 3), (3, 200), (200, 3)])
def test_frechet_distance_of_singular_covariances(n_X, n_Y, rng):
    X, Y = rng.normal(size=(n_X, 50)), 3.0 * rng.normal(size=(n_Y, 50))
    X[:, 10] = 1.0
    # The nuclear norm of the product of the factors is the trace of the square root.
    A = (X - X.mean(0)) / np.sqrt(n_X - 1)
    B = (Y - Y.mean(0)) / np.sqrt(n_Y - 1)
    expected = (
        np.sum((X.mean(0) - Y.mean(0)) ** 2)
        + np.sum(A**2)
        + np.sum(B**2)
        - 2 * np.linalg.norm(A @ B.T, "nuc")
    )
    assert frechet_distance(X, Y) == pytest.approx(expected, rel=1e-10)
    assert 0.0 <= frechet_distance(X, X) < 1e-20


def test_frechet_distance_of_lines_that_share_nothing():
    # Perpendicular lines: the square root of the product vanishes, the traces add up.
    t = np.array([-1.0, 0.0, 1.0])
    X, Y = np.c_[t, 0 * t], np.c_[0 * t, 2 * t]
    assert frechet_distance(X, Y) == pytest.approx(1.0 + 4.0)
    # The same points on one line: only the scales differ.
    assert frechet_distance(X, 2 * X) == pytest.approx(1.0)


def test_frechet_distance_grows_with_the_square_of_the_units(rng):
    X, Y = rng.normal(size=(20, 3)), rng.normal(1, 2, size=(30, 3))
    assert frechet_distance(10 * X, 10 * Y) == pytest.approx(100 * frechet_distance(X, Y))


# inception_score ------------------------------------------------------------------------------


def test_inception_score_reaches_its_bounds():
    assert inception_score(np.full((10, 5), 0.2)) == pytest.approx(1.0)
    assert inception_score(np.tile([1.0, 0.0, 0.0], (10, 1))) == 1.0
    assert inception_score(np.tile(np.eye(7), (3, 1))) == pytest.approx(7.0)


def test_inception_score_by_hand():
    # Marginal (1/2, 1/2); each row diverges by 3/4 log(3/2) + 1/4 log(1/2).
    expected = np.exp(0.75 * np.log(1.5) + 0.25 * np.log(0.5))
    assert inception_score([[0.75, 0.25], [0.25, 0.75]]) == pytest.approx(expected)


@pytest.mark.parametrize("n_splits", [1, 3, 10])
def test_inception_score_agrees_with_a_difference_of_entropies(n_splits, rng):
    p = rng.dirichlet(np.full(4, 0.3), size=32)
    scores = []
    for part in np.array_split(p, n_splits):
        marginal = part.mean(axis=0)
        entropy_of_mean = -sum(m * np.log(m) for m in marginal)
        mean_entropy = -np.mean([sum(v * np.log(v) for v in row if v > 0) for row in part])
        scores.append(np.exp(entropy_of_mean - mean_entropy))
    score = inception_score(p, n_splits=n_splits)
    assert type(score) is float
    assert score == pytest.approx(np.mean(scores), rel=1e-12)
    assert 1.0 <= score <= 4.0


def test_inception_score_of_one_row_per_split_is_one(rng):
    p = rng.dirichlet(np.ones(3), size=6)
    assert inception_score(p, n_splits=6) == 1.0


def test_inception_score_forgives_rounded_sums(rng):
    p = rng.dirichlet(np.ones(3), size=20)
    assert inception_score(1.0009 * p) == pytest.approx(inception_score(p), rel=1e-12)


def test_inception_score_accepts_float32(rng):
    p = rng.dirichlet(np.ones(100), size=20)
    assert inception_score(p.astype(np.float32)) == pytest.approx(inception_score(p), rel=1e-5)


def test_inception_score_errors():
    p = np.full((4, 2), 0.5)
    with pytest.raises(ValueError, match=r"must have at least 5 rows .*, got 4: .*n_splits=5"):
        inception_score(p, n_splits=5)
    with pytest.raises(ValueError, match=r"n_splits must be at least 1, got 0"):
        inception_score(p, n_splits=0)
    with pytest.raises(TypeError, match=r"n_splits must be an integer, got 2.0 of type float"):
        inception_score(p, n_splits=2.0)
    with pytest.raises(ValueError, match=r"must sum to 1, got a sum of 0.75"):
        inception_score([[0.5, 0.5], [0.25, 0.5]])
    with pytest.raises(ValueError, match=r"probabilities must be at least 0, got -0.5"):
        inception_score([[1.5, -0.5], [0.5, 0.5]])
    with pytest.raises(ValueError, match=r"at least 2 columns \(n_classes\), got 1"):
        inception_score([[1.0], [1.0]])


# precision_recall, density_coverage -----------------------------------------------------------


def _brute_force_prdc(real, generated, k):
    """Loops over rows; exact differences instead of dot products."""

    def radius(rows, i):
        return sorted(np.sqrt(np.sum((rows - rows[i]) ** 2, axis=1)))[k]

    def inside(row, balls, radii):
        return [np.sqrt(np.sum((row - c) ** 2)) <= r for c, r in zip(balls, radii, strict=True)]

    real_radii = [radius(real, i) for i in range(len(real))]
    generated_radii = [radius(generated, i) for i in range(len(generated))]
    generated_in_real = np.array([inside(row, real, real_radii) for row in generated])
    real_in_generated = np.array([inside(row, generated, generated_radii) for row in real])
    return (
        generated_in_real.any(axis=1).mean(),
        real_in_generated.any(axis=1).mean(),
        generated_in_real.sum() / (k * len(generated)),
        generated_in_real.any(axis=0).mean(),
    )


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("kind", ["continuous", "counts"])
def test_balls_agree_with_loops(k, kind, rng):
    real, generated = rng.normal(size=(60, 3)), rng.normal(0.8, 0.7, size=(45, 3))
    if kind == "counts":
        # Many duplicates and ties, which lie exactly on the borders.
        real, generated = np.round(real), np.round(generated)
    expected = _brute_force_prdc(real, generated, k)
    found = (
        *precision_recall(real, generated, n_neighbors=k),
        *density_coverage(real, generated, n_neighbors=k),
    )
    assert_allclose(found, expected, rtol=1e-12)
    assert min(expected) > 0.0
    assert expected[0] < 1.0


def test_balls_keep_ties_that_rounding_would_break(rng):
    # Far-apart pairs of real rows, one step along the first axis apart; each generated row is one
    # step along the second axis away, so exactly on the border. The squared norms are too large
    # for the dot products to be exact, the differences are not.
    centres = rng.integers(-30_000_000, 30_000_000, size=(40, 64)).astype(float)
    first, second = 1001.0 * np.eye(64)[:2]
    real, generated = np.r_[centres, centres + first], centres + second
    assert precision_recall(real, generated, n_neighbors=1)[0] == 1.0
    # Inside the ball of its centre only: the other row of the pair is sqrt(2) steps away.
    assert density_coverage(real, generated, n_neighbors=1) == (1.0, 0.5)


def test_balls_of_radius_zero_hold_their_centre():
    X = np.zeros((9, 2))
    assert precision_recall(X, X) == (1.0, 1.0)
    assert density_coverage(X, X) == (pytest.approx(9 / 5), 1.0)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_balls_on_equal_sets(k, rng):
    X = rng.normal(size=(80, 4))
    assert precision_recall(X, rng.permutation(X), n_neighbors=k) == (1.0, 1.0)
    # Each ball holds its centre and k neighbours.
    assert density_coverage(X, rng.permutation(X), n_neighbors=k) == (
        pytest.approx((k + 1) / k),
        1.0,
    )


def test_balls_on_disjoint_sets(rng):
    X, Y = rng.uniform(size=(40, 3)), 10.0 + rng.uniform(size=(50, 3))
    assert precision_recall(X, Y) == (0.0, 0.0)
    assert density_coverage(X, Y) == (0.0, 0.0)


def test_precision_and_recall_swap_with_the_sets(rng):
    X, Y = rng.normal(size=(70, 2)), rng.normal(0.5, 0.5, size=(60, 2))
    assert precision_recall(X, Y) == precision_recall(Y, X)[::-1]


def test_a_dropped_mode_costs_recall_and_coverage(rng):
    real = np.r_[rng.normal(size=(100, 2)), rng.normal(20, 1, size=(100, 2))]
    generated = rng.normal(size=(200, 2))
    precision, recall = precision_recall(real, generated)
    _, coverage = density_coverage(real, generated)
    assert precision > 0.9
    assert recall <= 0.5
    assert coverage <= 0.5


def test_coverage_of_one_distribution_is_as_published(rng):
    # Lemma 2 of Naeem et al. (2020): 1 - prod (n - i) / (2 n - i) for i = 1..k; the density is 1.
    n, k = 300, 3
    results = [
        density_coverage(rng.normal(size=(n, 2)), rng.normal(size=(n, 2)), n_neighbors=k)
        for _ in range(20)
    ]
    density, coverage = np.mean(results, axis=0)
    i = np.arange(1, k + 1)
    assert coverage == pytest.approx(1 - np.prod((n - i) / (2 * n - i)), abs=0.02)
    assert density == pytest.approx(1.0, abs=0.03)


def test_balls_agree_with_prdc(rng):
    prdc = pytest.importorskip("prdc", reason="optional second implementation")
    real, generated = rng.normal(size=(300, 8)), rng.normal(0.3, 0.8, size=(250, 8))
    expected = prdc.compute_prdc(real, generated, nearest_k=4)
    precision, recall = precision_recall(real, generated, n_neighbors=4)
    density, coverage = density_coverage(real, generated, n_neighbors=4)
    found = {"precision": precision, "recall": recall, "density": density, "coverage": coverage}
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("function", [precision_recall, density_coverage])
def test_ball_errors(function):
    X = np.zeros((5, 2))
    with pytest.raises(
        ValueError, match=r"X_real must have at least 6 rows .*, got 5: .*lower n_neighbors=5"
    ):
        function(X, X, n_neighbors=5)
    with pytest.raises(ValueError, match="n_neighbors must be at least 1, got 0"):
        function(X, X, n_neighbors=0)
    with pytest.raises(TypeError, match=r"n_neighbors must be an integer, got 2.5 of type float"):
        function(X, X, n_neighbors=2.5)
    with pytest.raises(TypeError, match="n_neighbors must be an integer, got True of type bool"):
        function(X, X, n_neighbors=True)


def test_only_precision_recall_needs_generated_neighbors():
    X, few = np.zeros((9, 2)), np.zeros((2, 2))
    with pytest.raises(ValueError, match=r"X_generated must have at least 4 rows .*, got 2"):
        precision_recall(X, few)
    assert density_coverage(X, few) == (pytest.approx(9 / 5), 1.0)


# parzen_log_likelihood ------------------------------------------------------------------------


def test_parzen_agrees_with_kernel_density(rng):
    generated, test = rng.normal(size=(150, 4)), rng.normal(size=(90, 4))
    # Wider than the test rows, so that they would choose another bandwidth.
    validation = rng.normal(0, 2, size=(80, 4))
    bandwidths = np.array([0.2, 0.4, 0.6, 0.9, 1.5, 3.0])
    result = parzen_log_likelihood(generated, test, X_validation=validation, bandwidths=bandwidths)
    models = {h: KernelDensity(bandwidth=h).fit(generated) for h in bandwidths}
    best = max(bandwidths, key=lambda h: models[h].score(validation))
    assert best != max(bandwidths, key=lambda h: models[h].score(test))
    log_densities = models[best].score_samples(test)
    assert result.bandwidth == best
    assert result.log_likelihood == pytest.approx(log_densities.mean(), rel=1e-12)
    assert result.standard_error == pytest.approx(log_densities.std() / np.sqrt(90), rel=1e-12)


def test_parzen_of_one_kernel_is_a_normal_density():
    result = parzen_log_likelihood(
        [[0.0, 0.0]], [[0.0, 0.0], [3.0, 4.0]], X_validation=[[1.0, 1.0]], bandwidths=[2.0]
    )
    at_centre = -np.log(2 * np.pi * 4.0)
    away = at_centre - 25.0 / (2 * 4.0)
    assert result.log_likelihood == pytest.approx((at_centre + away) / 2)
    assert result.standard_error == pytest.approx((at_centre - away) / 2 / np.sqrt(2))


def test_parzen_does_not_underflow(rng):
    generated = rng.normal(size=(20, 500))
    test = 100.0 + rng.normal(size=(10, 500))
    result = parzen_log_likelihood(generated, test, X_validation=generated + 0.01, bandwidths=[0.1])
    expected = KernelDensity(bandwidth=0.1).fit(generated).score_samples(test).mean()
    assert np.isfinite(result.log_likelihood)
    assert result.log_likelihood == pytest.approx(expected, rel=1e-9)


def test_parzen_default_grid_is_that_of_the_protocol(rng):
    generated, test, validation = rng.normal(0, 0.4, size=(3, 200, 3))
    explicit = parzen_log_likelihood(
        generated, test, X_validation=validation, bandwidths=np.logspace(-1, 0, 10)
    )
    assert parzen_log_likelihood(generated, test, X_validation=validation) == explicit


def test_parzen_chunks_do_not_change_the_result(rng):
    generated, test, validation = rng.normal(size=(3, 150, 3))
    whole = parzen_log_likelihood(generated, test, X_validation=validation)
    with config_context(working_memory=TINY_MEMORY):
        assert_allclose(
            parzen_log_likelihood(generated, test, X_validation=validation), whole, rtol=1e-12
        )


def test_parzen_rewards_blur(rng):
    # Why the docstring warns: averages of real rows beat the real rows themselves.
    train, validation, test = rng.uniform(size=(3, 300, 20))
    nearest = np.argsort(cdist(train, train), axis=1)[:, :8]
    blurred = train[nearest].mean(axis=1)
    real = parzen_log_likelihood(train, test, X_validation=validation)
    blur = parzen_log_likelihood(blurred, test, X_validation=validation)
    assert blur.log_likelihood > real.log_likelihood + 1.0


@pytest.mark.parametrize(("scale", "border"), [(100.0, "1 at"), (1e-4, "0.1 at")])
def test_parzen_warns_at_the_border_of_the_grid(scale, border, rng):
    generated, test, validation = scale * rng.normal(size=(3, 50, 2))
    with pytest.warns(UserWarning, match=rf"got {border} the border of \[0.1, 1\]: pass a wider"):
        parzen_log_likelihood(generated, test, X_validation=validation)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parzen_log_likelihood(generated, test, X_validation=validation, bandwidths=[0.5])


def test_parzen_errors():
    X = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"X_test must have at least 2 rows .*, got 1"):
        parzen_log_likelihood(X, X[:1], X_validation=X)
    with pytest.raises(ValueError, match=r"X_validation must have at least 1 rows .*, got 0"):
        parzen_log_likelihood(X, X, X_validation=X[:0])
    with pytest.raises(ValueError, match=r"X_generated must have at least 1 rows .*, got 0"):
        parzen_log_likelihood(X[:0], X, X_validation=X)
    with pytest.raises(ValueError, match=r"X_generated and X_validation must .*, got 2 and 1"):
        parzen_log_likelihood(X, X, X_validation=X[:, :1])
    with pytest.raises(ValueError, match=r"X_generated and X_test must .*, got 2 and 1"):
        parzen_log_likelihood(X, X[:, :1], X_validation=X)
    with pytest.raises(ValueError, match="bandwidths must be positive, got -1"):
        parzen_log_likelihood(X, X, X_validation=X, bandwidths=[0.5, -1.0])
    with pytest.raises(ValueError, match=r"at least 1 number, got shape \(0,\)"):
        parzen_log_likelihood(X, X, X_validation=X, bandwidths=[])
    with pytest.raises(ValueError, match=r"at least 1 number, got shape \(1, 2\)"):
        parzen_log_likelihood(X, X, X_validation=X, bandwidths=[[0.5, 1.0]])


# maximum_mean_discrepancy ---------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
@pytest.mark.parametrize("gamma", [None, 0.3])
def test_mmd_agrees_with_loops(kernel, gamma, rng):
    X, Y = rng.normal(size=(12, 3)), rng.normal(0.5, 2.0, size=(9, 3))
    both = np.r_[X, Y]
    pairs = [np.sum((a - b) ** 2) for i, a in enumerate(both) for b in both[:i]]
    g = 1.0 / np.mean(pairs) if gamma is None else gamma

    def k(a, b):
        squared = np.sum((a - b) ** 2)
        return np.exp(-g * squared) if kernel == "rbf" else 1.0 / (1.0 + g * squared)

    def within(rows):
        return np.mean([k(a, b) for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j])

    expected = within(X) + within(Y) - 2 * np.mean([k(a, b) for a in X for b in Y])
    found = maximum_mean_discrepancy(X, Y, kernel=kernel, gamma=gamma)
    assert found == pytest.approx(expected, rel=1e-12)
    assert maximum_mean_discrepancy(Y, X, kernel=kernel, gamma=gamma) == pytest.approx(expected)


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_mmd_is_unbiased_when_the_distributions_are_equal(kernel, rng):
    draws = [
        maximum_mean_discrepancy(*rng.normal(size=(2, 25, 2)), kernel=kernel) for _ in range(100)
    ]
    # A biased estimate would add about 1 / n = 0.04 per set.
    assert abs(np.mean(draws)) < 4 * np.std(draws) / np.sqrt(len(draws))
    assert 4 * np.std(draws) / np.sqrt(len(draws)) < 0.02
    assert min(draws) < 0.0 < max(draws)


def test_mmd_estimates_the_closed_form_of_shifted_normals(rng):
    d, gamma, shift = 3, 0.25, 1.5
    factor = (1 + 4 * gamma) ** (-d / 2)
    # x - y is normal with variance 2 per column, whose Gaussian integral is known.
    expected = 2 * factor * (1 - np.exp(-gamma * shift**2 / (1 + 4 * gamma)))
    draws = []
    for _ in range(20):
        X, Y = rng.normal(size=(2, 200, d))
        Y[:, 0] += shift
        draws.append(maximum_mean_discrepancy(X, Y, kernel="rbf", gamma=gamma))
    assert np.mean(draws) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_mmd_grows_with_the_square_of_a_small_shift(kernel, rng):
    # X against its own shifted copy: the terms of first order cancel over a symmetric set.
    half = rng.normal(size=(100, 2))
    X = np.r_[half, -half]
    values = [
        maximum_mean_discrepancy(X, X + shift, kernel=kernel, gamma=0.5)
        - maximum_mean_discrepancy(X, X, kernel=kernel, gamma=0.5)
        for shift in (0.01, 0.02, 0.04)
    ]
    assert values[0] > 0.0
    assert_allclose(np.divide(values[1:], values[:-1]), 4.0, rtol=0.02)


def test_mmd_default_gamma_ignores_units(rng):
    X, Y = rng.normal(size=(30, 3)), rng.normal(1, 1, size=(40, 3))
    assert maximum_mean_discrepancy(1e6 * X, 1e6 * Y) == pytest.approx(
        maximum_mean_discrepancy(X, Y), rel=1e-9
    )


def test_mmd_of_far_sets_and_of_constant_rows():
    X, Y = np.zeros((4, 2)), np.full((5, 2), 1e6)
    assert maximum_mean_discrepancy(X, Y, kernel="rbf", gamma=1.0) == pytest.approx(2.0)
    assert maximum_mean_discrepancy(X, np.zeros((3, 2))) == 0.0


def test_mmd_errors():
    X = np.zeros((3, 2))
    with pytest.raises(ValueError, match="kernel must be one of 'imq', 'rbf', got 'linear'"):
        maximum_mean_discrepancy(X, X, kernel="linear")
    for gamma in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match=f"gamma must be positive and finite, got {gamma}"):
            maximum_mean_discrepancy(X, X, gamma=gamma)
    with pytest.raises(TypeError, match="gamma must be a number, got 'scale' of type str"):
        maximum_mean_discrepancy(X, X, gamma="scale")


# classifier_two_sample_score ------------------------------------------------------------------


def _ring(rng, n_samples):
    angle = rng.uniform(0, 2 * np.pi, size=n_samples)
    return np.c_[np.cos(angle), np.sin(angle)] + 0.05 * rng.normal(size=(n_samples, 2))


def _petals(rng, n_samples):
    angle = 2 * np.pi * rng.integers(8, size=n_samples) / 8
    return np.c_[np.cos(angle), np.sin(angle)] + 0.05 * rng.normal(size=(n_samples, 2))


def test_c2st_is_one_half_for_equal_distributions(rng):
    scores = [
        classifier_two_sample_score(
            *rng.normal(size=(2, 100, 2)), classifier=LogisticRegression(), random_state=i
        )
        for i in range(12)
    ]
    assert np.mean(scores) == pytest.approx(0.5, abs=0.05)
    X, Y = rng.normal(size=(2, 400, 2))
    assert classifier_two_sample_score(X, Y, random_state=0) == pytest.approx(0.5, abs=0.07)


def test_c2st_is_one_for_separated_sets(rng):
    X, Y = rng.normal(size=(60, 2)), 50.0 + rng.normal(size=(40, 2))
    score = classifier_two_sample_score(X, Y, random_state=0)
    assert type(score) is float
    assert score == 1.0


def test_c2st_default_sees_rings_and_petals(rng):
    # Equal means and covariances: a Fréchet distance or a linear classifier sees nothing.
    ring = _ring(rng, 250)
    cloud = np.sqrt(0.5) * rng.normal(size=(250, 2))
    assert classifier_two_sample_score(ring, cloud, random_state=0) > 0.8
    assert classifier_two_sample_score(ring, _petals(rng, 250), random_state=0) > 0.75
    linear = classifier_two_sample_score(
        ring, cloud, classifier=LogisticRegression(), random_state=0
    )
    assert linear == pytest.approx(0.5, abs=0.1)


def test_c2st_agrees_with_a_loop_over_folds(rng):
    X, Y = rng.normal(size=(50, 3)), rng.normal(0.7, 1.0, size=(30, 3))
    rows, labels = np.r_[X, Y], np.r_[np.zeros(50), np.ones(30)]
    splitter = StratifiedKFold(4, shuffle=True, random_state=3)
    scores = []
    for train, test in splitter.split(rows, labels):
        decision = (
            LogisticRegression().fit(rows[train], labels[train]).decision_function(rows[test])
        )
        positive, negative = decision[labels[test] == 1], decision[labels[test] == 0]
        scores.append(np.mean(positive[:, np.newaxis] > negative))
    found = classifier_two_sample_score(X, Y, classifier=LogisticRegression(), cv=splitter)
    assert found == pytest.approx(np.mean(scores))


def test_c2st_repeats_with_an_int_and_leaves_global_state(rng):
    X, Y = rng.normal(size=(2, 60, 2))
    state = np.random.get_state()[1].copy()  # noqa: NPY002  # what is tested
    first = classifier_two_sample_score(X, Y, random_state=1)
    assert classifier_two_sample_score(X, Y, random_state=1) == first
    assert classifier_two_sample_score(X, Y, random_state=2) != first
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002  # what is tested


def test_c2st_clones_the_classifier_and_takes_splitters(rng):
    X, Y = rng.normal(size=(2, 40, 2))
    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    classifier_two_sample_score(
        X, Y, classifier=classifier, cv=ShuffleSplit(2, test_size=0.5, random_state=0)
    )
    assert not hasattr(classifier[-1], "coef_")


def test_c2st_errors():
    X = np.arange(8.0).reshape(4, 2)
    with pytest.raises(ValueError, match=r"X must have at least 5 rows .*, got 4: .*lower cv=5"):
        classifier_two_sample_score(X, X)
    with pytest.raises(ValueError, match="cv must be at least 2, got 1"):
        classifier_two_sample_score(X, X, cv=1)
    with pytest.raises(TypeError, match=r"must be a scikit-learn classifier, got Ridge\(\)"):
        classifier_two_sample_score(X, X, classifier=Ridge(), cv=2)
    with pytest.raises(TypeError, match="must be a scikit-learn classifier, got 'mlp'"):
        classifier_two_sample_score(X, X, classifier="mlp", cv=2)


# clustering_error -----------------------------------------------------------------------------

# Two classes, three clusters; by hand: cluster 0 is a a b, cluster 1 is a a, cluster 2 is b b b.
Y_TRUE = np.array(["a", "a", "b", "a", "a", "b", "b", "b"])
LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2])
# Column maxima at rows 2 (a "b" for cluster 0), 3 ("a") and 5 ("b").
PROBABILITIES = np.array(
    [
        [0.6, 0.3, 0.1],
        [0.7, 0.2, 0.1],
        [0.9, 0.0, 0.1],
        [0.1, 0.8, 0.1],
        [0.3, 0.7, 0.0],
        [0.0, 0.1, 0.9],
        [0.1, 0.1, 0.8],
        [0.2, 0.1, 0.7],
    ]
)


@pytest.mark.parametrize(
    ("rule", "n_errors"),
    # majority: the b of cluster 0. Hungarian: a -> 0 or 1 (2 right), b -> 2 (3 right), 3 lost.
    # representative: cluster 0 is called "b", so its two a are wrong.
    [("majority", 1), ("hungarian", 3), ("representative", 2)],
)
def test_clustering_error_by_hand(rule, n_errors):
    error = clustering_error(Y_TRUE, LABELS, rule=rule, probabilities=PROBABILITIES)
    assert type(error) is float
    assert error == pytest.approx(n_errors / 8)


@pytest.mark.parametrize("rule", ["majority", "hungarian", "representative"])
def test_clustering_error_ignores_names_and_order(rule, rng):
    y_true = rng.integers(4, size=200)
    probabilities = rng.dirichlet(np.ones(6), size=200) + 0.5 * np.eye(6)[y_true]
    labels = probabilities.argmax(axis=1)
    error = clustering_error(y_true, labels, rule=rule, probabilities=probabilities)
    assert 0.0 < error < 1.0
    columns = rng.permutation(6)
    renamed = np.argsort(columns)[labels]
    assert error == clustering_error(
        y_true, renamed, rule=rule, probabilities=probabilities[:, columns]
    )
    assert error == clustering_error(
        np.array(list("wxyz"))[y_true], labels, rule=rule, probabilities=probabilities
    )
    rows = rng.permutation(200)
    assert error == clustering_error(
        y_true[rows], labels[rows], rule=rule, probabilities=probabilities[rows]
    )


@pytest.mark.parametrize("rule", ["majority", "hungarian", "representative"])
def test_clustering_error_is_zero_for_perfect_clusters(rule, rng):
    y_true = rng.permutation(np.repeat(np.arange(5), 4))
    one_hot = np.eye(5)[y_true][:, rng.permutation(5)]
    labels = one_hot.argmax(axis=1)
    assert clustering_error(y_true, labels, rule=rule, probabilities=one_hot) == 0.0


@pytest.mark.parametrize("n_clusters", [2, 4, 6])
def test_hungarian_error_agrees_with_all_assignments(n_clusters, rng):
    y_true, labels = rng.integers(4, size=60), rng.integers(n_clusters, size=60)
    # Names beyond the four classes stand for "no class" when there are more clusters.
    size = max(4, n_clusters)
    best = max(np.sum(np.array(names)[labels] == y_true) for names in permutations(range(size)))
    assert clustering_error(y_true, labels, rule="hungarian") == pytest.approx(1 - best / 60)


def test_majority_error_falls_to_zero_with_one_cluster_per_row():
    assert clustering_error([0, 1, 0, 1], [0, 1, 2, 3]) == 0.0
    assert clustering_error([0, 1, 0, 1], [0, 1, 2, 3], rule="hungarian") == 0.5
    assert clustering_error([0, 1, 0, 1], [7, 7, 7, 7]) == 0.5


def test_clustering_error_errors():
    with pytest.raises(ValueError, match=r"rule must be one of 'majority', .*, got 'purity'"):
        clustering_error(Y_TRUE, LABELS, rule="purity")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clustering_error(Y_TRUE, LABELS[:-1])
    with pytest.raises(ValueError, match="y_true must have at least 1 row, got 0"):
        clustering_error([], [])
    with pytest.raises(ValueError, match=r"needs probabilities .*, got None: pass the predict"):
        clustering_error(Y_TRUE, LABELS, rule="representative")
    with pytest.raises(ValueError, match=r"between 0 and 1, the columns .* values from 0 to 2"):
        clustering_error(Y_TRUE, LABELS, rule="representative", probabilities=PROBABILITIES[:, :2])
    with pytest.raises(ValueError, match=r"needs integer labels .*, got labels of dtype <U1"):
        clustering_error(Y_TRUE, Y_TRUE, rule="representative", probabilities=PROBABILITIES)


# Outlier scorers ------------------------------------------------------------------------------

SCORERS = [outlier_roc_auc_scorer, outlier_average_precision_scorer]


def _rows_with_outliers(rng, n_inliers=90, n_outliers=15):
    """Inliers first: the order that unshuffled folds trip over."""
    X = np.r_[rng.normal(size=(n_inliers, 2)), rng.normal(3, 1.5, size=(n_outliers, 2))]
    return X, np.repeat([1, -1], [n_inliers, n_outliers])


def test_outlier_scorers_agree_with_counts_of_pairs(rng):
    X, y = _rows_with_outliers(rng)
    detector = EllipticEnvelope(random_state=0).fit(X[:90])
    decision = detector.decision_function(X)
    normal, outlying = decision[y == 1], decision[y == -1]
    auc = np.mean(outlying[:, np.newaxis] < normal)
    assert outlier_roc_auc_scorer(detector, X, y) == pytest.approx(auc)
    # Precision at each outlier, walking from the most outlying row.
    outlier_in_order = (y == -1)[np.argsort(decision)]
    precision = np.cumsum(outlier_in_order) / np.arange(1, len(y) + 1)
    assert outlier_average_precision_scorer(detector, X, y) == pytest.approx(
        precision[outlier_in_order].mean()
    )
    # scikit-learn's own score of the same answers takes the inliers as positive.
    assert average_precision_score(y, decision) > outlier_average_precision_scorer(detector, X, y)


@pytest.mark.parametrize("scorer", SCORERS)
def test_outlier_scorers_reward_low_decisions_for_outliers(scorer, rng):
    class Oracle(OutlierMixin, BaseEstimator):
        def __init__(self, sign):
            self.sign = sign

        def decision_function(self, X):
            return self.sign * X[:, 0]

    y = rng.permutation(np.repeat([1, -1], [20, 5]))
    X = y[:, np.newaxis].astype(float)
    assert scorer(Oracle(1.0), X, y) == 1.0
    assert scorer(Oracle(-1.0), X, y) < 0.3


@pytest.mark.parametrize("scorer", SCORERS)
def test_outlier_scorers_in_a_grid_search_over_a_pipeline(scorer, rng):
    X, y = _rows_with_outliers(rng)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), IsolationForest(n_estimators=10, random_state=0)),
        {"isolationforest__max_samples": [2, 64]},
        scoring=scorer,
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        error_score="raise",
    ).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert search.best_score_ == scores.max() > 0.5
    assert 0.0 <= scorer(search, X, y) <= 1.0


def test_outlier_scorers_together_in_one_search(rng):
    X, y = _rows_with_outliers(rng)
    search = GridSearchCV(
        EllipticEnvelope(random_state=0),
        {"support_fraction": [0.8]},
        scoring={"auc": outlier_roc_auc_scorer, "ap": outlier_average_precision_scorer},
        refit="auc",
        cv=StratifiedKFold(3, shuffle=True, random_state=0),
        error_score="raise",
    ).fit(X, y)
    assert search.cv_results_["mean_test_auc"][0] > search.cv_results_["mean_test_ap"][0] > 0.5


def test_outlier_scorers_take_sample_weight(rng):
    X, y = _rows_with_outliers(rng)
    detector = LocalOutlierFactor(novelty=True).fit(X[:90])
    weights = rng.integers(1, 4, size=len(y))
    repeated = np.repeat(np.arange(len(y)), weights)
    for scorer in SCORERS:
        assert scorer(detector, X, y, sample_weight=weights) == pytest.approx(
            scorer(detector, X[repeated], y[repeated])
        )


@pytest.mark.parametrize("scorer", SCORERS)
def test_outlier_scorers_refuse_a_fold_of_one_class(scorer, rng):
    X, y = _rows_with_outliers(rng)
    detector = IsolationForest(n_estimators=5, random_state=0)
    message = r"got only the label 1 in 30 rows: pass cv=StratifiedKFold\(shuffle=True\)"
    with pytest.raises(ValueError, match=message):
        scorer(detector.fit(X), X[:30], y[:30])
    search = GridSearchCV(detector, {}, scoring=scorer, cv=KFold(3), error_score="raise")
    with pytest.raises(ValueError, match=r"got only the label 1 in 35 rows"):
        search.fit(X, y)
    # Without error_score="raise" the search reports nan, but shows the message.
    search.set_params(error_score=np.nan)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(X, y)
    assert any("StratifiedKFold(shuffle=True)" in str(warning.message) for warning in caught)
    assert np.isnan(search.best_score_)


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize(
    ("labels", "found"), [([0, 1], r"\[0, 1\]"), (["in", "out"], r"\['in', 'out'\]")]
)
def test_outlier_scorers_refuse_other_labels(scorer, labels, found, rng):
    X, _ = _rows_with_outliers(rng)
    y = np.repeat(labels, [90, 15])
    message = rf"-1 for outliers and \+1 for inliers, got the labels {found}: .*np.where"
    with pytest.raises(ValueError, match=message):
        scorer(IsolationForest(n_estimators=5, random_state=0).fit(X), X, y)


@pytest.mark.parametrize("scorer", SCORERS)
def test_outlier_scorers_pickle_and_explain_themselves(scorer, rng):
    X, y = _rows_with_outliers(rng)
    detector = IsolationForest(n_estimators=5, random_state=0).fit(X)
    assert pickle.loads(pickle.dumps(scorer))(detector, X, y) == scorer(detector, X, y)
    assert "outliers as the positive class" in scorer.__doc__


def test_outlier_scorer_works_with_a_supervised_classifier(rng):
    # The share of outliers is a baseline that people ask for: a classifier trained on y.
    X, y = _rows_with_outliers(rng)
    classifier = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(X, y)
    expected = roc_auc_score(y == -1, classifier.predict_proba(X)[:, 0])
    assert outlier_roc_auc_scorer(classifier, X, y) == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1e-160, 1e-300, 1e160])
def test_discrepancy_has_no_unit_however_small_or_large(scale):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(50, 3)), rng.normal(size=(60, 3)) + 0.5
    expected = maximum_mean_discrepancy(X, Y)
    assert maximum_mean_discrepancy(scale * X, scale * Y) == pytest.approx(expected, rel=1e-9)
