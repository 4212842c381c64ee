"""
Ten labels for each class
=========================

1,347 images of digits, of which a hundred have a label.
:class:`~sklearn_aae.AdversarialAutoencoderClassifier` learns from all of them: ``y = -1`` marks
rows without a label, as in :mod:`sklearn.semi_supervised`.
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

model = AdversarialAutoencoderClassifier(max_iter=150, random_state=0).fit(X_train, few)
accuracy = {
    "AdversarialAutoencoderClassifier": model.score(X_test, y_test),
    "LabelSpreading": LabelSpreading(kernel="knn", n_neighbors=7)
    .fit(X_train, few)
    .score(X_test, y_test),
    "LogisticRegression": LogisticRegression(max_iter=1000)
    .fit(X_train[labelled], y_train[labelled])
    .score(X_test, y_test),
}

figure, ax = plt.subplots(figsize=(7, 2), layout="constrained")
bars = ax.barh(list(accuracy), list(accuracy.values()), color=["tab:orange", "0.7", "0.7"])
ax.bar_label(bars, fmt="%.3f", padding=3)
ax.set(xlim=(0.8, 1), xlabel="accuracy on test images")
ax.invert_yaxis()
plt.show()

# %%

ours, spreading, linear = accuracy.values()
print(f"With ten labels for each class, {ours:.1%} of test images are recognised; the logistic")
print(f"regression on the same labels recognises {linear:.1%}, LabelSpreading {spreading:.1%}.")
assert ours > max(0.95, spreading, linear)
