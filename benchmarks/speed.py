"""Time and memory of AdversarialAutoencoder, against loops by hand and other packages.

- training: a step of `fit` against `plain_training.py`, which computes literally the same, for
  three networks on 20,000 x 784 and one on 5,000 x 20; on one and two threads; and what `fit` takes
  besides. With `precision="bf16"` and `compile=True` as well.
- peers: an epoch of adversarial training against the same steps in skorch's default loop and
  pythae's Adversarial_AE, and one without a discriminator against skorch and PyOD's AutoEncoder.
- inference: `transform`, `reconstruct` and `score_samples` of 60,000 x 784, default networks,
  against raw forward passes of standardised tensors.
- serving: scores of one row, and of 10,000, with 50 columns, of a model of 20,000 rows, against the
  same model in onnxruntime and an IsolationForest, each on one thread.
- growth: fit (one epoch) and score for 10,000 to 1,000,000 rows of 50 columns, hidden layers of 8
  to 512, and 2 to 64 components, with the peak of memory above X.
- memory: the peak above X of fit (one epoch) for 200,000 x 784.
- search: `GridSearchCV` with `n_jobs=2` against `n_jobs=1`, workers started before.

What is compared runs in turns in one process: training step by step, ratios being of twenty steps,
the rest in an order that changes with the repetition. Memory is measured in processes of its own,
on Linux.

PyOD and pythae are left out where they are not installed, and the table says so: `pip install
pyod`, `pip install --no-deps pythae==0.1.2` and `pip install imageio tqdm pydantic cloudpickle`.

Results are appended run by run to results/speed.jsonl, so that an interrupted benchmark goes on
where it stopped; tables are written to results/speed.md.
"""

import argparse
import copy
import io
import logging
import os
import platform
import statistics
import tempfile
import time
import warnings
from contextlib import redirect_stderr, redirect_stdout
from functools import lru_cache, partial
from importlib.util import find_spec
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from plain_training import Clock
from resumable import Results
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNet
from torch import nn
from torch.nn.functional import softplus

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.onnx import to_onnx

RESULTS = Path(__file__).parent / "results"

# Hidden layers, batch size, rows, columns, and epochs that take seconds.
SIZES = {
    "1000-1000, batch 100, 20,000 x 784": ((1000, 1000), 100, 20_000, 784, 1),
    "256-128, batch 256, 20,000 x 784": ((256, 128), 256, 20_000, 784, 4),
    "64, batch 64, 20,000 x 784": ((64,), 64, 20_000, 784, 3),
    "64-32, batch 128, 5,000 x 20": ((64, 32), 128, 5_000, 20, 20),
}
N_COMPONENTS = 8
GROWTH = {
    "rows": [{"n_rows": n} for n in (10_000, 100_000, 1_000_000)],
    "hidden": [{"hidden": h} for h in (8, 64, 512)],
    "components": [{"n_components": k} for k in (2, 8, 64)],
}


