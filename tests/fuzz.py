"""Fit random estimators to random tables and see that every outcome is a promised one.

    python tests/fuzz.py --minutes 30 --seed 0

Half of the cases are ordinary: valid parameters and finite data, however scaled, typed and laid
out. They have to be fitted. In the other half parameters, labels and weights may be extreme or
wrong: the fit, or an error that names one of them, and nothing else. `invariants.py` has what must
hold of a fit, and `fuzz_rows.py` cases of rows that are no plain numbers. The counts of outcomes
are printed, and the cases that violate something.
"""

import argparse
import secrets
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import fuzz_rows
import hypothesis
import numpy as np
import pandas as pd
import torch
from hypothesis import strategies as st
from invariants import check_fit, require
from sklearn.mixture import GaussianMixture
from torch import nn

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
    priors,  # noqa: F401  # for the expressions below
)
from sklearn_aae._learned import flow
from sklearn_aae._training.critics import ADVERSARIAL_LOSSES
from sklearn_aae.modules import ACTIVATIONS

ESTIMATORS = [
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
]

# What is promised of a flow does not depend on how well it is trained.
FLOW_STEPS = 20

# Tables.

DTYPES = ["float64", "float32", "float16", "longdouble", ">f8", ">f4", "object", "bool"]
DTYPES += ["int64", "int8", "uint8", ">i4"]
LAYOUTS = ["C", "F", "strided", "reversed", "read-only", "memmap", "unaligned", "frame", "list"]
VALUES = ["normal", "integers", "heavy", "skewed", "mostly zero", "two", "unit", "counts", "ties"]


@dataclass(frozen=True)
class Table:
    """A recipe for X that prints well.

    `exponents` are powers of ten that the columns are multiplied by in turn, `offset` is one that
    is added, in units of the scale.
    """

    n_rows: int = 20
    n_features: int = 3
    values: str = "normal"
    exponents: tuple[int, ...] = (0,)
    offset: int | None = None
    n_constant: int = 0
    n_copied: int = 0
    n_repeated: int = 0
    dtype: str = "float64"
    layout: str = "C"
    seed: int = 0

    def numbers(self, n_rows=None, seed=0):
        """The values as float64."""
        rng = np.random.default_rng([self.seed, seed])
        shape = (n_rows or self.n_rows, self.n_features)
        X = {
            "normal": lambda: rng.normal(size=shape),
            "integers": lambda: rng.integers(-100, 100, size=shape).astype(float),
            "heavy": lambda: rng.standard_cauchy(size=shape),
            "skewed": lambda: rng.lognormal(sigma=3, size=shape),
            "mostly zero": lambda: rng.normal(size=shape) * (rng.random(shape) < 0.1),
            "two": lambda: rng.integers(0, 2, size=shape).astype(float),
            "unit": lambda: rng.random(shape),
            "counts": lambda: rng.poisson(3, size=shape).astype(float),
            "ties": lambda: rng.choice([0.0, 1e-3, 1.0, 1 + 1e-15], size=shape),
        }[self.values]()
        if self.offset is not None:
            X += 10.0**self.offset
        X *= 10.0 ** np.resize(self.exponents, self.n_features)
        # The first columns are constant, the last are copies of those before them.
        X[:, : self.n_constant] = X[0, : self.n_constant]
        if self.n_copied:
            X[:, -self.n_copied :] = X[:, [-self.n_copied - 1]]
        X[len(X) - self.n_repeated :] = X[0]
        return X

    def cast(self, X):
        dtype = np.dtype(self.dtype)
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            # Not to the very limit of int64, which float64 cannot tell from the next power of two.
            X = np.rint(X).clip(max(limits.min, -(2**62)), min(limits.max, 2**62))
        elif dtype.kind == "f":
            largest = min(float(np.finfo(dtype).max), 1e300)
            X = X.clip(-largest, largest)
        return X.astype(dtype)

    def build(self):
        """X in its dtype and layout."""
        X = self.cast(self.numbers())
        if self.layout == "F":
            return np.asfortranarray(X)
        if self.layout == "strided":
            wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]), dtype=X.dtype)
            wide[::2, ::3] = X
            return wide[::2, ::3]
        if self.layout == "reversed":
            return X[::-1, ::-1].copy()[::-1, ::-1]
        if self.layout == "read-only":
            X.flags.writeable = False
        elif self.layout == "memmap" and X.dtype != object:
            with tempfile.TemporaryFile() as file:
                mapped = np.memmap(file, dtype=X.dtype, mode="w+", shape=X.shape)
            mapped[:] = X
            return mapped
        elif self.layout == "unaligned" and X.dtype != object:
            raw = np.zeros(X.nbytes + 1, dtype=np.uint8)
            shifted = raw[1:].view(X.dtype).reshape(X.shape)
            shifted[:] = X
            return shifted
        elif self.layout == "frame" and X.dtype.isnative and X.dtype != np.longdouble:
            return pd.DataFrame(X, columns=[f"column {i}" for i in range(X.shape[1])])
        elif self.layout == "list":
            return X.tolist()
        return X

    def queries(self):
        """Rows that no training saw: of the same law, all zero, and far out."""
        X = self.numbers(4, seed=1)
        X[1] = 0
        X[2] *= 1e3
        X[3] *= -1e6
        return self.cast(X).astype(np.float64)


