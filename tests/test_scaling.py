"""Check the columns' centre and scale against numpy, by repetition and by equivariance."""

import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_aae._rows import scaling as _scaling
from sklearn_aae._rows.scaling import (
    chunk_size,
    column_scaling,
    n_varying_columns,
    squashed,
    unsquashed,
)


def normal_data(n_samples=200, n_features=4):
    rng = np.random.default_rng(0)
    return rng.normal([0, 5, -300, 0.1], [1, 0.2, 20, 1e-6], size=(n_samples, n_features))


def heavy_tails():
    X = np.zeros((400, 3))
    X[0] = [1, -1, 1]
    X[1:5] = [0.5, -0.5, -0.5]
    return X


def furthest(X, center, scale):
    return np.abs((X - center) / scale).max(axis=0)


def test_normal_data_is_scaled_by_mean_and_standard_deviation():
    X = normal_data()
    center, scale = column_scaling(X, None)[:2]
    assert_allclose(center, X.mean(axis=0))
    assert_allclose(scale, X.std(axis=0))
    assert furthest(X, center, scale).max() < 5


def test_heavy_tails_keep_the_standard_deviation():
    X = np.random.default_rng(0).standard_t(2, size=(500, 8))
    center, scale = column_scaling(X, None)[:2]
    assert furthest(X, center, scale).max() > 5
    assert_allclose(center, X.mean(axis=0))
    assert_allclose(scale, X.std(axis=0))


@pytest.mark.parametrize("value", [0.0, 1.0, -3.7, 0.1, 1e-12, 1e12])
def test_a_constant_column_has_scale_one(value):
    center, scale = column_scaling(np.full((60, 1), value), None)[:2]
    assert_allclose(center, [value])
    assert_array_equal(scale, [1])


@pytest.mark.parametrize("value", [0.1, 1e12, -1e-12])
def test_a_column_that_is_constant_up_to_rounding_has_scale_one(value):
    X = np.full((60, 1), value)
    X[::2] = np.nextafter(value, np.inf)
    center, scale = column_scaling(X, None)[:2]
    assert_allclose(center, [value])
    assert_array_equal(scale, [1])


def test_small_variation_on_a_small_mean_is_variation():
    X = normal_data()[:, :1] * 1e-20
    assert_allclose(column_scaling(X, None)[1], X.std(axis=0), rtol=1e-12)


def test_the_centre_of_a_constant_column_is_its_value_whatever_the_weights():
    weight = np.random.default_rng(0).random(60)
    for value in (0.1, 3e30, -7e-20):
        columns = column_scaling(np.full((60, 1), value), weight)
        assert columns.mean == value
        assert columns.scale == 1
        assert columns.constant


def test_a_variance_that_rounding_made_negative_is_none():
    # Weighted sums of equal values, 1e5 times as large as those of one that differs.
    rng = np.random.default_rng(0)
    for _ in range(50):
        X = np.full((11, 1), 10 ** rng.uniform(0, 3))
        columns = column_scaling(X, rng.random(11))  # warnings are errors
        assert columns.constant
        assert columns.scale == 1


def test_a_column_of_unit_variance_is_not_taken_for_a_constant_one():
    X = np.array([[1.0], [-1.0]])
    assert_allclose(column_scaling(X, None), [[0], [1], [-1], [1], [False], [False]])
    X = np.zeros((72, 1))
    X[:2] = [[6], [-6]]
    assert X.std() == 1
    center, scale = column_scaling(X, None)[:2]
    assert_allclose(furthest(X, center, scale), [6])


@pytest.mark.parametrize("X", [normal_data()[:, :3], heavy_tails()], ids=["normal", "heavy"])
@pytest.mark.parametrize(("a", "b"), [(2.5, 0), (-3, 10), (1e-3, -1), (1e6, 1e6)])
def test_scaling_is_equivariant(X, a, b):
    center, scale = column_scaling(X, None)[:2]
    moved_center, moved_scale = column_scaling(a * X + b, None)[:2]
    assert_allclose(moved_center, a * center + b)
    assert_allclose(moved_scale, abs(a) * scale)


