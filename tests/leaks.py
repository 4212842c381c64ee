"""Fit and score many times in one process: memory, files and threads have to level off.

    python tests/leaks.py --fits 200 --scores 10000

Small models of all estimators are fitted in turn to new rows, then models are asked for scores,
codes and classes of a few rows. Resident memory, open files and threads are noted all along: what
a process holds after a fifth of the calls, when caches are full and libraries loaded, it may not
exceed by more than `ALLOWED` in the end. No array that was fitted or scored may be alive after it.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import threading
import warnings
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import make_blobs

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    AdversarialTextAutoencoder,
    ConditionalAdversarialAutoencoder,
    load,
    save,
)
from sklearn_aae.callbacks import Checkpoint

# What may come on top after a fifth of the calls. Memory that is freed does not all go back to the
# system: allocators keep pieces.
ALLOWED = {"memory, MiB": 24, "files": 0, "threads": 0}


class Watched(np.ndarray):
    """An array that takes weak references."""


def resources() -> dict[str, float]:
    """What the process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "memory, MiB": pages * os.sysconf("SC_PAGESIZE") / 2**20,
        "files": len(os.listdir("/proc/self/fd")),
        "threads": max(len(os.listdir("/proc/self/task")), threading.active_count()),
    }


def rows(i: int) -> tuple[Watched, np.ndarray]:
    X, y = make_blobs(60, n_features=5, centers=3, random_state=i)
    return X.view(Watched), y


def frame(i: int) -> pd.DataFrame:
    X, y = rows(i)
    table = pd.DataFrame(np.asarray(X), columns=list("abcde"))
    table["e"] = np.array(["x", "y", "z"])[y]
    return table.mask(np.random.default_rng(i).random(table.shape) < 0.1)


def fits(directory: Path) -> list:
    """Functions that fit a model to new rows, and return it with what has to be let go."""

    def fit(model, i, labelled=False):
        X, y = rows(i)
        return model.fit(X, y if labelled else None), weakref.ref(X)

    def of_checkpoints(i):
        return fit(AdversarialAutoencoder(callbacks=[Checkpoint(directory)], **few), i)

    def of_a_file(i):
        model, reference = fit(AdversarialAutoencoder(**few), i)
        save(model, directory / "model")
        return load(directory / "model"), reference

    def of_frames(i):
        X = frame(i)
        return AdversarialAutoencoder(**few).fit(X), weakref.ref(X)

    def of_strings(i):
        X = np.array([f"{i} {a} {b}" for a in "abcde" for b in "xyz"], dtype=object).view(Watched)
        model = AdversarialTextAutoencoder(
            n_components=2, hidden_size=8, embedding_size=8, max_iter=2, random_state=0
        )
        return model.fit(X), weakref.ref(X)

    few = {"max_iter": 3, "hidden_layer_sizes": (8,), "n_components": 2, "random_state": 0}
    return [
        lambda i: fit(AdversarialAutoencoder(**few), i),
        lambda i: fit(AdversarialAutoencoder(early_stopping=True, **few), i),
        lambda i: fit(AdversarialAutoencoderClassifier(**few), i, labelled=True),
        lambda i: fit(AdversarialAutoencoderClusterer(n_clusters=3, **few), i),
        lambda i: fit(ConditionalAdversarialAutoencoder(**few), i, labelled=True),
        of_checkpoints,
        of_a_file,
        of_frames,
        of_strings,
    ]


def answers(models: list) -> list:
    """Functions that ask fitted models about a few new rows."""

    def asked(method, i):
        X = rows(i)[0][:3]
        method(X)
        return weakref.ref(X)

    methods = [
        getattr(model, name)
        for model in models
        for name in ("score_samples", "transform", "predict", "predict_proba", "reconstruct")
        if hasattr(model, name)
    ]
    return [lambda i, method=method: asked(method, i) for method in methods]


def is_alive(reference: weakref.ref) -> bool:
    if reference() is not None:
        gc.collect()
    return reference() is not None


def watch(what: str, n_calls: int, call) -> int:
    """Call so many times; the number of what was not let go or grew."""
    notes, alive = [], 0
    for i in range(n_calls):
        reference = call(i)
        if i % max(1, n_calls // 50) == 0:
            alive += is_alive(reference)
        if (i + 1) % max(1, n_calls // 5) == 0:
            notes.append(resources())
    print(f"{n_calls} {what}; arrays that are alive after their call: {alive}")
    failures = int(alive > 0)
    for name, allowed in ALLOWED.items():
        seen = [note[name] for note in notes]
        grew = seen[-1] - seen[0] > allowed
        print(f"  {name}: {', '.join(f'{v:.0f}' for v in seen)}{' GREW' if grew else ''}")
        failures += grew
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=200)
    parser.add_argument("--scores", type=int, default=10_000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of trainings as short as these
    with tempfile.TemporaryDirectory() as name:
        ways = fits(Path(name))
        models = [way(0)[0] for way in ways[:4]]
        failures = watch("fits", options.fits, lambda i: ways[i % len(ways)](i)[1])
        asked = answers(models)
        failures += watch("answers", options.scores, lambda i: asked[i % len(asked)](i))
    return failures


if __name__ == "__main__":
    sys.exit(main())
