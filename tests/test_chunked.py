"""Rows in chunks: the answers of rows in memory, in memory that does not grow with their number."""

import os
import subprocess
import sys
import warnings

import dask.array
import dask.dataframe
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
import torch
import zarr
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_aae import AdversarialAutoencoder, AdversarialAutoencoderClassifier, Chunks, priors
from sklearn_aae._estimators import streams
from sklearn_aae._rows import chunked, streaming
from sklearn_aae._rows.chunked import ChunkedRows, Surveyed, draw_rows, survey
from sklearn_aae._rows.columns import fit_columns
from sklearn_aae._rows.group import ALONE
from sklearn_aae._rows.scaling import ColumnSums, column_scaling
from sklearn_aae._rows.streaming import StreamedRows
from sklearn_aae.callbacks import Checkpoint

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 4)) @ RNG.normal(size=(4, 5)) + 3
X_VAL = X[:50] + 0.1
SIZES = [100, 7, 0, 293, 200]


def chunks(rows, sizes=SIZES):
    """Chunks of these sizes."""
    return [rows[stop - n : stop] for n, stop in zip(sizes, np.cumsum(sizes), strict=True)]


def model(**parameters):
    return AdversarialAutoencoder(2, **{"max_iter": 2, "random_state": 0} | parameters)


def opened(rows, sizes=SIZES):
    """Rows as `fit` holds them."""
    parts = chunks(rows, sizes)
    return ChunkedRows(
        [lambda part=part: part for part in parts], sizes, None, rows.shape[1], rows.dtype, ALONE
    )


@pytest.fixture(scope="module")
def in_memory():
    return model().fit(X, X_val=X_VAL)


def stores(directory):
    """The same rows in every store, by name."""
    group = zarr.create_array(directory / "rows.zarr", shape=X.shape, chunks=(90, 2), dtype="f8")
    group[:] = X
    frame = pd.DataFrame(X, columns=list("abcde"))
    pyarrow.parquet.write_table(pa.table(frame), directory / "rows.parquet", row_group_size=70)
    unknown = dask.array.from_array(X, chunks=(80, 3))
    return {
        "chunks": Chunks(chunks(X)),
        "functions": Chunks([lambda part=part: part for part in chunks(X)]),
        "sparse": Chunks([sparse.csr_array(part) for part in chunks(X, [300, 300])]),
        "zarr": group,
        "parquet": pyarrow.dataset.dataset(directory / "rows.parquet"),
        "dask array": unknown,
        "dask array of unknown length": unknown[unknown[:, 0] == unknown[:, 0]],
        "dask frame": dask.dataframe.from_pandas(frame, npartitions=3),
        "polars": Chunks([pl.DataFrame(part, schema=list("abcde")) for part in chunks(X)]),
    }


MORE = ["functions", "sparse", "dask array", "dask array of unknown length", "polars"]
NAMES = [
    *("chunks", "zarr", "parquet", "dask frame"),
    *(pytest.param(name, marks=pytest.mark.thorough) for name in MORE),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_every_store_trains_and_answers_as_rows_in_memory(name, tmp_path, in_memory, monkeypatch):
    # Chunks are worked on in pieces, here of 30 rows.
    monkeypatch.setattr(streams, "_VALUES_PER_PIECE", 150)
    monkeypatch.setattr(chunked, "_VALUES", 150)
    rows = stores(tmp_path)[name]
    # Which rows of how large chunks are added up first changes the last digits of means.
    streamed = model().fit(rows, X_val=X_VAL)
    for loss, values in in_memory.history_.items():
        assert_allclose(streamed.history_[loss], values, rtol=1e-4, err_msg=loss)
    assert streamed.offset_ == pytest.approx(in_memory.offset_, rel=1e-4)
    assert_allclose(streamed.transform(rows), np.concatenate([*_by_chunk(streamed, rows)]))
    assert_allclose(streamed.score_samples(rows), in_memory.score_samples(X), rtol=1e-3)
    assert streamed.score(rows) == pytest.approx(in_memory.score(X), rel=1e-3)
    assert len(streamed.predict(rows)) == len(streamed.feature_scores(rows)) == len(X)


def _by_chunk(fitted, rows):
    from sklearn_aae._rows.stores import chunks_of

    for chunk in chunks_of(rows):
        part = chunk.read()
        if len(part) if not hasattr(part, "shape") else part.shape[0]:
            yield fitted.transform(part)


def test_columns_of_single_precision_are_held_so(tmp_path):
    names = list("abcde")
    table = pa.table([pa.array(column.astype(np.float32)) for column in X.T], names=names)
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=200)
    rows = pyarrow.dataset.dataset(tmp_path / "rows.parquet")
    single = model().fit(rows)
    assert single._columns.dtype == np.float32
    expected = single.score_samples(pd.DataFrame(X, columns=names))
    assert_allclose(single.score_samples(rows), expected, rtol=1e-3)


