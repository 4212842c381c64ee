"""Nearest rows against scikit-learn on the whole table; what a graph of them suggests."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

import sklearn_aae._rows.neighbors as neighbors
from sklearn_aae._rows.neighbors import (
    nearest_rows,
    shared_neighbors,
    spectral_partition,
    spread_labels,
)

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


# The graph of shared neighbours, and what it suggests.


def graph_of(X, n_neighbors=5, counting=None):
    return shared_neighbors(nearest_rows(X.__getitem__, len(X), n_neighbors, 0, counting), counting)


def groups(sizes, distance=100.0):
    """Rows around points far from each other, and the group of each."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    noise = np.random.default_rng(1).normal(size=(len(group), 2))
    return (noise + distance * np.c_[group, group % 2]).astype(np.float32), group


def partition_of(p):
    """Numbers of clusters in the order in which rows enter them."""
    _, first, cluster = np.unique(p.argmax(axis=1), return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[cluster]


@pytest.mark.parametrize("at_once", [1, 10_000_000])
def test_edges_count_the_neighbours_that_both_rows_have(at_once, monkeypatch):
    monkeypatch.setattr(neighbors, "_MAX_COMPARISONS", at_once)
    found = nearest(X, 5)
    expected = np.zeros((60, 60))
    for i in range(60):
        for j in found[i]:
            expected[i, j] = expected[j, i] = len(set(found[i]) & set(found[j]))
    assert_array_equal(shared_neighbors(found).toarray(), expected)


def test_rows_that_do_not_count_have_no_edges():
    counting = np.arange(0, 60, 2)
    graph = graph_of(X, counting=counting).toarray()
    assert not graph[1::2].any()
    assert not graph[:, 1::2].any()
    assert_array_equal(graph[::2, ::2], graph_of(X[counting]).toarray())


def test_labels_spread_as_the_sum_over_all_ways():
    graph = graph_of(X)
    labels = np.full(60, -1)
    labels[:6] = [0, 1, 2, 0, 1, 0]
    weight = np.random.default_rng(0).random(60)
    dense = graph.toarray().astype(float)
    root = np.sqrt(np.maximum(dense.sum(axis=1), 1e-300))
    step = 0.99 * dense / root[:, None] / root
    own = weight[:, None] * (labels[:, None] == np.arange(3))
    expected = np.linalg.matrix_power(step, 50) @ own
    expected += 0.01 * sum(np.linalg.matrix_power(step, r) for r in range(50)) @ own
    assert_allclose(spread_labels(graph, labels, 3, weight), expected, atol=1e-12)


def test_a_label_reaches_its_group_and_no_other():
    rows, group = groups([20, 30, 15])
    labels = np.full(65, -1)
    labels[[0, 20]] = [1, 0]
    arrived = spread_labels(graph_of(rows), labels, 2)
    assert_array_equal(arrived > 0, np.array([[0, 1], [1, 0], [0, 0]])[group])


@pytest.mark.parametrize("sizes", [[20, 50, 30, 12], [9, 8], [30] * 20])
def test_groups_without_an_edge_between_them_are_the_partition(sizes):
    rows, group = groups(sizes)
    p = spectral_partition(graph_of(rows, 7), len(sizes), 0)
    assert p.dtype == np.float32
    assert_array_equal(p.sum(axis=1), 1)
    assert_array_equal(partition_of(p), group)
    assert_array_equal(spectral_partition(graph_of(rows, 7), len(sizes), 0), p)


def test_a_ring_and_its_centre_are_two_clusters():
    # k-means on the rows cannot do this.
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 300)
    ring = np.c_[np.cos(angle), np.sin(angle)] * rng.normal(4, 0.2, (300, 1))
    rows = np.r_[ring, rng.normal(0, 0.5, (100, 2))].astype(np.float32)
    p = spectral_partition(graph_of(rows, 10), 2, 0)
    assert (partition_of(p) == np.arange(400) // 300).mean() > 0.98


def test_rows_without_an_edge_are_in_no_cluster():
    rows, group = groups([20, 30])
    counting = np.arange(49)
    p = spectral_partition(graph_of(rows, counting=counting), 2, 0)
    assert_array_equal(p[49], 0)
    assert_array_equal(partition_of(p[:49]), group[:49])
    assert not spectral_partition(sparse.csr_array((5, 5)), 2, 0).any()


def test_copies_of_one_row_are_fewer_clusters_than_asked_for():
    p = spectral_partition(graph_of(np.zeros((30, 3), dtype=np.float32)), 4, 0)
    assert_array_equal(p.sum(axis=1), 1)
    assert 1 <= p.any(axis=0).sum() <= 4


def test_a_row_with_weak_edges_belongs_to_its_group_all_the_same():
    group = np.repeat([0, 1], [40, 4])
    graph = (group[:, None] == group) * 100.0
    np.fill_diagonal(graph, 0)
    graph[43, 40:43] = graph[40:43, 43] = 0.01
    p = spectral_partition(sparse.csr_array(graph), 2, 0)
    assert_array_equal(partition_of(p), group)


def test_fewer_rows_with_edges_than_clusters_are_a_partition():
    graph = sparse.csr_array(([1.0, 1.0], ([2, 5], [5, 2])), shape=(9, 9))
    p = spectral_partition(graph, 4, 0)
    assert_array_equal(p.sum(axis=1), np.isin(np.arange(9), [2, 5]))


def test_leading_eigenvectors_agree_with_those_of_the_dense_matrix():
    # A ring of 400 rows: eigenvalues close to each other, each of them repeated.
    far = np.abs(np.subtract.outer(np.arange(400), np.arange(400)))
    ring = sparse.csr_array(np.isin(np.minimum(far, 400 - far), [1, 2, 3]) / 6.0)
    vectors = neighbors._leading_eigenvectors(ring, 7, np.random.RandomState(0))
    assert_allclose(vectors.T @ vectors, np.eye(7), atol=1e-9)
    expected = np.linalg.eigvalsh(ring.toarray())[::-1][:7]
    found = vectors.T @ (ring @ vectors)
    assert_allclose(found, np.diag(expected), atol=1e-7)
