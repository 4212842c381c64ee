"""
What makes a row an outlier
===========================

A detector is fitted on benign tumours of the breast cancer data and scores benign and malignant
ones that it has not seen. The display shows the scores, the threshold, and for the rows with the
lowest scores what each column adds.
"""

# %%
# Fitted on benign tumours alone; labels 1 and -1 serve to judge the scores.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.displays import OutlierScoreDisplay

data = load_breast_cancer(as_frame=True)
y = np.where(data.target == 1, 1, -1)  # 1: benign
X_train, X_test, y_train, y_test = train_test_split(data.data, y, stratify=y, random_state=0)
model = AdversarialAutoencoder(random_state=0).fit(X_train[y_train == 1])

display = OutlierScoreDisplay.from_estimator(model, X_test, y_test)
plt.show()

# %%
# The threshold comes from the benign training rows; no label of a malignant one was used.

auroc = roc_auc_score(y_test == 1, display.scores)
flagged = display.scores < display.threshold
print(f"AUROC {auroc:.3f}; {flagged[y_test == -1].mean():.0%} of malignant tumours are flagged,")
print(f"and {flagged[y_test == 1].mean():.0%} of benign ones.")
assert auroc > 0.9
assert flagged[y_test == -1].mean() > 5 * flagged[y_test == 1].mean()
