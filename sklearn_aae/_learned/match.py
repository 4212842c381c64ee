"""How well codes match their prior, once the networks are trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.inference import Inference
from sklearn_aae.callbacks import PriorMatch


def measure_prior_match(
    inference: Inference, prior: Any, X: np.ndarray | SelectedRows
) -> dict[str, float]:
    """Distance of the codes of rows from the prior, and what chance makes of it."""
    step = max(1, len(X) // PriorMatch.MAX_CODES)
    monitor = PriorMatch(prior)
    distance = monitor.measure(torch.from_numpy(inference.encode(X[::step])))
    return {"distance": distance, "null": monitor.null_, "null_quantile": monitor.null_quantile_}
