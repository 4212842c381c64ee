"""
Clusters without labels, and a map of them
==========================================

:class:`~sklearn_aae.AdversarialAutoencoderClusterer` splits the code into a cluster and a style
within it, and draws both on one map: the head of a cluster plus the style.
"""

# %%
# Digits, more clusters than there are classes, and a map of two dimensions. The labels serve to
# name the clusters afterwards.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from sklearn_aae import AdversarialAutoencoderClusterer
from sklearn_aae.metrics import clustering_error

X, y = load_digits(return_X_y=True)
model = AdversarialAutoencoderClusterer(
    n_clusters=16, n_components=2, max_iter=120, random_state=0
).fit(X)

# %%
# Each point is an image; numbers are the clusters that are used, at their heads.

points = model.transform(X)
figure, ax = plt.subplots(figsize=(7, 5.6), layout="constrained")
scatter = ax.scatter(*points.T, c=y, cmap="tab10", s=6)
ax.legend(*scatter.legend_elements(), title="digit", loc="center left", bbox_to_anchor=(1, 0.5))
for cluster, (head, size) in enumerate(
    zip(model.cluster_centers_, model.cluster_sizes_, strict=True)
):
    if size:
        ax.text(*head, str(cluster), ha="center", va="center", weight="bold", size=13)
ax.set(xlabel="first dimension", ylabel="second dimension")
plt.show()

# %%

error = clustering_error(y, model.labels_, rule="majority")
agreement = adjusted_rand_score(y, model.labels_)
n_used, n_clusters = (model.cluster_sizes_ > 0).sum(), len(model.cluster_sizes_)
print(
    f"{n_used} of {n_clusters} clusters are used. Named after the digit that most of their images"
)
print(f"show, they are wrong for {error:.0%} of images (adjusted Rand index {agreement:.2f}).")
assert error < 0.5
