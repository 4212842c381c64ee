"""Cause errors and warnings that a user can cause, and print them, to be read as by a stranger.

    python tests/messages.py
    python tests/messages.py --only labels

Each should name the parameter or array, the rule, what was received, and the way out. A case that
ends in no message, or in an error of another kind than those documented, is marked.
"""

from __future__ import annotations

import argparse
import inspect
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.exceptions import NotFittedError
from test_bad_input import BAD_DATA, BAD_PARAMETERS, X, with_value
from torch import nn

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    AdversarialTextAutoencoder,
    Chunks,
    ConditionalAdversarialAutoencoder,
    displays,
    load,
    metrics,
    modules,
    priors,
    save,
)
from sklearn_aae.callbacks import Checkpoint, EarlyStopping

Cases = Iterator[tuple[str, Callable[[], Any]]]

Y = np.arange(40) % 2
FRAME = pd.DataFrame({"number": X[:, 0], "colour": np.array(["red", "blue"])[Y]})
STRINGS = [f"{a} {b}" for a in ("red", "blue", "green") for b in ("box", "ball", "lamp", "cup")]


def small(cls: type = AdversarialAutoencoder, **parameters: Any) -> Any:
    return cls(**{"n_components": 2, "max_iter": 1, "random_state": 0, **parameters})


def text(**parameters: Any) -> Any:
    return small(AdversarialTextAutoencoder, hidden_size=8, embedding_size=8, **parameters)


def of_parameters() -> Cases:
    for parameters, _ in BAD_PARAMETERS:
        yield f"{parameters}", lambda p=parameters: small(**p).fit(X)
    classes = {
        AdversarialAutoencoderClassifier: [
            {"class_prior": "even"},
            {"class_prior": [0.5]},
            {"class_weight": {5: 1.0}},
            {"class_weight": {0: -1.0}},
            {"class_weight": "heavy"},
            {"virtual_adversarial_radius": 0},
        ],
        AdversarialAutoencoderClusterer: [
            {"n_clusters": 0},
            {"n_clusters": 41},
            {"cluster_prior": [0.5, 0.7], "n_clusters": 2},
        ],
    }
    for cls, choices in classes.items():
        for parameters in choices:
            yield (
                f"{cls.__name__} {parameters}",
                lambda c=cls, p=parameters: small(c, **p).fit(X, Y),
            )
    for parameters in (
        {"normalizing_flow": True, "score_method": "discriminator"},
        {"normalizing_flow": "yes"},
        {"precision": "float16"},
        {"compile": "yes"},
        {"references": "none"},
        {"n_references": 0},
        {"callbacks": [Checkpoint("")], "random_state": None},
        {"callbacks": [Checkpoint("x", every=0)]},
        {"callbacks": EarlyStopping},
        {"device": "cuda"},
        {"categorical_features": ["colour"]},
        {"categorical_features": [7]},
        {"optimizer": "adam"},
    ):
        yield f"{parameters}", lambda p=parameters: small(**p).fit(X)
    yield "unknown parameter", lambda: small(n_component=2)
    yield "unknown parameter set", lambda: small().set_params(prior__spread=3)


