"""
Grid search over the size of the code and the number of epochs
==============================================================

The estimator is tuned like any other: inside a pipeline, by the accuracy of the classifier that
works on its codes, or by its own score, the log density of held-out rows.
"""

# %%
# One search, two criteria. Parameters of a step are named ``step__parameter``; the second criterion
# asks the first step alone, and needs no labels.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline

from sklearn_aae import AdversarialAutoencoder

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)


def scores(pipeline, X, y):
    return {
        "accuracy": accuracy_score(y, pipeline.predict(X)),
        "density": pipeline.named_steps["codes"].score(X),
    }


pipeline = Pipeline(
    [
        ("codes", AdversarialAutoencoder(random_state=0)),
        ("classifier", LogisticRegression(max_iter=1000)),
    ]
)
sizes, epochs = [2, 8, 16], [5, 25]
grid = {"codes__n_components": sizes, "codes__max_iter": epochs}
search = GridSearchCV(pipeline, grid, scoring=scores, refit="accuracy", cv=2)
search.fit(X_train, y_train)

# %%
# What serves a classifier best need not be what describes the rows best: choose the criterion by
# what the codes are for.

results = search.cv_results_
labels = {"accuracy": "accuracy on codes", "density": "held-out log density, in nats"}
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
for ax, (name, label) in zip(axes, labels.items(), strict=True):
    for n_epochs, marker in zip(epochs, "os", strict=True):
        chosen = results["param_codes__max_iter"] == n_epochs
        ax.plot(
            results["param_codes__n_components"][chosen],
            results[f"mean_test_{name}"][chosen],
            marker=marker,
            label=f"{n_epochs} epochs",
        )
    ax.set(xlabel="n_components", ylabel=label, xticks=sizes)
axes[0].legend()
plt.show()

# %%
# The search refits the pipeline that is best by accuracy on all training rows.

accuracy = search.score(X_test, y_test)
by_density = results["params"][results["mean_test_density"].argmax()]
print("best by density: ", by_density)
print("best by accuracy:", search.best_params_)
print(f"The pipeline that is best by accuracy recognises {accuracy:.1%} of test images.")
assert accuracy > 0.9
assert search.best_params_["codes__n_components"] > 2
