"""What a model keeps of training rows: a sample of them, or means that hide them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import spearmanr
from sklearn.datasets import make_blobs
from sklearn.metrics import pairwise_distances

from sklearn_aae import AdversarialAutoencoder, load, save
from sklearn_aae._learned.groups import MIN_ROWS, group_means, group_rows

METHODS = ("score_samples", "decision_function", "predict", "feature_scores", "p_values")


@pytest.fixture(scope="module")
def X():  # noqa: N802  # the matrix
    X, _ = make_blobs(400, n_features=6, centers=3, random_state=0)
    X[:3] += 40  # alone
    return X


def model(**parameters):
    return AdversarialAutoencoder(max_iter=10, random_state=0, **parameters)


@pytest.fixture(scope="module")
def of_rows(X):
    return model().fit(X)


@pytest.fixture(scope="module")
def of_means(X):
    return model(references="means").fit(X)


def distance_to_training_rows(fitted, X):
    """Of references, as the density has them: decodings and residuals of rows side by side."""
    density = fitted._density
    decoded, residual = fitted._inference.split_rows(X)
    rows = np.concatenate([decoded, density.residual_scale * residual], axis=1)
    return pairwise_distances(density.references, rows).min(axis=1)


def test_rows_are_kept_as_they_are(of_rows, X):
    assert distance_to_training_rows(of_rows, X).max() < 1e-5


def test_no_row_can_be_read_from_means(of_means, X):
    assert len(of_means._density.references) <= len(X) / 20
    assert distance_to_training_rows(of_means, X).min() > 0.01
    codes = of_means._code_density.codes
    assert len(codes) <= len(X) / 20
    assert pairwise_distances(codes, of_means.transform(X)).min() > 1e-4


@pytest.mark.parametrize("n", [2, 4, 5, 30, 300])
def test_groups_hide_their_rows(n):
    rows = np.random.default_rng(n).standard_t(1, size=(n, 3))
    groups = group_rows(rows, 2000, np.random.RandomState(0))
    sizes = np.bincount(groups)
    assert sizes.min() >= min(n, MIN_ROWS)
    assert len(sizes) <= max(1, n / 20)
    assert_array_equal(group_rows(rows, 1, np.random.RandomState(0)), 0)
    assert_array_equal(group_rows(rows, 2000, np.random.RandomState(0)), groups)


def test_equal_rows_are_one_group():
    assert_array_equal(group_rows(np.ones((100, 2)), 5, np.random.RandomState(0)), 0)


def test_means_are_those_of_the_groups():
    rng = np.random.default_rng(0)
    rows, groups = rng.normal(size=(50, 3)), rng.permutation(np.arange(50) % 4)
    weights = rng.uniform(0.5, 2, size=50)
    for g in range(4):
        of_group = groups == g
        mean = np.average(rows[of_group], axis=0, weights=weights[of_group])
        assert_allclose(group_means(rows, groups, weights)[g], mean)
        assert_allclose(group_means(rows, groups)[g], rows[of_group].mean(axis=0))


@pytest.mark.parametrize("parameters", [{"references": "means"}, {"n_references": 50}])
def test_what_is_far_stays_far(parameters, of_rows, X):
    scores = model(**parameters).fit(X).score_samples(X)
    assert set(np.argsort(scores)[:3]) == {0, 1, 2}
    assert spearmanr(scores, of_rows.score_samples(X)).statistic > 0.8


@pytest.mark.parametrize("n_references", [1, 2, 50])
def test_as_many_references_as_asked_for(n_references, X):
    fitted = model(n_references=n_references).fit(X)
    assert len(fitted._density.references) == n_references
    assert len(fitted._code_density.codes) == min(360, 10 * n_references)
    assert np.isfinite(fitted.score_samples(X)).all()
    assert np.isfinite(fitted.sample(20, random_state=0)).all()


def test_references_of_wide_rows_are_bounded_in_memory(X, monkeypatch):
    monkeypatch.setattr("sklearn_aae._learned.references._MAX_VALUES", 6 * 100)
    assert len(model().fit(X)._density.references) == 100


def test_more_references_than_rows_are_all_rows(of_rows, X):
    assert_array_equal(model(n_references=10**6).fit(X).score_samples(X), of_rows.score_samples(X))


@pytest.mark.parametrize("contamination", [0.05, 0.2])
@pytest.mark.parametrize("parameters", [{"references": "means"}, {"n_references": 100}])
def test_contamination_is_the_share_of_training_rows(contamination, parameters, X):
    flagged = model(contamination=contamination, **parameters).fit(X).predict(X) == -1
    assert abs(flagged.mean() - contamination) < 0.02


def test_weights_count_in_means(X):
    weights = np.ones(len(X))
    weights[:3] = 1000
    fitted = model(references="means").fit(X, sample_weight=weights)
    assert_allclose(fitted._density.weights.sum(), 1)
    assert fitted._density.weights.max() > 0.5


@pytest.mark.parametrize("parameters", [{"references": "means"}, {"n_references": 30}])
def test_a_saved_model_keeps_no_more(parameters, X, tmp_path, of_rows):
    fitted = model(**parameters).fit(X)
    save(fitted, tmp_path / "model.safetensors")
    save(of_rows, tmp_path / "all.safetensors")
    loaded = load(tmp_path / "model.safetensors")
    for method in METHODS:
        assert_array_equal(getattr(loaded, method)(X[:20]), getattr(fitted, method)(X[:20]))
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("model", "all")]
    assert sizes[0] < sizes[1] - 8 * 300 * 12


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"n_references": 0}, "'n_references'"), ({"references": "codes"}, "'references'")],
)
def test_bad_parameters(parameters, message, X):
    with pytest.raises(ValueError, match=message):
        model(**parameters).fit(X)
