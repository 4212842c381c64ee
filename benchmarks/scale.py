"""Rows that no memory holds, and several processes that train together.

Parts, of which `--parts` names those to run:

memory    `fit`, of one epoch, and `score_samples` on 10^5, 10^6 and 10^7 rows x 50 columns of
          float32 from Parquet in row groups of 100,000: seconds, and the peak of memory above that
          of a process that has imported the package and pyarrow, and of one that has not.
whole     `fit`, of one epoch, on 2,000,000 rows x 50 of float32 in memory against its training
          steps, in one run: seconds of the processor. A fit of 300 rows goes before, as the first
          one of a process imports more of torch.
step      Milliseconds of a training step on 400,000 rows x 50: an array, chunks of it, and Parquet,
          in turn, three times. Of the processor, since other jobs may run beside.
quality   Held-out reconstruction loss and AUROC after equally many steps, of rows in memory and of
          16 chunks of which a window holds four: of rows in random order, and sorted along their
          first principal component, so that chunks are as different as can be. Five seeds.
overhead  Seconds of an epoch of one worker, a thread of the same process, against `fit` on the same
          chunks. Of the processor.
dask      Milliseconds of a step with Dask, one and two workers, against `fit` on the same chunks,
          by batch size and width: of a worker's processor, and on the clock.
kills     A random one of two workers is killed at a random time: how `fit` ends, after how long.

Files of 2 GB are written to `--scratch`. Results are appended run by run to results/scale.jsonl, so
that an interrupted benchmark goes on where it stopped; tables are written to results/scale.md.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from functools import partial
from itertools import islice, product
from pathlib import Path
from unittest.mock import patch

import dask.array
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import torch
from distributed import Client, LocalCluster
from resumable import Results
from sklearn.metrics import roc_auc_score
from skorch.callbacks import Callback

from sklearn_aae import AdversarialAutoencoder, Chunks
from sklearn_aae._estimators.streams import open_chunks
from sklearn_aae._rows import streaming
from sklearn_aae._rows.batches import BatchIterator, Rows
from sklearn_aae._rows.chunked import draw_rows, survey
from sklearn_aae._rows.group import ALONE
from sklearn_aae._rows.streaming import StreamedRows
from sklearn_aae.dask import DaskAdversarialAutoencoder

RESULTS = Path(__file__).parent / "results"
PARTS = ["memory", "whole", "step", "quality", "overhead", "dask", "kills"]
N_COLUMNS = 50
ROW_GROUP = 100_000
SIZES = [10**5, 10**6, 10**7]
ADBENCH = ["31_satimage-2", "7_Cardiotocography", "40_vowels"]


def rows_of(chunk, n_rows=ROW_GROUP):
    """Rows near a curved surface of eight dimensions."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(8, 30)), rng.normal(size=(30, N_COLUMNS))
    rng = np.random.default_rng([1, chunk])
    x = np.tanh(rng.normal(size=(n_rows, 8)) @ first) @ second
    return (x + rng.normal(size=x.shape)).astype(np.float32)


def parquet(directory, n_rows):
    """A file of so many rows; written once."""
    path = directory / f"rows-{n_rows}.parquet"
    if path.exists():
        return path
    directory.mkdir(parents=True, exist_ok=True)
    names = [f"x{j}" for j in range(N_COLUMNS)]
    schema = pa.schema([(name, pa.float32()) for name in names])
    unfinished = path.with_suffix(".part")
    with pyarrow.parquet.ParquetWriter(unfinished, schema, compression="none") as writer:
        for i in range(n_rows // ROW_GROUP):
            columns = [pa.array(column) for column in rows_of(i).T]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=ROW_GROUP)
    unfinished.rename(path)
    return path


_MEMORY = """
import sys, time
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(l.split()[1]) / 1024 for l in lines if l.startswith("VmHWM"))
empty = peak()
import json, warnings
import pyarrow.dataset
from sklearn_aae import AdversarialAutoencoder
model = AdversarialAutoencoder(max_iter=1, random_state=0)
imported = peak()
warnings.simplefilter("ignore")
X = pyarrow.dataset.dataset(sys.argv[1])
start = time.perf_counter()
model.fit(X)
fitted, fit_seconds = peak(), time.perf_counter() - start
start = time.perf_counter()
assert len(model.score_samples(X)) == X.count_rows()
score_seconds = time.perf_counter() - start
print(json.dumps({
    "fit_seconds": fit_seconds, "score_seconds": score_seconds,
    "training_seconds": sum(row["dur"] for row in model.net_.history),
    "imported_mib": imported - empty, "fit_mib": fitted - imported, "peak_mib": peak() - imported,
}))
"""


