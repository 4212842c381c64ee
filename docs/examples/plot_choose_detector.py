"""
Choosing an outlier detector with a grid search
===============================================

With a few labelled outliers a grid search can choose parameters, without any it can still compare
held-out scores. Three traps lie on the way, and all of them are quiet:

- for an outlier detector `GridSearchCV` splits without shuffling and without stratifying, so that a
  fold of sorted labels may hold no outlier;
- scorers such as ``"average_precision"`` take the label 1, here the inliers, for the positive class
  and look nearly perfect on trivial data;
- training data for a one-class detector should not hold the outliers that it is judged by.
"""

# %%
# Data: images of 1, 4 and 7, with a handful of other digits among them.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.metrics import outlier_average_precision_scorer, outlier_roc_auc_scorer

images, labels = load_digits(return_X_y=True)
is_inlier = np.isin(labels, [1, 4, 7])
X = np.r_[images[is_inlier], images[~is_inlier][:30]]
y = np.r_[np.ones(is_inlier.sum()), -np.ones(30)].astype(int)  # -1: outlier

# %%
# With labels: shuffled stratified folds, and scorers that take the outliers for positive.

grid = {"n_components": [2, 8]}
search = GridSearchCV(
    AdversarialAutoencoder(max_iter=15, random_state=0),
    grid,
    scoring={"auroc": outlier_roc_auc_scorer, "precision": outlier_average_precision_scorer},
    refit="auroc",
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
    error_score="raise",
).fit(X, y)
print("n_components  AUROC  average precision")
for row in range(2):
    results = search.cv_results_
    print(
        f"{results['param_n_components'][row]:12}  {results['mean_test_auroc'][row]:5.3f}"
        f"  {results['mean_test_precision'][row]:17.3f}"
    )
assert search.best_score_ > 0.95

# %%
# Without labels: the mean held-out log density, which is the default score.

unsupervised = GridSearchCV(
    AdversarialAutoencoder(max_iter=15, random_state=0),
    grid,
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
).fit(X, y)
chosen = search.cv_results_["mean_test_auroc"][unsupervised.best_index_]  # the grid is the same
print(f"Without labels n_components={unsupervised.best_params_['n_components']} is chosen, with an")
print(f"AUROC of {chosen:.3f}; the best with labels has {search.best_score_:.3f}.")
assert chosen > search.best_score_ - 0.02
