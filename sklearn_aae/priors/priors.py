"""Latent distributions that the codes are matched to."""

from __future__ import annotations

import copy
import inspect
import math
import numbers
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils.metaestimators import available_if
from torch import Tensor

__all__ = [
    "PRIORS",
    "Categorical",
    "Empirical",
    "Joint",
    "MixtureOfGaussians",
    "Normal",
    "Prior",
    "SwissRoll",
    "Uniform",
    "bind_prior",
    "draw",
    "has_classes",
    "straight_path",
]


class Prior(BaseEstimator):
    """Base of the priors: a small value object with parameters, `sample` and often `log_prob`.

    A prior of your own need not inherit from it: any object with ``sample(n_samples, generator)``
    that returns an array or tensor (n_samples, n_components) serves. A method ``log_prob(z)``,
    tensor (n,) for tensor (n, n_components), makes ``score_method="prior"`` available.

    Attributes
    ----------
    n_components : int or None
        Width of the code; None means that the estimator sets it on its own copy in `fit`.
    has_full_support : bool
        Whether `log_prob` is finite everywhere.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.priors import Prior, bind_prior
    >>> class Corners(Prior):
    ...     def __init__(self, n_components=None):
    ...         self.n_components = n_components
    ...
    ...     def sample(self, n_samples, generator):
    ...         shape = (n_samples, self.n_components)
    ...         return torch.randint(2, shape, generator=generator).float()
    >>> bind_prior(Corners(), 3).sample(4, torch.Generator().manual_seed(0)).shape
    torch.Size([4, 3])
    """

    has_full_support: bool = False
    n_components: int | None

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw codes, tensor (n_samples, n_components), on the device of the generator."""
        raise TypeError(f"{type(self).__name__} has to define sample(n_samples, generator).")

    def path(self, start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Codes (n, n_steps, n_components) from start to end at the times t, in [0, 1]."""
        return straight_path(start, end, t)

    def _check(self) -> None:
        """Raise ValueError where a parameter is out of its range."""

    def _width(self) -> int:
        if self.n_components is None:
            raise ValueError(
                f"{type(self).__name__}: n_components is not set. Pass n_components, or use the "
                "prior inside an estimator, which sets it in fit."
            )
        return self.n_components