@pytest.mark.parametrize("X", [normal_data(60), heavy_tails()], ids=["normal", "heavy"])
def test_weights_are_repetitions(X):
    counts = np.random.default_rng(1).integers(1, 4, size=len(X))
    weighted = column_scaling(X, counts.astype(float))
    repeated = column_scaling(np.repeat(X, counts, axis=0), None)
    assert_allclose(weighted, repeated, rtol=1e-9)


@pytest.mark.parametrize("factor", [1, 0.01, 100])
def test_equal_weights_are_no_weights(factor):
    X = heavy_tails()
    weighted = column_scaling(X, np.full(len(X), float(factor)))
    assert_allclose(weighted, column_scaling(X, None))


def test_rows_of_weight_zero_do_not_count():
    X = normal_data()
    weight = np.random.default_rng(2).uniform(0.5, 2, size=len(X))
    weight[::3] = 0
    outliers = X.copy()
    outliers[::3] = 1e9
    expected = column_scaling(X[weight > 0], weight[weight > 0])
    assert_allclose(column_scaling(outliers, weight), expected)


def test_single_precision_is_worked_on_in_double():
    X = (normal_data() + 1e4).astype(np.float32)
    scaling = column_scaling(X, None)
    assert all(array.dtype == np.float64 for array in scaling[:4])
    assert_array_equal(scaling, column_scaling(X.astype(np.float64), None))


def test_the_range_is_that_of_the_rows_that_count():
    X, weight = normal_data(), np.ones(200)
    weight[:150] = 0
    for counted, scaling in ((X, column_scaling(X, None)), (X[150:], column_scaling(X, weight))):
        assert_array_equal(scaling.lowest, counted.min(axis=0))
        assert_array_equal(scaling.highest, counted.max(axis=0))
        assert_allclose(scaling.mean, counted.mean(axis=0))


@pytest.mark.parametrize("n_values", [1, 4, 28, 10_000])
@pytest.mark.parametrize("weighted", [False, True])
def test_chunks_change_nothing(monkeypatch, n_values, weighted):
    X = np.hstack([normal_data(), heavy_tails()[:200], np.full((200, 1), 7.0)])
    weight = np.arange(200) % 4.0 if weighted else None
    expected = column_scaling(X, weight)
    monkeypatch.setattr(_scaling, "_VALUES_PER_CHUNK", n_values)
    assert_allclose(column_scaling(X, weight), expected, rtol=1e-9)


def test_the_data_is_left_as_it_was():
    X, weight = normal_data(), np.ones(200)
    X.flags.writeable = weight.flags.writeable = False
    column_scaling(X, weight)


# numpy warns of the overflow before column_scaling sees its result.
@pytest.mark.parametrize(
    ("column", "largest"), [([1e308, 1.7e308], "1.7e+308"), ([-1.5e308, -1e308], "1.5e+308")]
)
def test_overflow_names_the_largest_absolute_value(column, largest):
    X = np.array([[1.0, column[0]], [2.0, column[1]]])
    message = f"the largest absolute value is {largest}. Divide X by a constant."
    with pytest.raises(ValueError, match=re.escape(message)):
        column_scaling(X, None)


@pytest.mark.parametrize(("n_values", "expected"), [(0, 100), (1, 100), (7, 14), (1000, 1)])
def test_chunks_hold_about_the_same_number_of_values(monkeypatch, n_values, expected):
    monkeypatch.setattr(_scaling, "_VALUES_PER_CHUNK", 100)
    assert chunk_size(n_values) == expected


def pixels(rng, n=200):
    """Columns from 0 to 16, some hardly ever lit."""
    lit = rng.uniform(size=(n, 12)) < np.linspace(0.02, 0.9, 12)
    X = np.where(lit, rng.integers(1, 17, size=(n, 12)), 0).astype(float)
    X[0], X[1] = 0, 16
    return X


