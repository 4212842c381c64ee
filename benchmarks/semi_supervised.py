"""Few labels on MNIST: the semi-supervised classifier against what people use now.

60,000 training images, of which `--labels` have a label, equally many of each digit, drawn anew for
each seed; error on the 10,000 test images. Our classifier gets all images, the baselines too where
they can use unlabelled ones:

- MLP: scikit-learn's MLPClassifier of the same layers on the labelled images;
- LabelSpreading: on a graph of 7 nearest neighbours;
- SelfTraining: scikit-learn's SelfTrainingClassifier around the MLP, at most 5 rounds.

Results are appended run by run to results/semi_supervised.jsonl, so that an interrupted benchmark
goes on where it stopped; the table is written to results/semi_supervised.md.
"""

import argparse
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from resumable import Results
from sklearn.neural_network import MLPClassifier
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from sklearn_aae import AdversarialAutoencoderClassifier

RESULTS = Path(__file__).parent / "results"
LAYERS = (400, 400)


def ours(seed, device, max_iter):
    return AdversarialAutoencoderClassifier(
        n_components=10,
        hidden_layer_sizes=LAYERS,
        max_iter=max_iter,
        device=device,
        random_state=seed,
    )


def mlp(seed):
    return MLPClassifier(LAYERS, batch_size=128, max_iter=30, random_state=seed)


def load(path):
    with np.load(path) as file:
        return (
            file["X_train"].astype(np.float32) / 255,
            file["y_train"].astype(int),
            file["X_test"].astype(np.float32) / 255,
            file["y_test"].astype(int),
        )


def draw_labels(y, n_labels, seed):
    """y with -1 in all but n_labels places, as many of each class."""
    if n_labels >= len(y):
        return y
    random_state = np.random.RandomState(seed)
    chosen = [
        random_state.choice(np.flatnonzero(y == k), n_labels // 10, replace=False)
        for k in range(10)
    ]
    labels = np.full(len(y), -1)
    labels[np.concatenate(chosen)] = y[np.concatenate(chosen)]
    return labels


def run(method, data, n_labels, seed, device, max_iter):
    X, y, X_test, y_test = data
    labels = draw_labels(y, n_labels, seed)
    labelled = labels >= 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if method == "AdversarialAutoencoderClassifier":
            model = ours(seed, device, max_iter).fit(X, labels)
        elif method == "MLP":
            model = mlp(seed).fit(X[labelled], labels[labelled])
        elif method == "LabelSpreading":
            model = LabelSpreading(kernel="knn", n_neighbors=7).fit(X, labels)
        else:
            model = SelfTrainingClassifier(mlp(seed), threshold=0.95, max_iter=5).fit(X, labels)
    return {"error": float(np.mean(model.predict(X_test) != y_test))}


def table(rows):
    methods = list(dict.fromkeys(r["method"] for r in rows))
    sizes = sorted({r["labels"] for r in rows})
    yield "Error on the test images in %, mean ± standard deviation over label draws (number):\n"
    yield "| method | " + " | ".join(f"{n} labels" for n in sizes) + " | seconds a fit |"
    yield "|---" * (len(sizes) + 2) + "|"
    for method in methods:
        cells = []
        for n in sizes:
            errors = [100 * r["error"] for r in rows if (r["method"], r["labels"]) == (method, n)]
            cells.append(
                f"{np.mean(errors):.2f} ± {np.std(errors):.2f} ({len(errors)})" if errors else ""
            )
        seconds = np.mean([r["seconds"] for r in rows if r["method"] == method])
        yield f"| {method} | " + " | ".join(cells) + f" | {seconds:.0f} |"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mnist.npz"))
    parser.add_argument("--labels", type=int, nargs="+", default=[100, 1000, 60_000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="auto", help="where our classifier trains")
    parser.add_argument("--max-iter", type=int, default=25, help="epochs of our classifier")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["AdversarialAutoencoderClassifier", "MLP", "LabelSpreading", "SelfTraining"],
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "semi_supervised.jsonl")
    arguments = parser.parse_args()

    data = load(arguments.data)
    plan = []
    for n_labels in arguments.labels:
        for seed in arguments.seeds:
            for method in arguments.methods:
                if n_labels >= len(data[0]) and method in ("LabelSpreading", "SelfTraining"):
                    continue  # nothing is unlabelled
                key = {"method": method, "labels": n_labels, "seed": seed}
                plan.append(
                    (
                        key,
                        partial(
                            run, method, data, n_labels, seed, arguments.device, arguments.max_iter
                        ),
                    )
                )
    results = Results(arguments.out)
    results.complete(plan)
    results.write_table(table(results.rows))


if __name__ == "__main__":
    main()
