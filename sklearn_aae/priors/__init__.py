"""Latent distributions that the codes are matched to."""

from sklearn_aae.priors.base import Prior, straight_path
from sklearn_aae.priors.binding import PRIORS, bind_prior
from sklearn_aae.priors.categorical import Categorical, Joint
from sklearn_aae.priors.draws import draw, has_classes
from sklearn_aae.priors.empirical import Empirical
from sklearn_aae.priors.mixture import MixtureOfGaussians
from sklearn_aae.priors.normal import Normal
from sklearn_aae.priors.swiss_roll import SwissRoll
from sklearn_aae.priors.uniform import Uniform

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
