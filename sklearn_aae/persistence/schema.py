"""What a model in a file has to be: one table of attributes, and one pass over it.

Sizes have names: "n" for inputs of the networks, "d" for columns, "k" for the width of the code,
"c" for classes. Any other name stands for a number that the first array of this size tells, within
one value.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from sklearn_aae._estimators.autoencoder import AdversarialAutoencoder
from sklearn_aae._estimators.classifier import AdversarialAutoencoderClassifier
from sklearn_aae._estimators.clusterer import AdversarialAutoencoderClusterer
from sklearn_aae._estimators.conditional import ConditionalAdversarialAutoencoder
from sklearn_aae._files.archive import require
from sklearn_aae._learned.codes import CodeDensity
from sklearn_aae._learned.density import Density
from sklearn_aae._learned.gaps import GapCorrection, Spread
from sklearn_aae._learned.marginals import Marginals
from sklearn_aae._rows.columns import Columns
from sklearn_aae._rows.kinds import Boolean, Category, Moment, Number
from sklearn_aae._rows.likelihoods import LIKELIHOODS, Likelihood
from sklearn_aae._rows.product import Product
from sklearn_aae._rows.table import Table
from sklearn_aae.modules import (
    Autoencoder,
    CategoricalAutoencoder,
    ConditionalAutoencoder,
    EmbeddingAutoencoder,
    GapEncoder,
)
from sklearn_aae.priors import Joint, Prior, bind_prior, has_classes

# A density over more components than this is a way to ask for memory, not a prior.
_MAX_CLASSES = 2**16

# From a value and the sizes known so far to whether it is as it has to be.
Rule = Callable[[Any, dict[str, int]], Any]


def is_number(value: Any) -> bool:
    """Whether a value is a real number, and no bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def _number(low: float = -math.inf, high: float = math.inf, *, kind: type = object) -> Rule:
    def rule(value: Any, _: dict[str, int]) -> bool:
        ok = is_number(value) and isinstance(value, kind)
        # A score of a row that no float holds may be infinite; NaN is no number.
        return ok and bool(low <= value <= high)

    return rule


def _integer(low: int, high: str | None = None) -> Rule:
    def rule(value: Any, sizes: dict[str, int]) -> bool:
        return type(value) is int and low <= value <= (math.inf if high is None else sizes[high])

    return rule


def _array(
    dtype: str, *shape: str, low: float = -math.inf, total: float | None = None, finite: bool = True
) -> Rule:
    """An array of a dtype ("f8") or kind ("i") and shape, with values from `low` up."""

    def rule(value: Any, sizes: dict[str, int]) -> bool:
        if isinstance(value, Tensor):
            value = value.numpy()
        ok = isinstance(value, np.ndarray) and value.ndim == len(shape)
        if not ok or dtype not in (value.dtype.kind, value.dtype.str[1:]):
            return False
        fits = all(
            n == sizes.setdefault(name, n) for n, name in zip(value.shape, shape, strict=True)
        )
        if not fits or value.size == 0 or np.isnan(value).any() or value.min() < low:
            return False
        return (not finite or bool(np.isfinite(value).all())) and (
            total is None or math.isclose(value.sum(), total)
        )

    return rule


def _record(cls: type, **fields: Rule) -> Rule:
    """An object of exactly this class, each of whose fields follows its rule."""

    def rule(value: Any, sizes: dict[str, int]) -> bool:
        own = dict(sizes)
        return type(value) is cls and all(
            check(getattr(value, name), own) for name, check in fields.items()
        )

    return rule


def _optional(rule: Rule) -> Rule:
    return lambda value, sizes: value is None or rule(value, sizes)


def _mapping_of(rule: Rule, *keys: str, optional: tuple[str, ...] = ()) -> Rule:
    def check(value: Any, sizes: dict[str, int]) -> bool:
        return (
            isinstance(value, dict)
            and (not keys or set(keys) <= value.keys() <= {*keys, *optional})
            and all(isinstance(name, str) and rule(v, sizes) for name, v in value.items())
        )

    return check


def _list_of_numbers(value: Any, _: dict[str, int]) -> bool:
    return isinstance(value, list) and all(map(is_number, value))


def _likelihood(value: Any, sizes: dict[str, int]) -> bool:
    column = _array("f8", "n")
    return (
        isinstance(value, Likelihood)
        and all(isinstance(v, Tensor) for v in (value.center, value.scale, value.baseline))
        and all(column(v, sizes) for v in (value.center, value.baseline))
        and _array("f8", "n", low=np.nextafter(0, 1))(value.scale, sizes)
        and isinstance(value.knee, float)
        and value.knee > 0
        and (not isinstance(value, Product) or _product(value, sizes))
    )