def of_data() -> Cases:
    for i, (data, parts) in enumerate(BAD_DATA):
        yield f"data {i} {parts}", lambda d=data: small().fit(d)
    dates = np.array(["2024-01-01", "2024-01-02"] * 20, dtype="M8[D]")
    yield "strings", lambda: small().fit(np.array([["a", "b"]] * 40))
    yield "strings of numbers", lambda: small().fit(np.array([["1", "2"]] * 40))
    yield "dates", lambda: small().fit(np.stack([dates, dates], axis=1))
    yield "dates as objects", lambda: small().fit(np.stack([dates, dates], axis=1).astype(object))
    yield "durations", lambda: small().fit(np.zeros((40, 2), dtype="m8[s]"))
    yield "bytes", lambda: small().fit(np.array([[b"a", b"b"]] * 40))
    yield "None in objects", lambda: small().fit(np.array([[{}, []]] * 40, dtype=object))
    yield "4-D", lambda: small().fit(np.zeros((10, 1, 4, 4)))
    yield "3-D", lambda: small().fit(np.zeros((10, 4, 4)))
    yield "a tensor on 4-D", lambda: small().fit(torch.zeros(10, 1, 4, 4))
    yield "a number", lambda: small().fit(3)
    yield "None", lambda: small().fit(None)
    yield "a dict", lambda: small().fit({"a": [1, 2]})
    yield "a string", lambda: small().fit("rows")
    yield "ragged", lambda: small().fit([[1, 2], [3]])
    yield "a series", lambda: small().fit(FRAME["number"])
    yield "sparse NaN", lambda: small().fit(sparse.csr_array(with_value(np.nan)))
    yield "frame of mixed", lambda: small().fit(pd.DataFrame({"a": [1, "x"] * 20}))
    yield "frame of lists", lambda: small().fit(pd.DataFrame({"a": [[1], [2]] * 20}))
    yield "frame of complex", lambda: small().fit(pd.DataFrame({"a": [1j, 2] * 20}))
    yield "frame, infinite", lambda: small().fit(FRAME.assign(number=[np.inf, *range(39)]))
    yield (
        "frame, names twice",
        lambda: small().fit(pd.DataFrame(np.zeros((5, 2)), columns=["a", "a"])),
    )
    yield (
        "frame, levels",
        lambda: small().fit(
            pd.DataFrame(np.zeros((5, 2)), columns=pd.MultiIndex.from_product([["a"], ["b", "c"]]))
        ),
    )
    yield "frame, empty", lambda: small().fit(FRAME[:0])
    yield "text not named", lambda: small(categorical_features=["number"]).fit(FRAME)
    yield "chunks, none", lambda: small().fit(Chunks([]))
    yield "chunks, other widths", lambda: small().fit(Chunks([X, X[:, :2]]))
    yield "chunks, dtypes", lambda: small().fit(Chunks([X, X.astype("f4")]))
    yield "chunks, generator", lambda: Chunks(x for x in [X])
    yield "chunks, no rows", lambda: small().fit(Chunks([lambda: None]))
    yield (
        "chunks for a classifier",
        lambda: small(AdversarialAutoencoderClassifier).fit(Chunks([X]), Y),
    )
    yield "X_val of another width", lambda: small().fit(X, X_val=X[:, :2])
    yield "X_val with gaps", lambda: small().fit(X, X_val=with_value(np.nan))
    yield "weights, negative", lambda: small().fit(X, sample_weight=-np.ones(40))
    yield "weights, zero", lambda: small().fit(X, sample_weight=np.zeros(40))
    yield "weights, too few", lambda: small().fit(X, sample_weight=np.ones(3))
    yield "weights, NaN", lambda: small().fit(X, sample_weight=np.full(40, np.nan))
    yield "weights, strings", lambda: small().fit(X, sample_weight=["a"] * 40)
    yield "too few to hold out", lambda: small(early_stopping=True).fit(X[:3])
    yield "partial_fit of gaps", lambda: small().partial_fit(X).partial_fit(with_value(np.nan))


def of_labels() -> Cases:
    labelled = (AdversarialAutoencoderClassifier, ConditionalAdversarialAutoencoder)
    for cls in labelled:
        fit = small(cls).fit
        yield f"{cls.__name__}: none", lambda f=fit: f(X)
        yield "too few", lambda f=fit: f(X, Y[:3])
        yield "one class", lambda f=fit: f(X, np.zeros(40))
        yield "continuous", lambda f=fit: f(X, X[:, 0])
        yield "NaN", lambda f=fit: f(X, np.where(Y, np.nan, 1.0))
        yield "None among them", lambda f=fit: f(X, np.where(Y, None, "a"))
        yield "-1 among strings", lambda f=fit: f(X, np.array(["a", "b", -1, "c"] * 10, object))
        yield "-1 as a string", lambda f=fit: f(X, np.array(["a", "b", "-1", "c"] * 10))
        yield "all unlabelled", lambda f=fit: f(X, np.full(40, -1))
        yield "some unlabelled", lambda f=fit: f(X, np.where(np.arange(40) % 4, Y, -1))
        yield "columns", lambda f=fit: f(X, np.stack([Y, Y], axis=1))
        yield "one column", lambda f=fit: f(X, Y[:, None])
        yield "labels that weigh nothing", lambda f=fit: f(X, Y, np.where(Y, 1.0, 0.0))
        model = small(cls).fit(X, Y)
        yield "sample of an unknown class", lambda m=model: m.sample(2, y=5)
        yield "sample of too few classes", lambda m=model: m.sample(3, y=[0, 1])
        yield (
            "warm start, other classes",
            lambda m=model: m.set_params(warm_start=True).fit(X, Y + 3),
        )
    model = small(ConditionalAdversarialAutoencoder).fit(X, Y)
    yield "sample without a class", lambda: model.sample(2)
    yield "translate to no class", lambda: model.translate(X, 7)
    yield "reconstruct without y", lambda: model.reconstruct(X)
    ring = small(prior=priors.MixtureOfGaussians(3))
    yield "labels of a prior", lambda: ring.fit(X, np.full(40, 7))
    yield "strings of a prior", lambda: ring.fit(X, np.full(40, "a"))
    yield (
        "labels with a flow",
        lambda: small(prior=priors.MixtureOfGaussians(2), normalizing_flow=True).fit(X, Y),
    )


