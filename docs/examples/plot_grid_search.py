"""
Grid search over the size of the code and the number of epochs
==============================================================

The estimator is tuned like any other: inside a pipeline, by the accuracy of the classifier that
works on its codes, or alone, by the density of held-out rows.
"""

# %%
# In a pipeline the question is which code serves the classifier. Parameters of a step are named
# ``step__parameter``.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from sklearn_aae import AdversarialAutoencoder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

sizes, epochs = [2, 8, 16], [10, 60]
pipeline = Pipeline(
    [
        ("codes", AdversarialAutoencoder(random_state=0)),
        ("classifier", LogisticRegression(max_iter=1000)),
    ]
)
grid = {"codes__n_components": sizes, "codes__max_iter": epochs}
by_accuracy = GridSearchCV(pipeline, grid, cv=2).fit(X_train, y_train)

# %%
# Alone, it is judged by its own score: the mean log density of held-out rows, in nats. No labels
# are needed. The two criteria ask for different things: short training keeps the density of rare
# rows low, which is what outlier detection wants, while codes get better with more epochs.

by_density = GridSearchCV(
    AdversarialAutoencoder(random_state=0), {"n_components": sizes, "max_iter": epochs}, cv=2
).fit(X_train)

figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
for ax, search, label in zip(
    axes, (by_accuracy, by_density), ("accuracy on codes", "held-out log density"), strict=True
):
    # The names of a grid are searched in alphabetical order: epochs first, then sizes.
    scores = search.cv_results_["mean_test_score"].reshape(len(epochs), len(sizes))
    for n_epochs, line, marker in zip(epochs, scores, "os", strict=True):
        ax.plot(sizes, line, marker=marker, label=f"{n_epochs} epochs")
    ax.set(xlabel="n_components", ylabel=label, xticks=sizes)
axes[0].legend()
plt.show()

# %%
# The search refits the best pipeline on all training rows.

accuracy = by_accuracy.score(X_test, y_test)
print("best by accuracy:", by_accuracy.best_params_)
print("best by density: ", by_density.best_params_)
print(f"accuracy of the refitted pipeline on test images: {accuracy:.1%}")
assert accuracy > 0.9
assert by_accuracy.best_score_ == np.max(by_accuracy.cv_results_["mean_test_score"])
assert by_accuracy.best_params_["codes__n_components"] > 2
