"""Adversarial autoencoders as scikit-learn estimators."""

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearn_aae import callbacks, displays, metrics, modules, persistence, priors
    from sklearn_aae._estimators.autoencoder import AdversarialAutoencoder
    from sklearn_aae._estimators.classifier import AdversarialAutoencoderClassifier
    from sklearn_aae._estimators.clusterer import AdversarialAutoencoderClusterer
    from sklearn_aae._estimators.conditional import ConditionalAdversarialAutoencoder
    from sklearn_aae._estimators.reading import UnseenCategoryWarning
    from sklearn_aae._estimators.text import AdversarialTextAutoencoder
    from sklearn_aae._rows.stores import Chunks
    from sklearn_aae.persistence import load, save

__all__ = [
    "AdversarialAutoencoder",
    "AdversarialAutoencoderClassifier",
    "AdversarialAutoencoderClusterer",
    "AdversarialTextAutoencoder",
    "Chunks",
    "ConditionalAdversarialAutoencoder",
    "UnseenCategoryWarning",
    "callbacks",
    "displays",
    "load",
    "metrics",
    "modules",
    "onnx",
    "persistence",
    "priors",
    "save",
]

__version__ = _version("sklearn-aae")

# Imported when first used: `import sklearn_aae.metrics` then does not load torch.
_ORIGIN = {
    "AdversarialAutoencoder": "sklearn_aae._estimators.autoencoder",
    "AdversarialAutoencoderClassifier": "sklearn_aae._estimators.classifier",
    "AdversarialAutoencoderClusterer": "sklearn_aae._estimators.clusterer",
    "Chunks": "sklearn_aae._rows.stores",
    "AdversarialTextAutoencoder": "sklearn_aae._estimators.text",
    "ConditionalAdversarialAutoencoder": "sklearn_aae._estimators.conditional",
    "UnseenCategoryWarning": "sklearn_aae._estimators.reading",
    "load": "sklearn_aae.persistence",
    "save": "sklearn_aae.persistence",
}


def __getattr__(name: str) -> Any:
    if name in _ORIGIN:
        return getattr(import_module(_ORIGIN[name]), name)
    if name in __all__:
        return import_module(f"sklearn_aae.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
