"""Random cases of rows that are no plain numbers: frames with gaps, sparse rows, strings, dask's.

`fuzz.py` runs them beside its own. Each is fitted by ordinary parameters and has to be; what must
hold of the fit is in `RowsCase.run`.
"""

import atexit
import functools
import pickle
import re
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import dask.array
import joblib
import narwhals
import numpy as np
import pandas
import polars
import pyarrow
import scipy.sparse
from distributed import Client, LocalCluster
from hypothesis import strategies as st
from invariants import check_warnings, global_generators, require, silent_fit, weights
from sklearn.base import clone

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    AdversarialTextAutoencoder,
    ConditionalAdversarialAutoencoder,
    load,
    save,
)
from sklearn_aae.dask import DaskAdversarialAutoencoder

# Answers of a row in batches of different sizes differ by rounding, relative to the largest.
ROUNDING = 1e-3

# Of strings beyond a small `max_length`.
CUT = "X has .* strings with more than max_length"

SMALL = {"n_components": 2, "hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}


@dataclass(frozen=True)
class RowsCase:
    """A fit by ordinary parameters; subclasses say of what rows."""

    seed: int
    n_rows: int
    parameters: dict[str, Any] = field(default_factory=dict)

    is_ordinary: ClassVar[bool] = True

    @property
    def estimator(self):
        """What is counted: what is fitted to what."""
        return f"{type(self.model()).__name__}, {type(self).__name__}"

    def model(self):
        return AdversarialAutoencoder(**{**SMALL, **self.parameters})

    def rows(self):
        raise AssertionError("a kind of rows defines rows")

    def y(self):
        return None

    def take(self, rows, positions):
        return rows[positions]

    def content(self, rows):
        return joblib.hash(rows)

    def answers(self, model, rows):
        """What the model says of rows, by name: arrays or frames with a row for each."""
        methods = {
            AdversarialAutoencoder: ["transform", "reconstruct", "score_samples", "feature_scores"],
            AdversarialAutoencoderClassifier: ["transform", "reconstruct", "predict_proba"],
            AdversarialAutoencoderClusterer: ["transform", "reconstruct", "predict_proba"],
            ConditionalAdversarialAutoencoder: ["transform"],
            AdversarialTextAutoencoder: ["transform", "reconstruct", "score_samples"],
        }
        return {name: getattr(model, name)(rows) for name in methods[type(model)]}

    def check(self, model, rows, said):
        """What must hold of these rows alone."""

    def run(self):
        """Outcome in a word or two; AssertionError if it is not a promised one."""
        model, X, y = self.model(), self.rows(), self.y()
        twin, content, generators = clone(model), self.content(X), global_generators()
        given = [X] if y is None else [X, y]
        caught, error = silent_fit(model, *given)
        require(self.content(X) == content, "fit changed its input")
        require(global_generators() == generators, "fit changed a global generator")
        check_warnings([w for w in caught if not re.match(CUT, str(w))], model)
        if error is not None:
            raise error
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", CUT)
            said = self.answers(model, X)
            for name, value in said.items():
                check_finite(name, value)
            self.check(model, X, said)
            order = np.random.RandomState(0).permutation(self.n_rows)
            for what, rows in (("in another order", order), ("alone", order[:1])):
                others = self.answers(model, self.take(X, rows))
                for name, value in said.items():
                    check_close(f"{name} {what}", others[name], taken(value, rows), value)
            copies = {"pickled": pickle.loads(pickle.dumps(model)), "saved": saved(model)}
            for what, other in copies.items():
                check_same(self.answers(other, X), said, what)
            _, error = silent_fit(twin, *given)
            require(error is None, f"a second fit failed: {error}")
            require(weights(twin) == weights(model), "a second fit has other weights")
        return "fitted" + (", warned" if caught else "")


def saved(model):
    with tempfile.TemporaryDirectory() as directory:
        save(model, Path(directory) / "model.safetensors")
        return load(Path(directory) / "model.safetensors")


# Answers: arrays, or frames of any library.


def in_columns(answer):
    """Columns of an answer, as arrays of numbers or of objects."""
    if hasattr(answer, "columns"):
        frame = narwhals.from_native(answer).to_pandas()
        columns = [frame[name] for name in frame.columns]
    else:
        array = np.asarray(answer)
        return list(array.reshape(len(array), -1).T)
    return [
        column.to_numpy()
        if column.dtype.kind in "mM" or isinstance(column.dtype, pandas.CategoricalDtype)
        else column.to_numpy(dtype=float, na_value=np.nan)
        if pandas.api.types.is_numeric_dtype(column.dtype)
        else column.to_numpy(dtype=object)
        for column in columns
    ]


def taken(answer, rows):
    if hasattr(answer, "columns"):
        return narwhals.from_native(answer)[rows.tolist()].to_native()
    return answer[rows]


def check_finite(name, answer):
    for values in in_columns(answer):
        if values.dtype.kind == "f":
            require(np.isfinite(values).all(), f"{name} holds NaN or infinity")
        else:
            require(not pandas.isna(values).any(), f"{name} has gaps")


def check_close(what, answer, expected, all_rows):
    for one, other, values in zip(*map(in_columns, (answer, expected, all_rows)), strict=True):
        if one.dtype.kind in "fmM":
            one, other, values = (v.astype(float) for v in (one, other, values))
            tolerance = ROUNDING * max(1.0, np.abs(values).max())
            require((np.abs(one - other) <= tolerance).all(), f"{what} differs")
        else:
            require((one == other).all(), f"{what} differs")


def check_same(answers, expected, what):
    for name, value in expected.items():
        pairs = zip(in_columns(answers[name]), in_columns(value), strict=True)
        require(all(np.array_equal(a, b) for a, b in pairs), f"{name} differs of the {what} model")


# Frames.

COLUMNS = {
    "number": lambda rng, n: rng.normal(size=n) * 10.0 ** rng.integers(-9, 9),
    "float32": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "whole": lambda rng, n: pandas.array(rng.integers(-5, 300, size=n), dtype="Int64"),
    "text": lambda rng, n: rng.choice(["", "a", "ä ö", "日本", "a,b"], size=n).astype(object),
    "name": lambda rng, n: np.array([f"name {i}" for i in rng.integers(10**6, size=n)], object),
    "category": lambda rng, n: pandas.Categorical(
        rng.choice(["S", "M", "L"], size=n), categories=["S", "M", "L", "XL"], ordered=True
    ),
    "boolean": lambda rng, n: pandas.array(rng.random(n) < 0.2, dtype="boolean"),
    "date": lambda rng, n: (
        np.datetime64("2024-01-01", "us") + rng.integers(10**14, size=n).astype("m8[us]")
    ),
    "duration": lambda rng, n: rng.integers(10**12, size=n).astype("m8[us]"),
    "constant": lambda rng, n: np.full(n, 3.5),
}
LIBRARIES = {
    "pandas": lambda frame: frame,
    "polars": polars.from_pandas,
    "pyarrow": lambda frame: pyarrow.Table.from_pandas(frame, preserve_index=False),
}
ESTIMATORS = {
    "autoencoder": AdversarialAutoencoder,
    "classifier": AdversarialAutoencoderClassifier,
    "clusterer": functools.partial(AdversarialAutoencoderClusterer, n_clusters=2),
    "conditional": ConditionalAdversarialAutoencoder,
}


@dataclass(frozen=True)
class Frame(RowsCase):
    """Columns of any kind with missing cells, in a frame of any library."""

    kinds: tuple[str, ...] = ()
    missing: float = 0.0
    library: str = "pandas"
    kind_of_model: str = "autoencoder"

    def model(self):
        return ESTIMATORS[self.kind_of_model](**{**SMALL, **self.parameters})

    def rows(self):
        rng = np.random.default_rng(self.seed)
        frame = pandas.DataFrame(
            {f"{kind} {j}": COLUMNS[kind](rng, self.n_rows) for j, kind in enumerate(self.kinds)}
        )
        gaps = rng.random(frame.shape) < self.missing
        gaps[0] = False  # of which nothing is known, no kind is
        return LIBRARIES[self.library](frame.mask(gaps))

    def y(self):
        if self.kind_of_model in ("autoencoder", "clusterer"):
            return None
        y = np.arange(self.n_rows) % 2
        unlabelled = (self.kind_of_model == "classifier") & (np.arange(self.n_rows) % 3 == 2)
        return np.where(unlabelled, -1, y)

    def take(self, rows, positions):
        return narwhals.from_native(rows)[positions.tolist()].to_native()

    def content(self, rows):
        # pandas keeps what it has computed of a frame inside of it.
        return joblib.hash([narwhals.from_native(rows).schema, *in_columns(rows)])

    def check(self, model, rows, said):
        schema = narwhals.from_native(rows).schema
        of_class = {"y": 1} if type(model) is ConditionalAdversarialAutoencoder else {}
        frames = {"sample": model.sample(3, **of_class, random_state=0)}
        if "reconstruct" in said:
            frames["reconstruct"] = said["reconstruct"]
        if type(model) is AdversarialAutoencoder:
            frames["impute"] = model.impute(rows)
            check_finite("impute", frames["impute"])
            for given, filled in zip(*map(in_columns, (rows, frames["impute"])), strict=True):
                known = ~pandas.isna(given)
                same = np.array_equal(given[known], filled[known])
                require(same, "impute changed a cell that was there")
        for name, frame in frames.items():
            frame = frame[0] if isinstance(frame, tuple) else frame
            require(narwhals.from_native(frame).schema == schema, f"{name} has other columns")


# Sparse rows.


@dataclass(frozen=True)
class Sparse(RowsCase):
    """Sparse rows of any format, which are to get the answers of dense ones."""

    n_columns: int = 1
    density: float = 0.1
    format: str = "csr"
    dtype: str = "float64"

    def rows(self):
        rng = np.random.default_rng(self.seed)
        shape = self.n_rows, self.n_columns
        X = (rng.random(shape) < self.density) * rng.normal(size=shape) * 50
        X = scipy.sparse.coo_array(X.astype(self.dtype))
        # Places in any order, and some twice.
        order = rng.permutation(X.nnz)
        X = scipy.sparse.coo_array((X.data[order], tuple(c[order] for c in X.coords)), shape)
        kind, _, container = self.format.partition(" ")
        X = X if kind == "coo" else X.asformat(kind)
        return getattr(scipy.sparse, f"{kind}_matrix")(X) if container else X

    def take(self, rows, positions):
        return rows.tocsr()[positions]

    def check(self, model, rows, said):
        for name, answer in self.answers(model, rows.toarray()).items():
            value = said[name].toarray() if scipy.sparse.issparse(said[name]) else said[name]
            check_close(f"{name} of dense rows", answer, value, value)


# Strings.

WORDS = ["a", "the", "cat", "sat", "İstanbul", "ß", "日本", "e\u0301", "\U0001f600", "don't", "…"]


@dataclass(frozen=True)
class Strings(RowsCase):
    """Strings of any letters and lengths, in a list, an array or a series."""

    longest: int = 5
    container: str = "list"

    def model(self):
        small = {"n_components": 2, "embedding_size": 3, "hidden_size": 4, "max_iter": 1}
        return AdversarialTextAutoencoder(random_state=0, **{**small, **self.parameters})

    def rows(self):
        rng = np.random.default_rng(self.seed)
        lengths = rng.integers(0, self.longest + 1, size=self.n_rows)
        lengths[0] = max(1, lengths[0])  # one has words
        strings = [" ".join(rng.choice(WORDS, size=length)) for length in lengths]
        return {
            "list": list,
            "array": np.array,
            "objects": functools.partial(np.array, dtype=object),
            "series": pandas.Series,
        }[self.container](strings)

    def take(self, rows, positions):
        if isinstance(rows, pandas.Series):
            return rows.iloc[positions]
        return [rows[i] for i in positions]

    def check(self, model, rows, said):
        strings = [*said["reconstruct"], *model.sample(3, random_state=0)]
        require(all(isinstance(s, str) for s in strings), "an answer is no string")


# Rows of a cluster.


@functools.cache
def client():
    """Two workers that are threads of this process."""
    cluster = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
    )
    joined = Client(cluster)
    atexit.register(lambda: (joined.close(), cluster.close()))
    return joined