def test_columns_that_share_a_range_are_scaled_by_it():
    X = pixels(np.random.default_rng(0))
    columns = column_scaling(X, None)
    # The deviations differ by more than a factor of three, the scales by less than two.
    assert X.std(axis=0).max() / X.std(axis=0).min() > 3
    assert columns.scale.max() / columns.scale.min() < 2
    assert furthest(X, columns.mean, columns.scale).max() == pytest.approx(2)


def test_one_column_in_other_units_does_not_change_how_the_others_are_scaled():
    X = pixels(np.random.default_rng(0))
    before = column_scaling(X, None)
    X[:, 3] = 1e6 * X[:, 3] + 1e3
    after = column_scaling(X, None)
    factor = np.ones(12)
    factor[3] = 1e6
    assert_allclose(after.scale, factor * before.scale)


@pytest.mark.parametrize("kind", ["normal", "two_valued", "one_column"])
def test_other_columns_are_scaled_by_their_deviation(kind):
    rng = np.random.default_rng(0)
    X = {
        "normal": rng.normal(size=(100, 5)),
        "two_valued": rng.integers(0, 2, size=(100, 5)).astype(float),
        "one_column": rng.integers(0, 9, size=(100, 1)).astype(float),
    }[kind]
    assert_allclose(column_scaling(X, None).scale, X.std(axis=0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_squashed_values_keep_their_order_and_are_finite(dtype):
    largest = np.log10(torch.finfo(dtype).max)
    positive = torch.logspace(-5, largest - 0.1, 400, dtype=dtype)
    infinite = torch.tensor([torch.inf], dtype=dtype)
    x = torch.cat([-infinite, -positive.flip(0), positive, infinite])
    y = squashed(x)
    assert y.dtype == dtype
    assert bool(torch.isfinite(y).all())
    assert bool((y[1:] > y[:-1]).all())
    near = x.abs() <= 5
    assert torch.equal(y[near], x[near])


def test_unsquashing_is_the_inverse():
    x = torch.logspace(-5, 100, 400, dtype=torch.float64)
    x = torch.cat([-x, torch.zeros(1, dtype=torch.float64), x])
    assert_allclose(unsquashed(squashed(x)), x, rtol=1e-11)


def test_the_slope_goes_on_where_the_logarithm_starts():
    x = torch.tensor([4.999999, 5.000001], dtype=torch.float64, requires_grad=True)
    squashed(x).sum().backward()
    assert_allclose(x.grad, 1, atol=1e-6)


def test_an_infinite_knee_changes_nothing():
    x = torch.tensor([-1e30, 0.0, 1e-30, 1e30])
    assert torch.equal(squashed(x, np.inf), x)
    assert torch.equal(unsquashed(x, np.inf), x)


@pytest.mark.parametrize("knee", [5.0, np.inf])
def test_squashing_does_not_depend_on_the_layout_and_keeps_its_input(knee):
    x = 4 * torch.randn((30, 7), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = x.clone()
    transposed = x.T.contiguous().T
    assert torch.equal(squashed(transposed, knee), squashed(x, knee))
    assert torch.equal(x, before)


def test_squashing_of_few_values_is_that_of_all():
    x = 4 * torch.randn((30, 7), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    excess = (x.abs() / 5).clamp(min=1)
    assert torch.equal(squashed(x), x / excess * (1 + excess.log()))


def test_columns_that_vary_anywhere_count(monkeypatch):
    X = np.ones((9, 3))
    assert n_varying_columns(X) == 0
    X[:, 0] = np.arange(9)
    X[-1, 1] = np.nan
    monkeypatch.setattr(_scaling, "_VALUES_PER_CHUNK", 6)
    assert n_varying_columns(X) == 1
    X[-1, 2] = 0
    assert n_varying_columns(X) == 2
    X[0, 1] = 2
    assert n_varying_columns(X) == 3
