"""AdversarialAutoencoderClusterer: clusters, their heads, and the map."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_aae import AdversarialAutoencoderClusterer, load, save
from sklearn_aae._estimators import clusterer as _clusterer
from sklearn_aae._training.terms import Certainty, Separation

X, Y = make_blobs(200, n_features=5, centers=3, random_state=0)


def make(n_clusters=3, **parameters):
    few = {"n_components": 2, "max_iter": 4, "random_state": 0}
    return AdversarialAutoencoderClusterer(n_clusters, **{**few, **parameters})


@pytest.fixture(scope="module")
def fitted():
    return make(max_iter=40).fit(X)


# What it is for.


def test_finds_groups_that_are_apart(fitted):
    assert adjusted_rand_score(Y, fitted.labels_) > 0.95
    fresh, groups = make_blobs(400, n_features=5, centers=3, random_state=0)
    assert adjusted_rand_score(groups, fitted.predict(fresh)) > 0.95


def test_groups_are_apart_on_the_map(fitted):
    Z = fitted.transform(X)
    middles = np.array([Z[fitted.labels_ == k].mean(axis=0) for k in range(3)])
    distance = np.linalg.norm(Z[:, None] - middles, axis=2)
    assert (distance.argmin(axis=1) == fitted.labels_).mean() > 0.9


# Agreement of what it says.


def test_labels_are_the_predictions_for_the_training_rows(fitted):
    assert_array_equal(fitted.labels_, fitted.predict(X))
    assert_array_equal(make().fit_predict(X), make().fit(X).labels_)
    p = fitted.predict_proba(X)
    assert p.shape == (200, 3)
    assert_allclose(p.sum(axis=1), 1)
    assert_array_equal(p.argmax(axis=1), fitted.labels_)


def test_sizes_count_the_training_rows_of_every_cluster():
    model = make(n_clusters=12).fit(X)
    assert model.cluster_sizes_.shape == (12,)
    assert_array_equal(model.cluster_sizes_, np.bincount(model.labels_, minlength=12))


def test_the_map_is_head_plus_style(fitted):
    inference = fitted._inference
    autoencoder = inference.in_dtype_of(X)
    codes = autoencoder.encode(inference.columns.standardized(X)).detach().numpy()
    style, p = codes[:, :2], codes[:, 2:]
    assert_allclose(fitted.transform(X), style + p @ fitted.cluster_centers_, atol=1e-6)


def test_decoding_the_map_is_the_reconstruction(fitted):
    decoded = fitted.inverse_transform(fitted.transform(X))
    assert_allclose(decoded, fitted.reconstruct(X), rtol=1e-6)


def test_rows_are_sampled_of_one_cluster_of_given_ones_or_of_drawn_ones(fitted):
    drawn, clusters = fitted.sample(4, y=2, random_state=0)
    assert drawn.shape == (4, 5)
    assert_array_equal(clusters, [2] * 4)
    assert_array_equal(fitted.sample(3, y=[0, 2, 1])[1], [0, 2, 1])
    drawn, clusters = fitted.sample(1500, random_state=0)
    assert_allclose(np.bincount(clusters) / 1500, 1 / 3, atol=0.04)
    assert_array_equal(fitted.sample(1500, y=clusters, random_state=0)[0], drawn)


def test_labels_passed_by_a_pipeline_are_ignored(fitted):
    assert_array_equal(make().fit(X, Y).transform(X), make().fit(X).transform(X))
    pipeline = make_pipeline(StandardScaler(), make())
    assert pipeline.fit_predict(X, Y).shape == (200,)


# Heads.


def test_heads_are_pushed_apart():
    def cost(**parameters):
        heads = make(n_clusters=4, lr=1e-2, max_iter=6, **parameters).fit(X).cluster_centers_
        return Separation(1.0, 3.0)(
            SimpleNamespace(module_=SimpleNamespace(heads=torch.tensor(heads))), None
        )

    assert cost(separation_weight=30) < 0.5 * cost(separation_weight=0)


@pytest.mark.parametrize(
    ("parameters", "left_out"),
    [
        ({"separation_weight": 0}, "separation_loss"),
        ({"agreement_weight": 0}, "agreement_loss"),
        ({"certainty_weight": 0}, "certainty_loss"),
        ({"balance_weight": 0}, "balance_loss"),
        ({"n_clusters": 1}, "separation_loss"),
    ],
)
def test_history_names_the_terms_that_count(parameters, left_out):
    terms = {"separation_loss", "agreement_loss", "certainty_loss", "balance_loss"}
    model = make(**parameters).fit(X)
    assert terms & set(model.history_) == terms - {left_out}
    assert ("partition_loss" in model.history_) == ("agreement_loss" in model.history_)
    assert "categories_generator_loss" in model.history_


def share_of_neighbours_in_the_same_cluster(n_clusters, agreement_weight):
    nearest = NearestNeighbors(n_neighbors=11).fit(X).kneighbors(X, return_distance=False)
    model = make(n_clusters, max_iter=40, agreement_weight=agreement_weight).fit(X)
    labels = model.labels_
    return (labels[nearest[:, 1:]] == labels[:, None]).mean()


def test_neighbours_are_of_one_cluster_more_often_where_they_have_to_agree(monkeypatch):
    # Without the partition, which fills all clusters, so that groups are split between them.
    monkeypatch.setattr(_clusterer, "Guidance", lambda weight, name: Certainty(0.0))
    share = share_of_neighbours_in_the_same_cluster
    assert share(10, agreement_weight=3) > share(10, agreement_weight=0) + 0.1


@pytest.mark.thorough
def test_neighbours_are_of_one_cluster_more_often_with_the_partition_too():
    share = share_of_neighbours_in_the_same_cluster
    assert share(6, agreement_weight=3) > share(6, agreement_weight=0) + 0.05


def test_more_clusters_than_groups_are_all_used():
    assert (make(10, max_iter=40).fit(X).cluster_sizes_ > 0).all()


def test_a_ring_and_its_centre_are_two_clusters():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 200)
    ring = np.c_[np.cos(angle), np.sin(angle)] * rng.normal(4, 0.2, (200, 1))
    rows = np.concatenate([ring, rng.normal(0, 0.5, (200, 2))])
    labels = make(n_clusters=2, max_iter=30).fit_predict(rows)
    assert adjusted_rand_score(np.arange(400) // 200, labels) > 0.95


def test_a_fit_that_goes_on_keeps_its_clusters():
    model = make(max_iter=12, warm_start=True).fit(X)
    labels = model.labels_
    assert min(model.history_["partition_loss"]) > 0
    model.fit(X)
    assert (model.labels_ == labels).mean() > 0.95
    assert_array_equal(model.history_["partition_loss"][12:], 0)


def test_shares_are_more_equal_where_balance_weighs():
    rows = np.concatenate([X[Y == 0], X[Y == 1][:8]])

    def smallest(weight):
        return make(n_clusters=2, max_iter=30, balance_weight=weight).fit(rows).cluster_sizes_.min()

    assert smallest(100) > smallest(0.6) + 0.1 * len(rows)


def test_one_cluster_is_an_autoencoder_with_a_shifted_code():
    model = make(n_clusters=1).fit(X)
    assert_array_equal(model.labels_, 0)
    assert_allclose(model.predict_proba(X), 1)


# Clusters of unequal size.


UNEQUAL, GROUP = make_blobs([500, 100, 20], n_features=5, random_state=1)


@pytest.mark.parametrize(
    "cluster_prior",
    [
        pytest.param("uniform", marks=pytest.mark.thorough),  # as are the groups of the other tests
        "auto",
        [100 / 620, 20 / 620, 500 / 620],
    ],
)
def test_groups_of_unequal_size_are_found(cluster_prior):
    model = make(cluster_prior=cluster_prior, max_iter=20).fit(UNEQUAL)
    assert adjusted_rand_score(GROUP, model.labels_) > 0.95
    expected = [1 / 3] * 3
    if cluster_prior == "auto":
        expected = (model.cluster_sizes_ + 1) / 623
    elif cluster_prior != "uniform":
        assert_array_equal(model.cluster_sizes_, [100, 20, 500])  # in the order of the shares
        expected = cluster_prior
    assert_allclose(model.cluster_prior_, expected, atol=0.01)
    drawn = np.bincount(model.sample(5000, random_state=0)[1], minlength=3) / 5000
    assert_allclose(drawn, model.cluster_prior_, atol=0.03)


def test_equal_shares_are_a_prior_like_any_other():
    even = make(cluster_prior=[1 / 3] * 3).fit(X)
    assert_array_equal(even.labels_, make().fit(X).labels_)
    assert_allclose(even.cluster_prior_, 1 / 3)


def test_critic_and_balance_hold_to_the_shares():
    model = make(cluster_prior=[0.5, 0.3, 0.2]).fit(X)
    _, categories = model.net_.game.critics
    assert_allclose(categories.prior.probabilities, [0.5, 0.3, 0.2])
    (balance,) = [term for term in model.net_.terms if term.name == "balance"]
    assert_allclose(balance.shares, [0.5, 0.3, 0.2])


def test_a_fit_that_goes_on_keeps_the_shares_of_the_partition():
    model = make(cluster_prior="auto", warm_start=True).fit(UNEQUAL)
    before = model.cluster_prior_
    assert_array_equal(model.fit(UNEQUAL).cluster_prior_, before)


def test_without_neighbours_nothing_tells_the_shares():
    assert_allclose(make(cluster_prior="auto", agreement_weight=0).fit(X).cluster_prior_, 1 / 3)


# Bad input.


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_clusters": 201}, "n_clusters=201 is more than the n_samples=200 rows"),
        ({"n_clusters": 0}, "n_clusters.*Got 0"),
        ({"n_clusters": 2.5}, "n_clusters.*Got 2.5"),
        ({"cluster_prior": "even"}, "cluster_prior.*Got 'even'"),
        ({"cluster_prior": [0.5, 0.5]}, "cluster_prior must be 3 non-negative .* of shape .2,."),
        ({"cluster_prior": [0.5, 0.7, -0.2]}, "cluster_prior must be .* some are negative"),
        ({"cluster_prior": [0.5, 0.5, np.nan]}, "cluster_prior must be .* some are not finite"),
        ({"cluster_prior": [0.5, 0.5, 0.5]}, "cluster_prior must be .* with sum 1.5"),
        ({"category_weight": 0}, "category_weight.*Got 0"),
        ({"separation_weight": -1}, "separation_weight.*Got -1"),
        ({"separation_distance": 0}, "separation_distance.*Got 0"),
        ({"agreement_weight": -1}, "agreement_weight.*Got -1"),
        ({"n_neighbors": 0}, "n_neighbors.*Got 0"),
        ({"certainty_weight": -1}, "certainty_weight.*Got -1"),
        ({"balance_weight": -1}, "balance_weight.*Got -1"),
    ],
)
def test_bad_parameters_leave_the_estimator_as_it_was(parameters, message):
    model = make(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    assert set(vars(model)) == set(model.get_params())


def test_as_many_clusters_as_rows_are_allowed():
    assert make(n_clusters=5).fit(X[:5]).labels_.shape == (5,)


def test_warm_start_with_another_number_of_clusters():
    model = make(warm_start=True).fit(X)
    before = dict(vars(model)) | {"n_clusters": 4}
    with pytest.raises(ValueError, match="n_clusters=4 differs from the 3 clusters"):
        model.set_params(n_clusters=4).fit(X)
    assert vars(model) == before
    # What was fitted still answers.
    assert model.predict_proba(X).shape == (200, 3)
    assert set(model.sample(100, random_state=0)[1]) == {0, 1, 2}


def test_unknown_clusters(fitted):
    with pytest.raises(ValueError, match=re.escape("[3]. Known classes: [0, 1, 2]")):
        fitted.sample(2, y=3)


def test_heads_that_no_row_is_near_are_finite_rows_too():
    rows = np.c_[X[:5], 1e4 * X[:5]]
    model = make(n_clusters=2, max_iter=1, lr=1e5, n_components=1)
    with pytest.raises(ValueError, match="infinite after the last epoch: the training diverged"):
        model.fit(rows)
    assert set(vars(model)) == set(model.get_params())


@pytest.mark.filterwarnings("ignore:All rows are in one:sklearn.exceptions.ConvergenceWarning")
def test_values_may_be_beyond_the_precision_of_the_weights():
    model = make(n_clusters=2).fit(np.full((3, 4), 1e39))
    assert_allclose(model.sample(5, random_state=0)[0], 1e39)


def test_a_single_used_cluster_is_told_where_the_user_called():
    same = np.zeros((40, 3))
    message = r"All rows are in one of n_clusters=3 clusters.*balance_weight \(now 0.6\)"
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        model = make().fit(same)
    assert caught[0].filename == __file__
    assert model.cluster_sizes_.max() == 40


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_shares_that_were_found_with_weights_are_saved(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 3))
    X[:10] += 20
    weights = np.random.default_rng(1).uniform(0.5, 2, size=40)
    model = AdversarialAutoencoderClusterer(
        n_clusters=2, cluster_prior="auto", max_iter=2, random_state=0
    ).fit(X, sample_weight=weights)
    assert model.cluster_prior_.dtype == np.float64
    save(model, tmp_path / "model.safetensors")
    assert_array_equal(load(tmp_path / "model.safetensors").cluster_prior_, model.cluster_prior_)
