"""Do codes match the prior, and what does it cost in reconstruction? Over data, priors and seeds.

For every data set and seed an autoencoder without a critic (adversarial_weight=0) gives the
reference; then an estimator is fitted for every prior, with the parameters for those who want the
prior matched (MATCHED), which are the same for all priors and data sets. Reported on held-out rows:

- reconstruction: mean squared error in standardised units over that of the column means, and the
  ratio to the reference with the same code size;
- prior match: sliced Wasserstein distance of codes to the prior, and its null level between two
  samples of the prior;
- AUROC of a fresh gradient boosting classifier that tells held-out codes from prior samples
  (0.5: it cannot), the mean over several draws of samples where there are few rows.

Results are appended run by run to results/prior_match.jsonl, so that an interrupted benchmark goes
on where it stopped; the table is written to results/prior_match.md.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.callbacks import PriorMatch
from sklearn_aae.metrics import classifier_two_sample_score
from sklearn_aae.priors import MixtureOfGaussians, Normal, SwissRoll, Uniform, bind_prior, draw

RESULTS = Path(__file__).parent / "results"
MAX_ROWS = 5000  # held-out rows that are compared with the prior
MIN_SAMPLES = 2000  # of the prior; two of 450 rows in 8 dimensions had AUROCs from 0.45 to 0.54

PRIORS = {
    "normal-2": (Normal(), 2),
    "normal-8": (Normal(), 8),
    "normal-32": (Normal(), 32),
    "uniform-2": (Uniform(), 2),
    "mixture-2": (MixtureOfGaussians(), 2),
    "swiss_roll-2": (SwissRoll(), 2),
}
NO_CRITIC = {"adversarial_weight": 0.0}
MATCHED = {"normalizing_flow": True, "adversarial_weight": 0.05}
TABLES = {"pendigits": "28_pendigits", "magic": "22_magic.gamma", "campaign": "5_campaign"}


def load(name, data):
    """Training and held-out rows of a data set."""
    if name == "digits":
        X = load_digits().data
    elif name == "mnist":
        X = np.load(data / "mnist.npz")["X_train"][:25_000] / 255.0
        return X[:20_000], X[20_000:]
    else:
        X = np.load(data / "adbench" / f"{TABLES[name]}.npz")["X"].astype(float)
    return train_test_split(X, test_size=0.25, random_state=0)


def reconstruction(model, X):
    """Share of the variance of standardised columns that the reconstruction leaves."""
    x = (X - model._columns.center) / model._columns.scale
    residual = (X - model.reconstruct(X)) / model._columns.scale
    return float(np.mean(residual**2) / np.mean((x - x.mean(axis=0)) ** 2))


def run(X_train, X_test, prior, n_components, seed, options):
    start = time.perf_counter()
    model = AdversarialAutoencoder(n_components, prior=prior, random_state=seed, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X_train)
    seconds = time.perf_counter() - start
    row = {
        "reconstruction": reconstruction(model, X_test),
        "seconds": seconds,
        "warnings": [str(w.message) for w in caught],
    }
    if options["adversarial_weight"] == 0:
        return row
    codes = model.transform(X_test[:MAX_ROWS])
    bound = bind_prior(prior, n_components)
    generator = torch.Generator().manual_seed(seed)
    aurocs = [
        classifier_two_sample_score(
            codes, draw(bound, len(codes), generator).numpy(), random_state=seed
        )
        for _ in range(-(-MIN_SAMPLES // len(codes)))
    ]
    monitor = PriorMatch(bound, seed=seed)
    return row | {
        "prior_match": monitor.measure(torch.tensor(codes)),
        "null": monitor.null_,
        "auroc": float(np.mean(aurocs)),
    }


def write_table(rows, path):
    reference = {
        (r["data"], r["n_components"], r["seed"]): r["reconstruction"]
        for r in rows
        if r["prior"] == "none"
    }
    lines = [
        "| data | prior | reconstruction | over no critic | prior match / null | AUROC | failed |",
        "|---|---|---|---|---|---|---|",
    ]
    groups = {}
    for r in rows:
        if r["prior"] != "none":
            groups.setdefault((r["data"], r["prior"]), []).append(r)
    for (data, prior), group in groups.items():
        done = [r for r in group if "error" not in r]
        failed = f"{len(group) - len(done)} of {len(group)}"
        if not done:
            lines.append(f"| {data} | {prior} | | | | | {failed} |")
            continue

        def spread(values, form):
            return f"{np.mean(values):{form}} ± {np.std(values):{form}}"

        ratio = [r["reconstruction"] / reference[data, r["n_components"], r["seed"]] for r in done]
        match = [r["prior_match"] / r["null"] for r in done]
        auroc = [r["auroc"] for r in done]
        lines.append(
            f"| {data} | {prior} | {spread([r['reconstruction'] for r in done], '.3f')} | "
            f"{spread(ratio, '.3f')}, worst {max(ratio):.3f} | {spread(match, '.1f')} | "
            f"{spread(auroc, '.3f')}, worst {max(auroc):.3f} | {failed} |"
        )
    path.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="data folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument(
        "--sets", nargs="+", default=["digits", *TABLES, "mnist"], help="data sets to run"
    )
    parser.add_argument("--priors", nargs="+", default=list(PRIORS), choices=list(PRIORS))
    parser.add_argument("--defaults", action="store_true", help="default parameters instead")
    parser.add_argument("--out", type=Path, default=RESULTS / "prior_match.jsonl")
    arguments = parser.parse_args()

    path = arguments.out
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(r["data"], r["prior"], r["n_components"], r["seed"]) for r in rows}
    for name in arguments.sets:
        X_train, X_test = load(name, arguments.data)
        sizes = sorted({PRIORS[p][1] for p in arguments.priors})
        plan = [("none", Normal(), k) for k in sizes]
        plan += [(p, *PRIORS[p]) for p in arguments.priors]
        for seed in arguments.seeds:
            for prior_name, prior, k in plan:
                options = MATCHED
                if prior_name == "none":
                    options = NO_CRITIC
                elif arguments.defaults:
                    options = {"adversarial_weight": 0.2}
                key = {"data": name, "prior": prior_name, "n_components": k, "seed": seed}
                if tuple(key.values()) in done:
                    continue
                try:
                    row = key | run(X_train, X_test, prior, k, seed, options)
                except Exception as error:  # a failed run is a result
                    row = key | {"error": repr(error)}
                rows.append(row)
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)
    write_table(rows, path.with_suffix(".md"))


if __name__ == "__main__":
    main()