def test_one_chunk_that_fits_in_memory_trains_to_the_bits_of_an_array(in_memory):
    streamed = model().fit(Chunks([X]), X_val=X_VAL)
    assert streamed.history_ == in_memory.history_
    assert_array_equal(streamed.score_samples(X), in_memory.score_samples(X))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_statistics_are_those_of_all_rows_that_are_trained_on(weighted, scale):
    rows = np.round(X * 10) * scale
    rows[:, 4] = 7.0  # constant
    weight = RNG.integers(0, 3, len(rows)).astype(float) if weighted else None
    drawn = draw_rows(len(rows), 5, 60, np.random.RandomState(0))
    told = survey(opened(rows), drawn, weight)
    training = np.setdiff1d(np.arange(len(rows)), drawn.held_out)
    expected = column_scaling(rows, weight, training)
    for name, value in told.training.scaling._asdict().items():
        assert_allclose(value, getattr(expected, name), rtol=1e-12, err_msg=name)
    assert_array_equal(told.training.ranges[1], rows[training].max(axis=0))
    assert_array_equal(told.held_out, rows[drawn.held_out])
    assert_array_equal(told.training.sample, rows[training])  # all of them, since they are few
    weight = None if weight is None else weight[training]
    columns, null_deviance = fit_columns(told.training, weight, "gaussian", standardize=True)
    same, expected = fit_columns(rows[training], weight, "gaussian", standardize=True)
    assert null_deviance == pytest.approx(expected, rel=1e-12)
    assert_allclose(columns.scale, same.scale, rtol=1e-12)


def test_sums_of_several_are_those_of_all():
    rows = X.copy()
    rows[::3, 1] = np.nan
    rows[:300, 2] = np.nan
    rows[:, 3] = 1e9
    parts = [ColumnSums(5) for _ in range(4)]
    whole = ColumnSums(5)
    whole.add(rows, None)
    for part, sums in zip(chunks(rows, [300, 0, 100, 200]), parts, strict=True):
        if len(part):
            sums.add(part, None)
    parts[0].merge(parts[1:])
    for name, value in parts[0].scaling()._asdict().items():
        assert_allclose(value, getattr(whole.scaling(), name), rtol=1e-10, err_msg=name)


def test_a_sample_stands_for_all_rows():
    """Of 300,000 rows 100,000 are kept: quantiles are off by a third of a percent of the rows."""
    rows = np.random.default_rng(1).normal(size=(300_000, 1))
    drawn = draw_rows(len(rows), 1, 10_000, np.random.RandomState(0))
    assert len(drawn.sample) == 100_000
    assert len(np.union1d(drawn.sample, drawn.held_out)) == 110_000
    told = survey(opened(rows, [100_000] * 3), drawn, None)
    for share in (0.01, 0.25, 0.5, 0.9):
        below = (rows < np.quantile(told.training.sample, share)).mean()
        # Three standard errors.
        assert below == pytest.approx(share, abs=3 * np.sqrt(share * (1 - share) / 100_000))
    assert_array_equal(told.training.sample, np.delete(rows, drawn.held_out, 0)[_kept(told)])


def _kept(told):
    return told.training.positions


@pytest.fixture
def small_windows(monkeypatch):
    """Windows of 200 rows of 5 columns."""
    monkeypatch.setattr(streaming, "bytes_to_keep", lambda device: 200 * 5 * 4)


def streamed(rows, sizes, held_out=0, targets=None):
    drawn = draw_rows(len(rows), rows.shape[1], held_out, np.random.RandomState(0))
    training = survey(opened(rows, sizes), drawn, None).training
    assert isinstance(training, Surveyed)
    center, scale = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    of_rows = {"y": np.arange(len(training))} if targets is None else targets
    made = StreamedRows(
        training, center, scale, device=torch.device("cpu"), knee=np.inf, targets=of_rows
    )
    return made, np.delete(rows, drawn.held_out, axis=0)