@lru_cache(maxsize=1)
def table(n_rows, n_columns, dtype="float32"):
    """Rows near a plane of eight dimensions."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, 8), dtype=np.float32) @ rng.standard_normal(
        (8, n_columns), dtype=np.float32
    )
    for rows in np.array_split(X, max(1, n_rows // 10_000)):
        rows += 0.3 * rng.standard_normal(rows.shape, dtype=np.float32)
    return X.astype(dtype, copy=False)


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def turn_by_turn(runs, repetition):
    """Seconds of each of several functions, which begin with another one in each repetition."""
    names = list(runs)
    first = repetition % len(names)
    timed = {name: seconds(runs[name]) for name in names[first:] + names[:first]}
    return {name: timed[name] for name in names}


def fit(size, by_hand=False, **parameters):
    """Clock of a fit of one of the sizes, and the seconds that the fit took in all."""
    hidden, batch_size, n_rows, n_columns, n_epochs = SIZES[size]
    clock = Clock(by_hand)
    model = AdversarialAutoencoder(
        N_COMPONENTS,
        hidden_layer_sizes=hidden,
        batch_size=batch_size,
        max_iter=n_epochs,
        random_state=0,
        callbacks=[clock],
        **parameters,
    )
    X = table(n_rows, n_columns)
    total = seconds(lambda: model.fit(X))
    if by_hand and not clock.same_weights(model.net_):
        raise RuntimeError("the loop by hand computed something else than fit")
    return clock, total


# Training.

# Steps whose time is compared as one: a gradient penalty is due in every fourth.
BLOCK = 20


def run_training(size, n_threads, repetition):
    torch.set_num_threads(n_threads)
    clock, total = fit(size, by_hand=True)
    ours, plain = (
        np.array(times[BLOCK : len(times) // BLOCK * BLOCK]).reshape(-1, BLOCK).sum(axis=1)
        for times in (clock.ours, clock.plain)
    )
    return {
        "ours_ms": 1e3 * float(np.median(ours)) / BLOCK,
        "plain_ms": 1e3 * float(np.median(plain)) / BLOCK,
        "ratio": float(np.median(ours / plain)),
        "besides_s": total - sum(clock.ours) - sum(clock.plain),
    }


def run_options(size, repetition):
    """Milliseconds of a step by what is asked for."""
    torch.set_num_threads(1)
    steps = {}

    def timed(name, **parameters):
        clock, _ = fit(size, **parameters)
        steps[name] = 1e3 * statistics.median(clock.ours)

    options = {"default": {}, "bf16": {"precision": "bf16"}, "compile": {"compile": True}}
    turn_by_turn({name: partial(timed, name, **o) for name, o in options.items()}, repetition)
    return steps


# Peers: seconds of an epoch of training alone.


def dense(sizes):
    layers = [nn.Linear(sizes[0], sizes[1])]
    for n_in, n_out in pairwise(sizes[1:]):
        layers += [nn.ReLU(), nn.Linear(n_in, n_out)]
    return nn.Sequential(*layers)


def mirrored(hidden, n_columns):
    """Encoder and decoder as those of ours, but for their first weights."""
    return dense([n_columns, *hidden, N_COMPONENTS]), dense(
        [N_COMPONENTS, *hidden[::-1], n_columns]
    )


def discriminator():
    return dense([N_COMPONENTS, 128, 128, 1])


def train_ours(size, n_epochs):
    return sum(fit(size)[0].ours)


def train_ours_alone(size, n_epochs):
    return sum(fit(size, adversarial_weight=0, noise=0)[0].ours)


class Adversarial(NeuralNet):
    """An adversarial autoencoder as a user of skorch would write it, in its default loop."""

    def __init__(self, *args, discriminator, **kwargs):
        self.discriminator = discriminator
        super().__init__(*args, **kwargs)

    def initialize_module(self):
        super().initialize_module()
        self.discriminator_ = self.discriminator
        return self

    def initialize_optimizer(self, *args, **kwargs):
        self.optimizer_ = self.optimizer(self.module_.parameters(), lr=self.lr)
        self.d_optimizer_ = self.optimizer(self.discriminator_.parameters(), lr=self.lr)
        return self

    def train_step(self, batch, **kwargs):
        x, _ = batch
        codes = self.module_[0](x)
        real = torch.randn_like(codes)
        on_prior = self.discriminator_(real).squeeze(1)
        on_codes = self.discriminator_(codes.detach()).squeeze(1)
        d_loss = softplus(-on_prior).mean() + softplus(on_codes).mean()
        self.d_optimizer_.zero_grad()
        d_loss.backward()
        self.d_optimizer_.step()

        reconstruction = self.module_[1](codes)
        fooling = softplus(-self.discriminator_(codes).squeeze(1)).mean()
        loss = self.criterion_(reconstruction, x) + 0.1 * fooling
        self.optimizer_.zero_grad()
        loss.backward()
        self.optimizer_.step()
        return {"loss": loss.detach(), "y_pred": reconstruction.detach()}


def train_skorch(size, n_epochs, kind=NeuralNet, **parameters):
    hidden, batch_size, n_rows, n_columns, _ = SIZES[size]
    net = kind(
        nn.Sequential(*mirrored(hidden, n_columns)),
        nn.MSELoss,
        max_epochs=n_epochs,
        batch_size=batch_size,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
        **parameters,
    ).initialize()
    X = table(n_rows, n_columns)[: n_rows * 9 // 10]
    return seconds(lambda: net.partial_fit(X, X))


def train_skorch_adversarial(size, n_epochs):
    return train_skorch(size, n_epochs, Adversarial, discriminator=discriminator())


def train_pyod(size, n_epochs):
    from pyod.models.auto_encoder import AutoEncoder

    hidden, batch_size, n_rows, n_columns, _ = SIZES[size]
    model = AutoEncoder(
        epoch_num=n_epochs,
        batch_size=batch_size,
        hidden_neuron_list=[*hidden, N_COMPONENTS],
        batch_norm=False,
        dropout_rate=0,
        verbose=0,
    )
    train, spent = model.train, []
    model.train = lambda loader: spent.append(seconds(lambda: train(loader)))
    model.fit(table(n_rows, n_columns)[: n_rows * 9 // 10])
    return spent[0]


def train_pythae(size, n_epochs):
    from pythae import models, trainers
    from pythae.data.datasets import BaseDataset
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder

    hidden, batch_size, n_rows, n_columns, _ = SIZES[size]
    encode, decode = mirrored(hidden, n_columns)

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.network = encode

        def forward(self, x):
            z = self.network(x)
            return ModelOutput(embedding=z, log_covariance=torch.zeros_like(z))  # not used

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.network = decode

        def forward(self, z):
            return ModelOutput(reconstruction=self.network(z))

    class Discriminator(BaseDiscriminator):
        def __init__(self):
            super().__init__()
            self.network = nn.Sequential(discriminator(), nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(embedding=self.network(z))

    logging.getLogger("pythae").setLevel(logging.WARNING)
    shape = {"input_dim": (n_columns,), "latent_dim": N_COMPONENTS}
    config = models.Adversarial_AE_Config(**shape, deterministic_posterior=True)
    model = models.Adversarial_AE(config, Encoder(), Decoder(), Discriminator())
    x = torch.from_numpy(table(n_rows, n_columns)[: n_rows * 9 // 10])
    data = BaseDataset(x, torch.zeros(len(x)))
    with tempfile.TemporaryDirectory() as folder:
        options = trainers.AdversarialTrainerConfig(
            folder,
            num_epochs=n_epochs,
            per_device_train_batch_size=batch_size,
            no_cuda=True,
        )
        with redirect_stdout(None), redirect_stderr(io.StringIO()):  # pages of epochs
            trainer = trainers.AdversarialTrainer(model, data, training_config=options)
            return seconds(trainer.train)


WITH_DISCRIMINATOR = {
    "AdversarialAutoencoder": train_ours,
    "such steps in skorch's default loop": train_skorch_adversarial,
    "pythae Adversarial_AE": train_pythae,
}
WITHOUT_DISCRIMINATOR = {
    "adversarial_weight=0, noise=0": train_ours_alone,
    "skorch, default loop": train_skorch,
    "PyOD AutoEncoder": train_pyod,
}
PEERS = WITH_DISCRIMINATOR | WITHOUT_DISCRIMINATOR
PACKAGES = {"PyOD AutoEncoder": "pyod", "pythae Adversarial_AE": "pythae"}


def run_peers(size, repetition):
    torch.set_num_threads(1)
    n_epochs, spent = SIZES[size][-1], {}

    def timed(name):
        spent[name] = PEERS[name](size, n_epochs) / n_epochs

    present = [name for name in PEERS if find_spec(PACKAGES.get(name, "torch"))]
    turn_by_turn({name: partial(timed, name) for name in present}, repetition)
    return spent


# Inference.


@lru_cache(maxsize=2)
def fitted_and_raw(dtype, n_rows=60_000):
    """Model with default networks, rows, and raw forward passes of standardised rows."""
    X = table(n_rows, 784, dtype)
    model = AdversarialAutoencoder(max_iter=1, random_state=0).fit(X[:5000])
    x = torch.from_numpy((X - X.mean(axis=0)) / X.std(axis=0))
    encoder, decoder = (
        copy.deepcopy(network).to(x.dtype) for network in (model.encoder_, model.decoder_)
    )

    @torch.inference_mode()
    def encode():
        return torch.cat([encoder(rows) for rows in x.split(1000)]).numpy()

    @torch.inference_mode()
    def forward():
        return torch.cat([decoder(encoder(rows)) for rows in x.split(1000)]).numpy()

    return model, X, encode, forward


def run_inference(dtype, repetition):
    torch.set_num_threads(1)
    model, X, encode, forward = fitted_and_raw(dtype)

    def score(method):
        model.set_params(score_method=method).score_samples(X)

    methods = ("log_likelihood", "reconstruction", "prior", "discriminator")
    runs = {
        "raw encoder": encode,
        "transform": lambda: model.transform(X),
        "raw forward": forward,
        "reconstruct": lambda: model.reconstruct(X),
        **{f"score_samples, {m}": partial(score, m) for m in methods},
    }
    return turn_by_turn(runs, repetition)


# Serving.


@lru_cache(maxsize=2)
def detectors(dtype):
    """Functions from rows to scores, by name, of detectors that were fitted to the same rows."""
    X = table(20_000, 50, dtype)
    model = AdversarialAutoencoder(random_state=0).fit(X)
    forest = IsolationForest(random_state=0, n_jobs=1).fit(X)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    graph = to_onnx(model, "score_samples", dtype=dtype).SerializeToString()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return {
        "AdversarialAutoencoder": model.score_samples,
        "onnxruntime": lambda rows: session.run(None, {"X": rows})[0],
        "IsolationForest": forest.score_samples,
    }


def run_serving(dtype, repetition):
    """Milliseconds of one row, the median of 100 calls, and of 10,000 rows."""
    torch.set_num_threads(1)
    X, result = table(20_000, 50, dtype), {}
    scores = detectors(dtype)
    scores["onnxruntime"](X[:1])
    for name, score in scores.items():
        calls = [seconds(partial(score, X[i : i + 1])) for i in range(100)]
        result[f"{name}, 1 row"] = 1000 * statistics.median(calls)
    whole = {name: partial(score, X[:10_000]) for name, score in scores.items()}
    for name, value in turn_by_turn(whole, repetition).items():
        result[f"{name}, 10,000 rows"] = 1000 * value
    return result


# Growth and memory.


def _kilobytes(name):
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1])


def fit_and_score(n_rows, n_columns, dtype, hidden, n_components, score):
    """Seconds, and the peak of memory above X in MiB; in a process of its own."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    options = {"hidden_layer_sizes": hidden, "max_iter": 1, "random_state": 0}
    small = table(1000, n_columns, dtype)
    AdversarialAutoencoder(n_components, **options).fit(small).score_samples(small)
    X = table(n_rows, n_columns, dtype)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = _kilobytes("VmRSS")
    model = AdversarialAutoencoder(n_components, **options)
    fit_s = seconds(lambda: model.fit(X))
    score_s = seconds(lambda: model.score_samples(X)) if score else float("nan")
    peak = (_kilobytes("VmHWM") - before) / 1024
    return {"fit_s": fit_s, "score_s": score_s, "peak_mib": peak, "x_mib": X.nbytes / 2**20}


