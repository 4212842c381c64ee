"""Write the model files that later releases have to read, and what the models answer.

    python tests/data/write_model.py

Run once for each version of the format; the files of earlier ones stay.
"""

import json
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_iris

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
    save,
)
from sklearn_aae._files.archive import FORMAT_VERSION
from sklearn_aae.modules import MultilayerPerceptron
from sklearn_aae.priors import MixtureOfGaussians

SCORES = ("transform", "reconstruct", "score_samples", "feature_scores", "p_values", "predict")
CATEGORIES = ("transform", "reconstruct", "predict_proba")
NAMES = np.array(["setosa", "versicolor", "virginica"])


def models(X, y):
    """Fitted models by name, with the methods that tell what they have learned."""
    common = {"n_components": 2, "hidden_layer_sizes": (16,), "max_iter": 30, "random_state": 0}
    # A discriminator of the default size and what Adam remembers of it are most of a file.
    small = {"discriminator": MultilayerPerceptron(2, 1, (8,)), **common}
    plain = {"optimizer": torch.optim.SGD, "lr": 0.05, **small}
    with_classes = {**common, "discriminator": MultilayerPerceptron(5, 1, (8,))}
    with_unlabelled = {**common, "discriminator": MultilayerPerceptron(6, 1, (8,))}
    ring = MixtureOfGaussians(n_classes=3)
    few = np.where(np.arange(len(y)) % 2, y, -1)
    classifier = AdversarialAutoencoderClassifier(**(plain | with_classes))
    return {
        "iris": (AdversarialAutoencoder(prior=ring, **with_unlabelled).fit(X, y), SCORES),
        "iris-classifier": (classifier.fit(X, few), CATEGORIES),
        "iris-clusterer": (AdversarialAutoencoderClusterer(3, **plain).fit(X), CATEGORIES),
        "iris-conditional": (
            ConditionalAdversarialAutoencoder(**with_classes).fit(X, NAMES[y]),
            ("transform",),
        ),
    }


def main():
    X, y = load_iris(return_X_y=True)
    X, y = X[::3].astype(np.float32), y[::3]
    rows = X[:5].astype(float)
    for name, (model, methods) in models(X, y).items():
        answers = {method: getattr(model, method)(rows).tolist() for method in methods}
        classes = {"y": "setosa"} if "conditional" in name else {}
        sample = model.sample(3, random_state=0, **classes)
        answers["sample"] = (sample[0] if isinstance(sample, tuple) else sample).tolist()
        target = Path(__file__).parent / f"{name}-format-{FORMAT_VERSION}"
        save(model, target.with_suffix(".safetensors"))
        target.with_suffix(".json").write_text(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