@pytest.mark.parametrize("held_out", [0, 37])
@pytest.mark.parametrize("sizes", [SIZES, [600], [50] * 12])
@pytest.mark.usefixtures("small_windows")
def test_an_epoch_takes_every_row_once(sizes, held_out):
    rows, expected = streamed(X, sizes, held_out)
    generator = torch.Generator().manual_seed(0)
    orders = []
    for _ in range(2):
        batches = list(rows.batches(19, generator))
        assert {len(x) for x, _ in batches} <= {len(rows) // 19, len(rows) // 19 + 1}
        order = torch.cat([targets["y"] for _, targets in batches]).numpy()
        assert_array_equal(np.sort(order), np.arange(len(rows)))
        assert_array_equal(torch.cat([x for x, _ in batches]), expected[order].astype(np.float32))
        orders.append(order.tolist())
    assert orders[0] != orders[1]
    in_order = torch.cat([targets["y"] for _, targets in rows.batches(19, None)])
    assert_array_equal(in_order, np.arange(len(rows)))


@pytest.mark.usefixtures("small_windows")
def test_windows_are_of_chunks_that_follow_each_other_by_chance():
    rows, _ = streamed(X, [50] * 12)
    (*_, order) = [torch.cat([t["y"] for _, t in rows.batches(12, torch.Generator())])]
    of_chunks = [set((window // 50).tolist()) for window in order.split(200)]
    assert [len(window) for window in of_chunks] == [4, 4, 4]
    assert of_chunks != [{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 10, 11}]


@pytest.mark.thorough
@pytest.mark.usefixtures("small_windows")
def test_training_by_windows_ends_as_well_as_in_memory(in_memory):
    windows = model(max_iter=60).fit(Chunks(chunks(X, [50] * 12)), X_val=X_VAL)
    whole = model(max_iter=60).fit(X, X_val=X_VAL)
    last = windows.history_["valid_loss"][-1]
    assert last == pytest.approx(whole.history_["valid_loss"][-1], rel=0.2)


def test_weights_and_labels_go_with_their_rows(small_windows):
    labels = np.arange(len(X)) % 3
    weight = np.where(np.arange(len(X)) < 300, 0.0, 2.0)
    options = {"prior": priors.MixtureOfGaussians(3)}
    parts = Chunks(chunks(X, [50] * 12))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = model(**options).fit(parts, labels, weight)
        # Rows of weight 0 may as well be others, of the same range.
        other = X.copy()
        other[:300] = other[:300].mean(axis=0)
        two = model(**options).fit(Chunks(chunks(other, [50] * 12)), labels, weight)
    assert_allclose(one._columns.center, two._columns.center)
    assert "Placement" in str(one.net_.terms)


def test_tables_in_chunks_are_tables():
    n = len(X)
    frame = pd.DataFrame(
        {
            "number": np.where(np.arange(n) % 9, X[:, 0], np.nan),
            "count": np.arange(n) % 12,
            "color": np.array(["red", "green", "blue"], dtype=object)[np.arange(n) * 3 // n],
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(n), unit="D"),
        }
    )
    frame.loc[100, "day"] += pd.Timedelta(3, "s")
    whole = model().fit(frame, X_val=frame[:50])
    parts = Chunks(chunks(frame))
    by_chunk = model().fit(parts, X_val=frame[:50])
    assert by_chunk._table.kinds == whole._table.kinds
    assert by_chunk._table.has_gaps
    assert by_chunk._table.n_rows == n
    assert_allclose(by_chunk.history_["valid_loss"], whole.history_["valid_loss"], rtol=1e-4)
    assert by_chunk.reconstruct(parts).dtypes.to_dict() == frame.dtypes.to_dict()
    assert set(by_chunk.sample(50, random_state=0)["color"]) <= {"red", "green", "blue"}
    by_partition = model().fit(dask.dataframe.from_pandas(frame, npartitions=4), X_val=frame[:50])
    assert_allclose(by_partition.history_["valid_loss"], whole.history_["valid_loss"], rtol=1e-4)


def test_columns_of_several_types_are_an_error():
    text = pd.DataFrame({"a": ["x"] * 20, "b": 1.0})
    number = pd.DataFrame({"a": [1.0] * 20, "b": 1.0})
    with pytest.raises(ValueError, match="column 'a' holds text or categories in one"):
        model().fit(Chunks([text, number]))
    with pytest.raises(ValueError, match="different columns"):
        model().fit(Chunks([text, text.rename(columns={"b": "c"})]))


def test_missing_cells_of_arrays_in_chunks(in_memory):
    rows = X.copy()
    rows[500, 2] = np.nan
    fitted = model().fit(Chunks(chunks(rows)))
    assert fitted._table.has_gaps
    assert np.isfinite(fitted.score_samples(Chunks(chunks(rows)))).all()
    with pytest.raises(ValueError, match="X has missing cells"):
        model().fit(Chunks([X])).partial_fit(Chunks(chunks(rows)))


def test_fits_go_on_from_chunks():
    fitted = model(max_iter=1, warm_start=True).fit(Chunks(chunks(X)))
    center = fitted._columns.center
    fitted.partial_fit(Chunks(chunks(X + 1)))
    assert fitted.n_iter_ == 2
    assert_array_equal(fitted._columns.center, center)
    assert fitted.fit(Chunks(chunks(X))).n_iter_ == 3


class KilledError(Exception):
    pass


@pytest.mark.usefixtures("small_windows")
def test_a_checkpoint_of_chunks_goes_on_to_the_same_weights(tmp_path):
    def rows(last_read):
        n_read = 0

        def read(part):
            nonlocal n_read
            n_read += 1
            if n_read > last_read:
                raise KilledError
            return part

        return Chunks([lambda part=part: read(part) for part in chunks(X, [100] * 6)])

    def fitted(last_read):
        return model(max_iter=3, callbacks=[Checkpoint(tmp_path)]).fit(rows(last_read))

    whole = model(max_iter=3).fit(rows(99))
    with pytest.raises(KilledError):
        fitted(1 + 6 + 6 + 8)
    resumed = fitted(99)
    assert resumed.callbacks[0].n_epochs_resumed_ == 1
    assert resumed.history_["train_loss"] == whole.history_["train_loss"]


def test_a_chunk_that_raises_says_which_and_leaves_the_estimator():
    def broken():
        raise OSError("no such file")

    fitted = model().fit(X)
    before = fitted.score_samples(X)
    with pytest.raises(OSError, match="no such file") as caught:
        fitted.fit(Chunks([X, X, broken]))
    assert caught.value.__notes__ == ["In chunk 2 of X, counted from 0."]
    assert_array_equal(fitted.score_samples(X), before)


def test_chunks_of_other_widths_are_an_error():
    with pytest.raises(ValueError, match=r"X has 4 features, but .* expecting 5"):
        model().fit(Chunks([X, X[:, :4]]))
    with pytest.raises(ValueError, match=r"float32 in the first and float64"):
        model().fit(Chunks([X.astype(np.float32), X]))


def test_rows_that_change_between_epochs_are_an_error(small_windows):
    sizes = iter([100] * 20)
    rows = Chunks([lambda: X[: next(sizes, 90)], *chunks(X, [300, 300])])
    with pytest.raises(ValueError, match="chunk 0 has 90 rows now and had 100"):
        model(max_iter=30).fit(rows)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        (Chunks([]), ValueError, "0 sample"),
        (Chunks([X[:0], X[:0]]), ValueError, r"0 sample\(s\) in 2 chunks"),
        (Chunks([X[:0], X[:1]]), ValueError, r"1 sample\(s\)"),
        (Chunks([X, np.full((3, 5), np.inf)]), ValueError, "infinity"),
        (Chunks([lambda: None]), TypeError, "a chunk is an array or a data frame, got None"),
        (dask.array.zeros((4, 3, 2), chunks=2), ValueError, "rows have to be flat"),
    ],
    ids=["none", "empty", "one row", "infinite", "no rows", "three dimensions"],
)
def test_what_is_no_training_set(rows, error, message):
    with pytest.raises(error, match=message):
        model().fit(rows)


def test_a_sequence_is_asked_for():
    with pytest.raises(TypeError, match="chunks must be a sequence"):
        Chunks(part for part in chunks(X))


def test_what_does_not_take_chunks_says_so(in_memory):
    for method in ("impute", "interpolate"):
        arguments = [Chunks([X])] * (2 if method == "interpolate" else 1)
        with pytest.raises(TypeError, match="X is a Chunks, rows in chunks"):
            getattr(in_memory, method)(*arguments)
    with pytest.raises(TypeError, match="X is a Chunks"):
        AdversarialAutoencoderClassifier().fit(Chunks([X]), np.arange(len(X)) % 2)
    with pytest.raises(ValueError, match="0 sample"):
        in_memory.transform(Chunks([]))


def test_values_that_a_likelihood_has_no_place_for():
    with pytest.raises(ValueError, match='likelihood="bernoulli"'):
        model(likelihood="bernoulli").fit(Chunks(chunks(X)))


_PEAK = """
import resource, sys
import numpy as np
from sklearn_aae import AdversarialAutoencoder, Chunks

def chunk(seed):
    return np.random.default_rng(seed).normal(size=(20_000, 20)).astype(np.float32)

def peak(n_chunks, model):
    rows = Chunks([lambda seed=seed: chunk(seed) for seed in range(n_chunks)])
    model.fit(rows)
    assert len(model.score_samples(rows)) == 20_000 * n_chunks
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10

model = AdversarialAutoencoder(2, max_iter=1, batch_size=20_000, random_state=0)
few = peak(8, model)
print(peak(int(sys.argv[1]), model) - few)
"""


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_number_of_rows():
    """Of 1,000,000 rows more, 80 MB, what is kept is a score of eight bytes for each, twice."""
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", _PEAK, "58"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    # The window of 64 MiB was full at 800,000 rows; the first 8 chunks were 12 MiB.
    assert float(result.stdout) < 16 + 52 + 30