@st.composite
def tables(draw, *, min_rows=2):
    n, n_features = draw(st.integers(min_rows, 30)), draw(st.integers(1, 6))
    exponent = st.just(0) | st.integers(-30, 30)
    return Table(
        n_rows=n,
        n_features=n_features,
        values=draw(st.sampled_from(VALUES)),
        exponents=tuple(draw(st.lists(exponent, min_size=1, max_size=3))),
        offset=draw(st.none() | st.integers(-3, 12)),
        n_constant=draw(st.just(0) | st.integers(0, n_features)),
        n_copied=draw(st.just(0) | st.integers(0, n_features - 1)),
        n_repeated=draw(st.just(0) | st.integers(0, n)),
        dtype=draw(st.sampled_from(["float64", "float32"]) | st.sampled_from(DTYPES)),
        layout=draw(st.just("C") | st.sampled_from(LAYOUTS)),
        seed=draw(st.integers(0, 2**32 - 1)),
    )


# Parameters. Networks, priors and optimisers print as the call that makes them.


@dataclass(frozen=True)
class Made:
    """A value by the expression that makes it, fresh for every fit."""

    expression: str

    def __repr__(self):
        return self.expression

    def make(self):
        return eval(self.expression, globals())


class LinearThenDropout(nn.Sequential):
    def __init__(self, n_in, n_out):
        super().__init__(nn.Linear(n_in, n_out), nn.Dropout(0.5))


class LinearAndBatchNorm(nn.Sequential):
    def __init__(self, n_in, n_out):
        super().__init__(nn.BatchNorm1d(n_in), nn.Linear(n_in, n_out))


class Triangular:
    """A prior of a user: nothing but `sample`."""

    def sample(self, n_samples, generator):
        return torch.rand(n_samples, 2, generator=generator) + torch.rand(
            n_samples, 2, generator=generator
        )


def mixture():
    return GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).normal(size=(20, 2)))


# Rprop is with the odd ones: it knows no weight_decay.
OPTIMIZERS = ["Adam", "AdamW", "SGD", "RMSprop", "Adagrad", "Adamax", "NAdam", "RAdam"]
OPTIMIZERS += ["Adadelta", "ASGD", "Adafactor"]