def memory(path):
    run = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(path)], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def quietly(model, X, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, **arguments)


class CpuSeconds(Callback):
    """Processor time of each epoch, which other jobs on the machine hardly change."""

    def on_epoch_begin(self, net, **kwargs):
        self.start_ = time.thread_time()

    def on_epoch_end(self, net, **kwargs):
        net.history.record("cpu", time.thread_time() - self.start_)


def of_steps(model, n_left_out=0):
    """Milliseconds of a step: of the processor, and on the clock; medians over epochs."""
    epochs = model.net_.history[n_left_out:]
    n = epochs[0]["train_batch_count"]
    return {
        "ms": 1000 * float(np.median([e["cpu"] for e in epochs])) / n,
        "wall_ms": 1000 * float(np.median([e["dur"] for e in epochs])) / n,
    }


class TrainingSeconds(Callback):
    """Processor time of all training steps."""

    def on_train_begin(self, net, **kwargs):
        self.start_ = time.process_time()

    def on_train_end(self, net, **kwargs):
        self.seconds_ = time.process_time() - self.start_


def whole_fit(n_rows):
    X = np.concatenate([rows_of(i) for i in range(n_rows // ROW_GROUP)])
    training = TrainingSeconds()
    start = time.process_time()
    quietly(AdversarialAutoencoder(max_iter=1, random_state=0), X[:300])
    first = time.process_time()
    quietly(AdversarialAutoencoder(max_iter=1, random_state=0, callbacks=[training]), X)
    fit_seconds = time.process_time() - first
    return {
        "first_seconds": first - start,
        "training_seconds": training.seconds_,
        "fit_seconds": fit_seconds,
    }


class First:
    """The first batches of an iterator, as an epoch."""

    def __init__(self, batches, n):
        self.batches, self.n = batches, n

    def __len__(self):
        return self.n

    def __iter__(self):
        return islice(iter(self.batches), self.n)


def seconds_of_step(path, n_rows):
    """As many steps as a window of chunks lasts, of the same net on rows of each source."""
    X = np.concatenate([rows_of(i) for i in range(n_rows // ROW_GROUP)])
    model = quietly(AdversarialAutoencoder(max_iter=1, random_state=0), X[:5000])
    net, columns, cpu = model.net_, model._columns, torch.device("cpu")
    scaling = {"device": cpu, "knee": columns.knee}
    center, scale = columns.center, columns.scale
    sources = {"array": Rows(X, center, scale, **scaling)}
    for name, chunks in (
        ("chunks of an array", Chunks(np.split(X, n_rows // ROW_GROUP))),
        ("Parquet", pyarrow.dataset.dataset(path)),
    ):
        estimator = AdversarialAutoencoder()
        opened, _ = open_chunks(estimator, chunks, None, ALONE, reset=True)
        drawn = draw_rows(n_rows, N_COLUMNS, 10_000, np.random.RandomState(0))
        training = survey(opened, drawn, None).training
        sources[name] = StreamedRows(training, center, scale, targets={}, **scaling)
    n_steps = 3 * ROW_GROUP // 256
    seconds = {name: [] for name in sources}
    for name in [*sources] * 3:
        batches = BatchIterator(sources[name], 256, torch.Generator().manual_seed(0))
        net.history.new_epoch()
        start = time.process_time()
        net.run_single_epoch(First(batches, n_steps), True, "train", net.train_step)
        seconds[name].append((time.process_time() - start) / n_steps)
    return {"ms": {name: 1000 * float(np.median(values)) for name, values in seconds.items()}}


def by_windows(n_rows, n_columns):
    """A patch: windows of a quarter of the rows."""
    return patch.object(streaming, "bytes_to_keep", lambda device: n_rows * n_columns)


def table(name, data, seed):
    """Half of the inliers to train on; the others and the outliers, and which are outliers."""
    rng = np.random.default_rng(seed)
    if name == "mnist":
        with np.load(data / "mnist.npz") as file:
            X, y = file["X_train"].astype(np.float32), file["y_train"] != 8
    else:
        with np.load(data / "adbench" / f"{name}.npz") as file:
            X, y = file["X"].astype(np.float64), file["y"].ravel() != 0
    inliers = rng.permutation(np.flatnonzero(~y))
    half = len(inliers) // 2
    rest = rng.permutation(np.r_[inliers[half:], np.flatnonzero(y)])[:10_000]
    return X[inliers[:half]], X[rest], y[rest]


def quality(name, data, order, seed):
    X, others, outlying = table(name, data, seed)
    X_val = others[~outlying][:2000]
    if order == "chunks, sorted":
        centered = X - X.mean(axis=0)
        direction = np.linalg.svd(centered[:2000], full_matrices=False)[2][0]
        X = X[np.argsort(centered @ direction)]
    model = AdversarialAutoencoder(random_state=seed)
    if order == "in memory":
        quietly(model, X, X_val=X_val)
    else:
        with by_windows(*X.shape):
            quietly(model, Chunks(np.array_split(X, 16)), X_val=X_val)
    return {
        "loss": model.history_["valid_loss"][-1],
        "auroc": roc_auc_score(outlying, -model.score_samples(others)),
        "steps": model.net_.game.n_steps_,
    }


def chunks_of(n_chunks, n_rows):
    return [rows_of(i, n_rows) for i in range(n_chunks)]


def seconds_of_epoch(where, layers, batch_size):
    """Median over epochs of rows in 16 chunks, the first left out: 40,960, or a quarter of them."""
    chunks = chunks_of(16, 640 if max(layers) >= 1000 else 2560)
    how = {"hidden_layer_sizes": layers, "batch_size": batch_size, "max_iter": 4, "random_state": 0}
    how["callbacks"] = [CpuSeconds()]
    if where == "local":
        model = quietly(AdversarialAutoencoder(**how), Chunks(chunks))
    else:
        n_workers = int(where.split()[0])
        with cluster_of(n_workers) as cluster, Client(cluster) as client:
            X = dask.array.concatenate([dask.array.from_array(c, chunks=c.shape) for c in chunks])
            model = quietly(DaskAdversarialAutoencoder(**how, client=client), X)
    return of_steps(model, 1)


def cluster_of(n_workers):
    return LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0")


def killed(seed):
    """A training of about ten seconds, of which one worker of two is killed at some time."""
    rng = np.random.default_rng(seed)
    with cluster_of(2) as cluster, Client(cluster) as client:
        pids = sorted(client.run(os.getpid).values())
        victim, wait = int(rng.choice(pids)), float(rng.uniform(0, 12))
        timer = threading.Timer(wait, os.kill, (victim, signal.SIGKILL))
        chunks = [dask.array.from_array(c, chunks=c.shape) for c in chunks_of(8, 1000)]
        model = DaskAdversarialAutoencoder(max_iter=60, random_state=seed, client=client)
        start = time.perf_counter()
        timer.start()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                model.fit(dask.array.concatenate(chunks))
                end = f"finished, {model.n_iter_} epochs"
            except Exception as error:
                end = f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        timer.cancel()
    said = [str(w.message) for w in caught if "were lost" in str(w.message)]
    return {"killed_after": wait, "end": end, "fit_seconds": seconds, "said": said}


def overhead():
    """Epochs of `fit`, and of a worker that is a thread of this process, in turn."""
    chunks = chunks_of(16, 1280)
    X = dask.array.concatenate([dask.array.from_array(c, chunks=c.shape) for c in chunks])
    how = {"max_iter": 8, "callbacks": [CpuSeconds()], "random_state": 0}
    epochs = {"local": [], "1 worker": []}
    with (
        LocalCluster(1, processes=False, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        for _ in range(3):
            local = quietly(AdversarialAutoencoder(**how), Chunks(chunks))
            worker = quietly(DaskAdversarialAutoencoder(**how, client=client), X)
            epochs["local"] += local.net_.history[1:, "cpu"]
            epochs["1 worker"] += worker.net_.history[1:, "cpu"]
    return {"seconds_of_epoch": {name: float(np.median(v)) for name, v in epochs.items()}}


def plan(args):
    if "memory" in args.parts:
        for n in args.sizes:
            run = partial(memory, parquet(args.scratch, n))
            yield {"task": "memory", "n_rows": n, "run": 0}, run
    if "whole" in args.parts:
        yield {"task": "whole", "n_rows": 2 * 10**6, "run": 0}, partial(whole_fit, 2 * 10**6)
    if "step" in args.parts:
        path = parquet(args.scratch, 400_000)
        yield {"task": "step", "run": 0}, partial(seconds_of_step, path, 400_000)
    if "quality" in args.parts:
        for seed in range(args.seeds):
            for name in args.tables:
                for order in ("in memory", "chunks, random", "chunks, sorted"):
                    key = {"task": "quality", "table": name, "order": order, "run": seed}
                    yield key, partial(quality, name, args.data, order, seed)
    if "overhead" in args.parts:
        yield {"task": "overhead", "run": 0}, overhead
    if "dask" in args.parts:
        for layers, n_runs in (((128, 64), 3), ((1000, 1000), args.runs_of_wide)):
            for i, batch_size in product(range(n_runs), (256, 2048)):
                for where in ("local", "1 worker", "2 workers"):
                    key = {"task": "dask", "where": where, "layers": list(layers)}
                    key |= {"batch_size": batch_size, "run": i}
                    yield key, partial(seconds_of_epoch, where, layers, batch_size)
    if "kills" in args.parts:
        for i in range(args.kills):
            yield {"task": "kills", "run": i}, partial(killed, i)


def markdown(frame, digits=3):
    head = [*frame.index.names, *map(str, frame.columns)]
    lines = ["| " + " | ".join(map(str, head)) + " |", "|" + "---|" * len(head)]
    for index, row in frame.iterrows():
        index = index if isinstance(index, tuple) else (index,)
        cells = [*map(str, index), *(v if isinstance(v, str) else f"{v:.{digits}f}" for v in row)]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def report(rows):
    """The tables of results/scale.md, of the runs that are there."""
    of_task = {task: pd.DataFrame([r for r in rows if r["task"] == task]) for task in PARTS}
    lines = ["# Scale", ""]
    if len(frame := of_task["memory"]):
        columns = ["fit_seconds", "training_seconds", "score_seconds"]
        columns += ["imported_mib", "fit_mib", "peak_mib"]
        lines += ["## Memory and seconds, from Parquet", ""]
        lines += ["imported_mib: above a Python that has imported nothing; others above that.", ""]
        lines += markdown(frame.set_index("n_rows")[columns].sort_index(), 0)
    if len(frame := of_task["whole"]):
        frame["ratio"] = frame["fit_seconds"] / frame["training_seconds"]
        columns = ["training_seconds", "fit_seconds", "ratio", "first_seconds"]
        lines += ["## Seconds of the processor, in memory: training steps and the whole of fit", ""]
        lines += ["first_seconds: of a fit of 300 rows before, which imports more of torch.", ""]
        lines += markdown(frame.set_index("n_rows")[columns], 2)
    if len(frame := of_task["step"]):
        of_source = pd.DataFrame([*frame["ms"]]).median().rename_axis("source").to_frame("ms")
        of_source["ratio"] = of_source["ms"] / of_source.loc["array", "ms"]
        lines += ["## Milliseconds of a training step, 400,000 rows x 50", "", *markdown(of_source)]
    if len(frame := of_task["quality"]):
        lines += ["## Held-out loss and AUROC after equally many steps", ""]
        means = frame.groupby(["table", "order"])[["loss", "auroc"]].agg(["mean", "std"])
        means.columns = [" ".join(names) for names in means.columns]
        lines += markdown(means)
    if len(frame := of_task["overhead"]):
        seconds = pd.DataFrame([*frame["seconds_of_epoch"]]).median()
        lines += ["## Seconds of an epoch, 20,480 rows x 50", ""]
        seconds = seconds.rename_axis("where").to_frame("seconds")
        seconds["ratio"] = seconds["seconds"] / seconds.loc["local", "seconds"]
        lines += markdown(seconds)
    if len(frame := of_task["dask"]):
        frame["layers"] = frame["layers"].map(lambda layers: "-".join(map(str, layers)))
        by = ["layers", "batch_size", "where"]
        for time_of, what in (("ms", "of each processor"), ("wall_ms", "on the clock")):
            of_place = frame.groupby(by)[time_of].median().unstack("where").dropna()
            for where in [name for name in of_place if name != "local"]:
                of_place[f"{where} / local"] = of_place[where] / of_place["local"]
            lines += [f"## Milliseconds of a step {what}, by where it is made", ""]
            lines += ["Other jobs kept the two cores busy: the clock tells of them too.", ""]
            lines += markdown(of_place)
    if len(frame := of_task["kills"]):
        lines += ["## One of two workers killed", ""]
        frame["said"] = frame["said"].map(len).map(lambda n: f"{n} warnings")
        frame = frame[["run", "killed_after", "said", "end", "fit_seconds"]].set_index("run")
        lines += markdown(frame, 1)
    return lines


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--scratch", type=Path, default=Path("/tmp/sklearn-aae-scale"))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--tables", nargs="+", default=[*ADBENCH, "mnist"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs-of-wide", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20)
    args = parser.parse_args()
    results = Results(RESULTS / "scale.jsonl")
    results.complete(list(plan(args)))
    results.write_table(report(results.rows))


if __name__ == "__main__":
    main()
