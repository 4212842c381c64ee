"""What a model of strings in a file has to be, and the table of what is checked of which class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn_aae._estimators.text import AdversarialTextAutoencoder
from sklearn_aae._files.archive import require
from sklearn_aae._rows.sequences import TokenColumns, TokenLikelihood
from sklearn_aae._rows.tokens import Characters, Pretrained, Tokens, Words
from sklearn_aae.modules import N_SPECIAL_TOKENS, SequenceAutoencoder
from sklearn_aae.persistence.schema import (
    CODE_DENSITY,
    COMMON,
    MODELS,
    Comparison,
    Rule,
    check_attributes,
    check_prior,
    is_number,
)


def _columns(value: Any, _: dict[str, int]) -> bool:
    likelihood = getattr(value, "likelihood", None)
    return (
        type(value) is TokenColumns
        and type(likelihood) is TokenLikelihood
        and value.dtype == "float64"
        and value.one_unit is False
        and all(
            tuple(t.shape) == (1,) and float(t) == wanted
            for t, wanted in ((likelihood.center, 0), (likelihood.scale, 1))
        )
    )


def _vocabulary(value: Any, sizes: dict[str, int]) -> bool:
    """Whether tokens are those of the networks, in alphabetical order."""
    return (
        isinstance(value, dict)
        and all(type(token) is str for token in value)
        and [*value.values()] == [*range(len(value))]
        and len(value) + N_SPECIAL_TOKENS == sizes["tokens"]
        and [*value] == sorted(value)
    )


def _tokens(value: Any, sizes: dict[str, int]) -> bool:
    return (
        type(value) is Tokens
        and type(value.analyzer) in (Words, Characters, Pretrained)
        and isinstance(getattr(value.analyzer, "description", ""), str)
        and _vocabulary(value.vocabulary, sizes)
        and isinstance(value.lowercase, bool)
        and type(value.max_length) is int
        and value.max_length >= sizes["longest"]
    )


_RULES: dict[str, Rule] = {
    **COMMON,
    "_columns": _columns,
    "_tokens": _tokens,
    "vocabulary_": _vocabulary,
    "_code_density": CODE_DENSITY,
    "offset_": lambda value, _: is_number(value) and value == value,
    "code_information_": lambda value, _: is_number(value) and value == value,
}


def check_text_attributes(estimator: Any, autoencoder: Any) -> list[Comparison]:
    """Refuse attributes that no fit leaves, or that do not fit the networks.

    Returns what the critics have to compare.
    """
    state = vars(estimator)
    missing = {"n_components_", "prior_", *_RULES} - set(state)
    require(not missing, "attributes", f"are missing: {sorted(missing)}")
    require(type(autoencoder) is SequenceAutoencoder, "net_.module", "is of no sequences")
    k = state["n_components_"]
    require(type(k) is int and k == autoencoder.n_components, "n_components_", "is not the width")
    check_prior(state["prior_"], k)
    for name, rule in _RULES.items():
        sizes = {"k": k, "tokens": autoencoder.n_tokens, "longest": autoencoder.longest}
        require(rule(state[name], sizes), name, "is impossible")
    same = state["vocabulary_"] == state["_tokens"].vocabulary
    require(same, "vocabulary_", "is not that of the tokens")
    return [Comparison("prior", (0, k))]


# From a class to what is checked of it: an estimator and its networks.
CHECKS: dict[type, Callable[[Any, Any], list[Comparison]]] = {
    **dict.fromkeys(MODELS, check_attributes),
    AdversarialTextAutoencoder: check_text_attributes,
}