def _product(value: Product, sizes: dict[str, int]) -> bool:
    """Whether the columns of a table take up all inputs."""
    kinds, widths = value.kinds, value.widths
    return (
        isinstance(value.numbers, str)
        and value.numbers in LIKELIHOODS
        and isinstance(kinds, tuple)
        and isinstance(widths, tuple)
        and len(kinds) == len(widths) == sizes["d"]
        and all(
            type(width) is int and width > 0 and (width == 1 or kind == "category")
            for kind, width in zip(kinds, widths, strict=True)
        )
        and set(kinds) <= {"number", "boolean", "category"}
        and sum(widths) == sizes["n"]
        and isinstance(value.units, Tensor)
        and _array("f8", "d", low=0)(value.units, sizes)
    )


def _plain(value: Any, _: Any = None) -> bool:
    """Whether a value is a string, a number, a bool or None, or a tuple of such."""
    if isinstance(value, tuple):
        return all(map(_plain, value))
    return value is None or isinstance(value, str | bool | np.bool_) or is_number(value)


def _kind(value: Any) -> bool:
    if type(value) is Number:
        ends = (value.lowest, value.highest)
        return ends == (None, None) or all(type(v) is int for v in ends)
    if type(value) is Moment:
        return isinstance(value.resolution, float) and 0 < value.resolution < math.inf
    if type(value) is Category:
        values = (value.values, value.rare)
        return all(isinstance(v, tuple) and _plain(v) for v in values)
    return type(value) is Boolean


def _table(value: Any, sizes: dict[str, int]) -> bool:
    if value is None:
        return sizes["n"] == sizes["d"]
    fields = (value.names, value.kinds, value.dtypes) if type(value) is Table else ()
    return (
        bool(fields)
        and all(isinstance(v, tuple) and len(v) == sizes["d"] for v in fields)
        and _plain(value.names)
        and all(map(_kind, value.kinds))
        and sum(kind.width for kind in value.kinds) == sizes["n"]
        and all(
            isinstance(v, tuple) and v and isinstance(v[0], str) and _plain(v) for v in value.dtypes
        )
        and value.library in (None, "pandas", "polars", "pyarrow")
        and isinstance(value.has_gaps, bool)
        and type(value.n_rows) is int
        and value.n_rows > 0
    )


def _floating(value: Any, _: dict[str, int]) -> bool:
    return isinstance(value, np.dtype) and value in (np.float32, np.float64)


def _flag(value: Any, _: dict[str, int]) -> bool:
    return isinstance(value, bool)


def _whitening(value: Any, sizes: dict[str, int]) -> bool:
    """A lower triangle, of features of rows; without one, the centre is that of references."""
    sizes["features"] = sizes["2n" if value is None else "n+1"]
    if value is None:
        return True
    return _array("f8", "features", "features")(value, sizes) and not np.triu(value, 1).any()


def _names(value: Any, sizes: dict[str, int]) -> bool:
    ok = isinstance(value, np.ndarray) and value.dtype == object and value.shape == (sizes["d"],)
    return ok and all(isinstance(v, str) for v in value)


def _sorted_scores(value: Any, sizes: dict[str, int]) -> bool:
    return _array("f8", "h", finite=False)(value, sizes) and (np.sort(value) == value).all()


def _residual_scale(value: Any, sizes: dict[str, int]) -> bool:
    return isinstance(value, float) and math.isclose(value, math.sqrt(sizes["n"] / sizes["k"]))


def _classes(value: Any, sizes: dict[str, int]) -> bool:
    ok = isinstance(value, np.ndarray) and value.shape == (sizes["c"],) and len(value) >= 2
    plain = ok and (
        value.dtype.kind in "biufU"
        or all(isinstance(v, str | numbers.Real | np.bool_) for v in value)
    )
    return plain and bool((value[:-1] < value[1:]).all())


def _marginals(value: Marginals, sizes: dict[str, int]) -> bool:
    """Whether distributions are of numbers that a row has; those of none are empty."""
    n = sizes["n"]
    return (
        all(isinstance(v, np.ndarray) for v in value)
        and value.inputs.dtype == np.int64
        and value.inputs.ndim == 1
        and all(0 <= column < n for column in value.inputs.tolist())
        and value.repeats.shape == value.inputs.shape
        and value.repeats.dtype == bool
        and all(
            v.dtype == np.float64 and v.ndim == 2 and v.shape[1] == len(value.inputs) and len(v) > 1
            for v in (value.drawn, value.seen)
        )
    )


