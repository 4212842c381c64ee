"""
Text: codes of sentences, and edits by arithmetic
=================================================

:class:`~sklearn_aae.AdversarialTextAutoencoder` makes codes of strings and strings of codes, here
of reviews that are put together from phrases.
"""

# %%
# Reviews of two kinds: what somebody did is the same, what they thought of it is not.

import random

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import NearestCentroid

from sklearn_aae import AdversarialTextAutoencoder

generator = random.Random(0)
WHO = ["we", "my sister and i", "i", "our friends", "they"]
DID = ["ordered", "had", "tried", "took", "waited for"]
WHAT = ["the soup", "two coffees", "a pizza", "the red curry", "cake and tea", "some noodles"]
SAID = {
    1: ["it was great !", "the best in town !", "really fresh and tasty .", "so good !"],
    0: ["it was cold .", "never again .", "far too salty .", "a waste of money ."],
}


def review(label):
    parts = (WHO, DID, WHAT, SAID[label])
    who, did, what, said = (generator.choice(part) for part in parts)
    return f"{who} {did} {what} , {said}"


y = np.array([0, 1] * 400)
X = [review(label) for label in y]
test = [review(label) for label in y[:100]]

# %%
# Small networks, since this has to run in seconds; leave the sizes out for text of your own.

model = AdversarialTextAutoencoder(
    n_components=16, embedding_size=32, hidden_size=64, max_iter=30, lr=1e-2, random_state=0
).fit(X)
restored = model.reconstruct(test)
print(f"{np.mean(restored == test):.0%} of test sentences come back word for word, among them")
print(f"  {restored[0]}")
print("and these are new:")
for sentence in model.sample(4, random_state=0):
    print(f"  {sentence}")

# %%
# Codes are numbers, for whatever takes numbers. Nobody told them the opinion.

codes = model.transform(X)
accuracy = cross_val_score(LogisticRegression(max_iter=1000), codes, y).mean()
print(f"The opinion is read from {accuracy:.0%} of codes.")

# %%
# An edit is a step along the difference of the mean codes of both opinions, here twice as long.

bad, good = NearestCentroid().fit(codes, y).centroids_
complaints = [x for x, label in zip(test, y[:100], strict=True) if label == 0]
edited = model.inverse_transform(model.transform(complaints) + 2 * (good - bad))
for before, after in zip(complaints[:4], edited, strict=False):
    print(f"  {before}\n    -> {after}")
turned = np.mean([any(said in after for said in SAID[1]) for after in edited])
kept = np.mean(
    [a.split(",")[0] == b.split(",")[0] for a, b in zip(complaints, edited, strict=True)]
)
print(f"{turned:.0%} are praise now, and {kept:.0%} tell of the same visit.")

# %%
# Scores see the order of words.

shuffled = [" ".join(generator.sample(s.split(), len(s.split()))) for s in test]
scores = model.score_samples([*test, *shuffled])
auroc = roc_auc_score([1] * len(test) + [0] * len(test), scores)
print(f"AUROC of sentences against the same words in another order: {auroc:.3f}")

opinion = LogisticRegression(max_iter=1000).fit(codes, y)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
moved = model.transform(edited)
for rows, name in (
    (codes[y == 0], "complaints"),
    (codes[y == 1], "praise"),
    (moved, "edited complaints"),
):
    left.hist(opinion.decision_function(rows), 30, density=True, alpha=0.6, label=name)
left.set(title="opinion, read from codes", xlabel="log-odds of praise", yticks=[])
left.legend()
bins = np.geomspace(1e-4, 20, 60)
right.hist(-scores[: len(test)], bins, label="sentences")
right.hist(-scores[len(test) :], bins, label="shuffled")
right.axvline(-model.offset_, color="k", linestyle=":", label="threshold")
right.set(title="surprise", xlabel="nats for each token", xscale="log", yticks=[])
right.legend(loc="upper left")
plt.show()

assert np.mean(restored == test) > 0.9
assert accuracy > 0.9
assert turned > 0.8
assert auroc > 0.9