@dataclass(frozen=True)
class Collection(RowsCase):
    """A dask array in chunks of any size, whose answers are lazy."""

    chunks: tuple[int, ...] = ()
    n_columns: int = 3
    dtype: str = "float64"
    missing: float = 0.0

    def model(self):
        return DaskAdversarialAutoencoder(**{**SMALL, **self.parameters}, client=client())

    def in_memory(self):
        rng = np.random.default_rng(self.seed)
        X = rng.normal(size=(self.n_rows, self.n_columns)).astype(self.dtype)
        X[rng.random(X.shape) < self.missing] = np.nan
        X[0] = 0
        return X

    def run(self):
        X = self.in_memory()
        rows = dask.array.from_array(X, chunks=(self.chunks, self.n_columns))
        model, twin = self.model(), self.model()
        caught, error = silent_fit(model, rows)
        # Of sending large graphs, and of what workers that are threads leave open.
        caught = [w for w in caught if not isinstance(w, ResourceWarning | UserWarning)]
        check_warnings(caught, model)
        if error is not None:
            raise error
        local = model.to_local()
        for name in ("transform", "score_samples", "reconstruct"):
            lazy = getattr(model, name)(rows).compute()
            expected = getattr(local, name)(X)
            check_finite(name, expected)
            check_close(f"{name} of a collection", lazy, expected, expected)
        check_same({"codes": saved(local).transform(X)}, {"codes": local.transform(X)}, "saved")
        _, error = silent_fit(twin, rows)
        require(error is None, f"a second fit failed: {error}")
        require(weights(twin) == weights(model), "a second fit has other weights")
        return "fitted" + (", warned" if caught else "")


