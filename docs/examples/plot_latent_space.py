"""
Codes that follow the prior you chose
=====================================

The same digits with two kinds of prior: a normal distribution, and a ring of ten ellipses on
which labels place the classes. The contours are the regions with 50, 90 and 99 % of the prior.
"""

# %%
# Two numbers for an image of 64 pixels. Without labels the classes lie where the networks put them;
# labels draw each to its own ellipse, here with a larger ``adversarial_weight`` than the default.

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.displays import LatentSpaceDisplay
from sklearn_aae.priors import MixtureOfGaussians

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

priors = {"normal": "normal", "mixture of Gaussians": MixtureOfGaussians(n_classes=10)}
figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
for ax, (name, prior) in zip(axes, priors.items(), strict=True):
    model = AdversarialAutoencoder(
        n_components=2, prior=prior, adversarial_weight=1, max_iter=80, random_state=0
    ).fit(X_train, y_train)  # the normal prior has no classes and leaves y alone
    display = LatentSpaceDisplay.from_estimator(model, X_test, y_test, ax=ax)
    ax.set_title(name)
    if ax is axes[0]:
        display.legend_.remove()  # the one on the right serves both
plt.show()

# %%
# Test images, whose labels the model never saw, lie on the ellipse of their class, too.

codes = torch.from_numpy(model.transform(X_test))
ellipse = model.prior_.component_log_prob(codes).argmax(dim=1).numpy()
share = (ellipse == y_test).mean()
print(f"{share:.0%} of test images are coded nearest to the ellipse of their digit (chance: 10%).")
assert share > 0.85