# What files of the first version of this package have not.
_LATER: dict[str, Rule] = {
    "feature_names_in_": _names,
    "_table": _table,
    "_spread": _record(
        Spread,
        seen=_array("f8", "n", low=0),
        hidden=_array("f8", "n", low=0),
        missing=_array("f8", "d", low=0),
    ),
    "_marginals": lambda value, sizes: type(value) is Marginals and _marginals(value, sizes),
    "_gap_correction": _record(
        GapCorrection,
        shares=_array("f8", "levels", low=0),
        medians=_array("f8", "levels"),
        stretches=_array("f8", "levels", low=0),
    ),
}
COMMON: dict[str, Rule] = {
    "_columns": _record(Columns, likelihood=_likelihood, dtype=_floating, one_unit=_flag),
    "n_iter_": _integer(0),
    "history_": _mapping_of(_list_of_numbers),
    "prior_match_": _mapping_of(
        _number(), "distance", "null", "null_quantile", optional=("auroc", "auroc_quantile")
    ),
}
CODE_DENSITY = _record(
    CodeDensity,
    codes=_array("f8", "m", "k"),
    weights=_array("f8", "m", low=0, total=1),
    mean=_array("f8", "k"),
    stretch=_array("f8", "k", low=0),
)
_SCORES: dict[str, Rule] = {
    "offset_": _number(),
    "_density": _record(
        Density,
        references=_array("f8", "m", "2n"),
        residual_scale=_residual_scale,
        n_neighbors=_integer(1, "m"),
        epsilon=_number(np.nextafter(0, 1), np.finfo(float).max, kind=float),
        typical=_number(kind=float),
        near=_number(np.nextafter(0, 1), np.finfo(float).max, kind=float),
        far=_number(np.nextafter(0, 1), np.finfo(float).max, kind=float),
        of_neighbors=_number(0, 1, kind=float),
        weights=_optional(_array("f8", "m", low=0, total=1)),
        own_scores=_optional(_array("f8", "m", finite=False)),
        whitening=_whitening,
        center=_optional(_array("f8", "features")),
    ),
    "_code_density": CODE_DENSITY,
    "_held_out_scores": _optional(_sorted_scores),
}
_LABELS: dict[str, Rule] = {"classes_": _classes, "class_prior_": _array("f8", "c", low=0, total=1)}
# Of a classifier, which may have been told of other shares than the labels have.
_WEIGHTED_LABELS: dict[str, Rule] = {
    **_LABELS,
    "class_weight_": _array("f8", "c", low=0),
}
_CLUSTERS: dict[str, Rule] = {
    "cluster_centers_": _array("f4", "c", "k", finite=False),
    "labels_": _array("i", "rows", low=0),
    "cluster_sizes_": _array("i", "c", low=0),
    "cluster_prior_": _array("f8", "c", low=0, total=1),
}


# What is wrong where a rule is broken, for those that can say more than "is impossible".
_PROBLEMS = {
    "classes_": "are no {c} sorted classes, two at least",
    "class_prior_": "are no {c} shares with sum 1",
    "class_weight_": "are no {c} weights",
    "cluster_centers_": "are not the heads of the clusters",
    "labels_": "are no clusters from 0 to {last}",
    "cluster_sizes_": "are not those of labels_",
    "cluster_prior_": "are no {c} shares with sum 1",
}


class Comparison(NamedTuple):
    """What a critic has to compare: part of the codes, with labels of one of some widths."""

    name: str
    columns: tuple[int, int]
    n_labels: tuple[int, ...] = (0,)


class Model(NamedTuple):
    """How the networks of a class are joined, its attributes, and what its critics compare."""

    structure: type[Autoencoder]
    attributes: Mapping[str, Rule]
    comparisons: Callable[[int, int, Any], list[Comparison]]


def _of_codes(k: int, n: int, prior: Any) -> list[Comparison]:
    widths = (0, prior.n_classes + 1) if has_classes(prior) else (0,)
    return [Comparison("prior", (0, k), widths)]


MODELS: dict[type, Model] = {
    AdversarialAutoencoder: Model(Autoencoder, _SCORES, _of_codes),
    AdversarialAutoencoderClassifier: Model(
        CategoricalAutoencoder,
        _WEIGHTED_LABELS,
        lambda k, n, _: [Comparison("prior", (0, k + n)), Comparison("categories", (k, k + n))],
    ),
    AdversarialAutoencoderClusterer: Model(
        EmbeddingAutoencoder,
        _CLUSTERS,
        lambda k, n, _: [Comparison("prior", (0, k)), Comparison("categories", (k, k + n))],
    ),
    ConditionalAdversarialAutoencoder: Model(
        ConditionalAutoencoder, _LABELS, lambda k, n, _: [Comparison("prior", (0, k), (n,))]
    ),
}


