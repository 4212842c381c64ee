"""What went wrong in a training that ended: criteria on codes and losses, and what to change.

The criteria were set from what they mean and hold for any prior; what chance alone makes of few
rows never meets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sklearn_aae.priors import draw

# A direction with less than a hundredth of the prior's variance carries next to nothing.
_DEAD = 0.1
# With fewer distinct rows for each direction, directions look dead by chance.
_MIN_ROWS = 5
# Codes that are the same up to rounding, which no training has to be waited for to judge.
_SAME = 1e-3
# Right in nine of ten cases: a total variation of 0.8 or more between codes and prior.
_WON_ACCURACY = 0.9
# Beyond this multiple of the null distance's quantile a distance is not chance.
_FAR = 2.0
# A classifier's AUROC on held-out codes: beyond, few of them could pass for draws of the prior.
_TOLD_APART = 0.85
# Codes all at the prior's mean are less than this away, in units of the prior's root mean square.
_VERY_FAR = 1.0
# Before, networks have hardly left their initial weights. The least that max_iter="auto" allows.
_MIN_STEPS = 300
# Of the epochs, those whose accuracy counts: the learning rate has decayed.
_LAST_SHARE = 10

_N_REFERENCE = 10_000
# Draws that chance is judged by: more for few rows, where they vary and cost nothing.
_N_DRAWN_ROWS, _MIN_REPEATS, _MAX_REPEATS = 10_000, 5, 200


def spread_ratios(codes: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Standard deviations of codes over those of the prior, along the codes' own directions.

    Parameters
    ----------
    codes : ndarray of shape (n, n_components)
    reference : ndarray of shape (n_reference, n_components)
        A large sample of the prior. Directions in which it does not vary are left out.

    Returns
    -------
    ratios : ndarray of shape (n_directions,)
        Ascending: square roots of the eigenvalues of the codes' covariance in coordinates in which
        the prior's is the identity. All are 1 for codes that match.
    """
    covariance = np.atleast_2d(np.cov(reference, rowvar=False))
    variances, directions = np.linalg.eigh(covariance)
    varying = variances > 1e-6 * variances[-1]
    whitening = directions[:, varying] / np.sqrt(variances[varying])
    of_codes = np.atleast_2d(np.cov(codes @ whitening, rowvar=False))
    return np.sqrt(np.maximum(np.linalg.eigvalsh(of_codes), 0.0))