class Normal(Prior):
    """Isotropic normal distribution N(0, scale² I).

    Parameters
    ----------
    scale : float, default=1.0
        Standard deviation in every dimension, > 0.
    n_components : int, default=None
        Width of the code; None: set by the estimator in `fit`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.priors import Normal
    >>> prior = Normal(n_components=2)
    >>> prior.sample(3, torch.Generator().manual_seed(0)).shape
    torch.Size([3, 2])
    >>> round(prior.log_prob(torch.zeros(1, 2)).item(), 4)
    -1.8379
    """

    has_full_support = True

    def __init__(self, scale: float = 1.0, n_components: int | None = None) -> None:
        self.scale = scale
        self.n_components = n_components

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw codes, tensor (n_samples, n_components)."""
        shape = (n_samples, self._width())
        return self.scale * torch.randn(shape, generator=generator, device=generator.device)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density in nats, tensor (n,), of codes (n, n_components)."""
        log_normalizer = z.shape[1] * (math.log(self.scale) + 0.5 * math.log(2 * math.pi))
        return -0.5 * (z / self.scale).square().sum(dim=1) - log_normalizer

    def path(self, start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Codes from start to end along the sphere: the straight way crosses the empty centre."""
        return _spherical_path(start, end, t)

    def _check(self) -> None:
        _check_positive(self, "scale")


class Uniform(Prior):
    """Uniform distribution on the box [low, high] in every dimension.

    Parameters
    ----------
    low, high : float, default=-1.0 and 1.0
        Ends of the interval, low < high.
    n_components : int, default=None
        Width of the code; None: set by the estimator in `fit`.

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.priors import Uniform
    >>> Uniform(n_components=2).log_prob(torch.tensor([[0.0, 0.5], [0.0, 1.5]]))
    tensor([-1.3863,    -inf])
    """

    def __init__(
        self, low: float = -1.0, high: float = 1.0, n_components: int | None = None
    ) -> None:
        self.low = low
        self.high = high
        self.n_components = n_components

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw codes, tensor (n_samples, n_components)."""
        shape = (n_samples, self._width())
        u = torch.rand(shape, generator=generator, device=generator.device)
        return self.low + (self.high - self.low) * u

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density in nats, tensor (n,), of codes (n, n_components); -inf outside the box."""
        inside = ((z >= self.low) & (z <= self.high)).all(dim=1)
        log_density = -z.shape[1] * math.log(self.high - self.low)
        return z.new_full((len(z),), log_density).masked_fill(~inside, -math.inf)

    def _check(self) -> None:
        ends = (self.low, self.high)
        if not all(isinstance(v, numbers.Real) for v in ends) or not self.low < self.high:
            raise ValueError(
                "Uniform: low must be below high, both numbers, got "
                f"low={self.low!r} and high={self.high!r}."
            )


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
        k = _draw_classes(n_samples, self.n_classes, generator, y)
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
        angle = 2 * math.pi * torch.arange(self.n_classes, device=z.device) / self.n_classes
        cos, sin = angle.cos().to(z.dtype), angle.sin().to(z.dtype)
        radial = z[:, :1] * cos + z[:, 1:2] * sin - self.radius
        tangential = z[:, 1:2] * cos - z[:, :1] * sin
        squares = (radial / self.radial_scale).square() + (
            tangential.square() + z[:, 2:].square().sum(dim=1, keepdim=True)
        ) / self.tangential_scale**2
        log_scales = math.log(self.radial_scale)
        log_scales += (z.shape[1] - 1) * math.log(self.tangential_scale)
        return -0.5 * squares - log_scales - 0.5 * z.shape[1] * math.log(2 * math.pi)

    def _check(self) -> None:
        _check_n_classes(self)
        for name in ("radius", "radial_scale", "tangential_scale"):
            _check_positive(self, name)
        if self._width() < 2:
            raise ValueError(
                "MixtureOfGaussians is a ring in the first two dimensions and needs "
                f"n_components >= 2, got {self.n_components}. Raise n_components or use another "
                "prior."
            )


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
        k = _draw_classes(n_samples, self.n_classes, generator, y)
        u = torch.rand(n_samples, generator=generator, device=generator.device)
        root = ((k + u) / self.n_classes).sqrt()
        angle = 2 * math.pi * self.n_turns * root
        return self.scale * root[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)

    def _check(self) -> None:
        _check_n_classes(self)
        for name in ("scale", "n_turns"):
            _check_positive(self, name)
        if self._width() != 2:
            raise ValueError(
                f"SwissRoll is a curve in the plane and needs n_components=2, got "
                f"{self.n_components}. Set n_components=2 or use another prior."
            )


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
        self,
        n_classes: int = 10,
        probabilities: Any = None,
        n_components: int | None = None,
    ) -> None:
        self.n_classes = n_classes
        self.probabilities = probabilities
        self.n_components = n_components

    def sample(self, n_samples: int, generator: torch.Generator, y: Tensor | None = None) -> Tensor:
        """Draw one-hot vectors, tensor (n_samples, n_classes); `y` fixes the categories."""
        if self.probabilities is None:
            k = _draw_classes(n_samples, self.n_classes, generator, y)
        else:
            p = torch.as_tensor(self.probabilities, dtype=torch.float32, device=generator.device)
            k = torch.multinomial(p, n_samples, replacement=True, generator=generator)
            k = k if y is None else torch.where(y >= 0, y, k)
        return torch.nn.functional.one_hot(k, self.n_classes).float()

    def _check(self) -> None:
        _check_n_classes(self)
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


class Empirical(Prior):
    """Distribution of given codes, or of a fitted object that can sample.

    Parameters
    ----------
    source : array-like of shape (n_rows, n_components) or object with `sample`
        Rows to draw from with replacement, or a fitted scikit-learn object such as
        `GaussianMixture` or `KernelDensity`. An object's `score_samples` becomes `log_prob`.
    n_components : int, default=None
        Width of the code; None: set by the estimator in `fit`.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from sklearn_aae.priors import Empirical
    >>> prior = Empirical(np.eye(2), n_components=2)
    >>> prior.sample(3, torch.Generator().manual_seed(0)).sum(dim=1)
    tensor([1., 1., 1.])
    """

    has_full_support = True

    def __init__(self, source: Any, n_components: int | None = None) -> None:
        self.source = source
        self.n_components = n_components

    def __sklearn_clone__(self) -> Empirical:
        # clone() would take the fit from a fitted source.
        return Empirical(self.source, self.n_components)

    def sample(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw codes, tensor (n_samples, n_components)."""
        device = generator.device
        if not self._can_sample():
            rows = torch.as_tensor(np.asarray(self.source, dtype=np.float32), device=device)
            chosen = torch.randint(len(rows), (n_samples,), generator=generator, device=device)
            return rows[chosen]
        seed = torch.randint(2**31 - 1, (), generator=generator, device=device).item()
        random_state = np.random.RandomState(int(seed))
        if "random_state" in inspect.signature(self.source.sample).parameters:
            drawn = self.source.sample(n_samples, random_state=random_state)
        else:
            # GaussianMixture takes its generator from a parameter: a shallow copy with another
            # one leaves the user's object as it was.
            drawn = copy.copy(self.source).set_params(random_state=random_state).sample(n_samples)
        codes = drawn[0] if isinstance(drawn, tuple) else drawn
        rows = torch.as_tensor(np.asarray(codes, dtype=np.float32), device=device)
        # A mixture returns its draws component by component.
        return rows[torch.randperm(len(rows), generator=generator, device=device)]

    def _can_sample(self) -> bool:
        # Frames are arrays with another meaning of `sample`.
        return hasattr(self.source, "sample") and not hasattr(self.source, "__array__")

    @available_if(lambda self: hasattr(self.source, "score_samples"))
    def log_prob(self, z: Tensor) -> Tensor:
        """Log density in nats, tensor (n,), of codes (n, n_components)."""
        log_density = self.source.score_samples(z.detach().cpu().numpy())
        return torch.as_tensor(log_density, dtype=z.dtype, device=z.device)

    def _check(self) -> None:
        if self._can_sample():
            takes_seed = "random_state" in inspect.signature(self.source.sample).parameters
            if not takes_seed and not hasattr(self.source, "set_params"):
                raise ValueError(
                    "Empirical: source.sample must take random_state, or the source must have a "
                    "parameter random_state as scikit-learn's mixtures have, got "
                    f"{self.source!r}. Or pass an object with sample(n_samples, generator) as the "
                    "prior itself."
                )
            return
        rows = np.asarray(self.source)
        if rows.ndim != 2 or 0 in rows.shape or rows.dtype.kind not in "iuf":
            raise ValueError(
                "Empirical: source must be a non-empty array of numbers (n_rows, n_components) or "
                f"an object with a method sample, got shape {rows.shape} of {rows.dtype}."
            )
        if not np.isfinite(rows).all():
            raise ValueError("Empirical: source holds NaN or infinity. Remove those rows.")


def straight_path(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points on the segments from start to end.

    Parameters
    ----------
    start, end : ndarray of shape (n, n_components)
    t : ndarray of shape (n_steps,)
        Times in [0, 1].

    Returns
    -------
    points : ndarray of shape (n, n_steps, n_components)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.priors import straight_path
    >>> straight_path(np.zeros((1, 2)), np.array([[2.0, 4.0]]), np.array([0, 0.5, 1]))
    array([[[0., 0.],
            [1., 2.],
            [2., 4.]]])
    """
    return start[:, None] * (1 - t[:, None]) + end[:, None] * t[:, None]


def _spherical_path(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points (n, n_steps, n_components) with evenly turning direction (Shoemake, 1985)."""
    dtype = start.dtype
    # Near opposite ends the sines cancel; float32 would leave the path.
    start, end, t = (a.astype(np.float64) for a in (start, end, t))
    # Lengths apart from directions: of codes that are opposite and of different lengths, the sines
    # would blow the difference up.
    lengths = [np.linalg.norm(a, axis=1)[:, None, None] for a in (start, end)]
    u, v = (
        a[:, None] / np.where(length > 0, length, 1)
        for a, length in zip((start, end), lengths, strict=True)
    )
    angle = np.arccos(np.clip((u * v).sum(axis=2, keepdims=True), -1, 1))
    sine = np.sin(angle)
    # Parallel and opposite codes span no plane to turn in: the straight way is what is left.
    defined = (sine > 1e-6) & (np.minimum(*lengths) > 0)
    safe = np.where(defined, sine, 1)
    step = t[None, :, None]
    direction = np.sin((1 - step) * angle) / safe * u + np.sin(step * angle) / safe * v
    turned = ((1 - step) * lengths[0] + step * lengths[1]) * direction
    return np.where(defined, turned, straight_path(start, end, t)).astype(dtype)


PRIORS: dict[str, type[Prior]] = {
    "normal": Normal,
    "uniform": Uniform,
    "mixture_of_gaussians": MixtureOfGaussians,
    "swiss_roll": SwissRoll,
}


def has_classes(prior: Any) -> bool:
    """Whether a prior can draw codes of a given class (`fit` then uses `y`).

    Parameters
    ----------
    prior : object
        One with an attribute `n_classes` of more than 1 can.

    Returns
    -------
    has_classes : bool

    Examples
    --------
    >>> from sklearn_aae.priors import MixtureOfGaussians, Normal, has_classes
    >>> has_classes(MixtureOfGaussians(n_classes=10)), has_classes(Normal())
    (True, False)
    """
    return getattr(prior, "n_classes", 1) > 1


def bind_prior(prior: Any, n_components: int) -> Any:
    """Copy of a prior, by name or object, that draws codes of width `n_components`.

    Parameters
    ----------
    prior : str or object
        A key of ``PRIORS``, or an object with ``sample(n_samples, generator)``.
    n_components : int
        Width of the code.

    Returns
    -------
    bound : object
        The prior itself stays as it is.

    Raises
    ------
    ValueError
        If the name is unknown, a parameter of the prior is out of range, or two drawn codes are
        not finite or not (2, n_components).
    TypeError
        If the object has no method `sample`, or one that does not take (n_samples, generator).

    Examples
    --------
    >>> from sklearn_aae.priors import bind_prior
    >>> bind_prior("normal", 3)
    Normal(n_components=3)
    """
    if isinstance(prior, str):
        if prior not in PRIORS:
            raise ValueError(
                f"prior={prior!r} is unknown. Valid names: {sorted(PRIORS)}; or pass an object of "
                "sklearn_aae.priors, or any object with sample(n_samples, generator)."
            )
        bound: Any = PRIORS[prior]()
    elif isinstance(prior, type) or not callable(getattr(prior, "sample", None)):
        raise TypeError(
            f"prior must be one of {sorted(PRIORS)} or an object with sample(n_samples, "
            f"generator), got {prior!r}."
        )
    else:
        bound = clone(prior) if isinstance(prior, Prior) else copy.deepcopy(prior)
    if isinstance(bound, Prior):
        if bound.n_components is None:
            bound.n_components = n_components
        bound._check()
    _check_draw(bound, n_components)
    return bound


def draw(prior: Any, n_samples: int, generator: torch.Generator, y: Tensor | None = None) -> Tensor:
    """Codes from any prior as a float32 tensor on the generator's device.

    Parameters
    ----------
    prior : object
        With ``sample(n_samples, generator)``, and a third argument `y` if it has classes.
    n_samples : int
        Number of codes.
    generator : torch.Generator
        Source of the draws.
    y : Tensor of shape (n_samples,), default=None
        Class of each code, -1 for any.

    Returns
    -------
    z : Tensor of shape (n_samples, n_components)

    Examples
    --------
    >>> import torch
    >>> from sklearn_aae.priors import Categorical, draw
    >>> draw(Categorical(3), 2, torch.Generator().manual_seed(0), y=torch.tensor([2, 0]))
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    z = prior.sample(n_samples, generator) if y is None else prior.sample(n_samples, generator, y)
    return torch.as_tensor(z, dtype=torch.float32, device=generator.device)


def _check_draw(prior: Any, n_components: int) -> None:
    try:
        z = draw(prior, 2, torch.Generator().manual_seed(0))
    except TypeError as error:
        raise TypeError(
            f"prior {prior!r}: sample(2, generator) failed: {error}. The method has to take the "
            "number of codes and a torch.Generator, and return a tensor or an array."
        ) from error
    if z.shape != (2, n_components):
        raise ValueError(
            f"prior {prior!r}: sample(2, generator) must return shape (2, n_components) = "
            f"(2, {n_components}), got {tuple(z.shape)}. Change n_components or the prior."
        )
    if not bool(torch.isfinite(z).all()):
        raise ValueError(f"prior {prior!r}: sample(2, generator) returned NaN or infinity.")


def _draw_classes(n: int, n_classes: int, generator: torch.Generator, y: Tensor | None) -> Tensor:
    k = torch.randint(n_classes, (n,), generator=generator, device=generator.device)
    return k if y is None else torch.where(y >= 0, y, k)


def _check_positive(prior: Prior, name: str) -> None:
    value = getattr(prior, name)
    if not isinstance(value, numbers.Real) or not 0 < float(value) < math.inf:
        raise ValueError(
            f"{type(prior).__name__}: {name} must be a positive number, got {value!r}."
        )


def _check_n_classes(prior: Any) -> None:
    n_classes = prior.n_classes
    if not isinstance(n_classes, numbers.Integral) or n_classes < 1:
        raise ValueError(
            f"{type(prior).__name__}: n_classes must be an int of at least 1, got {n_classes!r}."
        )
