"""What does a closer match with the prior cost? `adversarial_weight` from 1e-3 to 1e2 on digits.

For every weight and seed: mean squared error of held-out rows in standardised units over that of
the column means, the sliced Wasserstein distance of their codes from a normal prior, and the AUROC
of a fresh gradient boosting classifier that tells them from draws of it, the mean over five draws.

Results are appended fit by fit to results/prior_weight.jsonl, so that an interrupted benchmark goes
on where it stopped; the figure is written to docs/images/prior_weight.png.
"""

import argparse
import json
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from prior_match import load, reconstruction

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.callbacks import PriorMatch
from sklearn_aae.metrics import classifier_two_sample_score
from sklearn_aae.priors import draw

RESULTS = Path(__file__).parent / "results"
FIGURE = Path(__file__).parent.parent / "docs" / "images" / "prior_weight.png"
WEIGHTS = [float(f"{w:.3g}") for w in np.logspace(-3, 2, 11)]
N_COMPONENTS = 2
N_DRAWS = 5


def run(X_train, X_test, weight, seed):
    model = AdversarialAutoencoder(N_COMPONENTS, adversarial_weight=weight, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of codes that do not follow the prior, which is shown
        model.fit(X_train)
    codes = model.transform(X_test)
    generator = torch.Generator().manual_seed(seed)
    monitor = PriorMatch(model.prior_, seed=seed)
    return {
        "reconstruction": reconstruction(model, X_test),
        "prior_match": monitor.measure(torch.tensor(codes)),
        "null": monitor.null_,
        "auroc": float(
            np.mean(
                [
                    classifier_two_sample_score(
                        codes,
                        draw(model.prior_, len(codes), generator).numpy(),
                        random_state=seed,
                    )
                    for _ in range(N_DRAWS)
                ]
            )
        ),
    }


def draw_figure(rows, path):
    def columns(name):
        values = [[r[name] for r in rows if r["weight"] == w] for w in WEIGHTS]
        return np.mean(values, axis=1), np.std(values, axis=1)

    figure, axes = plt.subplots(1, 3, figsize=(9.5, 2.9), constrained_layout=True)
    panels = [
        ("reconstruction", "variance left"),
        ("prior_match", "distance from the prior"),
        ("auroc", "AUROC, codes or prior"),
    ]
    for ax, (name, label) in zip(axes, panels, strict=True):
        mean, deviation = columns(name)
        ax.fill_between(WEIGHTS, mean - deviation, mean + deviation, alpha=0.25, lw=0)
        ax.plot(WEIGHTS, mean, marker="o", ms=3)
        ax.set(xscale="log", xlabel="adversarial_weight", ylabel=label)
        ax.axvline(0.2, color="0.6", lw=0.8, ls=":")
        if name != "reconstruction":
            floor = 0.5 if name == "auroc" else np.mean([r["null"] for r in rows])
            ax.axhline(floor, color="0.3", lw=0.8, ls="--")
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=RESULTS / "prior_weight.jsonl")
    parser.add_argument("--figure", type=Path, default=FIGURE)
    arguments = parser.parse_args()
    path = arguments.out
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(r["weight"], r["seed"]) for r in rows}
    X_train, X_test = load("digits", None)
    for seed in arguments.seeds:
        for weight in WEIGHTS:
            if (weight, seed) in done:
                continue
            row = {"weight": weight, "seed": seed} | run(X_train, X_test, weight, seed)
            rows.append(row)
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    draw_figure(rows, arguments.figure)


if __name__ == "__main__":
    main()
