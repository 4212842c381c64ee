"""
Choosing a prior
================

The prior is the shape that the codes are pressed into. It decides what a draw looks like, where
classes can lie, and whether ``score_method="prior"`` makes sense. The same digits, with four
priors.
"""

# %%
# Names of priors are short for objects with default parameters; any object with
# ``sample(n_samples, generator)`` works as well, such as the ring below.

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits, make_moons

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.displays import LatentSpaceDisplay
from sklearn_aae.priors import Empirical


class Ring:
    """Codes at a distance of about 1.5 from the centre."""

    def sample(self, n_samples, generator):
        direction = torch.randn(n_samples, 2, generator=generator, device=generator.device)
        noise = torch.randn(n_samples, 1, generator=generator, device=generator.device)
        return torch.nn.functional.normalize(direction) * (1.5 + 0.1 * noise)


priors = {
    '"normal"': "normal",
    '"uniform"': "uniform",
    "Empirical(two moons)": Empirical(make_moons(2000, noise=0.1, random_state=0)[0]),
    "your own: a ring": Ring(),
}

# %%
# No labels here: what belongs together is found by the reconstruction alone. Colours are digits.
# Shapes with holes and edges want a larger ``adversarial_weight`` than the default.

X, y = load_digits(return_X_y=True)
figure, axes = plt.subplots(2, 2, figsize=(7.5, 7), layout="constrained")
excess = {}
for ax, (name, prior) in zip(axes.flat, priors.items(), strict=True):
    model = AdversarialAutoencoder(
        n_components=2, prior=prior, adversarial_weight=2, max_iter=70, random_state=0
    ).fit(X)
    LatentSpaceDisplay.from_estimator(model, X, y, ax=ax).legend_.remove()
    ax.set(title=name, xlabel=None, ylabel=None)
    excess[name] = model.prior_match_["distance"] - model.prior_match_["null"]
plt.show()

# %%
# ``prior_match_`` says how well the codes of held-out rows follow the prior: their distance from
# it, less that of two samples of the prior from each other.

for name, value in excess.items():
    print(f"{name:20} {value:.2f}")
worst = max(excess, key=excess.get)
print(f"The codes of held-out rows are within {excess[worst]:.2f} root mean squares of each prior,")
print(f"beyond what chance does; {worst} is the hardest.")
assert excess[worst] < 0.15