def of_use() -> Cases:
    model = small().fit(X)
    for name in ("transform", "predict", "reconstruct", "score_samples", "impute"):
        yield f"unfitted {name}", lambda n=name: getattr(small(), n)(X)
    yield "unfitted sample", lambda: small().sample()
    yield "other width", lambda: model.transform(X[:, :3])
    yield "one row", lambda: model.transform(X[0])
    yield "no rows", lambda: model.transform(X[:0])
    yield "infinite", lambda: model.transform(with_value(np.inf))
    yield "strings", lambda: model.transform([["a"] * 4])
    yield "codes of another width", lambda: model.inverse_transform(np.zeros((2, 3)))
    yield "codes that are NaN", lambda: model.inverse_transform(np.full((2, 2), np.nan))
    yield "codes of one dimension", lambda: model.inverse_transform(np.zeros(2))
    yield "n_samples", lambda: model.sample(0)
    yield "n_samples is no int", lambda: model.sample("3")
    yield "random_state", lambda: model.sample(2, random_state="a")
    yield "interpolate", lambda: model.interpolate(X[:2], X[:3])
    yield "interpolate, steps", lambda: model.interpolate(X[:2], X[:2], n_steps=1)
    yield "n_draws", lambda: model.impute(with_value(np.nan), n_draws=0)
    yield "p_values without held-out rows", lambda: small().fit(X[:10]).p_values(X)
    yield "p_values after partial_fit", lambda: small().partial_fit(X).p_values(X)
    yield "set_output", lambda: model.set_output(transform="numpy").transform(X)
    of_frame = small().fit(FRAME)
    yield "names in another order", lambda: of_frame.transform(FRAME[FRAME.columns[::-1]])
    yield "names missing", lambda: of_frame.transform(FRAME[["number"]])
    yield "an array for a frame", lambda: of_frame.transform(FRAME.to_numpy())
    yield "a column of another type", lambda: of_frame.transform(FRAME.assign(number="x"))
    yield "categories unseen", lambda: of_frame.transform(FRAME.assign(colour="pink"))
    yield "warm start, other width", lambda: small(warm_start=True).fit(X).fit(X[:, :2])
    yield (
        "warm start, fewer clusters",
        lambda: (
            small(AdversarialAutoencoderClusterer, n_clusters=2, warm_start=True)
            .fit(X)
            .set_params(n_clusters=3)
            .fit(X)
        ),
    )


def of_training() -> Cases:
    noise = np.random.default_rng(0).normal(size=(300, 20))
    yield "diverges", lambda: small(lr=1e30, max_iter=5).fit(X)
    yield "pure noise", lambda: small(max_iter=150).fit(noise)
    yield (
        "a discriminator that wins",
        lambda: small(adversarial_weight=1e-9, discriminator_lr=1e-2, max_iter=100).fit(X),
    )
    yield (
        "clusters in one",
        lambda: small(AdversarialAutoencoderClusterer, n_clusters=3).fit(np.zeros((40, 3))),
    )
    yield "values too large", lambda: small().fit(X * 1e307)
    yield "networks too large", lambda: small(hidden_layer_sizes=(10**8, 10**8)).fit(X)


