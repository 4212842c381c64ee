"""Kill fits with SIGKILL at random moments, start them again, compare with fits never killed.

    python tests/kill_and_resume.py --trials 100

Each trial kills a fit one to three times, at a random time or just before one of the steps of
writing a checkpoint, and then lets it end. Weights, history and codes have to be those of a fit
without any kill, to the bit, and the directory has to be empty.
"""

from __future__ import annotations

import argparse
import os
import pickle
import random
import signal
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from sklearn.datasets import make_blobs
from torch import nn

from sklearn_aae import AdversarialAutoencoder, AdversarialTextAutoencoder
from sklearn_aae.callbacks import Checkpoint

X = make_blobs(200, n_features=6, centers=3, random_state=0)[0]
FRAME = pd.DataFrame(
    {
        "number": np.where(np.arange(200) % 7 == 0, np.nan, X[:, 0]),
        "boolean": X[:, 1] > 0,
        "category": np.where(X[:, 2] > 0, "above", "below"),
    }
)
STRINGS = [f"{c} {s} {n}" for c in ("red", "blue") for s in ("big", "tiny") for n in "abcdefghij"]


def dropout_encoder(n_in, n_out):
    """Draws its masks from torch's global generator."""
    return nn.Sequential(nn.Linear(n_in, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, n_out))


CASES = [
    {"max_iter": 20},
    {"max_iter": 30, "early_stopping": True, "n_iter_no_change": 5, "tol": 0.01},
    {"max_iter": 15, "encoder": dropout_encoder, "posterior": "implicit"},
    {"max_iter": 15, "posterior": "gaussian", "optimizer": torch.optim.SGD, "lr": 1e-2},
    {"max_iter": 15, "X": FRAME},
    {"max_iter": 15, "X": sparse.csr_array(X * (X > 0)), "references": "means"},
    {"max_iter": 10, "X": STRINGS, "n_components": 4, "hidden_size": 16, "embedding_size": 8},
]


def fit(case: int, directory: Path, every: int = 1) -> dict:
    """What has to be equal, after a fit with checkpoints."""
    checkpoint = Checkpoint(directory, every=every)
    parameters = {"X": X, **CASES[case]}
    rows = parameters.pop("X")
    kind = AdversarialTextAutoencoder if rows is STRINGS else AdversarialAutoencoder
    model = kind(callbacks=[checkpoint], random_state=0, **parameters).fit(rows)
    arrays = {
        f"{part}.{name}": value.numpy().tobytes()
        for part in ("module_", "discriminators_")
        for name, value in getattr(model.net_, part).state_dict().items()
    }
    return {
        **arrays,
        "history": model.history_,
        "n_iter": model.n_iter_,
        "codes": model.transform(rows).tobytes(),
        "scores": model.score_samples(rows).tobytes(),
        "n_epochs_resumed": checkpoint.n_epochs_resumed_,
        "files": sorted(os.listdir(directory)),
    }


def in_child(function, *arguments) -> int:
    """Process id of a fork that runs a function and ends."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function(*arguments)
            code = 0
        finally:
            os._exit(code)
    return pid


def fit_and_keep(case: int, directory: Path, every: int, kept: Path) -> None:
    kept.write_bytes(pickle.dumps(fit(case, directory, every)))


def fit_killed_in_writing(case: int, directory: Path, every: int, n_calls: int) -> None:
    """Dies just before the n-th system call that writes or renames a checkpoint."""
    calls = 0

    def counted(original):
        def call(*arguments):
            nonlocal calls
            calls += 1
            if calls == n_calls:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments)

        return call

    os.fsync, Path.replace = counted(os.fsync), counted(Path.replace)
    original_savez = np.savez

    def savez(file, **arrays):
        nonlocal calls
        calls += 1
        original_savez(file, **arrays)
        if calls == n_calls:
            file.truncate(file.tell() // 2)
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    np.savez = savez
    fit(case, directory, every)


@cache
def reference(case: int) -> tuple[dict, float]:
    """What a fit without any kill gives, and the seconds that it takes."""
    with tempfile.TemporaryDirectory() as parent:
        kept, start = Path(parent, "kept"), time.perf_counter()
        os.waitpid(in_child(fit_and_keep, case, Path(parent, "checkpoints"), 1, kept), 0)
        return pickle.loads(kept.read_bytes()), time.perf_counter() - start


def trial(rng: random.Random) -> tuple[list[str], int, int]:
    """Names of what differs, number of kills that hit, epochs that were resumed."""
    case, every = rng.randrange(len(CASES)), rng.choice([1, 1, 3])
    expected, duration = reference(case)
    n_kills = 0
    with tempfile.TemporaryDirectory() as parent:
        directory, kept = Path(parent, "checkpoints"), Path(parent, "kept")
        directory.mkdir()
        for _ in range(rng.choice([1, 1, 2, 3])):
            if rng.random() < 0.5:
                pid = in_child(fit_killed_in_writing, case, directory, every, rng.randint(1, 60))
            else:
                pid = in_child(fit, case, directory, every)
                time.sleep(rng.uniform(0, duration))
                os.kill(pid, signal.SIGKILL)
            n_kills += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        os.waitpid(in_child(fit_and_keep, case, directory, every, kept), 0)
        result = pickle.loads(kept.read_bytes())
    n_resumed = result.pop("n_epochs_resumed")
    different = [name for name, value in result.items() if value != expected[name]]
    return different, n_kills, n_resumed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # threads do not survive a fork
    # The first optimiser makes torch load modules for seconds, which each child would do anew.
    torch.optim.Adam([nn.Parameter(torch.zeros(1))])
    rng = random.Random(arguments.seed)
    n_equal = n_kills = n_resumed = 0
    for i in range(arguments.trials):
        different, kills, epochs = trial(rng)
        n_equal += not different
        n_kills += kills
        n_resumed += epochs > 0
        if different:
            print(f"trial {i}: different: {different}", flush=True)
    print(
        f"{n_equal}/{arguments.trials} equal to the bit; {n_kills} kills, "
        f"{n_resumed} trials resumed from a checkpoint"
    )
    return int(n_equal != arguments.trials)


if __name__ == "__main__":
    sys.exit(main())
