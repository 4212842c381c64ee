"""
Denoising digits
================

The autoencoder is trained to give clean rows back for noisy ones: ``noise`` is the standard
deviation of what is added to its input in training, in standardised units. Which strength is right
depends on the noise that is to come off. PCA, which also drops what its components have no room
for, is the standard to beat.
"""

# %%
# Test images with noise of a quarter of the pixel range, and three models that trained with noise
# from nothing to one standard deviation.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split

from sklearn_aae import AdversarialAutoencoder

X, y = load_digits(return_X_y=True)
X_train, X_test = train_test_split(X, stratify=y, random_state=0)
X_noisy = X_test + np.random.default_rng(0).normal(scale=4, size=X_test.shape)

images = {"clean": X_test, "noisy": X_noisy}
for noise in (0.0, 0.5, 1.0):
    model = AdversarialAutoencoder(n_components=12, noise=noise, max_iter=60, random_state=0)
    images[f"noise={noise}"] = model.fit(X_train).reconstruct(X_noisy)
pca = PCA(n_components=12).fit(X_train)
images["PCA"] = pca.inverse_transform(pca.transform(X_noisy))

# %%
# The error is measured against the clean images.

errors = {name: mean_squared_error(X_test, rows) for name, rows in images.items()}
for name, error in errors.items():
    print(f"{name:10} {error:6.2f}")

figure, axes = plt.subplots(len(images), 10, figsize=(8, 5), layout="constrained")
for row_axes, (name, rows) in zip(axes, images.items(), strict=True):
    for ax, image in zip(row_axes, rows, strict=False):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    row_axes[0].set_ylabel(f"{name}\n{errors[name]:.1f}", rotation=0, ha="right", va="center")
plt.show()

# %%
# Training with noise pays, and it need not be exactly the noise that comes.

ours = {name: error for name, error in errors.items() if name.startswith("noise")}
best = min(ours, key=ours.get)
print(f"The model with {best} removes {1 - ours[best] / errors['noisy']:.0%} of the noise,")
print(f"PCA {1 - errors['PCA'] / errors['noisy']:.0%}.")
assert ours[best] < errors["PCA"]
assert best != "noise=0.0"
