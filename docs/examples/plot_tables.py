"""
A table with gaps, filled in and continued
==========================================

A data frame goes in as it is: numbers, categories, booleans and dates, a fifth of the cells
missing. ``impute`` fills the gaps in, its draws tell how sure that is, ``sample`` makes new rows.
All come back as frames with the names and types of the one that was fitted.
"""

# %%
# A table of passengers: the class decides on the fare, and with sex and age on who survives.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_aae import AdversarialAutoencoder

rng = np.random.default_rng(0)
n = 800
position = rng.integers(3, size=n)
is_woman = rng.random(n) < 0.4
age = rng.gamma(6, 5, size=n)
survives = rng.random(n) < 0.15 + 0.15 * (2 - position) + 0.45 * is_woman
passengers = pd.DataFrame(
    {
        "class": pd.Categorical.from_codes(position, ["first", "second", "third"]),
        "sex": np.where(is_woman, "female", "male"),
        "age": age.round(),
        "fare": rng.lognormal(4.0 - 0.9 * position, 0.25).round(2),
        "survived": survives,
        "boarded": pd.Timestamp("1912-04-10") + pd.to_timedelta(position // 2, unit="D"),
    }
)
gaps = rng.random(passengers.shape) < 0.2
with_gaps = passengers.mask(gaps)
with_gaps["survived"] = with_gaps["survived"].astype("boolean")
print(with_gaps.head())

# %%
# Fitted to the table with its gaps: the loss counts the cells that are there.

model = AdversarialAutoencoder(random_state=0).fit(with_gaps)
filled = model.impute(with_gaps)
print(filled.head())

# %%
# How well? Beside the mean of the column and its most frequent value.

gains = []
for column in ("class", "sex", "survived"):
    hidden = gaps[:, passengers.columns.get_loc(column)]
    truth = passengers[column][hidden].astype(str)
    right = (filled[column][hidden].astype(str) == truth).mean()
    usual = truth.value_counts(normalize=True).iloc[0]
    print(f"{column}: {right:.0%} right, {usual:.0%} by the most frequent value")
    gains.append(right - usual)
print(f"On average {np.mean(gains):.0%} more of the hidden cells are right.")
assert np.mean(gains) > 0.15

# %%
# Missing fares, filled in as the mean of draws: the class tells most of them.

hidden = gaps[:, passengers.columns.get_loc("fare")]
knows_class = with_gaps["class"].notna().to_numpy()
draws = model.impute(with_gaps, n_draws=20, random_state=0)
drawn = np.array([frame["fare"] for frame in draws])

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for rows, label in (
    (hidden & knows_class, "class known"),
    (hidden & ~knows_class, "class missing"),
):
    left.scatter(passengers["fare"][rows], drawn[:, rows].mean(axis=0), s=10, label=label)
top = passengers["fare"].quantile(0.99)
left.plot([0, top], [0, top], color="grey", linewidth=0.8)
left.set(xlabel="fare", ylabel="mean of 20 draws", title="Missing fares", xlim=(0, top))
left.legend()

# %%
# New rows: the fares of each class as they are in the table.

new = model.sample(n, random_state=0)
for offset, (frame, label) in enumerate(((passengers, "table"), (new, "samples"))):
    fares = [frame["fare"][frame["class"] == c] for c in passengers["class"].cat.categories]
    places = np.arange(3) + 0.3 * offset
    boxes = right.boxplot(fares, positions=places, widths=0.25, showfliers=False, patch_artist=True)
    for box in boxes["boxes"]:
        box.set_facecolor(f"C{offset}")
    right.plot([], [], color=f"C{offset}", linewidth=6, label=label)
right.set_xticks(np.arange(3) + 0.15, list(passengers["class"].cat.categories))
right.set(ylabel="fare", title="Rows and samples")
right.legend()
print(new.head())