def run_apart(
    n_rows=20_000,
    n_columns=50,
    dtype="float32",
    hidden=(64, 32),
    n_components=8,
    score=True,
    **_,
):
    arguments = (n_rows, n_columns, dtype, hidden, n_components, score)
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(fit_and_score, arguments)


# Search.


def run_search(repetition):
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers
    X = table(5_000, 20)
    grid = {"n_components": [2, 4, 6, 8], "noise": [0.1, 0.3]}

    def search(n_jobs, max_iter=30):
        model = AdversarialAutoencoder(max_iter=max_iter, random_state=0)
        GridSearchCV(model, grid, cv=2, n_jobs=n_jobs, refit=False).fit(X)

    search(2, max_iter=1)  # starts the workers
    runs = {"n_jobs=1": lambda: search(1), "n_jobs=2": lambda: search(2)}
    return turn_by_turn(runs, repetition)


# Plan and output.


def plan_of(part, repetitions, threads):
    """Pairs of the key of a row and the function that makes it."""
    every = range(repetitions)
    if part == "training":
        for size in SIZES:
            for n_threads in threads:
                for r in every:
                    key = {"part": part, "size": size, "threads": n_threads, "repetition": r}
                    yield key, partial(run_training, size, n_threads, r)
    elif part in ("options", "peers"):
        for size in SIZES:
            for r in every:
                key = {"part": part, "size": size, "repetition": r}
                yield key, partial({"options": run_options, "peers": run_peers}[part], size, r)
    elif part in ("inference", "serving"):
        run = run_inference if part == "inference" else run_serving
        for dtype in ("float32", "float64"):
            for r in every:
                key = {"part": part, "dtype": dtype, "repetition": r}
                yield key, partial(run, dtype, r)
    elif part == "growth":
        for what, settings in GROWTH.items():
            for setting in settings:
                arguments = setting | (
                    {"hidden": (setting["hidden"],)} if "hidden" in setting else {}
                )
                yield {"part": part, "with": what, **setting}, partial(run_apart, **arguments)
    elif part == "memory":
        for dtype in ("float32", "float64"):
            setting = {"n_rows": 200_000, "n_columns": 784, "dtype": dtype}
            hidden = {"hidden": (256, 128)}
            yield {"part": part, **setting}, partial(run_apart, **setting, **hidden, score=False)
    else:
        for r in every:
            yield {"part": part, "repetition": r}, partial(run_search, r)


