"""
Ten labels for each class
=========================

1,347 images of digits, of which a hundred have a label.
:class:`~sklearn_aae.AdversarialAutoencoderClassifier` learns from all of them: ``y = -1`` marks rows
without a label, as in :mod:`sklearn.semi_supervised`.
"""

# %%
# A hundred labels, ten of each digit.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.semi_supervised import LabelSpreading

from sklearn_aae import AdversarialAutoencoderClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
random_state = np.random.RandomState(0)
labelled = np.concatenate(
    [random_state.choice(np.flatnonzero(y_train == k), 10, replace=False) for k in range(10)]
)
few = np.full(len(y_train), -1)
few[labelled] = y_train[labelled]

# %%
# The logistic regression sees the labelled rows only; the two others see all.

model = AdversarialAutoencoderClassifier(random_state=0).fit(X_train, few)
accuracy = {
    "AdversarialAutoencoderClassifier": model.score(X_test, y_test),
    "LabelSpreading": LabelSpreading(kernel="knn", n_neighbors=7)
    .fit(X_train, few)
    .score(X_test, y_test),
    "LogisticRegression": LogisticRegression(max_iter=1000)
    .fit(X_train[labelled], y_train[labelled])
    .score(X_test, y_test),
}
for name, value in accuracy.items():
    print(f"{name:34} {value:.3f}")

# %%
# It is a generator, too: every row below has one style, drawn from the prior, and every column one
# class.

styles = np.repeat(model.transform(X_test[:5]), 10, axis=0)
images = model.inverse_transform(styles, y=np.tile(np.arange(10), 5))
figure, axes = plt.subplots(
    5, 10, figsize=(7, 3.6), gridspec_kw={"wspace": 0.08, "hspace": 0.08}
)
for ax, image in zip(axes.flat, images, strict=True):
    ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    ax.set(xticks=[], yticks=[])
plt.show()

# %%

ours, spreading, linear = accuracy.values()
print(f"With ten labels for each class, {ours:.1%} of test images are recognised; the logistic")
print(f"regression on the same labels recognises {linear:.1%}, LabelSpreading {spreading:.1%}.")
assert ours > linear