# Values that every estimator has to work with, whatever the table. Widths suit a code of 2.
ORDINARY = {
    "n_components": [1, 2, 3, np.int64(2), 8, "auto"],
    "hidden_layer_sizes": [(), (1,), (4, 3), [5], Made("np.array([3, 2])")],
    "activation": sorted(ACTIVATIONS),
    "posterior": ["deterministic", "gaussian", "implicit"],
    "prior": ["normal", "uniform", Made("priors.Normal(scale=0.01)"), Made("priors.Uniform(0, 9)")],
    "likelihood": ["gaussian", "laplace"],
    "categorical_features": [None],
    "adversarial_weight": [0, 1, np.float32(0.5), 10.0],
    "adversarial_loss": list(ADVERSARIAL_LOSSES),
    "gradient_penalty": [0, 1.0],
    "instance_noise": [0.5],
    "noise": [0, 1.0],
    "standardize": [np.True_],
    "lr": [1e-5, 1e-2],
    "discriminator_lr": [1e-5, 1e-2],
    "weight_decay": [1e-3],
    "optimizer": [Made(f"torch.optim.{name}") for name in OPTIMIZERS],
    "batch_size": [1, 2, 3, 7, 10**9],
    "max_iter": [2, 3],
    "early_stopping": [True],
    "validation_fraction": [1e-300, 0.5],
    "n_iter_no_change": [1],
    "tol": [0, 1e300],
    "warm_start": [True],
    "callbacks": [[]],
    "device": ["cpu", Made("torch.device('cpu')")],
    "precision": ["bf16"],
    # Compiling takes seconds for each case: tests/test_acceleration.py does it.
    "compile": [False, np.False_],
    "normalizing_flow": [False, np.False_, True],
    "verbose": [1],
    "random_state": [None, 2**32 - 1, np.int8(3), Made("np.random.RandomState(5)")],
    "encoder": [Made("LinearThenDropout"), Made("nn.Linear")],
    "decoder": [Made("LinearThenDropout"), Made("nn.Linear")],
    "discriminator": [Made("nn.Linear")],
    "score_method": ["log_likelihood", "reconstruction"],
    "sampler": ["prior"],
    "contamination": [1e-300, 0.1, 0.5],
    "references": ["means"],
    "n_references": [1, 2, 7],
    "class_prior": ["uniform", "empirical"],
    "class_weight": ["balanced"],
    "category_weight": [1e-3, 10],
    "classification_weight": [1e-3, 10],
    "propagation_weight": [0, 10],
    "virtual_adversarial_weight": [0, 10],
    "virtual_adversarial_radius": [1e-3, 1],
    "n_clusters": [1, 2],
    "cluster_prior": ["auto"],
    "agreement_weight": [0, 10],
    "n_neighbors": [1, 3, 10**9],
    "certainty_weight": [0, 10],
    "balance_weight": [0, 10],
    "separation_weight": [0, 10],
    "separation_distance": [1e-3, 100],
}

# Values that are allowed, but may end in a divergence or not suit the rest.
_TINY_TO_HUGE = [1e-300, 1e-30, 1e3, 1e30, 1e300, np.float32(1e38)]
EXTREME = {
    "n_components": [64],
    "hidden_layer_sizes": ["auto"],
    "prior": [
        "mixture_of_gaussians",
        "swiss_roll",
        *map(
            Made,
            [
                "priors.Normal(scale=1e300)",
                "priors.Normal(scale=1e-300)",
                "priors.Normal(n_components=2)",
                "priors.Uniform(0, 1e-300)",
                "priors.Uniform(-10, 10)",
                "priors.MixtureOfGaussians(3)",
                "priors.MixtureOfGaussians(3, radius=10, tangential_scale=1e-30)",
                "priors.MixtureOfGaussians(1)",
                "priors.SwissRoll(2, scale=1e-30)",
                "priors.Categorical(2)",
                "priors.Categorical(2, [1, 0])",
                "priors.Empirical(np.eye(2))",
                "priors.Empirical(np.zeros((1, 2)))",
                "priors.Empirical(mixture())",
                "Triangular()",
            ],
        ),
    ],
    "likelihood": ["bernoulli", "poisson"],
    **dict.fromkeys(
        [
            *("adversarial_weight", "gradient_penalty", "instance_noise", "noise", "lr"),
            *("discriminator_lr", "weight_decay", "tol", "category_weight"),
            *("classification_weight", "virtual_adversarial_weight", "separation_weight"),
            *("virtual_adversarial_radius", "separation_distance", "agreement_weight"),
            *("certainty_weight", "balance_weight", "propagation_weight"),
        ],
        _TINY_TO_HUGE,
    ),
    "standardize": [False],
    "optimizer": [Made(f"torch.optim.{name}") for name in ("LBFGS", "SparseAdam", "Muon", "Rprop")],
    "batch_size": [10**30],
    "validation_fraction": [0.99, 1 - 1e-16],
    "device": ["cuda", "cuda:99", "meta", "mps", "xpu", "cpu:1"],
    "verbose": [10],
    "image_shape": [(1, 1, 1), (1, 1, 2), (1, 1, 3), (3, 1, 1), (1, 2, 2), (1, 2, 3)],
    "encoder": [*map(Made, ["nn.Linear(3, 2)", "nn.Identity()", "LinearAndBatchNorm"])],
    "decoder": [*map(Made, ["nn.Linear(2, 3)", "nn.Identity()", "LinearAndBatchNorm"])],
    "discriminator": [*map(Made, ["nn.Linear(2, 1)", "LinearAndBatchNorm"])],
    "score_method": ["prior", "discriminator"],
    "class_prior": [[0.5, 0.5], [1, 0], [0.2, 0.3, 0.5]],
    "n_clusters": [3, 8, 31],
}

