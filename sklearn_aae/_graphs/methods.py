"""Which methods an estimator has as graphs: what goes in, what comes out, and what is between."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sklearn_aae._estimators.autoencoder import AdversarialAutoencoder
from sklearn_aae._estimators.classifier import AdversarialAutoencoderClassifier
from sklearn_aae._estimators.clusterer import AdversarialAutoencoderClusterer
from sklearn_aae._estimators.conditional import ConditionalAdversarialAutoencoder
from sklearn_aae._graphs.parts import Parts
from sklearn_aae._graphs.scores import scores_of


class Method(NamedTuple):
    """A method as a function of tensors.

    `inputs` are "X", rows, "Z", codes, and "y", labels, which the function gets as one bool for
    each class; `gives_class` says that its result are positions among the classes.
    """

    function: Callable[..., Tensor]
    inputs: tuple[str, ...]
    output: str
    gives_class: bool = False


_Table = dict[str, Callable[[Parts], Method]]


def _of_rows(output: str, name: str) -> Callable[[Parts], Method]:
    return lambda p: Method(getattr(p, name), ("X",), output)


def _most_probable(parts: Parts) -> Method:
    return Method(lambda X: parts.categories(X).argmax(dim=1), ("X",), "label")


def _decoding(parts: Parts) -> Method:
    return Method(parts.decode, ("Z",), "X_decoded")


def _decoding_of_a_class(parts: Parts) -> Method:
    return Method(parts.decode_class, ("Z", "y"), "X_decoded")


def _translation(parts: Parts) -> Method:
    def translated(X: Tensor, is_class: Tensor) -> Tensor:
        return parts.decode_class(parts.styles(X), is_class)

    return Method(translated, ("X", "y"), "X_translated")


def _decisions(parts: Parts) -> Callable[..., Tensor]:
    score = scores_of(parts)
    return lambda X: score(X) - parts.model.offset_


def _inliers(parts: Parts) -> Method:
    decide = _decisions(parts)
    return Method(lambda X: torch.where(decide(X) >= 0, 1, -1), ("X",), "label")


_LOG_PROBABILITY: _Table = {
    "predict_log_proba": lambda p: Method(
        lambda X: p.categories(X).clamp(min=torch.finfo(p.dtype).tiny).log(), ("X",), "log_p"
    )
}

METHODS: dict[type, _Table] = {
    AdversarialAutoencoder: {
        "transform": _of_rows("Z", "styles"),
        "inverse_transform": _decoding,
        "reconstruct": _of_rows("X_reconstructed", "reconstruct"),
        "score_samples": lambda p: Method(scores_of(p), ("X",), "scores"),
        "decision_function": lambda p: Method(_decisions(p), ("X",), "decision"),
        "predict": _inliers,
    },
    AdversarialAutoencoderClassifier: {
        "predict": lambda p: _most_probable(p)._replace(gives_class=True),
        "predict_proba": _of_rows("p", "categories"),
        **_LOG_PROBABILITY,
        "transform": _of_rows("Z", "styles"),
        "inverse_transform": _decoding_of_a_class,
        "reconstruct": _of_rows("X_reconstructed", "reconstruct"),
    },
    AdversarialAutoencoderClusterer: {
        "predict": _most_probable,
        "predict_proba": _of_rows("p", "categories"),
        "transform": lambda p: Method(
            lambda X: p.autoencoder.embed(p.codes(X)),
            ("X",),
            "Z",
        ),
        "inverse_transform": _decoding,
        "reconstruct": _of_rows("X_reconstructed", "reconstruct"),
    },
    ConditionalAdversarialAutoencoder: {
        "transform": _of_rows("Z", "styles"),
        "inverse_transform": _decoding_of_a_class,
        "reconstruct": lambda p: _translation(p)._replace(output="X_reconstructed"),
        "translate": _translation,
    },
}