# Strategies.

ANY = {
    "n_components": [1, 3, "auto"],
    "posterior": ["gaussian", "implicit"],
    "prior": ["uniform"],
    "noise": [0, 1.0],
    "adversarial_weight": [0, 10.0],
    "batch_size": [1, 7, 10**9],
    "early_stopping": [True],
}
OF_ROWS = ANY | {
    "likelihood": ["laplace"],
    "normalizing_flow": [True],
    "references": ["means"],
    "n_references": [2],
    "score_method": ["reconstruction"],
    "sampler": ["prior"],
    "contamination": [0.2],
}
OF_STRINGS = ANY | {
    "n_components": [1, 3],
    "posterior": ["gaussian"],
    "analyzer": ["char", "bpe", str.split],
    "lowercase": [False],
    "max_features": [3, None],
    "min_df": [1.0 / 30],
    "max_length": [1, 3],
    "score_method": ["log_likelihood"],
}

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(4, 30)


@st.composite
def chosen_of(draw, choices):
    names = draw(st.sets(st.sampled_from(sorted(choices)), max_size=3))
    return {name: draw(st.sampled_from(choices[name])) for name in sorted(names)}


@st.composite
def frames(draw):
    kind_of_model = draw(st.sampled_from(["autoencoder", *ESTIMATORS]))
    return Frame(
        draw(seeds),
        draw(sizes),
        draw(chosen_of(OF_ROWS if kind_of_model == "autoencoder" else ANY)),
        kinds=tuple(draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=5))),
        missing=draw(st.sampled_from([0.0, 0.1, 0.6])),
        library=draw(st.sampled_from(sorted(LIBRARIES))),
        kind_of_model=kind_of_model,
    )