# Values that no estimator takes, and some that few do.
JUNK = [None, "x", "", -1, 0, 0.5, 2.0, np.nan, np.inf, -np.inf, (), [], {}, 10**30, 1j, b"x"]
JUNK += [True, (0,), (2.5,), [[2]], ["a", "b"], [np.nan, 1], [1], 2**32]
JUNK += [Made(text) for text in ("object()", "np.arange(2)", "np.zeros((0, 2))", "print", "dict")]
JUNK += [Made(text) for text in ("nn.ReLU", "[nn.ReLU()]", "[('name', None)]", "priors.Normal")]
JUNK += [Made("priors.Normal(scale=float('nan'))"), Made("priors.Uniform(float('-inf'), 0)")]

LABELS = ["ints", "strings", "partly", "floats", "bools", "objects", "signs"]
ODD_LABELS = ["one class", "none", "too short", "all unlabelled", "NaN", "continuous", "columns"]
WEIGHTS = ["none", "ones", "random", "some zero"]
ODD_WEIGHTS = ["huge", "tiny", "wide", "negative", "all zero", "NaN", "one", "too short", "ints"]


@dataclass(frozen=True)
class Case:
    estimator: str
    table: Table
    parameters: dict[str, Any] = field(default_factory=dict)
    labels: str = "ints"
    weights: str = "none"
    held_out: bool = False
    is_ordinary: bool = True

    def model(self):
        made = {
            name: value.make() if isinstance(value, Made) else value
            for name, value in self.parameters.items()
        }
        # Small and short: what is promised does not depend on size and time.
        small = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
        estimator = globals()[self.estimator]
        if estimator is AdversarialAutoencoderClusterer:
            small["n_clusters"] = 2  # at most as many as rows
        return estimator(**{**small, **made})

    def y(self):
        n, rng = self.table.n_rows, np.random.default_rng(self.table.seed)
        y = rng.permutation(np.arange(n) % 3 if n > 2 else np.arange(n))
        unlabelled = np.arange(n) % 2 == 1
        return {
            "ints": lambda: y,
            "strings": lambda: np.array(["a", "bb", "ccc"])[y],
            "partly": lambda: np.where(unlabelled & (y > 1), -1, y),
            "floats": lambda: y.astype(float),
            "bools": lambda: y > 0,
            "objects": lambda: np.array(["a", "bb", "ccc"], dtype=object)[y],
            "signs": lambda: np.where(y > 0, 1, -1),
            "one class": lambda: np.zeros(n, dtype=int),
            "none": lambda: None,
            "too short": lambda: y[1:],
            "all unlabelled": lambda: np.full(n, -1),
            "NaN": lambda: np.where(unlabelled, np.nan, y),
            "continuous": lambda: y + 0.5 * rng.random(n),
            "columns": lambda: np.stack([y, y], axis=1),
        }[self.labels]()

    def sample_weight(self):
        n, rng = self.table.n_rows, np.random.default_rng(self.table.seed)
        some = np.arange(n) > n // 2
        return {
            "none": lambda: None,
            "ones": lambda: np.ones(n),
            "random": lambda: rng.random(n) + 0.1,
            "some zero": lambda: 1.0 * ~some,
            "huge": lambda: np.full(n, 1e308),
            "tiny": lambda: np.full(n, 5e-324),
            "wide": lambda: np.where(some, 1e30, 1e-30),
            "negative": lambda: -np.ones(n),
            "all zero": lambda: np.zeros(n),
            "NaN": lambda: np.full(n, np.nan),
            "one": lambda: 3.0,
            "too short": lambda: np.ones(n - 1),
            "ints": lambda: np.arange(n),
        }[self.weights]()

    def run(self):
        """Outcome in a word or two; AssertionError if it is not a promised one."""
        queries = self.table.queries()
        X, X_val = self.table.build(), queries if self.held_out else None
        if X_val is not None and hasattr(X, "columns"):
            X_val = pd.DataFrame(X_val, columns=X.columns)
        outcome = check_fit(
            self.model(),
            X,
            self.y() if self.labels != "none" else None,
            self.sample_weight(),
            X_val=X_val,
            queries=queries,
        )
        if self.is_ordinary:
            require(outcome.startswith("fitted"), f"an ordinary fit failed: {outcome}")
        return outcome


