"""
Explaining an outlier
=====================

A score says that a row is unusual, ``feature_scores`` says where: what each column adds to the
distance of the row from what the model knows. We change one column of normal rows, each time
another, to a value that is not rare by itself, and ask which column it was.
"""

# %%
# Wine: 13 measurements of 178 wines. Every column of the changed rows takes values that other wines
# have; what is unusual is the combination.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sklearn_aae import AdversarialAutoencoder

wine = load_wine(as_frame=True).data
train, test = train_test_split(wine, test_size=60, random_state=0)
model = AdversarialAutoencoder(random_state=0).fit(train)

random_state = np.random.RandomState(0)
columns = random_state.randint(wine.shape[1], size=len(test))
changed = test.copy()
for row, column in enumerate(columns):
    values = wine.iloc[:, column]
    low, high = values.quantile([0.02, 0.98])
    is_low = changed.iloc[row, column] < values.median()
    changed.iloc[row, column] = high if is_low else low

# %%
# The changed rows score lower. P-values are calibrated on the rows that training held out, a tenth;
# with so few, the smallest that is possible is 1 / (their number + 1).

is_changed = np.r_[np.zeros(len(test)), np.ones(len(changed))]
before, after = model.score_samples(test), model.score_samples(changed)
auroc = roc_auc_score(is_changed, -np.r_[before, after])
fallen = int(np.argmax(before - after))
p_before, p_after = (model.p_values(rows.iloc[[fallen]])[0] for rows in (test, changed))
print(f"AUROC of changed against unchanged rows: {auroc:.2f}")
print(f"p-value of the row whose score fell most: {p_before:.2f} before, {p_after:.2f} after")

# %%
# The row whose score fell most: the column that was changed is orange.

contributions = model.feature_scores(changed)
order = np.argsort(contributions[fallen])
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
colors = ["tab:orange" if column == columns[fallen] else "tab:blue" for column in order]
ax.barh(wine.columns[order], contributions[fallen][order], color=colors)
ax.set_xlabel("feature_scores: share in the squared distance")
plt.show()

# %%

found = (contributions.argmax(axis=1) == columns).mean()
print(f"The column with the largest share is the one that was changed in {found:.0%} of rows")
print(f"(chance: {1 / wine.shape[1]:.0%}).")
assert auroc > 0.75
assert found > 0.6
