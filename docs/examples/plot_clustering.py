"""
Clusters without labels, and a map of them
==========================================

:class:`~sklearn_aae.AdversarialAutoencoderClusterer` splits the code into a cluster and a style
within it, and draws both on one map: the head of a cluster plus the style.
"""

# %%
# Digits, twice as many clusters as there are digits, and a map of two dimensions. The labels serve
# to name the clusters afterwards.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from sklearn_aae import AdversarialAutoencoderClusterer
from sklearn_aae.metrics import clustering_error

X, y = load_digits(return_X_y=True)
model = AdversarialAutoencoderClusterer(
    n_clusters=20, n_components=2, max_iter=100, random_state=0
).fit(X)

# %%
# Each point is an image. The numbers are the clusters, in the middle of their images.

points = model.transform(X)
figure, ax = plt.subplots(figsize=(7, 5.6), layout="constrained")
scatter = ax.scatter(*points.T, c=y, cmap="tab10", s=6)
ax.legend(*scatter.legend_elements(), title="digit", loc="center left", bbox_to_anchor=(1, 0.5))
for cluster in np.flatnonzero(model.cluster_sizes_):
    middle = np.median(points[model.labels_ == cluster], axis=0)
    ax.text(*middle, str(cluster), ha="center", va="center", weight="bold", size=13)
ax.set(xlabel="first dimension", ylabel="second dimension")
plt.show()

# %%
# Clusters are named after the digit that most of their images show. The error counts the images
# that are then wrong, for k-means with as many clusters, too.

kmeans = KMeans(n_clusters=20, n_init=10, random_state=0).fit(X)
error = {
    name: clustering_error(y, labels, rule="majority")
    for name, labels in {"ours": model.labels_, "k-means": kmeans.labels_}.items()
}
n_used = (model.cluster_sizes_ > 0).sum()
print(
    f"{n_used} of 20 clusters are used. {error['ours']:.1%} of images are in a cluster of another"
)
print(f"digit; with k-means {error['k-means']:.1%} are.")
assert error["ours"] < min(error["k-means"], 0.07)