def dead_directions(
    codes: np.ndarray, prior: Any, n_distinct: int, threshold: float = _DEAD, seed: int = 0
) -> tuple[int, int, float]:
    """Number of directions in which codes hardly vary, and not for want of rows.

    A direction is dead if its spread, relative to the prior's, is below `threshold` and below that
    of every one of many draws of `n_distinct` codes from the prior itself. With less than five
    distinct rows for each direction none is.

    Parameters
    ----------
    codes : ndarray of shape (n, n_components)
    prior : object
        With ``sample(n_samples, generator)``.
    n_distinct : int
        Distinct rows among those encoded.
    threshold : float
    seed : int

    Returns
    -------
    n_dead, n_directions : int
    largest : float
        The largest ratio of spreads.
    """
    generator = torch.Generator().manual_seed(seed)
    reference = draw(prior, _N_REFERENCE, generator).numpy().astype(np.float64)
    ratios = spread_ratios(codes.astype(np.float64), reference)
    n_directions = len(ratios)
    if n_distinct < _MIN_ROWS * (n_directions + 1) or not (ratios < threshold).any():
        return 0, n_directions, float(ratios.max(initial=0.0))
    n_repeats = min(max(_N_DRAWN_ROWS // n_distinct, _MIN_REPEATS), _MAX_REPEATS)
    drawn = [draw(prior, n_distinct, generator).numpy() for _ in range(n_repeats)]
    by_chance = np.min([spread_ratios(z.astype(np.float64), reference) for z in drawn], axis=0)
    dead = (ratios < threshold) & (ratios < by_chance)
    return int(dead.sum()), n_directions, float(ratios.max())


def n_distinct_rows(X: np.ndarray) -> int:
    """Number of rows that differ, to the bit."""
    return len({row.tobytes() for row in X})


def training_problems(
    codes: np.ndarray,
    prior: Any,
    n_distinct: int,
    *,
    n_steps: int,
    adversarial_weight: float,
    adversarial_loss: str,
    noise: float,
    lr: float,
    discriminator_lr: float,
    n_components: int,
    accuracy: Sequence[float],
    prior_match: dict[str, float],
    reconstruction_loss: float,
    uninformed: str = "the column means",
) -> list[str]:
    """Messages about a collapsed or useless code, dead dimensions and a discriminator that won.

    Parameters
    ----------
    codes : ndarray of shape (n, n_components)
        Codes of rows of X.
    prior : object
        With ``sample(n_samples, generator)``.
    n_distinct : int
        Distinct rows among those encoded.
    n_steps : int
        Steps of the whole training.
    adversarial_weight, adversarial_loss, noise, lr, discriminator_lr, n_components
        Parameters, as used.
    accuracy : sequence of float
        Accuracy of the discriminator in each epoch; empty without a game.
    prior_match : dict
        "distance" of held-out codes, and "null" and "null_quantile" of what chance makes of it;
        "auroc" of a classifier that tells them from the prior.
    reconstruction_loss : float
        Of the last epoch: the share of the deviance that is left.
    uninformed : str
        What a prediction knows that leaves all of it.

    Returns
    -------
    messages : list of str
        Empty if all is well.
    """
    trained = n_steps >= _MIN_STEPS
    # Without a game, the scale of the codes is free.
    threshold = _DEAD if trained and adversarial_weight > 0 else _SAME
    n_dead, n_directions, largest = dead_directions(codes, prior, n_distinct, threshold)
    if n_dead and n_dead == n_directions:
        game = f", adversarial_weight (now {adversarial_weight:g})" if adversarial_weight else ""
        return [
            "The code collapsed: the codes of different rows are nearly the same, with at most "
            f"{largest:.2g} of the prior's standard deviation. Lower lr (now {lr:g}), "
            f"discriminator_lr (now {discriminator_lr:g}){game}."
        ]
    if not trained:
        return []
    if reconstruction_loss >= 1:
        game = f", adversarial_weight (now {adversarial_weight:g})" if adversarial_weight else ""
        return [
            f"Nothing was learned: reconstructions are no better than {uninformed}, with a "
            f"reconstruction_loss of {reconstruction_loss:.3g}, where 1 is that of these. What a "
            "row is made of may be independent of each other: then there is nothing to learn of "
            f"one from the others. If not, lower lr (now {lr:g}), noise (now {noise:g}){game}."
        ]
    if adversarial_weight == 0:
        return []
    messages = []
    if n_dead:
        messages.append(
            f"The code has dead dimensions: in {n_dead} of {n_directions} directions, codes have "
            f"less than {_DEAD:g} of the prior's standard deviation, so that samples of the prior "
            f"lie where no codes are. Lower n_components (now {n_components}) to "
            f"{max(1, n_components - n_dead)}, or raise adversarial_weight (now "
            f"{adversarial_weight:g})."
        )
    last = accuracy[-max(1, len(accuracy) // _LAST_SHARE) :]
    share = float(np.mean(last)) if len(last) else 0.0
    # A Wasserstein critic scores without a threshold: being right half of the time means nothing.
    has_won = share > _WON_ACCURACY and adversarial_loss != "wasserstein"
    distance, limit = prior_match["distance"], prior_match["null_quantile"]
    # What is near may still be told apart, by a classifier that was not trained on it.
    is_off = distance > _FAR * limit or prior_match.get("auroc", 0.5) > _TOLD_APART
    if is_off and (has_won or distance > _VERY_FAR):
        what = "The codes do not follow the prior: they"
        if has_won:
            what = (
                f"The discriminator won: it is right about {share:.0%} of codes and samples of the "
                "prior. The codes"
            )
        messages.append(
            f"{what} are {distance:.2g} away from the prior, while samples of the prior are about "
            f"{prior_match['null']:.2g} apart (prior_match_). Raise adversarial_weight (now "
            f"{adversarial_weight:g}) or max_iter, or lower lr (now {lr:g}) or discriminator_lr "
            f"(now {discriminator_lr:g})."
        )
    return messages
