"""Warnings after a training that ended badly, and none after one that did not."""

import re
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_blobs
from sklearn.exceptions import ConvergenceWarning

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae._learned import flow as _flow
from sklearn_aae._training.critics import ADVERSARIAL_LOSSES
from sklearn_aae._training.diagnostics import (
    dead_directions,
    n_distinct_rows,
    spread_ratios,
    training_problems,
)
from sklearn_aae.priors import (
    Categorical,
    Empirical,
    MixtureOfGaussians,
    Normal,
    SwissRoll,
    Uniform,
)

PRIORS = [
    Normal(3.0, n_components=3),
    Uniform(n_components=1),
    MixtureOfGaussians(n_components=2),
    SwissRoll(n_components=2),
    Categorical(4),
]


def draws(prior, n, seed=1):
    return prior.sample(n, torch.Generator().manual_seed(seed)).double().numpy()


def well(prior, n=500, **changes):
    """Arguments of a training that went well."""
    return {
        "codes": draws(prior, n),
        "prior": prior,
        "n_distinct": n,
        "n_steps": 1000,
        "adversarial_weight": 0.2,
        "adversarial_loss": "non_saturating",
        "noise": 0.3,
        "lr": 1e-3,
        "discriminator_lr": 2e-3,
        "n_components": 3,
        "accuracy": [0.6] * 50,
        "prior_match": {"distance": 0.1, "null": 0.1, "null_quantile": 0.15},
        "reconstruction_loss": 0.3,
        **changes,
    }


def problems(**arguments):
    return training_problems(
        arguments.pop("codes"), arguments.pop("prior"), arguments.pop("n_distinct"), **arguments
    )


# Spreads.


def test_ratios_are_standard_deviations_over_the_priors():
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(20_000, 2)) * [1, 10]
    codes = rng.normal(size=(20_000, 2)) * [0.5, 20]
    assert_allclose(spread_ratios(codes, reference), [0.5, 2.0], rtol=0.05)


def test_ratios_do_not_depend_on_coordinates():
    rng = np.random.default_rng(0)
    reference, codes = rng.normal(size=(2, 500, 3))
    change = rng.normal(size=(3, 3))
    expected = spread_ratios(codes, reference)
    assert_allclose(spread_ratios(codes @ change, reference @ change), expected)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
@pytest.mark.parametrize("n", [2, 3, 5, 10, 30, 1000])
def test_codes_drawn_from_the_prior_are_alive(prior, n):
    for seed in range(10):
        codes = draws(prior, n, seed)
        assert dead_directions(codes, prior, n_distinct_rows(codes))[0] == 0


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_codes_that_hardly_vary_are_dead_in_all_directions_of_the_prior(prior):
    n_dead, n_directions, largest = dead_directions(1 + 0.01 * draws(prior, 200), prior, 200)
    # The categories of one row sum to 1: one direction less than columns.
    assert n_dead == n_directions == draws(prior, 2).shape[1] - isinstance(prior, Categorical)
    assert largest == pytest.approx(0.01, rel=0.3)


def test_codes_on_a_line_are_dead_across_it_though_every_column_varies():
    t = np.random.default_rng(0).normal(size=(300, 1))
    assert dead_directions(np.c_[t, t], Normal(n_components=2), 300)[:2] == (1, 2)


@pytest.mark.parametrize("n_distinct", [1, 2])
def test_one_or_two_rows_cannot_fill_a_plane(n_distinct):
    codes = np.repeat(np.eye(2)[:n_distinct], 100, axis=0)
    assert dead_directions(codes, Normal(n_components=2), n_distinct)[0] == 0


def test_a_direction_that_the_prior_does_not_use_cannot_die():
    flat = np.random.default_rng(0).normal(size=(500, 3)) * [1, 1, 0]
    prior = Empirical(flat)
    n_dead, n_directions, _ = dead_directions(flat[:200] + np.array([0, 0, 5]), prior, 200)
    assert (n_dead, n_directions) == (0, 2)


# Messages.


def test_nothing_to_say_of_a_training_that_went_well():
    for prior in PRIORS:
        assert problems(**well(prior)) == []


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"codes": np.full((500, 3), 0.7)}, ["collapsed", "lr (now 0.001)", "weight (now 0.2)"]),
        ({"codes": np.full((500, 3), 0.7), "n_steps": 1}, ["collapsed"]),
        ({"codes": np.full((500, 3), 0.7), "adversarial_weight": 0.0}, ["collapsed"]),
        (
            {"reconstruction_loss": 1.03},
            ["Nothing was learned", "1.03", "may be independent", "noise (now 0.3)"],
        ),
        (
            {"codes": draws(PRIORS[0], 500) * [1, 0.01, 1]},
            ["dead dimensions", "1 of 3 directions", "n_components (now 3) to 2"],
        ),
        (
            {
                "accuracy": [0.5] * 45 + [0.95] * 5,
                "prior_match": {"distance": 0.6, "null": 0.1, "null_quantile": 0.15},
            },
            ["discriminator won", "95%", "0.6 away", "adversarial_weight (now 0.2)", "max_iter"],
        ),
        (
            {"prior_match": {"distance": 7.0, "null": 0.1, "null_quantile": 0.15}},
            ["do not follow the prior", "7 away"],
        ),
    ],
)
def test_each_problem_is_named_with_parameter_value_and_way_out(changes, parts):
    (message,) = problems(**well(PRIORS[0], **changes))
    missing = [part for part in parts if part not in message]
    assert not missing, f"{missing} not in: {message}"


