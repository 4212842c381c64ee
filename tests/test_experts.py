"""What few labels tell of all rows, against models fitted by hand and labels left out by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

import sklearn_aae._rows.experts as experts
from sklearn_aae._rows.experts import (
    Expert,
    divide,
    graph_expert,
    linear_expert,
    network_expert,
    pooled,
)
from sklearn_aae._rows.kernels import tangent_features, tangent_kernel
from sklearn_aae._rows.neighbors import nearest_rows, shared_neighbors, spread_labels

RNG = np.random.default_rng(0)
Y = np.arange(120) % 3
X = (RNG.normal(size=(120, 4)) + 1.5 * np.eye(3, 4)[Y]).astype(np.float32)
FEW = np.where(np.arange(120) < 36, Y, -1)
FEW[36] = 0
WEIGHT = RNG.uniform(0.5, 2, 120)


def known(classes=FEW, weight=WEIGHT, n_classes=3):
    return divide(classes, n_classes, weight, 0)


def graph_of(rows, n_neighbors=5):
    return shared_neighbors(nearest_rows(rows.__getitem__, len(rows), n_neighbors, 0))


# Folds.


def test_folds_hold_equally_many_rows_of_each_class():
    labels = known()
    assert_array_equal(labels.folds < 0, FEW < 0)
    for k in range(3):
        sizes = np.bincount(labels.folds[k == FEW], minlength=10)
        assert sizes.max() - sizes.min() == 1


def test_rows_that_are_alone_or_weigh_nothing_are_never_left_out():
    classes = np.array([0, 0, 1, 2, 2, -1])
    labels = divide(classes, 3, np.array([1, 1, 1, 0, 1, 1.0]), 0)
    assert_array_equal(labels.folds >= 0, [True, True, False, False, False, False])


def test_of_many_labels_only_some_are_left_out(monkeypatch):
    monkeypatch.setattr(experts, "_MAX_LEFT_OUT", 12)
    labels = known()
    assert_array_equal(np.bincount(FEW[labels.folds >= 0]), [4, 4, 4])


# The linear model.


def test_the_linear_expert_is_logistic_regression_without_the_shares():
    labels, expert = known(), linear_expert(X.__getitem__, known())
    out = FEW >= 0
    model = LogisticRegression(max_iter=500).fit(X[out], FEW[out], WEIGHT[out])
    said = log_softmax(labels.log_shares + expert.rows, axis=1)
    assert_allclose(said, model.predict_log_proba(X), atol=1e-5)
    fold = labels.folds == 3
    kept = out & ~fold
    model.fit(X[kept], FEW[kept], WEIGHT[kept])
    shares = np.bincount(FEW[kept], WEIGHT[kept])
    said = softmax(np.log(shares) + expert.left_out[labels.folds[out] == 3], axis=1)
    assert_allclose(said, model.predict_proba(X[fold]), atol=1e-5)


def test_the_linear_expert_is_silent_of_classes_without_labels():
    expert = linear_expert(X.__getitem__, known(np.where(FEW == 1, -1, FEW)))
    assert not expert.rows[:, 1].any()
    assert expert.rows[:, [0, 2]].any()
    expert = linear_expert(X.__getitem__, known(np.where(FEW > 0, -1, FEW)))
    assert not expert.rows.any()


def test_a_label_that_is_alone_counts_for_the_linear_expert():
    classes = np.where((FEW == 2) & (np.arange(120) != 5), -1, FEW)
    labels = known(classes)
    used = classes >= 0
    model = LogisticRegression(max_iter=500).fit(X[used], classes[used], WEIGHT[used])
    said = log_softmax(labels.log_shares + linear_expert(X.__getitem__, labels).rows, axis=1)
    assert_allclose(said, model.predict_log_proba(X), atol=1e-5)


# The wide network.


def test_the_tangent_kernel_is_that_of_a_network_that_is_wide():
    # Products of the gradients of a network with its parameters, drawn at random.
    rng = np.random.default_rng(0)
    x, hidden = X[:6].astype(float), rng.normal(size=(200_000, 5))
    x = np.c_[x, np.ones(6)]
    before = x @ hidden.T  # output weights of unit variance have products of their squares
    of_outputs = before.clip(0) @ before.clip(0).T
    of_hidden = (before > 0).astype(float) @ (before > 0).T * (x @ x.T)
    expected = 2 * (of_outputs + of_hidden) / len(hidden)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert_allclose(tangent_kernel(X[:6], X[:6]) / scale, expected / scale, atol=0.02)


def test_products_of_features_are_the_kernel(monkeypatch):
    base = np.flatnonzero(FEW >= 0)
    features = tangent_features(X.__getitem__, base)(np.arange(120))
    assert_allclose(features @ features[base].T, tangent_kernel(X, X[base]), atol=1e-5)
    monkeypatch.setattr("sklearn_aae._rows.kernels._ENTRIES", 100)  # a few rows at a time
    assert_allclose(tangent_features(X.__getitem__, base)(np.arange(120)), features, atol=1e-9)


def test_a_network_learns_what_is_not_linear():
    rows = RNG.uniform(-2, 2, (400, 2)).astype(np.float32)
    y = (np.abs(rows[:, 0]) > 1).astype(int)
    labels = divide(np.where(np.arange(400) < 80, y, -1), 2, None, 0)
    linear, network = (e(rows.__getitem__, labels) for e in (linear_expert, network_expert))
    assert ((labels.log_shares + network.rows).argmax(axis=1) == y).mean() > 0.9
    both, _ = pooled([linear, network], None, labels)
    agreement = (both.rows.argmax(axis=1) == network.rows.argmax(axis=1)).mean()
    assert agreement > 0.95


# The graph.


def test_the_graph_expert_knows_left_out_rows_by_the_other_labels():
    labels, graph = known(), graph_of(X)
    expert = graph_expert(graph, labels)

    def said(classes):
        arrived = spread_labels(graph, classes, 3, WEIGHT)
        return np.log(arrived / (WEIGHT @ arrived / WEIGHT.sum()) + 0.05)

    assert_allclose(expert.rows, said(FEW))
    fold = labels.folds == 4
    left_out = said(np.where(fold, -1, FEW))[fold]
    assert_allclose(expert.left_out[labels.folds[FEW >= 0] == 4], left_out)


def test_many_labels_in_a_class_do_not_outvote_few_in_the_other():
    # Two overlapping groups, with ten labels in one and one label in the other.
    rng = np.random.default_rng(0)
    rows = np.r_[rng.normal(size=(200, 2)), rng.normal([4, 0], 1, (200, 2))].astype(np.float32)
    labels = np.full(400, -1)
    labels[:10], labels[200] = 0, 1
    said = graph_expert(graph_of(rows), divide(labels, 2, None, 0)).rows
    assert (said.argmax(axis=1) == np.arange(400) // 200).mean() > 0.95


# Both.


def expert_of(rows, labels):
    """An expert that says `rows` of rows whether they are left out or not."""
    return Expert(rows, rows[labels.folds >= 0])


def likelihood(labels, said):
    y, w = labels.left_out
    return w @ log_softmax(labels.log_shares + said, axis=1)[np.arange(len(y)), y]


def test_weights_make_left_out_labels_as_likely_as_can_be(monkeypatch):
    monkeypatch.setattr(experts, "_PRECISION", 1e-9)
    labels = known()
    linear, graph = linear_expert(X.__getitem__, labels), graph_expert(graph_of(X), labels)
    both, _ = pooled([linear], graph, labels)
    most = likelihood(labels, both.left_out)
    grid = np.linspace(0, 3, 16)
    others = [
        likelihood(labels, a * linear.left_out + b * graph.left_out) for a in grid for b in grid
    ]
    assert most >= max(others)


def test_few_labels_hardly_move_the_weights():
    labels = known(np.where(np.arange(120) < 6, Y, -1))
    linear, graph = linear_expert(X.__getitem__, labels), graph_expert(graph_of(X), labels)
    both, neighbors = pooled([linear], graph, labels)
    expected = (1 - neighbors) * linear.rows + neighbors * graph.rows
    assert np.abs(both.rows - expected).max() < 0.3 * np.abs(expected).max()


@pytest.mark.parametrize(("linear_knows", "expected"), [(True, 0), (False, 1)])
def test_the_expert_that_knows_left_out_labels_is_believed(linear_knows, expected):
    labels = known(np.where(np.arange(120) < 90, Y, -1))
    truth = expert_of(20.0 * (Y[:, None] == np.arange(3)), labels)
    noise = expert_of(RNG.normal(size=(120, 3)), labels)
    linear, graph = (truth, noise) if linear_knows else (noise, truth)
    both, neighbors = pooled([linear], graph, labels)
    assert_allclose(neighbors, expected, atol=1e-6)
    assert (both.rows.argmax(axis=1) == Y).mean() > 0.9


def test_neighbours_tell_as_much_as_is_no_longer_uncertain():
    labels = known()
    expert = linear_expert(X.__getitem__, labels)
    best = max(likelihood(labels, a * expert.left_out) for a in np.linspace(0, 3, 301))
    nothing = likelihood(labels, np.zeros_like(expert.left_out))
    # Experts that know the same are as good as each other with the probability of one half.
    told = 1 - best / nothing
    assert_allclose(pooled([expert], expert, labels)[1], told / 2, atol=1e-4)
    assert_allclose(pooled([expert, expert], expert, labels)[1], told / 3, atol=1e-4)


def test_the_linear_model_speaks_where_neighbours_do_not_know():
    # Neighbours are those in forty columns of noise; the class is in the first, which is narrow.
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    rows = np.c_[2.0 * y + rng.normal(size=400), rng.normal(0, 3, (400, 40))].astype(np.float32)
    few = np.where(np.arange(400) < 60, y, -1)
    labels = divide(few, 2, None, 0)
    first = rows[:, :1]
    linear, graph = linear_expert(first.__getitem__, labels), graph_expert(graph_of(rows), labels)
    both, neighbors = pooled([linear], graph, labels)
    assert neighbors < 0.01
    agreement = (both.rows.argmax(axis=1) == linear.rows.argmax(axis=1)).mean()
    assert agreement > 0.98


def test_without_two_labels_of_a_class_the_graph_is_believed():
    classes = np.full(120, -1)
    classes[:3] = Y[:3]
    labels = known(classes)
    linear, graph = linear_expert(X.__getitem__, labels), graph_expert(graph_of(X), labels)
    both, neighbors = pooled([linear], graph, labels)
    assert both is graph
    assert neighbors == 1
    both, _ = pooled([linear, linear], None, labels)
    assert_allclose(both.rows, linear.rows)
