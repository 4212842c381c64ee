"""
Style transfer: the same hand writes another digit
==================================================

:class:`~sklearn_aae.ConditionalAdversarialAutoencoder` tells the decoder the class of each row, so
that the code holds only what is left: slant, stroke, size. ``translate`` keeps the style of a row
and changes its class.
"""

# %%
# Trained with the labels of the training images; test images bring the styles.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from sklearn_aae import ConditionalAdversarialAutoencoder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
model = ConditionalAdversarialAutoencoder(random_state=0).fit(X_train, y_train)

# %%
# Left: test images. To the right of each: its style in all ten classes.

chosen = [np.flatnonzero(y_test == digit)[0] for digit in (0, 2, 4, 5, 7, 9)]
figure, axes = plt.subplots(
    len(chosen), 11, figsize=(7.5, 4.2), gridspec_kw={"wspace": 0.08, "hspace": 0.08}
)
for row_axes, row in zip(axes, chosen, strict=True):
    translated = model.translate(np.repeat(X_test[[row]], 10, axis=0), np.arange(10))
    for ax, image in zip(row_axes, [X_test[row], *translated], strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    row_axes[0].spines[:].set(color="tab:orange", linewidth=2)
axes[0, 0].set_title("style", fontsize=9)
for digit, ax in enumerate(axes[0, 1:]):
    ax.set_title(digit, fontsize=9)
plt.show()

# %%
# A classifier of real images is the judge, and a logistic regression tries to read the class from
# the style, which should hold nothing of it.

judge = SVC().fit(X_train, y_train)
asked = np.random.default_rng(0).integers(10, size=len(X_test))
recognised = {
    "real test images": judge.score(X_test, y_test),
    "samples": judge.score(model.sample(len(asked), y=asked, random_state=0), asked),
    "translated images": judge.score(model.translate(X_test, asked), asked),
}
for name, share in recognised.items():
    print(f"{name:18} {share:.1%} recognised as their class")
reader = LogisticRegression(max_iter=1000).fit(model.transform(X_train), y_train)
read = reader.score(model.transform(X_test), y_test)
print(f"{recognised['translated images']:.0%} of translated images are recognised as their new")
print(f"class, and the class can be read from {read:.0%} of styles (chance: 10%).")
assert recognised["samples"] > 0.95
assert recognised["translated images"] > 0.95
assert read < 0.25
