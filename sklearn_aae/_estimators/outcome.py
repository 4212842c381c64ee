"""Errors and warnings about a training that has ended, with the parameter to change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from sklearn_aae._rows.inference import Inference
from sklearn_aae._training.diagnostics import n_distinct_rows, training_problems
from sklearn_aae._training.net import AdversarialNet
from sklearn_aae._warnings import warn_user
from sklearn_aae.callbacks import EarlyStopping, LastGoodWeights, PriorMatch

# Rows that tell whether a training ended in weights of any use.
_N_RECONSTRUCTED = 100


@contextmanager
def restored_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Leave an estimator as it was if the block fails: no half-fitted state."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


@contextmanager
def advice_on_memory(batch_size: int, estimator: Any) -> Iterator[None]:
    """Let errors of exhausted memory say which parameters to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On the CPU, torch raises RuntimeError for this as for anything else.
        signs = ("can't allocate memory", "not enough memory", "out of memory")
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and not any(
            sign in str(error) for sign in signs
        ):
            raise
        params = estimator.get_params(deep=False)
        widths = "hidden_size" if "hidden_size" in params else "hidden_layer_sizes"
        raise MemoryError(
            f"Out of memory in fit: {error}. Lower batch_size (now {batch_size}) or "
            f"{widths} (now {params[widths]!r}), or train on chunks of X "
            "with partial_fit. The estimator is as it was before."
        ) from error


def advice_on_divergence(net: AdversarialNet, *, standardize: bool) -> str:
    """What to change where a training diverged."""
    advice = f"Lower lr (now {net.lr:g}) or discriminator_lr (now {net.discriminator_lr:g}), "
    if not standardize:
        advice += "set standardize=True, "
    return advice + "or look for extreme values in X."


def report_end(net: AdversarialNet, n_planned: int, *, standardize: bool) -> None:
    """Error or warning where a training diverged; warning where it was interrupted.

    `n_planned` is the number of epochs that the net's history would have.
    """
    if net.diverged_ is not None:
        callbacks = [callback for _, callback in net.callbacks_]
        restored = next(c.restored_epoch_ for c in callbacks if isinstance(c, LastGoodWeights))
        advice = advice_on_divergence(net, standardize=standardize)
        if restored is None:
            raise ValueError(f"{net.diverged_}: the training diverged. {advice}")
        best = max((c.best_epoch_ for c in callbacks if isinstance(c, EarlyStopping)), default=0)
        warn_user(
            f"{net.diverged_}: the training diverged. The estimator is fitted with the weights of "
            f"epoch {best or restored}, before that. {advice}",
            ConvergenceWarning,
        )
    if net.interrupted_:
        warn_user(
            f"Training interrupted after {len(net.history)} of {n_planned} epochs: the estimator "
            "is fitted with the weights of that moment.",
            ConvergenceWarning,
        )


def check_reconstructions(
    inference: Inference, X: np.ndarray, labels: np.ndarray | None, advice: str
) -> None:
    """Refuse weights that are finite and useless: what the last step does is in no loss."""
    step = max(1, len(X) // _N_RECONSTRUCTED)
    x = inference.columns.standardized(X[::step]).to(inference.device)
    y = None if labels is None else torch.as_tensor(labels[::step], device=x.device)
    autoencoder = inference.in_dtype_of(X)
    with torch.inference_mode():
        decoded = inference.mean(autoencoder.predicted(autoencoder.encode(x), x, y))
    if not bool(torch.isfinite(decoded).all()):
        raise ValueError(
            "Reconstructions of rows of X are infinite after the last epoch: the training "
            f"diverged. {advice}"
        )


def warn_of_problems(
    net: AdversarialNet,
    inference: Inference,
    prior: Any,
    prior_match: dict[str, float],
    adversarial_weight: float,
    history: dict[str, list[float]],
    X: np.ndarray,
) -> None:
    """Warn of a training that ended, and not well."""
    if net.diverged_ is not None or net.interrupted_:
        return  # that has been said
    rows = X[:: max(1, len(X) // PriorMatch.MAX_CODES)]
    codes = inference.encode(rows)
    if net.module_.flow is not None:
        codes = _before_the_flow(inference, rows, like=codes)
    for problem in training_problems(
        codes,
        prior,
        n_distinct_rows(rows),
        n_steps=net.game.n_steps_,
        adversarial_weight=adversarial_weight,
        adversarial_loss=net.game.critics[0].loss,
        noise=net.noise,
        lr=net.lr,
        discriminator_lr=net.discriminator_lr,
        n_components=net.module_.n_components,
        accuracy=history.get("discriminator_accuracy", []),
        prior_match=prior_match,
        reconstruction_loss=history["reconstruction_loss"][-1],
        uninformed=inference.columns.likelihood.uninformed,
    ):
        warn_user(problem, ConvergenceWarning)


def _before_the_flow(inference: Inference, X: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Codes before a flow, which gives each direction a spread, a dead one too.

    In the units of codes behind it: a flow makes up for any scale.
    """
    codes = inference.encode_unmapped(X)
    spread, wanted = (np.sqrt(z.var(axis=0, dtype=np.float64).mean()) for z in (codes, like))
    return codes * (wanted / spread) if spread > 0 else codes
