"""
An encoder of your own in PyTorch
=================================

``encoder``, ``decoder`` and ``discriminator`` take modules or functions that build them. The
estimator keeps doing the rest: scaling, seeds, the game, scores.
"""

# %%
# A residual network, written as any module of PyTorch. It is built by a function of the number of
# columns and the width of the code, so that it fits every data set and every ``n_components`` of a
# grid search. The decoder is the default one.

import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from torch import nn

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.metrics import reconstruction_error


class ResidualEncoder(nn.Module):
    def __init__(self, in_features, out_features, width=128, n_blocks=2):
        super().__init__()
        self.first = nn.Linear(in_features, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
            for _ in range(n_blocks)
        )
        self.last = nn.Linear(width, out_features)

    def forward(self, x):
        h = self.first(x)
        for block in self.blocks:
            h = h + block(h)
        return self.last(h)


X, _ = load_digits(return_X_y=True)
X_train, X_test = train_test_split(X, random_state=0)
model = AdversarialAutoencoder(
    n_components=8, encoder=ResidualEncoder, max_iter=30, random_state=0
).fit(X_train)
n_weights = sum(weights.numel() for weights in model.encoder_.parameters())
print(f"{type(model.encoder_).__name__} with {n_weights:,} weights")

# %%
# The weights come from ``random_state``, too: no global seed is set or needed, and a clone gives
# the same model.

torch.manual_seed(123)  # of no influence
again = clone(model).fit(X_train)
same = np.array_equal(model.transform(X_test), again.transform(X_test))

# %%
# A network whose shape does not fit is refused before any training.

try:
    AdversarialAutoencoder(n_components=8, encoder=nn.Linear(64, 5)).fit(X_train)
except ValueError as error:
    refused = str(error)
print(refused)

# %%

pca = PCA(n_components=8).fit(X_train)
left = reconstruction_error(X_test, model.reconstruct(X_test))
left_pca = reconstruction_error(X_test, pca.inverse_transform(pca.transform(X_test)))
print(f"Error on test images: {left:.1f} with the residual encoder, {left_pca:.1f} with PCA;")
print("a clone fitted again gives the same codes to the bit:", same)
assert same
assert left < left_pca
assert "encoder" in refused
