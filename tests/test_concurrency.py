"""Threads and processes: the answers of one at a time, and no more threads than asked for."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_aae import AdversarialAutoencoder

N_THREADS = 8


@pytest.fixture(name="X")
def rows(blobs):
    return blobs


@pytest.fixture
def fitted(fitted_on_blobs):
    return fitted_on_blobs


def at_once(functions):
    """Results of functions that all start at the same moment, each in its own thread."""
    barrier = threading.Barrier(len(functions))

    def run(function):
        barrier.wait()
        return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return list(pool.map(run, functions))


METHODS = ["predict", "transform", "score_samples", "reconstruct", "feature_scores", "p_values"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("method", METHODS)
def test_a_fitted_model_serves_many_threads(X, fitted, method, dtype):
    function = getattr(fitted, method)
    parts = [X.astype(dtype)[i::N_THREADS] for i in range(N_THREADS)]
    expected = [function(part) for part in parts]
    for _ in range(5):
        for result, alone in zip(
            at_once([lambda part=part: function(part) for part in parts]), expected, strict=True
        ):
            assert_array_equal(result, alone)


def test_threads_may_mix_what_they_ask_for(X, fitted):
    functions = [lambda name=name: getattr(fitted, name)(X) for name in METHODS]
    functions += [lambda: fitted.sample(20, random_state=3), lambda: fitted.inverse_transform(Z)]
    Z = fitted.transform(X)
    expected = [function() for function in functions]
    for _ in range(5):
        for result, alone in zip(at_once(functions), expected, strict=True):
            assert_array_equal(result, alone)


def dropout_encoder(n_in, n_out):
    """Draws its masks from torch's global generator."""
    return nn.Sequential(nn.Linear(n_in, 8), nn.Dropout(0.5), nn.Linear(8, n_out))


@pytest.mark.parametrize("encoder", [None, dropout_encoder], ids=["built", "with_dropout"])
def test_fits_at_once_draw_the_numbers_of_fits_alone(X, encoder):
    models = [
        AdversarialAutoencoder(max_iter=3, encoder=encoder, posterior="implicit", random_state=seed)
        for seed in range(4)
    ]
    expected = [clone(model).fit(X).transform(X) for model in models]
    before = torch.get_rng_state()
    for result, alone in zip(
        at_once([lambda model=model: model.fit(X) for model in models]), expected, strict=True
    ):
        assert_array_equal(result.transform(X), alone)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_may_be_used_while_another_is_fitted(X, fitted):
    expected = fitted.transform(X)
    other = clone(fitted)
    results = at_once([lambda: other.fit(X), *[lambda: fitted.transform(X)] * 3])
    assert_array_equal(results[0].transform(X), expected)  # the same seed
    for result in results[1:]:
        assert_array_equal(result, expected)


def search_scores(X, backend):
    model = AdversarialAutoencoder(max_iter=3, random_state=0)
    with joblib.parallel_backend(backend, n_jobs=2):
        search = GridSearchCV(model, {"n_components": [1, 2, 3]}, cv=2).fit(X[:120])
    return search.cv_results_["mean_test_score"].tolist()


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_grid_search_gives_the_same_scores_in_processes_and_threads(X, backend):
    assert search_scores(X, backend) == search_scores(X, "sequential")


SEARCH = """
import sys
import joblib
import numpy as np
import torch
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from sklearn_aae import AdversarialAutoencoder

torch.set_num_threads(1)
X = make_blobs(120, n_features=5, centers=3, random_state=0)[0]
model = AdversarialAutoencoder(max_iter=3, random_state=0).fit(X)
with joblib.parallel_backend(sys.argv[1], n_jobs=2):
    search = GridSearchCV(model, {"n_components": [1, 2, 3]}, cv=2).fit(X)
print(search.cv_results_["mean_test_score"].tolist())
"""


@pytest.fixture(scope="module")
def sequential_scores():
    return scores_under("sequential")


def scores_under(backend):
    command = [sys.executable, "-c", SEARCH, backend]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


# In a process of its own: "multiprocessing" forks it.
@pytest.mark.thorough
@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_a_grid_search_gives_the_same_scores_under_every_backend(backend, sequential_scores):
    assert scores_under(backend) == sequential_scores


def n_threads(_):
    AdversarialAutoencoder(max_iter=1, random_state=0).fit(np.eye(30))
    return torch.get_num_threads()


def test_workers_share_the_processors_instead_of_each_taking_all():
    # joblib tells its workers through OMP_NUM_THREADS, which torch reads when it is loaded.
    with joblib.parallel_backend("loky", n_jobs=2, inner_max_num_threads=1):
        assert joblib.Parallel()(joblib.delayed(n_threads)(i) for i in range(2)) == [1, 1]
