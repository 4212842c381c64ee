"""Style and class of MNIST digits apart: the conditional autoencoder.

Trained on 60,000 images with their classes. On the 10,000 test images, with a classifier trained on
the real training images as the judge (an MLP of 256 units; its own error is reported):

- read: accuracy of a logistic regression that reads the class from the style, trained on the styles
  of the training images (chance: about 10 %);
- sampled: share of `sample(10_000, y=...)` that the judge takes for the class asked for;
- translated: share of `translate(X_test, y)`, every image to a random class, that it takes for it.

Results are appended run by run to results/conditional.jsonl, so that an interrupted benchmark goes
on where it stopped; the table is written to results/conditional.md.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
from resumable import Results
from semi_supervised import load
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from sklearn_aae import ConditionalAdversarialAutoencoder

RESULTS = Path(__file__).parent / "results"


class Judge:
    """A classifier of real digits, trained when first asked."""

    def __init__(self, X, y):
        self.X, self.y = X, y
        self.model = None

    def predict(self, X):
        if self.model is None:
            self.model = MLPClassifier((256,), batch_size=256, max_iter=15, random_state=0)
            self.model.fit(self.X, self.y)
        return self.model.predict(X)


def run(data, judge, seed, device):
    X, y, X_test, y_test = data
    start = time.perf_counter()
    model = ConditionalAdversarialAutoencoder(n_components=10, device=device, random_state=seed)
    model.fit(X, y)
    seconds = time.perf_counter() - start
    reader = LogisticRegression(max_iter=500).fit(model.transform(X), y)
    asked = np.random.RandomState(seed).permutation(np.arange(len(X_test)) % 10)
    sampled = model.sample(len(asked), y=asked, random_state=seed)
    translated = model.translate(X_test, asked)
    return {
        "read": float(reader.score(model.transform(X_test), y_test)),
        "sampled": float(np.mean(judge.predict(sampled) == asked)),
        "translated": float(np.mean(judge.predict(translated) == asked)),
        "judge_error": float(np.mean(judge.predict(X_test) != y_test)),
        "seconds": seconds,
    }


def table(rows):
    yield "| measure | mean ± standard deviation over seeds |"
    yield "|---|---|"
    for name, text in (
        ("read", "class read from the style, accuracy in %"),
        ("sampled", "samples recognised as their class, in %"),
        ("translated", "translated images recognised as their new class, in %"),
        ("judge_error", "error of the judge on real test images, in %"),
    ):
        values = [100 * r[name] for r in rows]
        yield f"| {text} | {np.mean(values):.2f} ± {np.std(values):.2f} ({len(values)}) |"
    yield f"| seconds a fit | {np.mean([r['seconds'] for r in rows]):.0f} |"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mnist.npz"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="auto", help="where our model trains")
    parser.add_argument("--out", type=Path, default=RESULTS / "conditional.jsonl")
    arguments = parser.parse_args()

    data = load(arguments.data)
    judge = Judge(*data[:2])
    results = Results(arguments.out)
    results.complete(
        [
            ({"seed": seed}, partial(run, data, judge, seed, arguments.device))
            for seed in arguments.seeds
        ]
    )
    results.write_table(table(results.rows))


if __name__ == "__main__":
    main()
