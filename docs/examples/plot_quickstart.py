"""
Quickstart: compress, denoise, sample and flag outliers
=======================================================

An adversarial autoencoder on the digits that come with scikit-learn: 1,797 images of 8 x 8 pixels
with values from 0 to 16. One estimator compresses them to a few numbers, takes noise off, draws new
digits and finds images of a kind it has never seen, and a grid search tunes it like any other.
"""

# %%
# Compress
# --------
# Eight numbers for an image of 64 pixels. The estimator scales its input, so it gets raw pixels;
# ``noise`` is the strength of the noise it learns to remove, in standard deviations of a pixel.

import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import mean_squared_error, roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split

from sklearn_aae import AdversarialAutoencoder

start = time.perf_counter()
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

model = AdversarialAutoencoder(n_components=8, noise=0.5, random_state=0).fit(X_train)
pca = PCA(n_components=8).fit(X_train)

error = mean_squared_error(X_test, model.reconstruct(X_test))
error_pca = mean_squared_error(X_test, pca.inverse_transform(pca.transform(X_test)))
print("(a) reconstruction error of test images, 8 components, in squared pixel values")
print(f"    AdversarialAutoencoder {error:6.2f}")
print(f"    PCA                    {error_pca:6.2f}")
assert error <= error_pca

codes = model.transform(X_test)
print("    codes: mean between {:.2f} and {:.2f},".format(*np.sort(codes.mean(axis=0))[[0, -1]]))
print("    std between {:.2f} and {:.2f}".format(*np.sort(codes.std(axis=0))[[0, -1]]))

# %%
# Denoise
# -------
# Noise with a standard deviation of 4, a quarter of the range of a pixel.

X_noisy = X_test + np.random.default_rng(0).normal(scale=4, size=X_test.shape)
X_denoised = model.reconstruct(X_noisy)
error_noisy = mean_squared_error(X_test, X_noisy)
error_denoised = mean_squared_error(X_test, X_denoised)
print("(b) error against the clean images")
print(f"    noisy    {error_noisy:6.2f}")
print(f"    denoised {error_denoised:6.2f}")
assert error_denoised < 0.5 * error_noisy

# %%
# Flag outliers
# -------------
# Both detectors are fitted on images of all digits but 4, and asked to tell 4s from the rest.

is_inlier = y_test != 4
inliers = X_train[y_train != 4]
print("(c) AUROC of telling a held-out class, the 4s, from the others")
auroc = {}
for detector in (
    AdversarialAutoencoder(n_components=8, random_state=0),
    IsolationForest(random_state=0),
):
    name = type(detector).__name__
    auroc[name] = roc_auc_score(is_inlier, detector.fit(inliers).score_samples(X_test))
    print(f"    {name:22} {auroc[name]:6.3f}")
assert auroc["AdversarialAutoencoder"] >= auroc["IsolationForest"]

# %%
# Tune
# ----
# Size of the code and number of epochs, by the held-out score of a standard grid search.

search = GridSearchCV(
    AdversarialAutoencoder(random_state=0),
    {"n_components": [2, 4, 8], "max_iter": [10, 40]},
    cv=2,
).fit(X_train)
print("(d) grid search: mean held-out score, in nats")
print("    n_components  max_iter    score")
for parameters, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    best = " <- best" if parameters == search.best_params_ else ""
    print(f"    {parameters['n_components']:12} {parameters['max_iter']:9} {score:8.2f}{best}")

# %%
# Look
# ----
# Test images, the same with noise, what the model makes of the noisy ones, and new digits decoded
# from new codes.

rows = {
    "original": X_test[:12],
    "noisy": X_noisy[:12],
    "denoised": X_denoised[:12],
    "sampled": model.sample(12, random_state=0),
}
figure, axes = plt.subplots(
    len(rows), 12, figsize=(9, 3.2), gridspec_kw={"wspace": 0.08, "hspace": 0.08}
)
for row_axes, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(row_axes, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    row_axes[0].set_ylabel(name, rotation=0, ha="right", va="center")

if Path(sys.argv[0]).name == "plot_quickstart.py" and "sphinx_gallery" not in sys.modules:
    path = Path("quickstart.png")
    figure.savefig(path, dpi=150, bbox_inches="tight")
    print(f"wrote {path.resolve()} after {time.perf_counter() - start:.0f} s")