PARTS = ["training", "options", "peers", "inference", "serving", "growth", "memory", "search"]


def spread(values, digits=2):
    """Median, and range in brackets."""
    median, *ends = statistics.median(values), min(values), max(values)
    return f"{median:.{digits}f} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def lines_of_training(rows):
    yield "| network | threads | fit, ms | by hand, ms | ratio | besides training, s |"
    yield "|---|---|---|---|---|---|"
    for size, n_threads in dict.fromkeys((r["size"], r["threads"]) for r in rows):
        mine = [r for r in rows if (r["size"], r["threads"]) == (size, n_threads)]
        ours, plain, besides = (
            statistics.median(r[key] for r in mine) for key in ("ours_ms", "plain_ms", "besides_s")
        )
        ratio = spread([r["ratio"] for r in mine])
        yield f"| {size} | {n_threads} | {ours:.2f} | {plain:.2f} | {ratio} | {besides:.1f} |"


def lines_by_size(names, rows, unit):
    """Medians of columns and how many times the first column they take."""
    present = [name for name in names if any(name in r for r in rows)]
    yield f"| network | {' | '.join(f'{name}, {unit}' for name in present)} |"
    yield f"|---|{'---|' * len(present)}"
    for size in dict.fromkeys(r["size"] for r in rows):
        mine = [r for r in rows if r["size"] == size]
        cells = [f"{statistics.median(r[present[0]] for r in mine):.3g}"]
        for name in present[1:]:
            both = [r for r in mine if name in r]
            value = statistics.median(r[name] for r in both)
            cells.append(f"{value:.3g}, ratio {spread([r[name] / r[present[0]] for r in both])}")
        yield f"| {size} | {' | '.join(cells)} |"
    for name in names:
        if name not in present:
            yield f"\n{name} is missing: it was not installed."


