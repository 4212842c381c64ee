"""Nearest rows against scikit-learn on the whole table."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.neighbors import NearestNeighbors

import sklearn_aae._neighbors as neighbors
from sklearn_aae._neighbors import nearest_rows

X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)


def nearest(X, n_neighbors, seed=0):
    return nearest_rows(X.__getitem__, len(X), n_neighbors, seed)


def brute(X, n_neighbors):
    search = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(X)
    return search.kneighbors(X, return_distance=False)[:, 1:]


def test_neighbours_are_the_nearest_other_rows(monkeypatch):
    assert_array_equal(nearest(X, 5), brute(X, 5))
    monkeypatch.setattr(neighbors, "_CHUNK", 7)
    assert_array_equal(nearest(X, 5), brute(X, 5))


def test_copies_of_a_row_are_its_neighbours_and_it_itself_is_not():
    found = nearest(np.repeat(X[:3], 5, axis=0), 4)
    rows = np.arange(15)
    assert_array_equal(found // 5, np.repeat(rows[:, None] // 5, 4, axis=1))
    assert (found != rows[:, None]).all()


def test_all_other_rows_where_there_are_few():
    assert_array_equal(np.sort(nearest(X[:3], 10)), [[1, 2], [0, 2], [0, 1]])
    assert nearest(X[:1], 10) is None


def test_wide_rows_are_compared_by_their_principal_components():
    # 60 directions of which ten matter: the components keep the distances.
    wide = np.concatenate([10 * np.eye(10, 60)] * 8) + 0.01 * np.random.default_rng(0).normal(
        size=(80, 60)
    )
    found = nearest(wide.astype(np.float32), 7)
    assert_array_equal(found % 10, np.repeat(np.arange(80)[:, None] % 10, 7, axis=1))


@pytest.mark.parametrize("seed", [0, 1])
def test_of_too_many_rows_a_sample_may_be_neighbours(seed, monkeypatch):
    monkeypatch.setattr(neighbors, "_MAX_DISTANCES", 60 * 30)
    found = nearest(X, 3, seed)
    candidates = np.unique(found)
    assert len(candidates) <= 30
    assert (found != np.arange(60)[:, None]).all()
    assert_array_equal(nearest(X, 3, seed), found)
    distance = np.linalg.norm(X[:, None] - X[candidates], axis=2)
    distance[np.arange(60)[:, None] == candidates] = np.inf
    assert_array_equal(np.sort(found), np.sort(candidates[np.argsort(distance)[:, :3]]))


def test_rows_that_do_not_count_are_nobodys_neighbours():
    counting = np.arange(0, 60, 2)
    found = nearest_rows(X.__getitem__, 60, 3, 0, counting)
    assert (found % 2 == 0).all()
    assert_array_equal(found[counting], counting[brute(X[counting], 3)])
    assert nearest_rows(X.__getitem__, 60, 3, 0, counting[:1]) is None
