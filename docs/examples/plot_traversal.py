"""
Walking through the code
========================

What does a dimension of the code stand for? Change it from a low quantile of the prior to a high
one, keep the others, and decode. With a code of two dimensions, a grid shows all there is.
"""

# %%
# The manifold
# ------------
# Digits through two numbers: neighbours on the grid look alike.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, load_wine

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.displays import TraversalDisplay

X, _ = load_digits(return_X_y=True)
model = AdversarialAutoencoder(n_components=2, max_iter=40, random_state=0).fit(X)
manifold = TraversalDisplay.from_estimator(
    model, image_shape=(8, 8), cmap="gray_r", vmin=0, vmax=16
)
plt.show()

images = manifold.decoded
step = np.square(np.diff(images, axis=1)).mean()
apart = np.square(images[:, :1] - images[:, -1:]).mean()
print(f"Mean squared difference: {step:.2f} between neighbours, {apart:.1f} from edge to edge.")
assert step < 0.1 * apart

# %%
# One dimension at a time
# -----------------------
# A table, the wine data: rows of panels are dimensions of the code, columns those of the table.
# Curves of a column share one scale, so that a flat one is a dimension that has no say.

wine = load_wine(as_frame=True).data
model = AdversarialAutoencoder(n_components=3, random_state=0).fit(wine)
columns = ["alcohol", "flavanoids", "color_intensity", "proline"]
walks = TraversalDisplay.from_estimator(model, columns=columns)
plt.show()

reach = np.ptp(walks.decoded, axis=1) / wine.to_numpy().std(axis=0)
for column in columns:
    along = reach[:, wine.columns.get_loc(column)]
    print(f"{column}: most along dimension {along.argmax()}, {along.max():.1f} standard deviations")
assert reach.max() > 1
