"""Codes of MNIST in two dimensions whose prior is a swiss roll, and a mixture of ten Gaussians.

20,000 images train, without their labels; 5,000 held-out ones are shown, coloured by digit, beside
as many draws of the prior. The figure is written to docs/images/prior_shapes.png.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.priors import MixtureOfGaussians, SwissRoll, draw

IMAGES = Path(__file__).parent.parent / "docs" / "images"
PRIORS = {"SwissRoll()": SwissRoll(), "MixtureOfGaussians(10)": MixtureOfGaussians(10)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="data folder")
    parser.add_argument("--out", type=Path, default=IMAGES / "prior_shapes.png")
    arguments = parser.parse_args()

    mnist = np.load(arguments.data / "mnist.npz")
    X, y = mnist["X_train"][:25_000] / np.float32(255), mnist["y_train"][:25_000]
    X_train, X_test, y_test = X[:20_000], X[20_000:], y[20_000:]
    figure, axes = plt.subplots(2, 2, figsize=(7, 7), constrained_layout=True)
    for row, (name, prior) in zip(axes, PRIORS.items(), strict=True):
        model = AdversarialAutoencoder(
            2, prior=prior, normalizing_flow=True, adversarial_weight=0.05, random_state=0
        ).fit(X_train)
        codes = model.transform(X_test)
        samples = draw(model.prior_, len(codes), torch.Generator().manual_seed(0)).numpy()
        print(prior, model.prior_match_)
        row[0].scatter(*samples.T, s=2, color="0.5", lw=0)
        row[0].set_title(f"draws of {name}")
        points = row[1].scatter(*codes.T, c=y_test, s=2, cmap="tab10", vmin=-0.5, vmax=9.5, lw=0)
        row[1].set_title("codes of held-out digits")
        limit = 1.15 * np.abs(samples).max()
        for ax in row:
            ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
            ax.set(xticks=[], yticks=[])
    figure.colorbar(points, ax=axes[:, 1], ticks=range(10), label="digit", shrink=0.5)
    figure.savefig(arguments.out, dpi=90)


if __name__ == "__main__":
    main()
