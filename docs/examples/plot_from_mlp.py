"""
From ``MLPRegressor(X, X)`` to an adversarial autoencoder
=========================================================

A multilayer perceptron that predicts its own input through a narrow layer is an autoencoder. What
is missing in it: the code is not an output, nobody knows where codes lie, so that it cannot be
sampled from, and its error alone is a poor score for outliers.
"""

# %%
# The same layers twice: once as a regressor of X on X, once as an adversarial autoencoder.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.metrics import frechet_distance

X, y = load_digits(return_X_y=True)
X_train, X_test = train_test_split(X, stratify=y, random_state=0)

scaler = StandardScaler().fit(X_train)
mlp = MLPRegressor(hidden_layer_sizes=(128, 8, 128), max_iter=200, random_state=0)
with warnings.catch_warnings(category=ConvergenceWarning, action="ignore"):  # its error still falls
    mlp.fit(scaler.transform(X_train), scaler.transform(X_train))

model = AdversarialAutoencoder(
    n_components=8, hidden_layer_sizes=(128,), max_iter=100, sampler="prior", random_state=0
).fit(X_train)

# %%
# Codes and decodings of the perceptron have to be computed by hand from its weights.


def mlp_encode(X):
    hidden = scaler.transform(X)
    for weights, biases in zip(mlp.coefs_[:2], mlp.intercepts_[:2], strict=True):
        hidden = np.maximum(hidden @ weights + biases, 0)
    return hidden


def mlp_decode(Z):
    hidden = np.maximum(Z @ mlp.coefs_[2] + mlp.intercepts_[2], 0)
    return scaler.inverse_transform(hidden @ mlp.coefs_[3] + mlp.intercepts_[3])


error_mlp = mean_squared_error(X_test, mlp_decode(mlp_encode(X_test)))
error = mean_squared_error(X_test, model.reconstruct(X_test))
print(f"error on test images: MLPRegressor {error_mlp:.1f}, AdversarialAutoencoder {error:.1f}")

# %%
# New digits. Where the codes of the perceptron lie is unknown; the best simple guess is a normal
# distribution with their means and standard deviations. The other model was trained to make N(0, 1)
# the right answer; ``sampler="prior"`` draws from just that.

codes = mlp_encode(X_train)
draws = np.random.default_rng(0).normal(codes.mean(axis=0), codes.std(axis=0), size=(1000, 8))
samples = {
    "real": X_test,
    "MLPRegressor": mlp_decode(draws),
    "AdversarialAutoencoder": model.sample(1000, random_state=0),
}
figure, axes = plt.subplots(3, 12, figsize=(9, 2.4), gridspec_kw={"wspace": 0.08, "hspace": 0.08})
for row_axes, (name, images) in zip(axes, samples.items(), strict=True):
    for ax, image in zip(row_axes, images, strict=False):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    row_axes[0].set_ylabel(name.replace("Auto", "\nAuto"), rotation=0, ha="right", va="center")
plt.show()

# %%

distance_mlp, distance = (
    frechet_distance(X_test, samples[name]) for name in ("MLPRegressor", "AdversarialAutoencoder")
)
print(f"Fréchet distance of samples from test images: MLPRegressor {distance_mlp:.0f},")
print(f"AdversarialAutoencoder {distance:.0f}: lower is better.")
assert distance < distance_mlp
assert error < error_mlp
