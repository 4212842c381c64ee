"""
Reconstructions and samples of images and tables
================================================

What is left of a row after it went through the code, and what the decoder makes of new codes:
for images, and for the columns of a table.
"""

# %%
# Images
# ------
# Digits through eight numbers. The displays take ``image_shape`` from the estimator or as an
# argument.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import train_test_split

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.displays import ReconstructionDisplay, SampleDisplay

X, _ = load_digits(return_X_y=True)
X_train, X_test = train_test_split(X, random_state=0)
model = AdversarialAutoencoder(n_components=8, random_state=0).fit(X_train)

look = {"image_shape": (8, 8), "cmap": "gray_r", "vmin": 0, "vmax": 16}
digits = ReconstructionDisplay.from_estimator(model, X_test, **look)
SampleDisplay.from_estimator(model, X_test, random_state=0, **look)
plt.show()
left = digits.mean_squared_error / X_test.var(axis=0).mean()
print(f"Eight numbers keep {1 - left:.0%} of the variance of test images.")
assert left < 0.3

# %%
# Tables
# ------
# Three columns of the wine data against their reconstructions, with the error in their own units,
# and two of them sampled.

wine = load_wine(as_frame=True).data
columns = ["alcohol", "flavanoids", "proline"]
model = AdversarialAutoencoder(n_components=4, random_state=0).fit(wine)
ReconstructionDisplay.from_estimator(model, wine, columns=columns)
table = SampleDisplay.from_estimator(
    model, wine, columns=["alcohol", "flavanoids"], n_samples=len(wine), random_state=0
)
plt.show()
in_data, in_samples = (np.corrcoef(rows[:, [0, 6]].T)[0, 1] for rows in (table.X, table.samples))
print(f"Correlation of alcohol and flavanoids: {in_data:.2f}, in samples {in_samples:.2f}.")
assert abs(in_data - in_samples) < 0.25
