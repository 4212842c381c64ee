"""A mixture of normal distributions in a ring, with classes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sklearn_aae.priors.base import Prior, check_n_classes, check_positive, draw_classes


class MixtureOfGaussians(Prior):
    """Ring of equally likely ellipses, the "petals" of Makhzani et al. (2015), section 2.3.

    Component k of K lies at the angle 2 pi k / K of a circle in the first two dimensions, its long
    axis pointing outwards. Further dimensions are normal with the tangential scale.

    Parameters
    ----------
    n_classes : int, default=10
        Number of components, one for each class where `fit` gets labels 0 to n_classes - 1.
    radius : float, default=1.4
        Distance of the centres from the origin, > 0.
    radial_scale, tangential_scale : float, default=0.5 and 0.1
        Standard deviations along and across the long axis, > 0.
    n_components : int, default=None
        Width of the code, at least 2; None: set by the estimator in `fit`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.priors import MixtureOfGaussians
    >>> prior = MixtureOfGaussians(n_classes=3, n_components=2)
    >>> z = prior.sample(4, torch.Generator().manual_seed(0), torch.tensor([0, 1, 2, -1]))
    >>> z.shape
    torch.Size([4, 2])
    """

    has_full_support = True

    def __init__(
        self,
        n_classes: int = 10,
        radius: float = 1.4,
        radial_scale: float = 0.5,
        tangential_scale: float = 0.1,
        n_components: int | None = None,
    ) -> None:
        self.n_classes = n_classes
        self.radius = radius
        self.radial_scale = radial_scale
        self.tangential_scale = tangential_scale
        self.n_components = n_components

    def sample(self, n_samples: int, generator: torch.Generator, y: Tensor | None = None) -> Tensor:
        """Draw codes, tensor (n_samples, n_components).

        `y`, tensor (n_samples,) of int, names the component of each code; -1 and None draw it.
        """
        device = generator.device
        k = draw_classes(n_samples, self.n_classes, generator, y)
        eta = torch.randn((n_samples, self._width()), generator=generator, device=device)
        radial = self.radius + self.radial_scale * eta[:, 0]
        others = self.tangential_scale * eta[:, 1:]
        angle = 2 * math.pi * k / self.n_classes
        cos, sin = angle.cos(), angle.sin()
        first = torch.stack(
            [radial * cos - others[:, 0] * sin, radial * sin + others[:, 0] * cos], dim=1
        )
        return torch.cat([first, others[:, 1:]], dim=1)

    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Log density in nats, tensor (n,), of codes (n, n_components).

        With `y`, the density of component y[i] for row i, of the whole mixture where it is -1.
        """
        per_component = self.component_log_prob(z)
        mixture = torch.logsumexp(per_component, dim=1) - math.log(self.n_classes)
        if y is None:
            return mixture
        own = per_component.gather(1, y.clamp(min=0)[:, None]).squeeze(1)
        return torch.where(y >= 0, own, mixture)

    def component_log_prob(self, z: Tensor) -> Tensor:
        """Log density of every component, tensor (n, n_classes)."""
        n = torch.arange(self.n_classes, device=z.device, dtype=z.dtype)
        angle = 2 * math.pi * n / self.n_classes
        cos, sin = angle.cos(), angle.sin()
        radial = z[:, :1] * cos + z[:, 1:2] * sin - self.radius
        tangential = z[:, 1:2] * cos - z[:, :1] * sin
        squares = (radial / self.radial_scale).square() + (
            tangential.square() + z[:, 2:].square().sum(dim=1, keepdim=True)
        ) / self.tangential_scale**2
        log_scales = math.log(self.radial_scale)
        log_scales += (z.shape[1] - 1) * math.log(self.tangential_scale)
        return -0.5 * squares - log_scales - 0.5 * z.shape[1] * math.log(2 * math.pi)

    def _check(self) -> None:
        check_n_classes(self)
        for name in ("radius", "radial_scale", "tangential_scale"):
            check_positive(self, name)
        if self._width() < 2:
            raise ValueError(
                "MixtureOfGaussians is a ring in the first two dimensions and needs "
                f"n_components >= 2, got {self.n_components}. Raise n_components or use another "
                "prior."
            )
