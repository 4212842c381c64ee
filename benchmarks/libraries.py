"""Our own numerical parts against those of SciPy and scikit-learn, on the same tasks.

"eigenvectors": leading eigenvectors of a graph of nearest rows, for the clusterer. The Rayleigh
quotient is the mean eigenvalue that the vectors have; a ring of 400 rows has its eigenvalues in
pairs. The error is the share of rows in clusters of another class, after k-means. "labels": labels
that spread along the same graph, ten of each class; error on the other rows. Times are of the
processor, in turn, over three seeds.

Results are appended run by run to results/libraries.jsonl, so that an interrupted benchmark goes on
where it stopped; the table is written to results/libraries.md.
"""

import argparse
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from resumable import Results
from scipy import sparse
from scipy.sparse.linalg import eigsh, lobpcg
from semi_supervised import load
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.semi_supervised import LabelSpreading

from sklearn_aae._rows import neighbors
from sklearn_aae.metrics import clustering_error

RESULTS = Path(__file__).parent / "results"
CLASSES = 10


def by_lobpcg(n_iterations, edges, k, random_state):
    start = random_state.normal(size=(edges.shape[0], k + 8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says at each call that it did not converge
        values, vectors = lobpcg(edges, start, largest=True, maxiter=n_iterations, tol=1e-4)
    return vectors[:, np.argsort(-values)[:k]]


def by_arpack(edges, k, random_state):
    start = random_state.normal(size=edges.shape[0])
    return eigsh(edges, k, which="LA", v0=start, tol=1e-6)[1][:, ::-1]


EIGENVECTORS = {
    "ours": neighbors._leading_eigenvectors,
    "scipy lobpcg, 25 iterations": partial(by_lobpcg, 25),
    "scipy lobpcg, 40 iterations": partial(by_lobpcg, 40),
    "scipy eigsh": by_arpack,
}


def eigenvectors(how, graph, y, k, seed):
    edges, random_state = neighbors._normalized(graph), np.random.RandomState(seed)
    start = time.process_time()
    vectors = EIGENVECTORS[how](edges, k, random_state)
    seconds = time.process_time() - start
    basis = np.linalg.qr(vectors)[0]
    row = {"rayleigh": float(np.trace(basis.T @ (edges @ basis)) / k), "seconds": seconds}
    if y is not None:
        points = vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
        clusters = KMeans(k, n_init=10, random_state=random_state).fit_predict(points)
        row["error"] = float(clustering_error(y, clusters, rule="majority"))
    return row


def spread(graph, labels):
    return of_equal_shares(neighbors.spread_labels(graph, labels, CLASSES))


def of_equal_shares(p):
    """As much of each class over all rows."""
    return p / p.sum(axis=0)


def label_spreading(graph, labels):
    model = LabelSpreading(
        kernel=lambda *_: sparse.csr_matrix(graph),
        alpha=neighbors._FROM_NEIGHBORS,
        max_iter=neighbors._ROUNDS,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as many rounds as ours
        model.fit(np.zeros((len(labels), 1)), labels)
    return of_equal_shares(model.label_distributions_)


LABELS = {"ours": spread, "scikit-learn LabelSpreading": label_spreading}


def spread_labels(how, graph, y, seed):
    random_state = np.random.RandomState(seed)
    labels = np.full(len(y), -1)
    for c in range(CLASSES):
        labels[random_state.choice(np.flatnonzero(y == c), 10, replace=False)] = c
    start = time.process_time()
    p = LABELS[how](graph, labels)
    seconds = time.process_time() - start
    wrong = p.argmax(axis=1) != y
    return {"error": float(wrong[labels < 0].mean()), "seconds": seconds}


def graph_of(X):
    X = X.astype(np.float32)
    return neighbors.shared_neighbors(neighbors.nearest_rows(lambda rows: X[rows], len(X), 10, 0))


def ring(n_rows):
    steps = np.abs(np.subtract.outer(np.arange(n_rows), np.arange(n_rows)))
    return sparse.csr_array(np.isin(np.minimum(steps, n_rows - steps), [1, 2, 3]) / 6.0)


def table(rows):
    yield "Means over three seeds; processor seconds.\n"
    yield "| task | data | size | how | Rayleigh quotient | error in % | seconds |"
    yield "|---" * 7 + "|"
    for task, data, k, how in dict.fromkeys((r["task"], r["data"], r["k"], r["how"]) for r in rows):
        mine = [r for r in rows if (r["task"], r["data"], r["k"], r["how"]) == (task, data, k, how)]
        rayleigh, error, seconds = (
            np.mean([r.get(name, np.nan) for r in mine])
            for name in ("rayleigh", "error", "seconds")
        )
        cells = (
            "" if np.isnan(rayleigh) else f"{rayleigh:.5f}",
            "" if np.isnan(error) else f"{100 * error:.2f}",
        )
        yield f"| {task} | {data} | {k} | {how} | {cells[0]} | {cells[1]} | {seconds:.2f} |"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mnist.npz"))
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 60_000], help="of MNIST")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=RESULTS / "libraries.jsonl")
    arguments = parser.parse_args()

    digits = load_digits()
    graphs = {"ring": (ring(400), None), "digits": (graph_of(digits.data), digits.target)}
    X, y, *_ = load(arguments.data)
    order = np.random.RandomState(0).permutation(len(X))
    for n in arguments.rows:
        graphs[f"mnist {n}"] = graph_of(X[order[:n]]), y[order[:n]]
    plan = [
        (
            {"task": "eigenvectors", "data": name, "k": k, "how": how, "seed": seed},
            partial(eigenvectors, how, graph, labels, k, seed),
        )
        for name, (graph, labels) in graphs.items()
        for k in ((7,) if labels is None else (16, 30))
        for seed in arguments.seeds
        for how in EIGENVECTORS
    ]
    plan += [
        (
            {"task": "labels", "data": name, "k": CLASSES, "how": how, "seed": seed},
            partial(spread_labels, how, graph, labels, seed),
        )
        for name, (graph, labels) in graphs.items()
        if labels is not None
        for seed in arguments.seeds
        for how in LABELS
    ]
    results = Results(arguments.out)
    results.complete(plan)
    results.write_table(table(results.rows))


if __name__ == "__main__":
    main()
