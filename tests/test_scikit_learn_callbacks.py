"""scikit-learn's callbacks: its own progress bar, and the monitor that works without y."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.callbacks import ScoreMonitor

callback = pytest.importorskip("sklearn.callback")


@pytest.fixture(scope="module")
def X():  # noqa: N802  # the matrix
    return make_blobs(60, n_features=4, random_state=0)[0]


def estimator(**parameters):
    return AdversarialAutoencoder(**{"max_iter": 3, "random_state": 0, **parameters})


# The progress bar.


def on(model):
    return model.set_callbacks(callback.ProgressBar())


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        (on(estimator()), ["AdversarialAutoencoder - fit", "100%"]),
        (
            on(make_pipeline(StandardScaler(), estimator())),
            ["Pipeline - fit", "AdversarialAutoencoder - fit", "100%"],
        ),
        (on(GridSearchCV(estimator(), {"lr": [1e-3, 2e-3]}, cv=2)), ["GridSearchCV - fit"]),
        pytest.param(
            on(GridSearchCV(estimator(), {"lr": [1e-3, 2e-3]}, cv=2, n_jobs=2)),
            ["GridSearchCV - fit", "AdversarialAutoencoder - fit"],
            marks=pytest.mark.thorough,
        ),
    ],
    ids=["alone", "pipeline", "search", "parallel_search"],
)
def test_scikit_learns_progress_bar(X, model, shown, capfd):
    pytest.importorskip("rich")
    model.fit(X)
    out = capfd.readouterr().out
    missing = [text for text in shown if text not in out]
    assert not missing, out


def test_the_progress_bar_changes_nothing(X):
    pytest.importorskip("rich")
    assert_allclose(on(estimator()).fit(X).transform(X), estimator().fit(X).transform(X))


# The estimator of the moment.


def test_the_estimator_of_an_epoch_can_do_all_that_a_fitted_one_can(X):
    seen = []

    def scoring(model, X):
        seen.append((model.n_iter_, model.score_samples(X), model.transform(X)))
        assert set(model.predict(X)) <= {-1, 1}
        assert model.p_values(X).shape == (60,)
        assert model.prior_match_["distance"] > 0
        return model.score(X)

    monitor = ScoreMonitor(scoring)
    model = estimator().set_callbacks(monitor).fit(X)
    assert [n for n, *_ in seen] == [1, 2, 3]
    # That of the last epoch is the one that fit returns; those before are others.
    assert_allclose(seen[-1][1], model.score_samples(X))
    assert_allclose(seen[-1][2], model.transform(X))
    assert not np.allclose(seen[0][2], seen[-1][2])
    assert monitor.runs_[-1][-1] == pytest.approx(model.score(X))


def test_looking_on_changes_nothing(X):
    model = estimator().set_callbacks(ScoreMonitor()).fit(X)
    assert_allclose(model.score_samples(X), estimator().fit(X).score_samples(X), rtol=0, atol=0)


def test_scikit_learns_monitor_gets_y_where_there_is_one(X):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    estimator().set_callbacks(monitor).fit(X, np.ones(60, dtype=int))
    scores = [entry["accuracy"] for entry in monitor.get_logs().data if "accuracy" in entry]
    assert len(scores) >= 3


# The monitor.


def test_the_monitor_scores_given_rows_and_starts_a_run_for_each_fit(X):
    monitor = ScoreMonitor(lambda model, rows: float(len(rows)), X=X[:7])
    model = estimator().set_callbacks(monitor)
    model.fit(X)
    model.fit(X)
    assert monitor.runs_ == [[7.0] * 3] * 2


def test_clones_share_the_monitor(X):
    monitor = ScoreMonitor()
    search = GridSearchCV(estimator().set_callbacks(monitor), {"lr": [1e-3, 2e-3]}, cv=2).fit(X)
    assert [len(scores) for scores in monitor.runs_] == [3] * 5
    best = clone(search.best_estimator_).fit(X)
    assert monitor.runs_[-2] == monitor.runs_[-1]
    assert monitor.runs_[-1][-1] == pytest.approx(best.score(X))


@pytest.mark.parametrize(
    ("scores", "tol", "n_epochs"),
    [([1, 2, 3, 4, 5, 6], 0.0, 6), ([1, 2, 2, 1, 5, 6], 0.0, 4), ([1, 2, 2.4, 2.5, 9, 9], 1.0, 4)],
)
def test_the_monitor_stops_a_training_that_gets_no_better(X, scores, tol, n_epochs):
    given = iter(scores)
    monitor = ScoreMonitor(lambda model, X: next(given), n_iter_no_change=2, tol=tol)
    model = estimator(max_iter=6).set_callbacks(monitor).fit(X)
    assert model.n_iter_ == n_epochs
    assert monitor.runs_ == [scores[:n_epochs]]