@st.composite
def sparse_rows(draw):
    formats = ["csr", "csc", "coo", "lil", "csr matrix", "csc matrix"]
    return Sparse(
        draw(seeds),
        draw(sizes),
        draw(chosen_of(OF_ROWS)),
        n_columns=draw(st.integers(1, 60)),
        density=draw(st.sampled_from([0.0, 0.05, 0.5])),
        format=draw(st.sampled_from(formats)),
        dtype=draw(st.sampled_from(["float64", "float32", "int64"])),
    )


@st.composite
def strings(draw):
    return Strings(
        draw(seeds),
        draw(sizes),
        draw(chosen_of(OF_STRINGS)),
        longest=draw(st.sampled_from([1, 5, 40])),
        container=draw(st.sampled_from(["list", "array", "objects", "series"])),
    )


@st.composite
def collections(draw):
    chunks = draw(st.lists(st.integers(1, 40), min_size=1, max_size=5))
    # Each worker needs rows of its own.
    chunks[0] += 4
    return Collection(
        draw(seeds),
        sum(chunks),
        # A batch has a row for each worker.
        draw(chosen_of({**ANY, "batch_size": [2, 7, 10**9], "likelihood": ["laplace"]})),
        chunks=tuple(chunks),
        n_columns=draw(st.integers(1, 5)),
        dtype=draw(st.sampled_from(["float64", "float32"])),
        missing=draw(st.sampled_from([0.0, 0.2])),
    )


KINDS = [frames, sparse_rows, strings, collections]
