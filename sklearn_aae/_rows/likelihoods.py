"""What the decoder's output means: reconstruction loss, log-likelihood and mean, by name.

The networks live in standardised units, x = squashed((X - center) / scale). A Gaussian or Laplace
output is the location of x; a Bernoulli or Poisson output is a logit or a log rate of X itself, and
only the encoder sees x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sklearn_aae._rows.arrays import to_arrays, to_tensors
from sklearn_aae._rows.scaling import unsquashed


@dataclass(frozen=True, eq=False)
class Likelihood:
    """p(x|z) given the decoder's output.

    Parameters
    ----------
    center, scale : Tensor of shape (n_features,)
        X = center + scale * unsquashed(x).
    baseline : Tensor of shape (n_features,)
        Weighted mean of X, where log rates start from.
    knee : float, default=inf
        Where x starts to grow logarithmically.
    """

    center: Tensor
    scale: Tensor
    baseline: Tensor
    knee: float = math.inf

    name: ClassVar[str]
    # What a prediction knows whose deviance is the unit of the reconstruction loss.
    uninformed: ClassVar[str] = "the column means"

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Likelihood:
        """The same likelihood for outputs of another device or precision."""
        fields = (self.center, self.scale, self.baseline)
        center, scale, baseline = (t.to(device=device, dtype=dtype) for t in fields)
        return type(self)(center, scale, baseline, self.knee)

    def __getstate__(self) -> dict[str, Any]:
        # As arrays: a model trained on a GPU loads on a CPU.
        return to_arrays(vars(self))

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(to_tensors(state))

    @staticmethod
    def check_domain(minimum: float, maximum: float) -> str | None:
        """What is wrong with data of this range, None if nothing."""
        return None

    def mean(self, output: Tensor) -> Tensor:
        """E[X|z], in the units of X, tensor (n, n_features)."""
        return (self.scale * unsquashed(output, self.knee)).add_(self.center)

    def deviance(self, output: Tensor, x: Tensor) -> Tensor:
        """Loss of each cell, tensor (n, n_features): 0 where the output fits perfectly."""
        raise AssertionError("a likelihood defines deviance")

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Log-likelihood of each cell in nats, tensor (n, n_features)."""
        raise AssertionError("a likelihood defines log_prob")

    def row_log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        """Log-likelihood of each row in nats, tensor (n,)."""
        return self.log_prob(output, x).sum(dim=1)

    def constant_output(self) -> Tensor:
        """Output that predicts the column means, tensor (n_features,)."""
        return (self.baseline - self.center) / self.scale

    def _raw(self, x: Tensor) -> Tensor:
        return self.center + self.scale * unsquashed(x, self.knee)


class Gaussian(Likelihood):
    """N(output, I) for x: squared error in standardised units."""

    name = "gaussian"

    def deviance(self, output: Tensor, x: Tensor) -> Tensor:
        return (output - x).square()

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        return -0.5 * ((output - x).square() + math.log(2 * math.pi))


class Laplace(Likelihood):
    """Laplace(output, 1) for x: absolute error in standardised units."""

    name = "laplace"

    def deviance(self, output: Tensor, x: Tensor) -> Tensor:
        return (output - x).abs()

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        return -(output - x).abs() - math.log(2)


class Bernoulli(Likelihood):
    """X in [0, 1] is a probability of 1; the output is its logit.

    Of values 0 and 1, `log_prob` is the log probability. In between it is the mean of that of
    draws, and no density: over [0, 1] it integrates to 0.5 at a logit of 0, and to less elsewhere.
    """

    name = "bernoulli"

    @staticmethod
    def check_domain(minimum: float, maximum: float) -> str | None:
        if minimum < 0 or maximum > 1:
            return (
                f"must lie in [0, 1], got values from {minimum:g} to {maximum:g}. Scale X, for "
                'example with MinMaxScaler or by its largest possible value, or use "gaussian".'
            )
        return None

    def mean(self, output: Tensor) -> Tensor:
        return output.sigmoid()

    def deviance(self, output: Tensor, x: Tensor) -> Tensor:
        target = self._raw(x).clamp(0, 1)  # rounding in x may leave the interval by 1e-7
        entropy = -torch.xlogy(target, target) - torch.xlogy(1 - target, 1 - target)
        return F.binary_cross_entropy_with_logits(output, target, reduction="none") - entropy

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        target = self._raw(x)
        return -F.binary_cross_entropy_with_logits(output, target, reduction="none")

    def constant_output(self) -> Tensor:
        return torch.logit(self.baseline, eps=1e-6)


class Poisson(Likelihood):
    """X is a count; the output is the log of its rate over the column's mean."""

    name = "poisson"

    @staticmethod
    def check_domain(minimum: float, maximum: float) -> str | None:
        if minimum < 0:
            return (
                f"must hold counts, which are not negative, got a minimum of {minimum:g}. "
                'Use "gaussian" or "laplace" for data of either sign.'
            )
        return None

    def _log_rate(self, output: Tensor) -> Tensor:
        # A column of zeros has no scale of its own; any positive one serves.
        return output + torch.where(self.baseline > 0, self.baseline, 1.0).log()

    def mean(self, output: Tensor) -> Tensor:
        return self._log_rate(output).exp()

    def deviance(self, output: Tensor, x: Tensor) -> Tensor:
        target = self._raw(x).clamp(min=0)
        rate = self.mean(output)
        return rate - target - torch.xlogy(target, rate) + torch.xlogy(target, target)

    def log_prob(self, output: Tensor, x: Tensor) -> Tensor:
        target = self._raw(x).clamp(min=0)
        log_rate = self._log_rate(output)
        return target * log_rate - log_rate.exp() - _log_factorial(target)

    def constant_output(self) -> Tensor:
        # A rate of zero for a column of zeros.
        return torch.where(self.baseline > 0, 0.0, -math.inf).to(self.baseline.dtype)


def _log_factorial(n: Tensor) -> Tensor:
    if not torch.compiler.is_exporting():
        return torch.lgamma(n + 1)
    # ONNX has no such function. Stirling's series, where its first terms are exact: 16 further on.
    x = n + 17
    series = 1 / (12 * x) - 1 / (360 * x**3) + 1 / (1260 * x**5) - 1 / (1680 * x**7)
    log_gamma = (x - 0.5) * x.log() - x + 0.5 * math.log(2 * math.pi) + series
    return log_gamma - sum((n + i).log() for i in range(1, 17))


LIKELIHOODS: dict[str, type[Likelihood]] = {
    cls.name: cls for cls in (Gaussian, Laplace, Bernoulli, Poisson)
}


def make_likelihood(
    name: str, center: np.ndarray, scale: np.ndarray, baseline: np.ndarray, knee: float = math.inf
) -> Likelihood:
    """Likelihood by name, in float64 on the CPU."""
    arrays = (np.array(a, dtype=np.float64) for a in (center, scale, baseline))
    of_center, of_scale, of_baseline = map(torch.tensor, arrays)
    return LIKELIHOODS[name](of_center, of_scale, of_baseline, knee)
