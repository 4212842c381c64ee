"""Labels to positions and back, and which labels are refused."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.class_weight import compute_class_weight

from sklearn_aae._rows.labels import (
    check_shares,
    class_positions,
    class_probabilities,
    class_weights,
    encode_labels,
    labelled_shares,
    one_hot,
    share_ratio,
)


def encode(y, allow_unlabelled=True):
    return encode_labels(y, np.zeros((len(y), 2)), "Model", allow_unlabelled=allow_unlabelled)


# Encoding.


@pytest.mark.parametrize(
    "y",
    [
        [2, 0, 7, 2],
        [0.0, 2.0, 2.0, 1.0],
        [True, False, True, True],
        ["b", "a", "c", "a"],
        np.array(["b", "long", "c", "b"], dtype=object),
        np.array([3, 200, 200, 3], dtype=np.uint8),
        [-1, 1, 1, -1],
        [-1.0, 1.0, 1.0, -1.0],
    ],
    ids=str,
)
def test_positions_lead_back_to_the_labels(y):
    classes, positions = encode(y)
    assert_array_equal(classes, np.unique(y))
    assert_array_equal(classes[positions], y)
    assert classes.dtype == np.asarray(y).dtype


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float32])
def test_minus_one_is_no_class_beside_two_others(dtype):
    y = np.array([4, -1, 2, -1, 4], dtype=dtype)
    classes, positions = encode(y)
    assert_array_equal(classes, [2, 4])
    assert_array_equal(positions, [1, -1, 0, -1, 1])


def test_negative_classes_other_than_minus_one_are_classes():
    classes, positions = encode([-2, 5, -1])
    assert_array_equal(classes, [-2, 5])
    assert_array_equal(positions, [0, 1, -1])


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (["a", "b", "-1"], ValueError, "holds -1 among labels that are not numbers, of dtype <U2"),
        (
            np.array(["a", "b", -1], dtype=object),
            ValueError,
            "holds -1 among labels that are not numbers, of dtype object",
        ),
        ([-1, -1, -1], ValueError, "no label: all 3 rows are -1"),
        ([5, -1, 5], ValueError, "only one class: 5"),
        (["a", "a"], ValueError, "only one class: 'a'"),
        ([np.nan, 1, 0], ValueError, "y contains NaN"),
        ([0.5, 1.5, 2.5], ValueError, "continuous"),
        ([[0, 1], [1, 0]], ValueError, "1d array, got an array of shape (2, 2)"),
    ],
)
def test_what_cannot_be_encoded(y, error, message):
    with pytest.raises(error, match=re.escape(message)):
        encode(y)


def test_labels_of_another_length_than_the_rows():
    with pytest.raises(ValueError, match=re.escape("inconsistent numbers of samples: [3, 2]")):
        encode_labels([0, 1], np.zeros((3, 2)), "Model", allow_unlabelled=True)


@pytest.mark.parametrize(("allowed", "hint"), [(True, ", -1 for unlabelled ones."), (False, ".")])
def test_no_labels_at_all(allowed, hint):
    with pytest.raises(ValueError, match=re.escape(f"Pass the class of each row{hint}")):
        encode_labels(None, np.zeros((3, 2)), "Model", allow_unlabelled=allowed)


def test_unlabelled_rows_where_every_row_needs_a_class():
    with pytest.raises(ValueError, match=r"2 rows have the label -1.*Model needs the class of"):
        encode([0, 1, -1, -1], allow_unlabelled=False)
    classes, _ = encode([-1, 1, -1], allow_unlabelled=False)
    assert_array_equal(classes, [-1, 1])


# Decoding.


@pytest.mark.parametrize(
    "classes", [np.array([2, 3, 10]), np.array(["a", "bc"]), np.array(["a", "bc"], dtype=object)]
)
def test_one_label_stands_for_all_rows(classes):
    for position, label in enumerate(classes.tolist()):
        assert_array_equal(class_positions(label, classes, 3), [position] * 3)
        assert_array_equal(class_positions([label] * 2, classes, 2), [position] * 2)


@pytest.mark.parametrize("n_classes", [2, 12])
@pytest.mark.parametrize(
    ("y", "shown"),
    [("1", "['1']"), (["1", "0"], "['1', '0']"), ([None, 0], "[None]"), (-1, "[-1]")],
)
def test_what_is_not_a_class_is_named(y, shown, n_classes):
    classes = np.arange(n_classes)
    message = f"not seen: {shown}. Known classes: {classes.tolist()}"
    with pytest.raises(ValueError, match=re.escape(message)):
        class_positions(y, classes, 2)


@pytest.mark.parametrize(("y", "shape"), [([0], "(1,)"), ([0, 1, 0], "(3,)"), ([[0, 1]], "(1, 2)")])
def test_neither_one_label_nor_one_for_each_row(y, shape):
    with pytest.raises(ValueError, match=re.escape(f"(n_samples,) = (2,), got {shape}")):
        class_positions(y, np.arange(2), 2)


# Shares.


FEW, ALL = np.array([0, 0, 0, 1, -1, -1]), np.array([0, 0, 0, 1])


def probabilities(class_prior, positions, weight=None):
    empirical = labelled_shares(positions, 2, weight)
    return class_probabilities(class_prior, 2, empirical, all_labelled=bool((positions >= 0).all()))


@pytest.mark.parametrize(
    ("class_prior", "positions", "expected"),
    [
        ("uniform", ALL, [0.5, 0.5]),
        ("empirical", FEW, [0.75, 0.25]),
        ("auto", ALL, [0.75, 0.25]),
        ([0.9, 0.1], FEW, [0.9, 0.1]),
        ((1, 0), FEW, [1, 0]),
    ],
)
def test_shares_of_the_classes(class_prior, positions, expected):
    assert_allclose(probabilities(class_prior, positions), expected)


def test_shares_that_labels_do_not_tell_have_to_be_found_out():
    assert probabilities("auto", FEW) is None


def test_shares_sum_to_one_to_the_last_bit_of_what_numpy_asks():
    p = check_shares("class_prior", [0.3333333, 0.3333333, 0.3333333], 3, "one for each class")
    assert p.sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("class_prior", "problem"),
    [
        ([1.0], "of shape (1,)"),
        ([0.5, 0.3, 0.2], "of shape (3,)"),
        ([[0.5, 0.5]], "of shape (1, 2)"),
        ([0.5, 0.6], "with sum 1.1"),
        ([1.5, -0.5], "of which some are negative"),
        ([np.nan, 1.0], "of which some are not finite"),
        ([np.inf, 0.0], "of which some are not finite"),
        (["a", "b"], "which are no numbers, of dtype <U1"),
        ([True, False], "which are no numbers, of dtype bool"),
        ([[0.5], [0.2, 0.3]], "which are no numbers, of dtype object"),
    ],
    ids=str,
)
def test_what_are_no_shares(class_prior, problem):
    message = (
        "class_prior must be 2 non-negative numbers with sum 1, one for each of the 2 classes that "
        "have labels.*" + re.escape(f"{class_prior}, {problem}.")
    )
    with pytest.raises(ValueError, match=message):
        probabilities(class_prior, FEW)


def test_probabilities_that_hold_for_some_shares_hold_for_others_by_their_ratio():
    rng = np.random.default_rng(0)
    likelihood = rng.random((5, 3))
    some, others = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.1, 0.3])
    p, q = (x / x.sum(axis=1, keepdims=True) for x in (likelihood * some, likelihood * others))
    moved = q * share_ratio(some, others)
    assert_allclose(moved / moved.sum(axis=1, keepdims=True), p)
    assert share_ratio(some, some) is None
    assert_allclose(share_ratio(np.array([0.4, 0.6, 0]), np.array([0, 0.5, 0.5])), [1, 1.2, 1])
    assert_allclose(share_ratio(np.array([0.4, 0.6, 0]), np.array([0.1, 0.4, 0.5])), [4, 1.5, 1])


CLASSES, SHARES = np.array(["a", "b"]), np.array([0.75, 0.25])


def test_weights_of_classes_are_those_of_scikit_learn():
    y = np.array(["a", "a", "a", "b"])
    for given in ("balanced", {"a": 2}, {"a": 0.5, "b": 3}, {}):
        expected = compute_class_weight(given or None, classes=CLASSES, y=y)
        assert_allclose(class_weights(given, CLASSES, SHARES), expected)
    assert class_weights(None, CLASSES, SHARES) is None
    # A class that has no label in a fit that goes on.
    assert_allclose(
        class_weights("balanced", np.arange(3), np.array([0.5, 0, 0.5])), [2 / 3, 1, 2 / 3]
    )


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({"c": 1}, "weights of labels that are no classes: ['c']. Classes: ['a', 'b']"),
        ({0: 1}, "weights of labels that are no classes: [0]"),
        (
            {"a": -1},
            "non-negative numbers as weights, of labelled classes not all 0, got {'a': -1}",
        ),
        ({"a": np.nan}, "non-negative numbers"),
        ({"a": np.inf}, "non-negative numbers"),
        ({"a": "1"}, "non-negative numbers"),
        ({"a": 0, "b": 0}, "not all 0"),
    ],
    ids=str,
)
def test_what_are_no_weights_of_classes(class_weight, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        class_weights(class_weight, CLASSES, SHARES)


def test_one_hot_rows():
    rows = one_hot(np.array([2, 0]), 3, np.float32)
    assert rows.dtype == np.float32
    assert_array_equal(rows, [[0, 0, 1], [1, 0, 0]])


def test_shares_are_those_of_the_weights():
    weight = np.array([1.0, 0.0, 1.0, 6.0])
    assert_allclose(probabilities("empirical", ALL, weight), [0.25, 0.75])
    assert_allclose(probabilities("auto", ALL, weight), [0.25, 0.75])
    assert_allclose(probabilities("uniform", ALL, weight), [0.5, 0.5])
    assert_allclose(probabilities("empirical", FEW, np.arange(6.0)), [0.5, 0.5])


def test_labels_that_all_weigh_nothing():
    weight = np.r_[np.zeros(4), 1.0, 1.0]
    with pytest.raises(ValueError, match="sample_weight: all 4 labelled rows have weight zero"):
        labelled_shares(FEW, 2, weight)
