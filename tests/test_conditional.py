"""ConditionalAdversarialAutoencoder: the style of a row, and rows of the same style."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_aae import ConditionalAdversarialAutoencoder

RNG = np.random.default_rng(0)
# A class moves rows along the first two columns, the style along the others.
Y = RNG.integers(3, size=240)
STYLE = RNG.normal(size=240)
CORNERS = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
X = np.c_[CORNERS[Y], np.outer(STYLE, [1.0, -1.0, 0.5])] + 0.05 * RNG.normal(size=(240, 5))


def make(**parameters):
    few = {"n_components": 1, "max_iter": 3, "random_state": 0}
    return ConditionalAdversarialAutoencoder(**{**few, **parameters})


@pytest.fixture(scope="module")
def fitted():
    return make(max_iter=30).fit(X, Y)


def classes_of(rows):
    return np.linalg.norm(rows[:, None, :2] - CORNERS, axis=2).argmin(axis=1)


def styles_of(rows):
    return rows[:, 2:] @ np.array([1.0, -1.0, 0.5]) / 2.25


# What it is for.


@pytest.mark.parametrize("k", [0, 1, 2])
def test_translation_changes_the_class_and_keeps_the_style(fitted, k):
    moved = fitted.translate(X, k)
    assert (classes_of(moved) == k).mean() > 0.98
    assert np.corrcoef(styles_of(moved), STYLE)[0, 1] > 0.95


def test_the_style_is_the_style_and_says_nothing_of_the_class(fitted):
    Z = fitted.transform(X)
    assert abs(np.corrcoef(Z[:, 0], STYLE)[0, 1]) > 0.95
    assert LogisticRegression().fit(Z, Y).score(Z, Y) < np.bincount(Y).max() / len(Y) + 0.1


def test_samples_are_of_the_class_that_was_asked_for(fitted):
    asked = np.arange(300) % 3
    drawn = fitted.sample(300, y=asked, random_state=0)
    assert (classes_of(drawn) == asked).mean() > 0.95
    assert styles_of(drawn).std() == pytest.approx(STYLE.std(), rel=0.35)


# Agreement of what it says.


def test_one_class_is_that_class_for_every_row(fitted):
    ones = np.ones(len(X), dtype=int)
    Z = fitted.transform(X)
    assert_array_equal(fitted.translate(X, 1), fitted.translate(X, ones))
    assert_array_equal(fitted.inverse_transform(Z, 1), fitted.inverse_transform(Z, ones))
    assert_array_equal(fitted.sample(3, 1, 0), fitted.sample(3, [1, 1, 1], 0))


def test_reconstruction_is_translation_to_the_own_class(fitted):
    assert_array_equal(fitted.reconstruct(X, Y), fitted.translate(X, Y))
    assert_array_equal(fitted.reconstruct(X, Y), fitted.inverse_transform(fitted.transform(X), Y))
    assert np.abs(fitted.reconstruct(X, Y) - X).mean() < 0.3 * np.abs(X - X.mean(axis=0)).mean()


def test_decoding_without_a_class_is_decoding_the_shares(fitted):
    Z = fitted.transform(X)
    assert_allclose(fitted.class_prior_, np.bincount(Y) / len(Y))
    shares = np.tile(fitted.class_prior_, (len(X), 1))
    assert_array_equal(fitted.inverse_transform(Z), fitted._inference.decode(np.c_[Z, shares]))


def test_names_of_the_classes_do_not_matter():
    numbered, named = make().fit(X, Y), make().fit(X, np.array(["a", "b", "c"])[Y])
    assert_array_equal(named.transform(X), numbered.transform(X))
    assert_array_equal(named.translate(X, "b"), numbered.translate(X, 1))


@pytest.mark.parametrize(
    "names", [["a", "b", "c"], [False, True, True], [-1, 1, 1], [2.0, 0.5, 1.0]]
)
def test_labels_of_any_kind(names):
    y = np.array(names)[Y]
    if y.dtype.kind == "f":
        y = y * 2
    model = make().fit(X, y)
    assert_array_equal(model.classes_, np.unique(y))
    assert model.sample(2, y=y[0]).shape == (2, 5)
    assert model.translate(X, y).shape == X.shape


def test_weights_count_for_the_shares():
    weight = np.where(Y == 0, 3.0, 1.0)
    expected = np.bincount(Y, weight) / weight.sum()
    assert_allclose(make().fit(X, Y, sample_weight=weight).class_prior_, expected)


def test_style_in_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), make())
    assert pipeline.fit_transform(X, Y).shape == (240, 1)


def test_warm_start_knows_the_classes_of_the_first_fit():
    model = make(warm_start=True).fit(X, Y)
    two = Y < 2
    model.fit(X[two], Y[two])
    assert_array_equal(model.classes_, [0, 1, 2])
    assert model.class_prior_[2] == 0
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"not seen: \[3\]. Known classes: \[0, 1, 2\]"):
        model.fit(X, np.where(Y == 2, 3, Y))
    assert vars(model) == before


# Bad labels.


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (np.where(Y == 0, -1, Y), f"{(Y == 0).sum()} rows have the label -1"),
        (np.full(240, 5), "only one class: 5"),
        (Y[:40], "inconsistent numbers of samples: [240, 40]"),
        (np.where(Y == 0, np.nan, Y), "y contains NaN"),
        (X[:, 2], "Unknown label type: continuous"),
    ],
)
def test_bad_labels_leave_the_estimator_as_it_was(fitted, y, message):
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match=re.escape(message)):
        fitted.fit(X, y)
    assert vars(fitted) == before
    unfitted = make()
    with pytest.raises(ValueError, match=re.escape(message)):
        unfitted.fit(X, y)
    assert set(vars(unfitted)) == set(unfitted.get_params())


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.sample(3, y=7),
        lambda model: model.translate(X[:3], 7),
        lambda model: model.reconstruct(X[:3], [0, 1, 7]),
        lambda model: model.inverse_transform(np.zeros((3, 1)), [7, 0, 7]),
    ],
)
def test_unseen_classes_in_use(fitted, use):
    with pytest.raises(ValueError, match=re.escape("not seen: [7]. Known classes: [0, 1, 2]")):
        use(fitted)


def test_samples_need_a_class(fitted):
    with pytest.raises(ValueError, match=r"sample needs y.*Known classes: \[0, 1, 2\]"):
        fitted.sample(3)


def test_as_many_classes_as_rows(fitted):
    with pytest.raises(ValueError, match=re.escape("(n_samples,) = (3,), got (2,)")):
        fitted.translate(X[:3], [0, 1])
