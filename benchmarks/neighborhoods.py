"""What does a map to the prior cost in neighbourhoods? Classes of codes by their neighbours.

Digits, eight components, 30 epochs: the share of held-out codes whose class five neighbours among
the training codes tell, and the AUROC of a fresh gradient boosting classifier that tells held-out
codes from draws of the normal prior (0.5: it cannot), with and without normalizing_flow. Results
are appended run by run to results/neighborhoods.jsonl; the table is written to
results/neighborhoods.md.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from resumable import Results
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.metrics import classifier_two_sample_score

RESULTS = Path(__file__).parent / "results"
N_COMPONENTS = 8


def run(flow, seed):
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
    model = AdversarialAutoencoder(
        N_COMPONENTS, max_iter=30, normalizing_flow=flow, random_state=seed
    ).fit(X_train)
    codes, test = model.transform(X_train), model.transform(X_test)
    generator = np.random.default_rng(seed)
    aurocs = [
        classifier_two_sample_score(test, generator.standard_normal(test.shape), random_state=seed)
        for _ in range(5)
    ]
    return {
        "accuracy": KNeighborsClassifier(5).fit(codes, y_train).score(test, y_test),
        "auroc": float(np.mean(aurocs)),
    }


def lines(rows):
    yield "| normalizing_flow | digit told by 5 neighbours | AUROC against the prior | fits |"
    yield "|---|---|---|---|"
    for flow in (False, True):
        group = [r for r in rows if r["flow"] == flow]
        values = (np.array([r[name] for r in group]) for name in ("accuracy", "auroc"))
        cells = [f"{v.mean():.3f} ± {v.std():.3f}" for v in values]
        yield f"| {flow} | {' | '.join(cells)} | {len(group)} |"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=RESULTS / "neighborhoods.jsonl")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = Results(arguments.out)
    results.complete(
        [
            ({"flow": flow, "seed": seed}, lambda flow=flow, seed=seed: run(flow, seed))
            for flow in (False, True)
            for seed in arguments.seeds
        ]
    )
    results.write_table(lines(results.rows))


if __name__ == "__main__":
    main()