def check_attributes(estimator: Any, autoencoder: Any) -> list[Comparison]:
    """Refuse attributes that no fit leaves, or that do not fit the networks.

    Returns what the critics have to compare.
    """
    model, state = MODELS[type(estimator)], vars(estimator)
    missing = {"n_features_in_", "n_components_", "prior_", *COMMON, *model.attributes} - set(state)
    require(not missing, "attributes", f"are missing: {sorted(missing)}")
    right = type(autoencoder) is model.structure
    require(right, "net_.module", f"is no {model.structure.__name__}")
    n, k, c = state["n_features_in_"], state["n_components_"], autoencoder.n_classes
    d = n
    n = len(autoencoder.lower) if autoencoder.lower.ndim == 1 else 0
    fits = type(d) is int and d > 0 and n > 0 and (n == d or state.get("_table") is not None)
    require(fits, "n_features_in_", "is not the number of columns")
    require(type(k) is int and k == autoencoder.n_components, "n_components_", "is not the width")
    plain = model.structure is Autoencoder
    require(c > 0 or plain, "net_.module", "has no classes")
    require(c == 0 or not plain, "net_.module", "has classes")
    check_prior(state["prior_"], k)
    rules = {**COMMON, **model.attributes}
    rules |= {name: rule for name, rule in _LATER.items() if name in state}
    for name, rule in rules.items():
        # Sizes of one value are not those of another: a copy for each.
        sizes = {"n": n, "n+1": n + 1, "d": d, "2n": 2 * n, "k": k, "c": c}
        problem = _PROBLEMS.get(name, "is impossible").format(c=c, last=c - 1)
        require(rule(state[name], sizes), name, problem)
    _check_gaps(state, autoencoder)
    if model.structure is EmbeddingAutoencoder:
        _check_clusters(estimator, autoencoder)
    return model.comparisons(k, c, state["prior_"])


def _check_gaps(state: dict[str, Any], autoencoder: Any) -> None:
    """Refuse networks, a likelihood and a table that are not of the same columns."""
    table, likelihood = state.get("_table"), state["_columns"].likelihood
    encoder = autoencoder.encoder
    made = (isinstance(encoder, GapEncoder), isinstance(likelihood, Product))
    has_gaps = table is not None and table.has_gaps
    require(made == (has_gaps, has_gaps), "_table", "is not that of the networks")
    if table is not None and has_gaps:
        of_table = [(kind.likelihood, kind.width) for kind in table.kinds]
        same = of_table == list(zip(likelihood.kinds, likelihood.widths, strict=True))
        same = same and encoder.starts == table.starts and encoder.width == len(autoencoder.lower)
        require(same, "_table", "is not that of the networks")


def _check_clusters(estimator: Any, autoencoder: Any) -> None:
    """Refuse clusters that are not those of the networks, or counted otherwise."""
    labels, n = estimator.labels_, autoencoder.n_classes
    heads = autoencoder.heads.detach().cpu().numpy()
    same = np.array_equal(estimator.cluster_centers_, heads)
    require(same, "cluster_centers_", _PROBLEMS["cluster_centers_"])
    require(labels.max() < n, "labels_", _PROBLEMS["labels_"].format(last=n - 1))
    same = np.array_equal(estimator.cluster_sizes_, np.bincount(labels, minlength=n))
    require(same, "cluster_sizes_", _PROBLEMS["cluster_sizes_"])


def check_prior(prior: Any, n_components: int) -> None:
    """Refuse what is no prior of a width, or one that is a way to ask for memory."""
    ok = isinstance(prior, Prior) and prior.n_components == n_components
    require(ok, "prior_", "is no prior of this width")
    n_classes = getattr(prior, "n_classes", 1)
    if isinstance(prior, Joint):
        for part in (prior.first, prior.second):
            # A part of a part is nothing that an estimator makes.
            require(not isinstance(part, Joint), "prior_", "is a joint of joints")
            check_prior(part, getattr(part, "n_components", 0))
    few = isinstance(n_classes, numbers.Integral) and n_classes <= _MAX_CLASSES
    require(few, "prior_", f"has more than {_MAX_CLASSES} classes")
    bind_prior(prior, n_components)  # raises where a draw is not of this width