def parameter_names(estimator):
    return sorted(estimator().get_params())


@st.composite
def ordinary_cases(draw, estimator):
    """Cases that have to be fitted."""
    name = estimator.__name__
    supervised = "Classifier" in name or "Conditional" in name
    labels = LABELS if supervised else ["none"]
    if "Conditional" in name:
        labels = [kind for kind in LABELS if kind != "partly"]
    table = draw(tables(min_rows=3 if supervised else 2))
    chosen = draw(st.sets(st.sampled_from(sorted(ORDINARY)), max_size=8))
    known = set(parameter_names(estimator))
    values = {p: draw(st.sampled_from(ORDINARY[p])) for p in sorted(chosen) if p in known}
    return Case(
        name,
        table,
        values,
        labels=draw(st.sampled_from(labels)),
        weights=draw(st.sampled_from(WEIGHTS)),
        held_out=name == "AdversarialAutoencoder" and draw(st.booleans()),
    )


@st.composite
def odd_cases(draw, estimator):
    """Cases that may be refused."""
    pools = {
        name: ORDINARY.get(name, []) + 2 * EXTREME.get(name, [])
        for name in parameter_names(estimator)
    }
    chosen = draw(st.sets(st.sampled_from(sorted(pools)), max_size=6))
    values = {name: draw(st.sampled_from(pools[name])) for name in sorted(chosen)}
    if draw(st.integers(0, 7)) == 7:
        values[draw(st.sampled_from(sorted(pools)))] = draw(st.sampled_from(JUNK))
    return Case(
        estimator.__name__,
        draw(tables()),
        values,
        labels=draw(st.sampled_from(2 * LABELS + ODD_LABELS)),
        weights=draw(st.sampled_from(4 * WEIGHTS + ODD_WEIGHTS)),
        held_out=estimator is AdversarialAutoencoder and draw(st.booleans()),
        is_ordinary=False,
    )


# Running.


def fuzz(minutes, seed, report=print):
    """Outcomes, counted, and the first case of each kind of violation, for a time."""
    end = time.monotonic() + 60 * minutes
    outcomes, violations = Counter(), {}

    def run(case):
        if time.monotonic() > end:
            return
        kind = "ordinary" if case.is_ordinary else "odd"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcome = case.run().split(":")[0]
        except Exception as error:
            where = traceback.extract_tb((error.__cause__ or error).__traceback__)[-1]
            key = f"{where.filename}:{where.lineno} {type(error).__name__}: {str(error)[:60]}"
            if key not in violations:
                violations[key] = case
                report(f"VIOLATION {key}\n  {error}\n  {case!r}")
                traceback.print_exception(error)
            outcome = "violation"
        outcomes[case.estimator, kind, outcome] += 1

    of_numbers = [cases(e) for e in ESTIMATORS for cases in (ordinary_cases, odd_cases)]
    of_rows = [cases() for cases in fuzz_rows.KINDS]
    number = 0
    while time.monotonic() < end:
        for cases in (*of_numbers, *of_rows):
            number += 1
            test = hypothesis.settings(
                max_examples=20,
                phases=[hypothesis.Phase.generate],
                deadline=None,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )(hypothesis.given(cases)(run))
            hypothesis.seed(seed + number)(test)()
    return outcomes, violations


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    flow._N_STEPS = FLOW_STEPS
    seed = secrets.randbits(32) if options.seed is None else options.seed
    print(f"seed {seed}, {options.minutes:g} minutes", flush=True)
    outcomes, violations = fuzz(options.minutes, seed, lambda text: print(text, flush=True))
    for (estimator, kind, outcome), n in sorted(outcomes.items()):
        print(f"{estimator:<44} {kind:<9} {outcome:<28} {n:>6}")
    print(f"{sum(outcomes.values())} cases, {len(violations)} kinds of violations, seed {seed}")
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
