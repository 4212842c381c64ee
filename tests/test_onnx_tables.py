"""ONNX models of tables with gaps, categories, booleans and dates."""

import json

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
    UnseenCategoryWarning,
)
from sklearn_aae._graphs.methods import METHODS
from sklearn_aae._rows.frames import is_frame
from sklearn_aae._rows.table import columns_of_table
from sklearn_aae.onnx import to_onnx

RTOL = {np.float32: 1e-4, np.float64: 1e-9}
ESTIMATORS = {
    "autoencoder": AdversarialAutoencoder(2, max_iter=3, random_state=0),
    "classifier": AdversarialAutoencoderClassifier(2, max_iter=3, random_state=0),
    "clusterer": AdversarialAutoencoderClusterer(n_clusters=2, max_iter=3, random_state=0),
    "conditional": ConditionalAdversarialAutoencoder(2, max_iter=3, random_state=0),
}

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn_aae.UnseenCategoryWarning"),
]


def table(n=120):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "whole": rng.integers(0, 50, n),
            "category": pd.Categorical(rng.choice(list("xyz"), n)),
            "boolean": rng.random(n) > 0.3,
            "date": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
            "text": rng.choice(["up", "down"], n),
        }
    )
    frame.loc[::7, "number"] = np.nan
    frame.loc[::5, "text"] = None
    return frame


@pytest.fixture(scope="module")
def frame():
    return table()


def labels(frame):
    return np.where(frame["whole"] > 25, "many", "few")


@pytest.fixture(scope="module")
def fitted(frame):
    models = {}

    def get(name):
        if name not in models:
            models[name] = ESTIMATORS[name].fit(frame, labels(frame))
        return models[name]

    return get


def as_numbers(model, frame):
    """One number for each cell, as the graph takes them."""
    columns, _ = columns_of_table(frame, model._table.names)
    codes = model._table.codes(columns)
    return np.where(np.isinf(codes), -1, codes)


def assert_agrees(model, frame, method, dtype):
    made = to_onnx(model, method, dtype=dtype)
    run = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    Z = np.random.default_rng(1).normal(size=(len(frame), model.n_components_)).astype(dtype)
    given = {"X": frame, "Z": Z, "y": labels(frame)}
    fed = {"X": as_numbers(model, frame).astype(dtype), "Z": Z, "y": given["y"].astype(object)}
    names = [value.name for value in run.get_inputs()]
    expected = getattr(model, method)(*(given[name] for name in names))
    (actual,) = run.run(None, {name: fed[name] for name in names})
    if is_frame(expected):
        expected = as_numbers(model, expected)
    if expected.dtype.kind != "f":
        assert actual.tolist() == expected.tolist()
        return
    scale = np.abs(expected).max(axis=0)
    assert (np.abs(actual - expected) <= RTOL[dtype] * np.maximum(scale, 1e-3)).all()


CASES = [
    pytest.param(
        name,
        method,
        dtype,
        id=f"{name}-{method}-{dtype.__name__}",
        marks=[]
        if (name, method, dtype) == ("autoencoder", "decision_function", np.float64)
        else pytest.mark.thorough,
    )
    for name, estimator in ESTIMATORS.items()
    for method in METHODS[type(estimator)]
    for dtype in RTOL
]


@pytest.mark.parametrize(("name", "method", "dtype"), CASES)
def test_cells_give_the_answers_of_the_estimator(fitted, frame, name, method, dtype):
    rows = frame.copy()
    rows.loc[3, "text"] = "sideways"  # not seen by fit
    rows.loc[4, ["number", "category", "date", "text"]] = None
    assert_agrees(fitted(name), rows, method, dtype)


@pytest.mark.thorough
@pytest.mark.parametrize("score_method", ["reconstruction", "prior", "discriminator"])
def test_every_score_minds_no_gaps(frame, score_method):
    model = AdversarialAutoencoder(2, score_method=score_method, max_iter=3, random_state=0)
    assert_agrees(model.fit(frame), frame, "score_samples", np.float64)


@pytest.mark.thorough
def test_a_small_table_and_an_array_with_gaps():
    model = AdversarialAutoencoder(2, max_iter=3, random_state=0)
    small = table(15)
    assert_agrees(model.fit(small), small, "score_samples", np.float64)
    X = np.random.default_rng(0).normal(size=(60, 4))
    X[::3, 1] = np.nan
    model.fit(X)
    run = onnxruntime.InferenceSession(to_onnx(model, dtype=np.float64).SerializeToString())
    (scores,) = run.run(None, {"X": X})
    np.testing.assert_allclose(scores, model.score_samples(X), rtol=1e-9)


def test_the_metadata_list_the_categories(fitted, frame):
    said = {p.key: p.value for p in to_onnx(fitted("autoencoder"), "transform").metadata_props}
    columns = json.loads(said["columns"])
    assert [c["name"] for c in columns] == list(frame.columns)
    assert columns[2] == {"name": "category", "kind": "category", "categories": ["x", "y", "z"]}
    assert columns[4]["kind"] == "seconds"


def test_a_category_that_was_not_seen_is_outlying(fitted, frame):
    model = fitted("autoencoder")
    run = onnxruntime.InferenceSession(to_onnx(model, dtype=np.float64).SerializeToString())
    rows = as_numbers(model, frame[:2])
    new = rows.copy()
    new[:, 2] = -1
    (before,), (after,) = run.run(None, {"X": rows}), run.run(None, {"X": new})
    assert (after < before).all()
    with pytest.warns(UnseenCategoryWarning):
        expected = model.score_samples(frame[:2].assign(category="w"))
    np.testing.assert_allclose(after, expected, rtol=1e-9)