FAR = {"distance": 0.6, "null": 0.1, "null_quantile": 0.15}
NEAR = {"distance": 0.6, "null": 0.2, "null_quantile": 0.35}  # as with few rows


@pytest.mark.parametrize(
    "changes",
    [
        # Early accuracy, chance, too few steps, or no game at all.
        {"accuracy": [0.99] * 45 + [0.6] * 5, "prior_match": FAR},
        {"accuracy": [0.99] * 50, "prior_match": NEAR},
        {"accuracy": [0.99] * 50, "prior_match": FAR, "n_steps": 100},
        {"accuracy": [], "prior_match": FAR, "adversarial_weight": 0.0},
        # Half of the directions of a plain autoencoder may be as small as they like.
        {"codes": draws(PRIORS[0], 500) * [1, 0.01, 1], "adversarial_weight": 0.0},
        {"codes": draws(PRIORS[0], 500) * 0.05, "n_steps": 100},
        # A Wasserstein critic has no threshold to be right about.
        {"accuracy": [0.99] * 50, "prior_match": FAR, "adversarial_loss": "wasserstein"},
    ],
)
def test_what_is_no_problem(changes):
    assert problems(**well(PRIORS[0], **changes)) == []


@pytest.mark.parametrize("loss", sorted(ADVERSARIAL_LOSSES))
def test_without_a_threshold_no_discriminator_wins(loss):
    logit = torch.linspace(-4, 4, 9)
    both = ADVERSARIAL_LOSSES[loss].on_prior(logit) + ADVERSARIAL_LOSSES[loss].on_codes(logit)
    # Where this is constant, outputs may be moved as one likes.
    has_threshold = not torch.allclose(both, both[0])
    changes = {"accuracy": [0.99] * 50, "prior_match": FAR, "adversarial_loss": loss}
    assert bool(problems(**well(PRIORS[0], **changes))) is has_threshold


# Fits.


@pytest.fixture(scope="module")
def warnings_of_a_collapse():
    model = AdversarialAutoencoder(adversarial_weight=100, lr=0.1, max_iter=80, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(load_wine().data)
    return caught


def test_a_training_that_is_too_fast_collapses_the_code(warnings_of_a_collapse):
    (warning,) = warnings_of_a_collapse
    assert warning.category is ConvergenceWarning
    assert re.search(r"code collapsed.*Lower lr \(now 0\.1\)", str(warning.message))


def test_a_game_of_too_little_weight_is_won_by_the_discriminator():
    X = load_digits().data[:1000]
    model = AdversarialAutoencoder(adversarial_weight=1e-6, lr=3e-3, max_iter=40, random_state=0)
    # More held-out rows than usual: what chance makes of the distance is less.
    model.set_params(validation_fraction=0.3)
    with pytest.warns(ConvergenceWarning, match=r"discriminator won.*weight \(now 1e-06\)"):
        model.fit(X)
    assert model.prior_match_["distance"] > 2 * model.prior_match_["null_quantile"]
    assert model.prior_match_["auroc"] > 0.85


@pytest.mark.parametrize("normalizing_flow", [False, True])
def test_a_code_that_is_wider_than_the_data_has_dead_dimensions(normalizing_flow, monkeypatch):
    monkeypatch.setattr(_flow, "_N_STEPS", 20)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1)) @ rng.normal(size=(1, 6))
    model = AdversarialAutoencoder(4, normalizing_flow=normalizing_flow, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"dead dimensions.*n_components \(now 4\)"):
        model.fit(X)


def test_the_warning_points_at_the_caller(warnings_of_a_collapse):
    assert {w.filename for w in warnings_of_a_collapse} == {__file__}


def constant_columns(n):
    X = np.random.default_rng(0).normal(size=(200, 6))
    X[:, :n] = [0, 1e6, -3, 1, 2][:n]
    return X


ORDINARY = {
    "iris": load_iris().data,
    "breast_cancer": load_breast_cancer().data,
    "constant_columns": constant_columns(3),
    "one_column_that_varies": constant_columns(5),
    "constant": np.ones((50, 4)),
    "twenty_rows": np.random.default_rng(0).normal(size=(20, 5)),
    "two_rows": np.eye(2),
    "two_values": np.repeat(np.eye(4)[:2], 50, axis=0),
    "one_column": np.random.default_rng(0).normal(size=(100, 1)),
}


# Of ordinary numbers, of constant ones, and of few rows.
FIRST = {"iris", "constant_columns", "constant", "twenty_rows"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in FIRST else pytest.mark.thorough) for name in ORDINARY],
)
def test_ordinary_data_give_no_warning(name):
    # Warnings are errors in these tests.
    AdversarialAutoencoder(random_state=0).fit(ORDINARY[name])


@pytest.mark.parametrize("max_iter", [1, 5])
def test_short_trainings_give_no_warning(max_iter):
    for X in ORDINARY.values():
        AdversarialAutoencoder(max_iter=max_iter, random_state=0).fit(X)


def test_chunks_give_no_warning():
    X, _ = make_blobs(600, n_features=6, centers=3, random_state=0)
    model = AdversarialAutoencoder(random_state=0)
    for _ in range(4):
        for chunk in np.array_split(X, 6):
            model.partial_fit(chunk)
    assert model.net_.game.n_steps_ == model.n_iter_ * 4
