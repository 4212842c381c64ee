"""A spiral, with classes along it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sklearn_aae.priors.base import Prior, check_n_classes, check_positive, draw_classes


class SwissRoll(Prior):
    """Spiral in the plane, Makhzani et al. (2015), figure 4.

    Draws u uniformly from [0, 1] and returns the point with radius ``scale * sqrt(u)`` and angle
    ``2 pi n_turns sqrt(u)``. It has no density. With classes, class k of K owns the stretch
    k / K <= u < (k + 1) / K.

    Parameters
    ----------
    n_classes : int, default=1
        Number of stretches, one for each class where `fit` gets labels 0 to n_classes - 1.
    scale : float, default=3.0
        Radius at the outer end, > 0.
    n_turns : float, default=2.0
        Number of turns, > 0.
    n_components : int, default=None
        Width of the code, 2; None: set by the estimator in `fit`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.priors import SwissRoll
    >>> z = SwissRoll(n_components=2).sample(5, torch.Generator().manual_seed(0))
    >>> bool((z.norm(dim=1) <= 3).all())
    True
    """

    def __init__(
        self,
        n_classes: int = 1,
        scale: float = 3.0,
        n_turns: float = 2.0,
        n_components: int | None = None,
    ) -> None:
        self.n_classes = n_classes
        self.scale = scale
        self.n_turns = n_turns
        self.n_components = n_components

    def sample(self, n_samples: int, generator: torch.Generator, y: Tensor | None = None) -> Tensor:
        """Draw codes, tensor (n_samples, 2).

        `y`, tensor (n_samples,) of int, names the stretch of each code; -1 and None draw it.
        """
        k = draw_classes(n_samples, self.n_classes, generator, y)
        u = torch.rand(n_samples, generator=generator, device=generator.device)
        root = ((k + u) / self.n_classes).sqrt()
        angle = 2 * math.pi * self.n_turns * root
        return self.scale * root[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)

    def _check(self) -> None:
        check_n_classes(self)
        for name in ("scale", "n_turns"):
            check_positive(self, name)
        if self._width() != 2:
            raise ValueError(
                f"SwissRoll is a curve in the plane and needs n_components=2, got "
                f"{self.n_components}. Set n_components=2 or use another prior."
            )
