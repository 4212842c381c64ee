"""Shares of classes among rows without labels: found where the classes can be told apart."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from scipy.stats import norm

from sklearn_aae._rows.shares import estimate_shares, reliability

UNIFORM = np.full(2, 0.5)


def log_p_of(x, distance, shares=UNIFORM):
    """Class probabilities of normal classes at 0 and at a distance."""
    log_joint = norm.logpdf(x[:, None], [0, distance]) + np.log(shares)
    return log_joint - logsumexp(log_joint, axis=1, keepdims=True)


@pytest.mark.parametrize("distance", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
def test_shares_are_found_with_probabilities_that_hold_for_others(distance, share):
    rng = np.random.default_rng(0)
    y = rng.random(20_000) < share
    log_p = log_p_of(rng.normal(distance * y), distance, [0.5, 0.5])
    found = estimate_shares(log_p, UNIFORM, np.ones(20_000), 1.0)
    assert_allclose(found, [1 - y.mean(), y.mean()], atol=0.02)
    other = np.array([0.9, 0.1])
    found_from_others = estimate_shares(log_p + np.log(other / 0.5), other, np.ones(20_000), 1.0)
    assert_allclose(found_from_others, found, atol=1e-3)


def test_rows_are_as_likely_as_with_any_other_shares():
    rng = np.random.default_rng(1)
    x = rng.normal(2 * (rng.random(500) < 0.2))
    weight = rng.random(500)
    found = estimate_shares(log_p_of(x, 2), UNIFORM, weight, 1.0)

    def log_likelihood(share):
        return weight @ np.log((1 - share) * norm.pdf(x) + share * norm.pdf(x, 2))

    grid = np.linspace(0.001, 0.999, 999)
    best = grid[np.argmax([log_likelihood(share) for share in grid])]
    assert_allclose(found[1], best, atol=2e-3)


def test_what_is_not_reliable_leaves_the_shares_of_the_labels():
    log_p = log_p_of(np.random.default_rng(0).normal(size=200), 1)
    labelled = np.array([0.7, 0.3])
    assert_allclose(estimate_shares(log_p, labelled, np.ones(200), 0.0), labelled)
    found, half = (estimate_shares(log_p, labelled, np.ones(200), r) for r in (1.0, 0.5))
    assert_allclose(np.diff(np.log(half)), (np.diff(np.log(found)) + np.diff(np.log(labelled))) / 2)


def test_a_class_without_labels_has_no_share():
    log_p = np.log([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]])
    found = estimate_shares(log_p, np.array([0.5, 0.5, 0.0]), np.ones(2), 1.0)
    assert found[2] < 1e-5
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize(("distance", "low", "high"), [(0, 0, 0.9), (1, 0.85, 1), (4, 0.99, 1)])
def test_probabilities_are_as_reliable_as_they_tell_classes_apart(distance, low, high):
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    value = reliability(log_p_of(rng.normal(distance * y), max(distance, 1)), y, np.ones(100))
    assert low <= value <= high


def test_chance_is_reliable_in_half_of_the_cases_at_most_and_then_little():
    rng = np.random.default_rng(0)
    y = np.arange(20) % 2
    values = [reliability(log_p_of(rng.normal(size=20), 1), y, np.ones(20)) for _ in range(200)]
    assert np.median(values) == 0
    assert np.mean(values) < 0.25


def test_a_weight_counts_as_rows():
    rng = np.random.default_rng(0)
    log_p, y = log_p_of(rng.normal(size=40), 1), np.arange(40) % 2
    assert_allclose(reliability(log_p, y, np.full(40, 3.0)), reliability(log_p, y, np.ones(40)))
    assert reliability(log_p[:2], y[:2], np.ones(2)) == 0
    assert reliability(np.zeros((40, 2)), y, np.ones(40)) == 0
