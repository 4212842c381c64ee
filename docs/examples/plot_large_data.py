"""
Outliers among rows that no memory holds
========================================

A dask array is a plan for how to make chunks of rows. The estimator trains on it chunk by chunk,
and scores of it are a plan again: what is asked for is computed, a few chunks at a time.
"""

# %%
# Readings of twelve sensors that follow three hidden quantities, in chunks of a day. On one day, a
# sensor has slipped.

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np

from sklearn_aae import AdversarialAutoencoder

N_DAYS, ROWS_A_DAY, SLIPPED = 30, 1000, 19
mixing = np.random.default_rng(0).normal(size=(3, 12))


def readings(block_info=None):
    """The rows of a day; of a file, in real life."""
    day = block_info[None]["chunk-location"][0]
    rng = np.random.default_rng(day)
    rows = np.sin(rng.normal(size=(ROWS_A_DAY, 3)) @ mixing) + 0.05 * rng.normal(
        size=(ROWS_A_DAY, 12)
    )
    rows[:, 4] += 0.3 * (day == SLIPPED)
    return rows.astype(np.float32)


X = da.map_blocks(readings, chunks=((ROWS_A_DAY,) * N_DAYS, (12,)), dtype=np.float32)
print(X)

# %%
# Train on all of it. At no time are more than a few chunks in memory.

model = AdversarialAutoencoder(n_components=3, max_iter=4, random_state=0).fit(X)

# %%
# Scores of each block, as a lazy array of one number for each row; then the mean of each day, of
# which dask holds no more than it needs. `sklearn_aae.dask.DaskAdversarialAutoencoder` has methods
# that are lazy by themselves, and trains on a cluster.

scores = X.map_blocks(model.score_samples, drop_axis=1, dtype=np.float64, meta=np.empty(0))
daily = scores.reshape(N_DAYS, ROWS_A_DAY).mean(axis=1).compute(scheduler="sync")

fig, ax = plt.subplots(figsize=(7, 2.5), layout="constrained")
ax.plot(daily, "o-", color="C0", markersize=4)
ax.plot(SLIPPED, daily[SLIPPED], "o", color="C3")
ax.annotate(
    "a sensor slipped", (SLIPPED, daily[SLIPPED]), (-8, 0), textcoords="offset points", ha="right"
)
ax.set(xlabel="day", ylabel="mean log density")

assert daily.argmin() == SLIPPED
print(
    f"Day {daily.argmin()} stands out: {daily.min():.2f}, and {np.median(daily):.2f} on the others."
)
