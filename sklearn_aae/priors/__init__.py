"""Latent distributions that the codes are matched to."""

from sklearn_aae.priors.priors import (
    PRIORS,
    Categorical,
    Empirical,
    Joint,
    MixtureOfGaussians,
    Normal,
    Prior,
    SwissRoll,
    Uniform,
    bind_prior,
    draw,
    has_classes,
    straight_path,
)

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
