"""Clusters of MNIST digits without labels, against k-means and a Gaussian mixture.

Trained on 60,000 images; error on the 10,000 test images by the rule of Makhzani et al. (2015):
each cluster takes the class of the image that it is most sure of, and this class is compared with
that of every image in the cluster. For k-means and the mixture, "most sure" is nearest to the
centre, and of highest posterior probability. The mixture works on 50 principal components.

Results are appended run by run to results/clustering.jsonl, so that an interrupted benchmark goes
on where it stopped; the table is written to results/clustering.md.
"""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from resumable import Results
from semi_supervised import load
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline

from sklearn_aae import AdversarialAutoencoderClusterer
from sklearn_aae.metrics import clustering_error

RESULTS = Path(__file__).parent / "results"
METHODS = ("AdversarialAutoencoderClusterer", "KMeans", "GaussianMixture")


def run(method, data, n_clusters, seed, device, max_iter):
    X, _, X_test, y_test = data
    if method == "AdversarialAutoencoderClusterer":
        model = AdversarialAutoencoderClusterer(
            n_clusters,
            n_components=10,
            hidden_layer_sizes=(400, 400),
            max_iter=max_iter,
            device=device,
            random_state=seed,
        ).fit(X)
        sureness = model.predict_proba(X_test)
    elif method == "KMeans":
        sureness = np.exp(-KMeans(n_clusters, random_state=seed).fit(X).transform(X_test))
    else:
        mixture = GaussianMixture(n_clusters, reg_covar=1e-3, random_state=seed)
        model = make_pipeline(PCA(50, random_state=seed), mixture).fit(X)
        sureness = model.predict_proba(X_test)
    error = clustering_error(
        y_test, sureness.argmax(axis=1), rule="representative", probabilities=sureness
    )
    return {"error": float(error), "used": len(np.unique(sureness.argmax(axis=1)))}


def table(rows):
    sizes = sorted({r["clusters"] for r in rows})
    yield "Error on the test images in %, mean ± standard deviation over seeds (number):\n"
    yield "| method | " + " | ".join(f"{n} clusters" for n in sizes) + " | seconds a fit |"
    yield "|---" * (len(sizes) + 2) + "|"
    for method in METHODS:
        mine = [r for r in rows if r["method"] == method]
        if not mine:
            continue
        cells = []
        for n in sizes:
            errors = [100 * r["error"] for r in mine if r["clusters"] == n]
            cells.append(
                f"{np.mean(errors):.2f} ± {np.std(errors):.2f} ({len(errors)})" if errors else ""
            )
        yield f"| {method} | {' | '.join(cells)} | {np.mean([r['seconds'] for r in mine]):.0f} |"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mnist.npz"))
    parser.add_argument("--clusters", type=int, nargs="+", default=[16, 30])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="auto", help="where our model trains")
    parser.add_argument("--max-iter", type=int, default=30, help="epochs of our model")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--out", type=Path, default=RESULTS / "clustering.jsonl")
    arguments = parser.parse_args()

    data = load(arguments.data)
    plan = [
        (
            {"method": method, "clusters": n, "seed": seed},
            partial(run, method, data, n, seed, arguments.device, arguments.max_iter),
        )
        for n in arguments.clusters
        for seed in arguments.seeds
        for method in arguments.methods
    ]
    results = Results(arguments.out)
    results.complete(plan)
    results.write_table(table(results.rows))


if __name__ == "__main__":
    main()