def of_text() -> Cases:
    yield "one string", lambda: text().fit("red box")
    yield "numbers", lambda: text().fit([1, 2, 3])
    yield "bytes", lambda: text().fit([b"red", b"blue"])
    yield "None", lambda: text().fit(["red", None])
    yield "two columns", lambda: text().fit(np.array([["a", "b"]] * 9))
    yield "a set", lambda: text().fit({"a", "b"})
    yield "too few", lambda: text().fit(["red"])
    yield "surrogates", lambda: text().fit(["red \ud800", "blue"])
    yield "cut strings", lambda: text(max_length=1).fit(STRINGS)
    model = text().fit(STRINGS)
    yield "temperature", lambda: model.sample(2, temperature=-1)
    yield "interpolate", lambda: model.interpolate(STRINGS[:2], STRINGS[:3])


def of_files() -> Cases:
    directory = Path(tempfile.mkdtemp())
    path = directory / "model"
    save(small().fit(X), path)
    content = path.read_bytes()

    def written(content: bytes) -> Path:
        path.write_bytes(content)
        return path

    yield "save unfitted", lambda: save(small(), path)
    yield "save another", lambda: save(nn.Linear(2, 2), path)
    yield "save to a directory", lambda: save(small().fit(X), directory)
    yield (
        "save own network",
        lambda: load(
            save(small(encoder=nn.Linear(4, 2)).fit(X), directory / "own") or directory / "own"
        ),
    )
    yield "load nothing", lambda: load(directory / "none")
    yield "load a directory", lambda: load(directory)
    yield "load text", lambda: load(written(b"text"))
    yield "load half", lambda: load(written(content[: len(content) // 2]))
    yield "load damage", lambda: load(written(content[:-9] + b"x" + content[-8:]))
    yield "load networks not asked for", lambda: load(written(content), encoder=nn.Linear(4, 2))


def of_parts() -> Cases:
    for make in (
        lambda: priors.bind_prior(priors.Normal(-1), 2),
        lambda: priors.bind_prior(priors.Uniform(1, 0), 2),
        lambda: priors.bind_prior(priors.Categorical(3, [0.5, 0.5]), 3),
        lambda: priors.bind_prior(priors.Empirical("rows"), 2),
        lambda: priors.Normal().sample(3, torch.Generator()),
        lambda: modules.MultilayerPerceptron(4, 2, activation="none"),
        lambda: metrics.maximum_mean_discrepancy(X, X[:, :2]),
        lambda: metrics.maximum_mean_discrepancy(X, X, kernel="linear"),
        lambda: metrics.classifier_two_sample_score(X, X, classifier=nn.ReLU()),
        lambda: metrics.classifier_two_sample_score(X[:3], X),
        lambda: displays.LatentSpaceDisplay.from_estimator(small(), X),
        lambda: displays.TrainingCurveDisplay.from_estimator(nn.ReLU()),
    ):
        yield inspect.getsource(make).strip().removeprefix("lambda: ").rstrip(","), make


GROUPS = {
    "parameters": of_parameters,
    "data": of_data,
    "labels": of_labels,
    "use": of_use,
    "training": of_training,
    "text": of_text,
    "files": of_files,
    "parts": of_parts,
}
DOCUMENTED = (ValueError, TypeError, NotFittedError, MemoryError, OSError, ImportError)


def said(function: Callable[[], Any]) -> list[str]:
    """Warnings and the error of a call, a line each."""
    lines = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            function()
        except Exception as error:
            mark = "" if isinstance(error, DOCUMENTED) else "UNDOCUMENTED "
            lines.append(f"{mark}{type(error).__name__}: {error}")
    lines = [f"{type(w.message).__name__}: {w.message}" for w in caught] + lines
    return lines or ["NOTHING SAID"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sorted(GROUPS), default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    n_undocumented = 0
    for group, cases in GROUPS.items():
        if options.only not in (None, group):
            continue
        for name, function in cases():
            print(f"{group}, {name}", flush=True)
            for line in said(function):
                n_undocumented += line.startswith("UNDOCUMENTED")
                print(textwrap.indent(textwrap.fill(line, 110), "    "), flush=True)
    return n_undocumented


if __name__ == "__main__":
    sys.exit(main())
