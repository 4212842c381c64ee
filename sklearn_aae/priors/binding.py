"""Priors by name, bound to the width of a code."""

from __future__ import annotations

import copy
from typing import Any

import torch
from sklearn.base import clone

from sklearn_aae.priors.base import Prior
from sklearn_aae.priors.draws import draw
from sklearn_aae.priors.mixture import MixtureOfGaussians
from sklearn_aae.priors.normal import Normal
from sklearn_aae.priors.swiss_roll import SwissRoll
from sklearn_aae.priors.uniform import Uniform

PRIORS: dict[str, type[Prior]] = {
    "normal": Normal,
    "uniform": Uniform,
    "mixture_of_gaussians": MixtureOfGaussians,
    "swiss_roll": SwissRoll,
}


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
