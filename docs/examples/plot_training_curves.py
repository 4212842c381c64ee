"""
Reading the training curves
===========================

An adversarial autoencoder plays a game, and the losses of a game do not fall to zero. Four panels
tell how it went: the reconstruction of training and held-out rows, the losses of the game, the
accuracy of the discriminator, and the distance of held-out codes from the prior.
"""

# %%
# Digits, with a tenth of the rows held out and looked at after every epoch.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.displays import TrainingCurveDisplay

X, _ = load_digits(return_X_y=True)
model = AdversarialAutoencoder(
    n_components=4, max_iter=40, early_stopping=True, n_iter_no_change=40, random_state=0
).fit(X)
TrainingCurveDisplay.from_estimator(model)
plt.show()

# %%
# A reconstruction loss of 1 is that of predicting column means, 0 is perfect. The curve of held-out
# rows stays close to that of training rows: the networks do not learn rows by heart. A
# discriminator that is right half of the time cannot tell codes from the prior at all, one that is
# always right has won and teaches the encoder nothing. The distance of held-out codes from the
# prior comes down towards that of two samples of the prior.

history = {name: np.array(values) for name, values in model.history_.items()}
overfit = history["valid_loss"][-1] - history["reconstruction_loss"][-1]
accuracy = history["discriminator_accuracy"][-10:].mean()
print(f"reconstruction: {history['valid_loss'][-1]:.2f} of the deviance is left on held-out rows,")
print(f"    {overfit:+.2f} against training rows")
print(f"discriminator: right for {accuracy:.0%} of its inputs")
print(f"distance from the prior: {history['prior_match'][0]:.2f} in the first epoch,")
print(
    f"    {history['prior_match'][-1]:.2f} in the last; two samples are "
    f"{model.prior_match_['null']:.2f} apart"
)
assert history["valid_loss"][-1] < 0.45
assert abs(overfit) < 0.1
assert 0.4 < accuracy < 0.8
assert history["prior_match"][-1] < 0.5 * history["prior_match"][0]
