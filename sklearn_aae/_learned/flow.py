"""Normalising flows: invertible maps, fitted by maximum likelihood, from codes to a prior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init
from tqdm.auto import tqdm

# Of the training: with 1,000 steps of 256 codes, pendigits, digits and magic (8 components) had
# nothing left to gain from more.
_N_STEPS = 1000
_BATCH_SIZE = 256
_LR = 3e-3
_MAX_GRADIENT_NORM = 5.0
# Of a direction's variance, relative to that of the widest.
_LEAST_VARIANCE = 1e-6

# Splines act between minus and plus this; codes are standardised first.
_BOUND = 4.0
# Least share of a bin in the interval, and least slope: the inverse stays well conditioned.
_MIN_SHARE = 1e-2
_MIN_SLOPE = 1e-2


def rational_quadratic_spline(
    x: Tensor, shape: Tensor, *, inverse: bool = False
) -> tuple[Tensor, Tensor]:
    """Monotone function of each value, the identity outside the bound, and its log derivative.

    Parameters
    ----------
    x : Tensor of shape (n, d)
    shape : Tensor of shape (n, d, 3 * n_bins - 1)
        Logits of the widths and of the heights of the bins, and what the slopes at the inner knots
        are softplus of; zeros for the identity.
    inverse : bool, default=False
        Whether to apply the inverse function.

    Returns
    -------
    y, log_derivative : Tensor of shape (n, d)

    References
    ----------
    Durkan, Bekasov, Murray and Papamakarios (2019), "Neural spline flows",
    https://arxiv.org/abs/1906.04032
    """
    n_bins = (shape.shape[-1] + 1) // 3
    shares = shape[..., : 2 * n_bins].unflatten(-1, (2, n_bins)).softmax(dim=-1)
    sizes = 2 * _BOUND * (_MIN_SHARE + (1 - _MIN_SHARE * n_bins) * shares)
    knots = F.pad(sizes.cumsum(dim=-1)[..., :-1], (1, 0)) - _BOUND
    # A slope of 1 where the network says 0.
    slopes = F.softplus(shape[..., 2 * n_bins :] + math.log(math.expm1(1 - _MIN_SLOPE)))
    slopes = F.pad(_MIN_SLOPE + slopes, (1, 1), value=1.0)
    inside = x.abs() < _BOUND
    value = x.clamp(-_BOUND, _BOUND)
    lower_ends = knots[..., int(inverse), 1:]
    chosen = (value.detach().unsqueeze(-1) >= lower_ends).sum(dim=-1, keepdim=True)
    table = torch.stack(
        [*knots.unbind(-2), *sizes.unbind(-2), slopes[..., :-1], slopes[..., 1:]], dim=-2
    )
    found = table.gather(-1, chosen.unsqueeze(-2).expand(*table.shape[:-1], 1)).squeeze(-1)
    x_0, y_0, width, height, slope_0, slope_1 = found.unbind(-1)
    mean_slope = height / width
    curvature = slope_0 + slope_1 - 2 * mean_slope
    # Equations 4 to 8 of the paper; t is the place within the bin, from 0 to 1.
    if inverse:
        rise = value - y_0
        a = height * (mean_slope - slope_0) + rise * curvature
        b = height * slope_0 - rise * curvature
        c = -mean_slope * rise
        root = (b.square() - 4 * a * c).clamp(min=0).sqrt()
        t = (2 * c / (-b - root)).clamp(0, 1)
        y = x_0 + t * width
    else:
        t = (value - x_0) / width
    between = t * (1 - t)
    denominator = mean_slope + curvature * between
    if not inverse:
        y = y_0 + height * (mean_slope * t.square() + slope_0 * between) / denominator
    numerator = slope_1 * t.square() + 2 * mean_slope * between + slope_0 * (1 - t).square()
    log_slope = 2 * (mean_slope / denominator).log() + numerator.log()
    log_slope = torch.where(inside, log_slope, 0.0)
    return torch.where(inside, y, x), -log_slope if inverse else log_slope


class _Coupling(nn.Module):
    """A rotation, then splines of one half of the columns whose shapes depend on the other half."""

    def __init__(
        self, n_components: int, width: int, n_bins: int, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.n_seen = n_components // 2
        self.n_mapped = n_components - self.n_seen
        on_meta = torch.get_default_device().type == "meta"
        device = "meta" if on_meta else "cpu"
        rotation = torch.empty(n_components, n_components, device=device)
        # One column sees nothing: its spline depends on a constant.
        n_out = self.n_mapped * (3 * n_bins - 1)
        first, second, last = (
            skip_init(nn.Linear, *sizes, device=device)
            for sizes in ((max(self.n_seen, 1), width), (width, width), (width, n_out))
        )
        if not on_meta:
            nn.init.orthogonal_(rotation, generator=generator)
            for layer in (first, second):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(last.weight)  # splines start as the identity
            for layer in (first, second, last):
                nn.init.zeros_(layer.bias)
        self.rotation = nn.Parameter(rotation, requires_grad=False)
        self.network = nn.Sequential(first, nn.SiLU(), second, nn.SiLU(), last)

    def _shape(self, seen: Tensor) -> Tensor:
        if self.n_seen == 0:
            seen = seen.new_zeros(seen.shape[0], 1)
        return self.network(seen).unflatten(1, (self.n_mapped, -1))

    def forward(self, e: Tensor) -> tuple[Tensor, Tensor]:
        seen, mapped = (e @ self.rotation).tensor_split([self.n_seen], dim=1)
        mapped, log_slope = rational_quadratic_spline(mapped, self._shape(seen))
        return torch.cat([seen, mapped], dim=1), log_slope.sum(dim=1)

    def inverse(self, z: Tensor) -> Tensor:
        seen, mapped = z.tensor_split([self.n_seen], dim=1)
        mapped, _ = rational_quadratic_spline(mapped, self._shape(seen), inverse=True)
        return _undone(torch.cat([seen, mapped], dim=1), self.rotation)


def _undone(z: Tensor, matrix: Tensor) -> Tensor:
    """Rows that times a matrix are z, where its columns are orthogonal, in float32.

    In double precision the transpose, each row over the square of its length, is no inverse.
    """
    if not torch.compiler.is_exporting():
        return torch.linalg.solve(matrix, z, left=False)
    # Other programs do not solve; one step of Newton's doubles the digits.
    inverse = matrix.T / matrix.square().sum(dim=0)[:, None]
    for _ in range(2):
        inverse = 2 * inverse - inverse @ matrix @ inverse
    return z @ inverse


class SplineFlow(nn.Module):
    """An invertible map: whitening, then coupling layers of monotone splines.

    Parameters
    ----------
    n_components : int
        Width of input and output.
    n_layers : int, default=12
        Number of coupling layers.
    width : int, default=64
        Width of the two hidden layers of each layer's network.
    n_bins : int, default=None
        Bins of each spline; None for 8, and for as many as make 32 in each layer where it has fewer
        than four splines.
    generator : torch.Generator, default=None
        Source of rotations and initial weights; None draws from torch's global generator.

    Attributes
    ----------
    mean : Parameter of shape (n_components,)
    whitening : Parameter of shape (n_components, n_components)
        What comes first, z = (e - mean) @ whitening; set by `whiten`.

    References
    ----------
    Durkan, Bekasov, Murray and Papamakarios (2019), "Neural spline flows",
    https://arxiv.org/abs/1906.04032
    """

    # Single trials. Codes of pendigits (8 components, no critic): held-out ones could be told from
    # the prior with an AUROC of 0.57 after 14 s of training 8 such layers, and of 0.59 after 20 s
    # of affine ones. Of campaign: 0.57 with 8 layers, 0.55 with 12. In 2-D its codes lie on thin
    # arcs, for which 8 bins are coarse: 0.58 with 8 of them, 0.57 with 16, 0.54 with 32; in 8-D,
    # where neighbouring columns resolve more, 0.57, 0.58 and 0.60.
    def __init__(
        self,
        n_components: int,
        n_layers: int = 12,
        width: int = 64,
        n_bins: int | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if n_bins is None:
            n_mapped = n_components - n_components // 2
            n_bins = max(8, 32 // n_mapped)
        self.n_components = n_components
        self.n_layers = n_layers
        self.width = width
        self.n_bins = n_bins
        self.mean = nn.Parameter(torch.zeros(n_components), requires_grad=False)
        self.whitening = nn.Parameter(torch.eye(n_components), requires_grad=False)
        layers = [_Coupling(n_components, width, n_bins, generator) for _ in range(n_layers)]
        self.layers: Sequence[Any] = nn.ModuleList(layers)  # type: ignore[assignment]  # typed as what it holds
        self.requires_grad_(False)

    def forward(self, e: Tensor) -> tuple[Tensor, Tensor]:
        """Mapped rows (n, n_components), and log |det J| (n,) of the map."""
        z = (e - self.mean) @ self.whitening
        log_determinant = torch.linalg.slogdet(self.whitening).logabsdet.expand(z.shape[0])
        for layer in self.layers:
            z, log_slope = layer(z)
            log_determinant = log_determinant + log_slope
        return z, log_determinant

    def inverse(self, z: Tensor) -> Tensor:
        """Rows (n, n_components) that `forward` maps to z."""
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return _undone(z, self.whitening) + self.mean


class Transport(nn.Module):
    """An invertible map by way of a normal distribution: one flow there, another one back.

    A flow that goes straight to a prior climbs the prior's density, which a curve lacks and of
    which gaps are not crossed; to a normal distribution, there is always a way.

    Parameters
    ----------
    n_components : int
        Width of input and output.
    n_layers : int, default=12
        Number of coupling layers from codes to the normal distribution.
    n_prior_layers : int, default=12
        Number of coupling layers from the prior to it; 0 where the prior is normal.
    generator : torch.Generator, default=None
        Source of rotations and initial weights; None draws from torch's global generator.

    Attributes
    ----------
    of_codes, of_prior : SplineFlow
        From codes, and from draws of the prior, to a standard normal distribution.
    """

    def __init__(
        self,
        n_components: int,
        n_layers: int = 12,
        n_prior_layers: int = 12,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_components = n_components
        self.n_layers = n_layers
        self.n_prior_layers = n_prior_layers
        self.of_codes = SplineFlow(n_components, n_layers, generator=generator)
        self.of_prior = SplineFlow(n_components, n_prior_layers, generator=generator)

    def forward(self, e: Tensor) -> Tensor:
        """Mapped rows (n, n_components)."""
        return self.of_prior.inverse(self.of_codes(e)[0])

    def inverse(self, z: Tensor) -> Tensor:
        """Rows (n, n_components) that `forward` maps to z."""
        return self.of_codes.inverse(self.of_prior(z)[0])


def fit_flow(
    flow: SplineFlow, sample: Tensor, generator: torch.Generator, name: str | None = None
) -> None:
    """Train a flow until mapped rows of a sample look like draws of a standard normal distribution.

    Maximum likelihood: the mean of log p(T(e)) + log |det T'(e)| over rows e is highest where the
    density p, taken back through T, is that of the rows.

    Parameters
    ----------
    flow : SplineFlow
        Trained in place, less its whitening; frozen before and after.
    sample : Tensor of shape (n, n_components)
        What to map, on the device of flow and generator.
    generator : torch.Generator
        Source of the batches.
    name : str, default=None
        Of a bar over steps; None for no bar.

    Raises
    ------
    ValueError
        If most gradients are not finite.
    """
    trained = [p for layer in flow.layers for p in layer.network.parameters()]
    for parameter in trained:
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam(trained, _LR, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _N_STEPS)
    n_skipped = 0
    for _ in tqdm(range(_N_STEPS), desc=name, disable=name is None):
        rows = torch.randint(len(sample), (_BATCH_SIZE,), generator=generator, device=sample.device)
        z, log_determinant = flow(sample[rows])
        loss = (0.5 * z.square().sum(dim=1) - log_determinant).mean()
        optimizer.zero_grad()
        loss.backward()
        # A code far out must not undo the work of many steps.
        norm = nn.utils.clip_grad_norm_(trained, _MAX_GRADIENT_NORM)
        if bool(norm.isfinite()):
            optimizer.step()
            schedule.step()
        else:
            n_skipped += 1
    for parameter in trained:
        parameter.requires_grad_(False)
    if 2 * n_skipped > _N_STEPS:
        raise ValueError(
            f"normalizing_flow=True: {n_skipped} of {_N_STEPS} gradients of the flow are not "
            "finite. Set normalizing_flow=False, or use another prior."
        )


def whiten(flow: SplineFlow, sample: Tensor) -> None:
    """Let a flow standardise rows (n, n_components) first, along their own directions."""
    exact = sample.double()
    mean = exact.mean(dim=0)
    covariance = (exact - mean).T @ (exact - mean) / len(exact)
    variances, directions = torch.linalg.eigh(covariance)
    # A direction without variance stays one, and the inverse finite.
    variances = variances.clamp(min=_LEAST_VARIANCE * max(float(variances[-1]), 1e-12))
    with torch.no_grad():
        flow.mean.copy_(mean)
        flow.whitening.copy_(directions / variances.sqrt())
