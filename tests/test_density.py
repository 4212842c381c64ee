"""The density on top of the autoencoder, its columns and its p-values."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import false_discovery_control, kstest, multivariate_t, spearmanr
from sklearn.datasets import make_blobs
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae._learned.density import (
    DensityScore,
    as_if_new,
    distances_from_center,
    fit_density,
    joined,
    residual_inflation,
)
from sklearn_aae._learned.mixture import Mixture, log_densities
from sklearn_aae._learned.neighbors import NeighborSearch
from sklearn_aae._learned.references import sample_by_weight
from sklearn_aae._learned.table import fit_whitening
from sklearn_aae._rows.chunks import apply_in_chunks
from sklearn_aae._training.plan import Data


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


def mean_squares(density, decoded, residual, dtype="float64"):
    queries = joined(decoded, residual, density.residual_scale)
    search = NeighborSearch(density.references, np.dtype(dtype))
    return search.nearest(queries, density.n_neighbors)[0].mean(axis=1)


def scores(density, decoded, residual, dtype="float64"):
    return DensityScore(density, np.dtype(dtype))(decoded, residual)


# Pure functions.


@pytest.mark.parametrize("offset", [0, 1e3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distances_agree_with_all_pairs(rng, dtype, offset):
    decoded, residual = offset + rng.normal(size=(2, 50, 4))
    queries = offset + rng.normal(size=(2, 7, 4))
    queries[:, 0] = decoded[0], residual[0]
    density = fit_density(decoded, residual, n_components=2)
    kept = density.references
    both = np.concatenate([queries[0], math.sqrt(4 / 2) * queries[1]], axis=1)
    squares = np.square(both[:, None] - kept[None]).sum(axis=2)
    expected = np.sort(squares, axis=1)[:, : density.n_neighbors].mean(axis=1)
    rtol = {"float32": 1e-5, "float64": 1e-7}[dtype]
    assert_allclose(mean_squares(density, *queries, dtype), expected, rtol=rtol)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_positions_are_those_of_the_distances_and_not_of_what_is_left_out(rng, dtype):
    references, queries = rng.normal(size=(30, 6)), rng.normal(size=(5, 6))
    queries[:2] = references[[3, 8]]
    search = NeighborSearch(references, np.dtype(dtype))
    squares, positions = search.nearest(queries, 4, np.array([3, 8, -1, -1, -1]))
    expected = np.square(queries[:, None] - references[positions]).sum(axis=2)
    assert_allclose(squares, expected, rtol=1e-5)
    assert (np.diff(squares) >= 0).all()
    assert 3 not in positions[0]
    assert 8 not in positions[1]


@pytest.mark.parametrize("n_references", [4, 11, 40])
def test_a_row_near_copies_of_a_reference_is_near_in_float32(rng, n_references):
    reference = 100 + rng.normal(size=(1, 30))
    decoded = np.repeat(reference, n_references, axis=0)
    density = fit_density(decoded, 0 * decoded, n_components=5)
    query = reference + 1e-4
    found = mean_squares(density, query, 0 * query, "float32")
    assert_allclose(found, 30 * 1e-8, rtol=1e-3)


def test_rows_that_overflow_in_float32_have_exact_distances(rng):
    decoded = rng.normal(size=(50, 4))
    density = fit_density(decoded, 0 * decoded, n_components=2)
    queries = decoded[:3] + np.array([[0], [1e25], [1e60]])
    found = mean_squares(density, queries, 0 * queries, "float32")
    assert_allclose(found, mean_squares(density, queries, 0 * queries), rtol=1e-5)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e13])
def test_rounding_of_float32_does_not_move_the_density(rng, size):
    # Copies of a few rows, far from zero in units of their differences.
    decoded = np.repeat(size * (1 + 1e-4 * rng.normal(size=(5, 3))), 20, axis=0)
    residual = np.zeros_like(decoded)
    density = fit_density(decoded, residual, n_components=2)
    rounded = decoded * (1 + np.finfo(np.float32).eps * rng.choice([-1, 1], decoded.shape))
    assert_allclose(
        scores(density, rounded, residual), scores(density, decoded, residual), atol=0.2
    )


@pytest.mark.parametrize("one_unit", [False, True])
def test_contributions_add_up_to_the_distance_that_the_score_is_made_of(rng, one_unit):
    decoded, residual = rng.normal(size=(2, 60, 5))
    density = fit_density(decoded, residual, n_components=2, one_unit=one_unit)
    for queries in (rng.normal(size=(2, 9, 5)), (decoded, residual)):
        contributions = DensityScore(density, np.dtype("f8")).column_contributions(*queries)
        assert (contributions >= 0).all()
        constant = scores(density, *queries) + 5 / 2 * np.log(contributions.sum(axis=1))
        assert_allclose(constant, density.typical)


@pytest.mark.parametrize("one_unit", [False, True])
def test_rounding_adds_to_no_column_where_nothing_varies(rng, one_unit):
    decoded = np.tile(1e-4 * rng.normal(size=3), (14, 1))
    density = fit_density(decoded, -decoded, n_components=2, one_unit=one_unit)
    rounded = decoded * (1 + np.finfo(np.float32).eps * rng.choice([-1, 1], decoded.shape))
    for rows in (decoded, rounded):
        contributions = DensityScore(density, np.dtype("f8")).column_contributions(rows, -rows)
        assert_allclose(contributions, contributions[0, 0], rtol=1e-4)


@pytest.mark.parametrize("share", [0.03, 0.1])
@pytest.mark.parametrize("one_unit", [False, True])
def test_a_far_group_does_not_vouch_for_itself(rng, share, one_unit):
    n = round(500 * share)
    x = np.r_[rng.normal(size=(500 - n, 3)), 40 + 0.01 * rng.normal(size=(n, 3))]
    density = fit_density(x, np.zeros_like(x), n_components=3, one_unit=one_unit)
    found = scores(density, x, np.zeros_like(x))
    assert found[-n:].max() < np.quantile(found[:-n], 0.01)
    # Nor does it change how the other rows rank.
    clean = fit_density(x[:-n], np.zeros_like(x[:-n]), n_components=3, one_unit=one_unit)
    assert spearmanr(found[:-n], clean.own_scores).statistic > 0.95


def test_neighbours_count_as_far_as_they_agree_with_the_whole_of_the_table(rng):
    def weight(x):
        return fit_density(x, np.zeros_like(x), n_components=x.shape[1]).of_neighbors

    # Of a normal distribution, rows further out have further neighbours. On a sphere none is
    # further out; in two tight groups with few rows between, those in the middle have the furthest.
    normal = rng.normal(size=(600, 4))
    sphere = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    groups = np.r_[0.3 * rng.normal(size=(300, 2)) + 3, 0.3 * rng.normal(size=(300, 2)) - 3]
    between = np.linspace(-2, 2, 40)[:, None] * np.ones(2)
    assert weight(normal) > 0.6
    assert abs(weight(sphere)) < 0.3
    assert weight(np.r_[groups, between]) == pytest.approx(0.1)
    # A tenth of the rows in one place, far away, has little say in it.
    assert abs(weight(np.r_[normal, np.full((60, 4), 40.0)]) - weight(normal)) < 0.1


def test_neighbours_and_the_whole_have_their_weights_in_the_score(rng):
    x, new = rng.normal(size=(2, 300, 3))
    density = fit_density(x, 0 * x, n_components=3)
    near = np.sqrt(mean_squares(density, new, 0 * new) + 3 * density.epsilon) / density.near
    far = distances_from_center(density, np.c_[new, 0 * new]) / density.far
    w = density.of_neighbors
    expected = density.typical - 3 * np.log(w * near + (1 - w) * far)
    assert_allclose(scores(density, new, 0 * new), expected)


def test_references_are_left_out_of_their_neighbours(rng):
    # The scores of references are then like those of new rows.
    x, new = rng.normal(size=(2, 1500, 4))
    density = fit_density(x, 0 * x, n_components=4)
    assert_allclose(scores(density, x, 0 * x), density.own_scores)
    assert kstest(density.own_scores, scores(density, new, 0 * new)).statistic < 0.06


def test_as_if_new_keeps_rows_and_enlarges_residuals(rng):
    decoded, residual = rng.normal(size=(2, 60, 5))
    g, r = as_if_new(decoded, residual, 1.5)
    assert_allclose(g + r, decoded + residual)
    assert residual_inflation(residual, r) == pytest.approx(1.5)
    assert residual_inflation(residual, 0.5 * r) == 1


@pytest.mark.parametrize("n_references", [1, 2, 5, 12])
def test_few_references(rng, n_references):
    x = rng.normal(size=(n_references, 3))
    density = fit_density(x, np.zeros_like(x), n_components=1)
    assert 1 <= density.n_neighbors <= n_references
    assert np.isfinite(scores(density, x, 0 * x)).all()
    assert np.isfinite(scores(density, x + 1, 0 * x)).all()


def test_duplicated_references_have_a_finite_density():
    x = np.ones((30, 2))
    density = fit_density(x, 0 * x, n_components=1)
    assert np.isfinite(scores(density, x, 0 * x)).all()
    contributions = DensityScore(density, np.dtype("f8")).column_contributions(x, 0 * x)
    assert_allclose(contributions, contributions[0, 0])  # every column alike


def test_weights_are_worth_as_much_as_repeated_rows(rng):
    x = rng.normal(size=(800, 2))
    x[:, 0] += 20 * (np.arange(800) % 2)
    weights = np.where(np.arange(800) % 2, 9.0, 1.0)
    weighted = fit_density(x, 0 * x, n_components=2, weights=weights)
    new = rng.normal(size=(600, 2))
    equal = fit_density(x, 0 * x, n_components=2)
    # Side by side, half of the table each: weights move the density of each by its share.
    places = new + np.array([20, 0]), new
    gaps = [np.subtract(*(scores(d, x, 0 * x).mean() for x in places)) for d in (weighted, equal)]
    assert gaps[0] > gaps[1] + 1


@pytest.mark.parametrize("d", [1, 4, 30])
def test_whitening_makes_most_rows_white(rng, d):
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    f = rng.normal(size=(3000, d)) * np.linspace(0.5, 2, d) @ rotation + 5
    far = np.r_[f, np.full((300, d), 1e3)]
    center, whitening = fit_whitening(far, np.full(3300, 1 / 3300))
    white = (f - center) @ whitening.T
    spread = np.cov(white, rowvar=False).reshape(d, d)
    # Up to one factor, by which the nearest rows are closer together than all.
    assert_allclose(spread / np.trace(spread) * d, np.eye(d), atol=0.25)
    assert_allclose(white.mean(axis=0), 0, atol=0.3)


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
    squared_distance = fitted.feature_scores(X).sum(axis=1)
    constant = fitted.score_samples(X) + 6 / 2 * np.log(squared_distance)
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


@pytest.mark.parametrize(
    ("n", "d", "df", "validation_fraction"),
    [
        pytest.param(20, 50, np.inf, 0.5, id="20 normal rows of 50 columns"),
        pytest.param(
            *(60, 100, np.inf, 0.1),
            id="60 normal rows of 100 columns",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            *(100, 100, 2, 0.1),
            id="100 rows of 100 columns with heavy tails",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_p_values_are_valid_in_small_samples(n, d, df, validation_fraction):
    shares = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, new = (_heavy(rng, (m, d), df) for m in (n, 200))
        model = AdversarialAutoencoder(
            **{"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": seed},
            validation_fraction=validation_fraction,
        ).fit(X)
        p = model.p_values(new)
        alphas = np.arange(1, 4) / (1 + round(validation_fraction * n))
        shares.append((p[:, None] <= alphas + 1e-9).mean(axis=0))
    mean, error = np.mean(shares, axis=0), np.std(shares, axis=0) / np.sqrt(60)
    assert (mean <= alphas + 2.5 * error).all()


def _heavy(rng, size, df):
    return rng.normal(size=size) if df == np.inf else rng.standard_t(df, size=size)


def test_rows_held_out_tell_nothing_to_the_rest(X):
    # What comes of a fit is the same whatever is in them.
    first = AdversarialAutoencoder(max_iter=2, random_state=0).fit(X)
    training = _training_rows(len(X), seed=0)
    other = X.copy()
    other[~training] *= 100
    second = AdversarialAutoencoder(max_iter=2, random_state=0).fit(other)
    assert_array_equal(second.transform(X[training]), first.transform(X[training]))
    new = X[:50] + 0.1
    assert_array_equal(second.score_samples(new), first.score_samples(new))


def _training_rows(n, seed):
    """Which rows a fit with this random_state trains on, as bools."""
    random_state = np.random.RandomState(seed)
    random_state.randint(2**31 - 1)
    training = np.ones(n, dtype=bool)
    training[random_state.permutation(n)[: round(0.1 * n)]] = False
    return training


def _isotropic(rng, n):
    return rng.normal(size=(n, 20))


def _low_rank(rng, n):
    loadings = np.random.default_rng(99).normal(size=(3, 20))
    return rng.normal(size=(n, 3)) @ loadings + 0.3 * rng.normal(size=(n, 20))


def _heavy_tails(rng, n):
    return rng.standard_t(3, size=(n, 20))


@pytest.mark.parametrize(
    "rows",
    [_isotropic, *(pytest.param(f, marks=pytest.mark.thorough) for f in (_low_rank, _heavy_tails))],
)
def test_contamination_is_the_share_that_is_flagged(rows):
    flagged = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X, new = rows(rng, 500), rows(rng, 3000)
        model = AdversarialAutoencoder(contamination=0.1, random_state=seed).fit(X)
        assert (model.predict(X) == -1).sum() == 50
        flagged.append((model.predict(new) == -1).mean())
    assert np.mean(flagged) == pytest.approx(0.1, abs=0.02)


@pytest.mark.thorough
@pytest.mark.parametrize("contamination", [0.1, 0.05])
@pytest.mark.parametrize(("n", "d"), [(1000, 50), (2500, 50), (5000, 20)])
def test_contamination_is_the_share_that_is_flagged_of_larger_tables(n, d, contamination):
    shares = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X, new = rng.normal(size=(n, d)), rng.normal(size=(5000, d))
        model = AdversarialAutoencoder(contamination=contamination, random_state=seed).fit(X)
        shares.append([(model.predict(rows) == -1).mean() for rows in (X, new)])
    assert_allclose(np.mean(shares, axis=0), contamination, atol=0.02)


def test_a_large_offset_comes_from_a_sample(X, monkeypatch):
    whole = AdversarialAutoencoder(max_iter=3, contamination=0.2, random_state=0).fit(X).offset_
    monkeypatch.setattr("sklearn_aae._estimators.outliers.MAX_SCORED", 400)
    sampled = AdversarialAutoencoder(max_iter=3, contamination=0.2, random_state=0).fit(X)
    assert sampled.offset_ != whole
    scores = sampled.score_samples(X)
    assert (scores < sampled.offset_).mean() == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("n", [200, 2000])
def test_the_density_integrates_to_one(n, d):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d)) + 2 * rng.integers(2, size=(n, 1))
    model = AdversarialAutoencoder(max_iter=5, random_state=0).fit(X)
    x = model._columns.standardized(X).numpy()
    # Over all rows: draws from a distribution with tails as heavy, weighted.
    wide = multivariate_t(x.mean(axis=0), np.atleast_2d(np.cov(x, rowvar=False)), df=2)
    draws = wide.rvs(3000, random_state=0).reshape(-1, d)
    mixture = Mixture(model._density, model._inference.autoencoder.n_components)
    integral = np.exp(mixture(draws) - wide.logpdf(draws)).mean()
    assert integral == pytest.approx(1, abs=0.05)


def test_score_is_the_mean_of_that_density(X, fitted):
    x = fitted._columns.standardized(X).numpy()
    mixture = Mixture(fitted._density, fitted._inference.autoencoder.n_components)
    assert fitted.score(X) == pytest.approx(mixture(x).mean())
    assert_allclose(log_densities(fitted._inference, X, fitted._density)[:3], mixture(x[:3]))


@pytest.mark.parametrize("weighted", [False, True])
def test_the_density_is_a_mixture_of_local_distributions(rng, weighted):
    n, d, c = 60, 4, 2
    decoded, residual = rng.normal(size=(2, n, d))
    weights = rng.uniform(0.5, 2, size=n) if weighted else None
    density = fit_density(decoded, residual, c, weights=weights)
    w = np.full(n, 1 / n) if weights is None else weights / weights.sum()
    queries = 2 * rng.normal(size=(5, d))
    total = np.zeros(5)
    for i in range(n):
        metric = np.square(decoded - decoded[i]) + d / c * np.square(residual - residual[i])
        near = np.argsort(metric.sum(axis=1))[:16]
        location = np.average((decoded + residual)[near], axis=0, weights=w[near])
        share = w[near] / w[near].sum()
        local, off = (np.cov(part[near].T, aweights=share) for part in (decoded, residual))
        variance, directions = np.linalg.eigh(local)
        tangent = directions[:, -c:] * variance[-c:] @ directions[:, -c:].T
        off = np.diag(off) + np.diag(local - tangent) * 15 / (15 - c)
        noise = w @ np.square(residual)
        noise = (4 * (noise + noise.mean()) / 2 + 16 * off) / 20 + density.epsilon
        total += w[i] * multivariate_t(location, tangent + np.diag(noise), df=4).pdf(queries)
    assert_allclose(Mixture(density, c)(queries), np.log(total), rtol=1e-9)


def test_densities_of_few_of_equal_and_of_distant_rows_are_finite(rng):
    for x in (rng.normal(size=(1, 3)), rng.normal(size=(2, 3)), np.ones((30, 3))):
        mixture = Mixture(fit_density(x, 0 * x, 2), 2)
        log_p = mixture(np.r_[x[:1], [[50, 0, 0]], [[1e150, 0, -1e150]]])
        assert np.isfinite(log_p).all()
        assert (np.diff(log_p) < 0).all()


def test_weights_count_as_repeated_rows_in_the_density():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 3))
    X[:750, 0] += 8
    weights = np.r_[np.full(750, 9.0), np.ones(750)]
    model = AdversarialAutoencoder(max_iter=10, random_state=0).fit(X, sample_weight=weights)
    new = rng.normal(size=(400, 3))
    gap = model.score(new + np.array([8, 0, 0])) - model.score(new)
    assert gap == pytest.approx(np.log(9), abs=0.35)


def test_many_rows_are_drawn_by_weight():
    random_state = np.random.RandomState(0)
    weight = np.r_[np.full(5000, 9.0), np.ones(5000), [1e5]]
    data = Data(np.zeros((10_001, 1)), None, weight, None)
    sample = sample_by_weight(2000, np.arange(10_001), data, random_state)
    assert sample.weights.sum() == 2000
    share = weight / weight.sum()
    for part in (slice(0, 5000), slice(5000, 10_000), slice(10_000, None)):
        inside = np.isin(sample.rows, np.arange(10_001)[part])
        assert sample.weights[inside].sum() / 2000 == pytest.approx(share[part].sum(), abs=0.01)


def _rows_with_factors(seed):
    """Rows of 12 columns, and how many factors they are made of."""
    rng = np.random.default_rng(seed)
    n_factors = (2, 3, 4, 5, 3)[seed % 5]
    loadings = rng.normal(size=(n_factors, 12))
    X = rng.normal(size=(1500, n_factors)) @ loadings + 0.3 * rng.normal(size=(1500, 12))
    return X, n_factors


def test_score_is_highest_for_as_many_components_as_factors():
    X, n_factors = _rows_with_factors(0)
    scores = {
        k: AdversarialAutoencoder(k, random_state=0).fit(X[:1000]).score(X[1000:]) for k in (2, 4)
    }
    assert max(scores, key=lambda k: scores[k]) == n_factors == 2


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of large codes
@pytest.mark.parametrize("seed", range(10))
def test_a_search_by_score_ends_next_to_the_number_of_factors(seed):
    X, n_factors = _rows_with_factors(seed)
    sizes = [1, 2, 3, 4, 5, 6, 8, 12, 24]
    search = GridSearchCV(
        AdversarialAutoencoder(random_state=0), {"n_components": sizes}, cv=3
    ).fit(X)
    assert abs(search.best_params_["n_components"] - n_factors) <= 1


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


def test_after_the_training_no_more_rows_are_looked_at_of_more(monkeypatch):
    monkeypatch.setattr("sklearn_aae._estimators.outliers.MAX_SCORED", 1000)
    monkeypatch.setattr("sklearn_aae._training.plan._MAX_ROWS_TO_HOLD_OUT", 500)
    looked_at = []

    def counted(function, array, *arguments, **options):
        looked_at[-1] += len(array)
        return apply_in_chunks(function, array, *arguments, **options)

    monkeypatch.setattr("sklearn_aae._rows.inference.apply_in_chunks", counted)
    rows = np.random.default_rng(0).normal(size=(50_000, 3)).astype(np.float32)
    for n in (25_000, 50_000):
        looked_at.append(0)
        AdversarialAutoencoder(max_iter=1, batch_size=5000, random_state=0).fit(rows[:n])
    # Codes of 20,000, 300 whose cells are hidden step by step, and what is set above.
    assert looked_at[0] == pytest.approx(looked_at[1], rel=0.01)
    assert looked_at[1] < 40_000
