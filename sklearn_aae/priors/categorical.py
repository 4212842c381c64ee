"""One-hot classes, alone or beside another distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_aae.priors.base import Prior, check_n_classes, draw_classes
from sklearn_aae.priors.draws import draw


class Categorical(Prior):
    """One-hot vectors, the prior of category heads.

    Parameters
    ----------
    n_classes : int, default=10
        Number of categories, which is the width of the code.
    probabilities : array-like of shape (n_classes,), default=None
        Probability of each category, non-negative with sum 1; None for equal ones.
    n_components : int, default=None
        Must equal n_classes; None: set by the estimator in `fit`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.priors import Categorical
    >>> Categorical(n_classes=3).sample(2, torch.Generator().manual_seed(0)).sum(dim=1)
    tensor([1., 1.])
    """

    def __init__(
        self, n_classes: int = 10, probabilities: Any = None, n_components: int | None = None
    ) -> None:
        self.n_classes = n_classes
        self.probabilities = probabilities
        self.n_components = n_components

    def sample(self, n_samples: int, generator: torch.Generator, y: Tensor | None = None) -> Tensor:
        """Draw one-hot vectors, tensor (n_samples, n_classes); `y` fixes the categories."""
        if self.probabilities is None:
            k = draw_classes(n_samples, self.n_classes, generator, y)
        else:
            p = torch.as_tensor(self.probabilities, dtype=torch.float32, device=generator.device)
            k = torch.multinomial(p, n_samples, replacement=True, generator=generator)
            k = k if y is None else torch.where(y >= 0, y, k)
        return torch.nn.functional.one_hot(k, self.n_classes).float()

    def _check(self) -> None:
        check_n_classes(self)
        if self.n_components not in (None, self.n_classes):
            raise ValueError(
                f"Categorical draws one-hot vectors of width n_classes={self.n_classes}, got "
                f"n_components={self.n_components}. Make the two equal."
            )
        if self.probabilities is not None:
            p = np.asarray(self.probabilities)
            ok = p.shape == (self.n_classes,) and p.dtype.kind in "iuf" and bool((p >= 0).all())
            if not ok or not math.isclose(p.sum(), 1.0, rel_tol=1e-6):
                raise ValueError(
                    f"Categorical: probabilities must be {self.n_classes} non-negative numbers "
                    f"with sum 1, got {self.probabilities!r}."
                )


class Joint(Prior):
    """Two independent parts side by side.

    A critic that compares whole codes with it makes the parts of a code independent of each other:
    in `AdversarialAutoencoderClassifier`, the style and the class.

    Parameters
    ----------
    first, second : object
        Priors of the parts, bound to their widths.
    n_components : int, default=None
        Must equal the sum of both widths; None: set by the estimator in `fit`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.priors import Categorical, Joint, Normal
    >>> prior = Joint(Normal(n_components=2), Categorical(3, n_components=3))
    >>> prior.sample(4, torch.Generator().manual_seed(0)).shape
    torch.Size([4, 5])
    """

    def __init__(self, first: Any, second: Any, n_components: int | None = None) -> None:
        self.first = first
        self.second = second
        self.n_components = n_components

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw codes, tensor (n_samples, n_components)."""
        parts = [draw(part, n_samples, generator) for part in (self.first, self.second)]
        return torch.cat(parts, dim=1)
