"""Used as people use it: in pipelines, searches, unions and next to other detectors."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from sklearn.compose import ColumnTransformer
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # makes it importable
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, train_test_split
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.random_projection import GaussianRandomProjection

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.metrics import outlier_roc_auc_scorer


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split(X, y, random_state=0, stratify=y)


def test_codes_beat_a_random_projection_of_equal_size(digits):
    X_train, X_test, y_train, y_test = digits
    accuracy = {}
    for reducer in (
        AdversarialAutoencoder(n_components=8, max_iter=30, random_state=0),
        GaussianRandomProjection(n_components=8, random_state=0),
    ):
        pipeline = make_pipeline(StandardScaler(), reducer, LogisticRegression(max_iter=1000))
        name = type(reducer).__name__
        accuracy[name] = pipeline.fit(X_train, y_train).score(X_test, y_test)
    assert accuracy["AdversarialAutoencoder"] > accuracy["GaussianRandomProjection"] + 0.05
    assert accuracy["AdversarialAutoencoder"] > 0.85


def test_grid_search_prefers_a_code_that_fits_the_data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 8)) + 0.05 * rng.normal(size=(300, 8))
    search = GridSearchCV(
        AdversarialAutoencoder(random_state=0),
        {"n_components": [1, 3], "max_iter": [2, 40]},
        cv=2,
    ).fit(X)
    assert search.best_params_ == {"n_components": 3, "max_iter": 40}
    assert search.best_estimator_.transform(X).shape == (300, 3)


def test_halving_search_over_epochs(digits):
    search = HalvingGridSearchCV(
        AdversarialAutoencoder(random_state=0),
        {"n_components": [2, 8]},
        resource="max_iter",
        min_resources=2,
        max_resources=8,
        factor=2,
        cv=2,
        random_state=0,
    ).fit(digits[0][:300])
    assert search.best_estimator_.n_iter_ == search.n_resources_[-1] == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_grid_search_is_the_same_on_several_workers(digits, n_jobs):
    search = GridSearchCV(
        AdversarialAutoencoder(max_iter=2, random_state=0),
        {"n_components": [2, 4]},
        cv=2,
        n_jobs=n_jobs,
    ).fit(digits[0][:200])
    expected = [
        AdversarialAutoencoder(n_components=k, max_iter=2, random_state=0)
        .fit(digits[0][:100])
        .score(digits[0][100:200])
        for k in (2, 4)
    ]
    assert_allclose(search.cv_results_["split1_test_score"], expected, rtol=1e-5)


def test_search_with_labelled_outliers(digits):
    from sklearn.model_selection import StratifiedKFold

    X = np.r_[digits[0][:150], np.random.default_rng(0).uniform(0, 16, (30, 64))]
    y = np.r_[np.ones(150), -np.ones(30)].astype(int)
    search = GridSearchCV(
        AdversarialAutoencoder(max_iter=10, random_state=0),
        {"n_components": [2, 8]},
        scoring=outlier_roc_auc_scorer,
        cv=StratifiedKFold(2, shuffle=True, random_state=0),
    ).fit(X, y)
    assert search.best_score_ > 0.9


def test_column_transformer():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(rng.normal(size=(60, 4)), columns=list("abcd"))
    frame["kind"] = rng.choice(["x", "y"], 60)
    transformer = ColumnTransformer(
        [
            ("codes", AdversarialAutoencoder(n_components=2, max_iter=2), list("abcd")),
            ("kinds", OneHotEncoder(sparse_output=False), ["kind"]),
        ]
    ).set_output(transform="pandas")
    out = transformer.fit_transform(frame)
    assert list(out.columns) == [
        "codes__adversarialautoencoder0",
        "codes__adversarialautoencoder1",
        "kinds__kind_x",
        "kinds__kind_y",
    ]


def test_feature_union_with_pca(digits):
    union = FeatureUnion(
        [
            ("codes", AdversarialAutoencoder(n_components=3, max_iter=2, random_state=0)),
            ("pca", PCA(n_components=2)),
        ]
    )
    assert union.fit_transform(digits[0]).shape == (len(digits[0]), 5)
    assert len(union.get_feature_names_out()) == 5


def test_outlier_detectors_in_one_loop():
    X, _ = make_blobs(300, n_features=6, centers=2, random_state=0)
    outliers = np.random.default_rng(0).uniform(-20, 20, size=(40, 6))
    X_test, is_inlier = np.r_[X[200:], outliers], np.r_[np.ones(100), np.zeros(40)]
    for detector in (
        AdversarialAutoencoder(contamination=0.1, max_iter=30, random_state=0),
        IsolationForest(contamination=0.1, random_state=0),
        LocalOutlierFactor(contamination=0.1, novelty=True),
        EllipticEnvelope(contamination=0.1, random_state=0),
    ):
        detector.fit(X[:200])
        assert (detector.predict(X[:200]) == -1).mean() == pytest.approx(0.1, abs=0.02)
        decision = detector.decision_function(X_test)
        assert_allclose(decision, detector.score_samples(X_test) - detector.offset_)
        assert (np.where(decision >= 0, 1, -1) == detector.predict(X_test)).all()
        assert roc_auc_score(is_inlier, decision) > 0.9, detector


def test_pipeline_as_outlier_detector():
    X, _ = make_blobs(100, n_features=4, random_state=0)
    pipeline = make_pipeline(StandardScaler(), AdversarialAutoencoder(max_iter=2, random_state=0))
    assert set(pipeline.fit(X).predict(X)) <= {-1, 1}
    assert pipeline.score_samples(X).shape == (100,)
    assert isinstance(pipeline.score(X), float)


def test_weights_are_routed_through_a_pipeline():
    X, _ = make_blobs(100, n_features=4, centers=2, random_state=0)
    weight = np.r_[np.ones(50), np.full(50, 3.0)]
    with sklearn.config_context(enable_metadata_routing=True):
        model = AdversarialAutoencoder(max_iter=3, random_state=0).set_fit_request(
            sample_weight=True
        )
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        codes = pipeline.fit(X, sample_weight=weight).transform(X)
    direct = AdversarialAutoencoder(max_iter=3, random_state=0)
    scaled = StandardScaler().fit_transform(X)
    assert_allclose(codes, direct.fit(scaled, sample_weight=weight).transform(scaled))
    assert not np.allclose(codes, direct.fit(scaled).transform(scaled))


def test_scikit_learns_callbacks_follow_and_stop_the_fit():
    pytest.importorskip("sklearn.callback")

    class StopAfterTwo:
        def __init__(self):
            self.codes = []

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            if context.task_name == "epoch":
                self.codes.append(fitted_estimator.transform(X))
            return len(self.codes) == 2

    X, _ = make_blobs(60, n_features=4, random_state=0)
    callback = StopAfterTwo()
    model = AdversarialAutoencoder(max_iter=10, random_state=0).set_callbacks(callback)
    model.fit(X)
    assert model.n_iter_ == 2
    assert_allclose(callback.codes[1], model.transform(X))
    assert not np.allclose(callback.codes[0], callback.codes[1])
