"""One-class MNIST: train on one digit, tell it from the nine others, against PCA and neighbours.

The protocol of Deep SVDD (Ruff et al., 2018) and most after it: for each digit all its training
images train (pixels / 255), all 10,000 test images are scored, AUROC. The estimator has its default
parameters; PCA has 32 components and scores by reconstruction error, kNN by the distance to the
fifth neighbour.

Results are appended run by run to results/one_class_images.jsonl, so that an interrupted benchmark
goes on where it stopped; the table is written to results/one_class_images.md.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from sklearn_aae import AdversarialAutoencoder

RESULTS = Path(__file__).parent / "results"


def score_ours(X, X_test, seed):
    return AdversarialAutoencoder(random_state=seed).fit(X).score_samples(X_test)


def score_pca(X, X_test, seed):
    pca = PCA(n_components=32, random_state=seed).fit(X)
    return -np.square(X_test - pca.inverse_transform(pca.transform(X_test))).sum(axis=1)


def score_knn(X, X_test, seed):
    return -NearestNeighbors(n_neighbors=5).fit(X).kneighbors(X_test)[0][:, -1]


DETECTORS = {"AdversarialAutoencoder": score_ours, "PCA-32": score_pca, "kNN": score_knn}


def table(rows):
    seeds = sorted({r["seed"] for r in rows})
    lines = [
        f"AUROC, mean over seeds {seeds}, or those of them that were run:\n",
        "| detector | " + " | ".join(map(str, range(10))) + " | mean | seconds |",
        "|---" * 13 + "|",
    ]
    for name in DETECTORS:
        mine = [r for r in rows if r["detector"] == name]
        if len({r["digit"] for r in mine}) < 10:
            continue
        auroc = [np.mean([r["auroc"] for r in mine if r["digit"] == d]) for d in range(10)]
        seconds = np.mean([r["seconds"] for r in mine])
        cells = " | ".join(f"{v:.3f}" for v in auroc)
        lines.append(f"| {name} | {cells} | {np.mean(auroc):.4f} | {seconds:.0f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mnist.npz"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--detectors", nargs="+", default=list(DETECTORS), choices=list(DETECTORS))
    parser.add_argument("--out", type=Path, default=RESULTS / "one_class_images.jsonl")
    arguments = parser.parse_args()

    with np.load(arguments.data) as file:
        X, y = file["X_train"] / 255.0, file["y_train"]
        X_test, y_test = file["X_test"] / 255.0, file["y_test"]
    out = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    done = {(r["digit"], r["seed"], r["detector"]) for r in rows}
    for seed in arguments.seeds:
        for digit in range(10):
            for name in arguments.detectors:
                if (digit, seed, name) in done:
                    continue
                start = time.perf_counter()
                scores = DETECTORS[name](X[y == digit], X_test, seed)
                row = {
                    "digit": digit,
                    "seed": seed,
                    "detector": name,
                    "auroc": float(roc_auc_score(y_test == digit, scores)),
                    "seconds": time.perf_counter() - start,
                }
                rows.append(row)
                with out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
    text = table(rows)
    out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