def lines_of_peers(rows):
    yield from lines_by_size(list(WITH_DISCRIMINATOR), rows, unit="s")
    yield "\nEncoder and decoder alone, and with the discriminator that the others do not train:\n"
    alone = [*WITHOUT_DISCRIMINATOR, "AdversarialAutoencoder"]
    yield from lines_by_size(alone, rows, unit="s")


def lines_of_inference(rows):
    yield "| dtype of X | what | seconds | against | ratio |"
    yield "|---|---|---|---|---|"
    for dtype in dict.fromkeys(r["dtype"] for r in rows):
        mine = [r for r in rows if r["dtype"] == dtype]
        for name in (n for n in mine[0] if n.startswith(("transform", "reconstruct", "score"))):
            raw = "raw encoder" if name == "transform" else "raw forward"
            value = statistics.median(r[name] for r in mine)
            ratio = spread([r[name] / r[raw] for r in mine])
            yield f"| {dtype} | {name} | {value:.2f} | {raw} | {ratio} |"


def lines_of_serving(rows):
    yield "| dtype of X | what | 1 row, ms | 10,000 rows, ms |"
    yield "|---|---|---|---|"
    for dtype in dict.fromkeys(r["dtype"] for r in rows):
        mine = [r for r in rows if r["dtype"] == dtype]
        for name in ("AdversarialAutoencoder", "onnxruntime", "IsolationForest"):
            one, many = (
                spread([r[f"{name}, {n}"] for r in mine]) for n in ("1 row", "10,000 rows")
            )
            yield f"| {dtype} | {name} | {one} | {many} |"


