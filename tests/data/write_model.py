"""Write the model file that later releases have to read, and what it answers.

    python tests/data/write_model.py

Run once for each version of the format; the files of earlier ones stay.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris

from sklearn_aae import AdversarialAutoencoder, save
from sklearn_aae._archive import FORMAT_VERSION
from sklearn_aae.modules import MultilayerPerceptron
from sklearn_aae.priors import MixtureOfGaussians

METHODS = ("transform", "reconstruct", "score_samples", "feature_scores", "p_values", "predict")


def answers(model, X):
    """What a model says of a few rows, as lists."""
    rows = {name: getattr(model, name)(X).tolist() for name in METHODS}
    return {**rows, "sample": model.sample(3, random_state=0).tolist()}


def main():
    X, y = load_iris(return_X_y=True)
    X, y = X[::3].astype(np.float32), y[::3]
    model = AdversarialAutoencoder(
        n_components=2,
        hidden_layer_sizes=(16,),
        discriminator=MultilayerPerceptron(6, 1, (8,)),
        prior=MixtureOfGaussians(n_classes=3),
        max_iter=30,
        random_state=0,
    ).fit(X, y)
    target = Path(__file__).parent / f"iris-format-{FORMAT_VERSION}"
    save(model, target.with_suffix(".safetensors"))
    target.with_suffix(".json").write_text(json.dumps(answers(model, X[:5].astype(float))) + "\n")


if __name__ == "__main__":
    main()