def lines_of_growth(rows):
    yield "| what grows | fit, s | score, s | peak above X, MiB | X, MiB |"
    yield "|---|---|---|---|---|"
    for r in rows:
        names = ("n_rows", "hidden", "n_components", "n_columns", "dtype")
        what = ", ".join(f"{name}={r[name]}" for name in names if name in r)
        score = "" if r["score_s"] != r["score_s"] else f"{r['score_s']:.2f}"
        peak, x = r["peak_mib"], r["x_mib"]
        fit = f"{r['fit_s']:.2f}"
        yield f"| {what} | {fit} | {score} | {peak:.0f} ({peak / x:.2f} of X) | {x:.0f} |"


def lines_of_search(rows):
    one, two = (statistics.median(r[f"n_jobs={n}"] for r in rows) for n in (1, 2))
    gain = spread([r["n_jobs=1"] / r["n_jobs=2"] for r in rows])
    yield f"One worker {one:.1f} s, two {two:.1f} s: {gain} times as fast."


def tables(rows):
    yield f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}. Medians, with "
    yield "the range over repetitions in brackets.\n"
    titles = {
        "training": ("Step of training against a loop by hand", lines_of_training),
        "options": (
            "Step of training with other options, one thread",
            partial(lines_by_size, ["default", "bf16", "compile"], unit="ms"),
        ),
        "peers": (
            "Epoch of training against other packages, one thread",
            lines_of_peers,
        ),
        "inference": ("60,000 x 784 against raw passes, one thread", lines_of_inference),
        "serving": ("Scores against onnxruntime and IsolationForest, one thread", lines_of_serving),
        "growth": ("Growth of fit (one epoch) and score, one thread", lines_of_growth),
        "memory": ("Memory of fit", lines_of_growth),
        "search": ("GridSearchCV on two cores", lines_of_search),
    }
    for part, (title, lines) in titles.items():
        mine = [r for r in rows if r["part"] == part]
        if mine:
            yield f"## {title}\n"
            yield from lines(rows=mine)
            yield ""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="of training")
    parser.add_argument("--out", type=Path, default=RESULTS / "speed.jsonl")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    results = Results(arguments.out)
    for part in arguments.parts:
        results.complete(list(plan_of(part, arguments.repetitions, arguments.threads)))
    results.write_table(tables(results.rows))


if __name__ == "__main__":
    main()
