"""Save fitted estimators to one file and load them again, without pickle.

A file of `save` holds data and nothing that runs: a document in JSON and the arrays it refers to,
in the layout of safetensors. `load` looks classes up in a fixed list, checks every size before it
takes memory for it, and accepts exactly what `save` writes.
"""

from __future__ import annotations

import copy
import inspect
import math
import numbers
import os
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted
from skorch.history import History
from torch import Tensor, nn

from sklearn_aae._compat import CONFIGURATION_ATTRIBUTES, configuration, configure
from sklearn_aae._estimators.autoencoder import AdversarialAutoencoder
from sklearn_aae._estimators.base import BaseAdversarialAutoencoder
from sklearn_aae._estimators.classifier import AdversarialAutoencoderClassifier
from sklearn_aae._estimators.clusterer import AdversarialAutoencoderClusterer
from sklearn_aae._estimators.conditional import ConditionalAdversarialAutoencoder
from sklearn_aae._files.archive import (
    InvalidModelFileError,
    check_keys,
    read_archive,
    require,
    write_archive,
)
from sklearn_aae._learned.codes import CodeDensity
from sklearn_aae._learned.density import Density
from sklearn_aae._rows.likelihoods import Likelihood
from sklearn_aae._training.critics import ADVERSARIAL_LOSSES, Critic
from sklearn_aae._training.net import AdversarialNet, restored_generator
from sklearn_aae._training.networks import check_networks, make_network, seeded_global_generator
from sklearn_aae.callbacks import AdversarialTraining
from sklearn_aae.modules import Autoencoder
from sklearn_aae.persistence.values import CustomNetwork, Decoder, Encoder, is_stored
from sklearn_aae.priors import Joint, Prior, bind_prior, has_classes

__all__ = ["InvalidModelFileError", "load", "save"]

# Parameters whose networks may be the user's.
_ROLES = ("encoder", "decoder", "discriminator")

_VERSION = version("sklearn-aae")

# The file tells what wrote it; another version of the first one warns.
_PACKAGES = ("sklearn-aae", "numpy", "scikit-learn", "scipy", "skorch", "torch")

# A density over more components than this is a way to ask for memory, not a prior.
_MAX_CLASSES = 2**16

_SECTIONS = {"class", "versions", "passed", "parameters", "attributes", "net", "output", "requests"}

# What every fitted estimator has, besides its net.
_ATTRIBUTES = {
    *("n_features_in_", "n_components_", "prior_", "prior_match_", "history_", "n_iter_"),
    *("_center", "_scale", "_knee", "_dtype", "_likelihood"),
}

# Parameters that the first files do not have yet, and what they would say.
_LATER_PARAMETERS = {
    "precision": "float32",
    "compile": False,
    "normalizing_flow": False,
    "propagation_weight": 0.0,
    "n_neighbors": 10,
}

_NET_NUMBERS = ("null_deviance", "noise", "lr", "discriminator_lr")
_NET_FIELDS = {
    *_NET_NUMBERS,
    *("module", "discriminators", "critics", "n_steps", "optimizer", "optimizer_options"),
    *("device", "seed", "batch_size", "interrupted", "history", "generator", "order_generator"),
    *("optimizer_state", "discriminator_optimizer_state"),
}


def save(estimator: BaseAdversarialAutoencoder, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator to a file that `load` reads without running code from it.

    Everything is stored: parameters, weights, the states of optimisers and random generators,
    scaling, density, history, the output container of `set_output`. The loaded estimator gives the
    same bits, and `partial_fit` and `warm_start` go on as they would have here.

    Networks of your own (`encoder`, `decoder`, `discriminator`) are stored as weights: pass their
    structure to `load` again. Other objects that only code can describe (callbacks, priors of your
    own, optimisers from outside torch) are an error.

    Parameters
    ----------
    estimator : estimator of sklearn_aae
        Fitted.
    path : str or path-like
        File to write. The name is free; ``.safetensors`` is the layout. An existing file is
        replaced in one step when the new one is complete; on any error it stays as it is.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is of another class, or a parameter or attribute, named in the message, cannot be
        stored.
    ValueError
        If a parameter is out of its range, or weights are NaN or infinite.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Read such a file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoder, load, save
    >>> X = load_iris().data
    >>> model = AdversarialAutoencoder(max_iter=5, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = Path(directory) / "iris.safetensors"
    ...     save(model, path)
    ...     loaded = load(path)
    >>> bool((loaded.score_samples(X) == model.score_samples(X)).all())
    True
    """
    if type(estimator) not in _CHECKS:
        known = sorted(cls.__name__ for cls in _CHECKS)
        raise TypeError(
            f"save takes a fitted estimator of {known}, got {type(estimator).__name__}. For other "
            "estimators, also classes that inherit from these, and for pipelines, use joblib.dump."
        )
    check_is_fitted(estimator, "net_")
    document, arrays, networks = _described(estimator)
    # A model is often gone once it is saved: what could not be loaded must not be written.
    given = {name: estimator.get_params(deep=False)[name] for name in document["passed"]}
    try:
        _rebuilt(document, arrays, given, lambda spec: copy.deepcopy(dict(networks)[spec]))
    except InvalidModelFileError as error:
        raise ValueError(f"The estimator cannot be saved: {error}.") from error
    write_archive(path, document, arrays)


def load(
    path: str | os.PathLike[str],
    *,
    encoder: Any = None,
    decoder: Any = None,
    discriminator: Any = None,
) -> Any:
    """Read a fitted estimator from a file of `save`.

    Nothing in the file is executed, and the size of the file bounds the memory that is taken. The
    model itself may still be a bad one: that a file loads says nothing about who trained it.

    Parameters
    ----------
    path : str or path-like
        File that `save` has written.
    encoder, decoder, discriminator : nn.Module, callable or None, default=None
        Networks of your own, as they were passed to the estimator, where `save` could store only
        their weights: an instance, which is copied, or a callable
        ``(in_features, out_features) -> nn.Module``. They become the parameters of the estimator.

    Returns
    -------
    estimator : estimator of sklearn_aae
        Fitted, on the device it was trained on, or on the CPU with a warning where there is no
        such device.

    Raises
    ------
    InvalidModelFileError
        If the file is not one that `save` has written, is damaged, has a newer format, or does not
        fit the networks passed. A ValueError.
    ValueError
        If a network is missing or is not needed.
    OSError
        If the file cannot be read.

    Warns
    -----
    InconsistentVersionWarning
        If another version of this package wrote the file.

    See Also
    --------
    save : Write such a file.

    Examples
    --------
    A network of your own is passed again:

    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from torch import nn
    >>> from sklearn_aae import AdversarialAutoencoder, load, save
    >>> X = load_iris().data
    >>> def linear(in_features, out_features):
    ...     return nn.Linear(in_features, out_features)
    >>> model = AdversarialAutoencoder(encoder=linear, max_iter=5, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = Path(directory) / "iris.safetensors"
    ...     save(model, path)
    ...     loaded = load(path, encoder=linear)
    >>> bool((loaded.transform(X) == model.transform(X)).all())
    True
    """
    name = os.fspath(path)
    passed = {"encoder": encoder, "decoder": decoder, "discriminator": discriminator}
    given = {role: value for role, value in passed.items() if value is not None}
    try:
        document, arrays = read_archive(path)
        needed = _needed_networks(document)
    except InvalidModelFileError as error:
        raise InvalidModelFileError(f"{name!r} cannot be loaded: {error}.") from error
    missing, odd = sorted(needed - given.keys()), sorted(given.keys() - needed)
    if missing:
        raise ValueError(
            f"{name!r} holds the weights of networks of your own: pass them again, as "
            f"{', '.join(f'{role}=' for role in missing)} of load."
        )
    if odd:
        raise ValueError(
            f"{odd[0]}={given[odd[0]]!r} is not needed: {name!r} holds its structure. Leave it out."
        )

    def build(spec: CustomNetwork) -> nn.Module:
        require(spec.role in given, spec.role, "was not announced")
        try:
            return make_network(spec.role, given[spec.role], nn.Linear, *spec[1:])
        except Exception as error:  # a user's callable may raise anything
            raise InvalidModelFileError(
                f"{spec.role}={given[spec.role]!r} failed for in_features={spec.in_features} and "
                f"out_features={spec.out_features}: {error}"
            ) from error

    try:
        estimator = _rebuilt(document, arrays, given, build)
    except InvalidModelFileError as error:
        raise InvalidModelFileError(f"{name!r} cannot be loaded: {error}.") from error
    _warn_of_differences(estimator, document)
    return estimator


# From an estimator to a document.


def _described(
    estimator: BaseAdversarialAutoencoder,
) -> tuple[dict[str, Any], dict[str, np.ndarray], list[tuple[CustomNetwork, nn.Module]]]:
    """Document and arrays of a fitted estimator, and its networks with what they are built for."""
    networks = _networks(estimator)
    encoder = Encoder({id(network): spec for spec, network in networks})
    parameters: dict[str, Any] = {}
    for name, value in estimator.get_params(deep=False).items():
        if name in _ROLES and not is_stored(value):
            parameters[name] = {"type": "passed"}
            encoder.roles.add(name)
        else:
            parameters[name] = encoder.encode(value, f"parameters.{name}")
    hidden = CONFIGURATION_ATTRIBUTES | parameters.keys() | {"net_"}
    attributes = {
        name: encoder.encode(value, f"attributes.{name}")
        for name, value in vars(estimator).items()
        if name not in hidden
    }
    net = {
        name: encoder.encode(value, f"net_.{name}")
        for name, value in _net_state(estimator.net_).items()
    }
    settings = configuration(estimator)
    if settings.callbacks:
        raise TypeError(
            f"set_callbacks({settings.callbacks!r}): callbacks cannot be saved. Call "
            "set_callbacks() without any first: a fitted model needs none."
        )
    document = {
        "class": type(estimator).__name__,
        "versions": {name: version(name) for name in _PACKAGES},
        "passed": sorted(encoder.roles),
        "parameters": parameters,
        "attributes": attributes,
        "net": net,
        "output": settings.output,
        "requests": settings.requests,
    }
    return document, encoder.arrays, networks


def _networks(estimator: BaseAdversarialAutoencoder) -> list[tuple[CustomNetwork, nn.Module]]:
    """The networks that may be the user's, with the widths they were asked for."""
    net = estimator.net_
    n, k = estimator.n_features_in_, estimator.n_components_
    autoencoder = net.module_
    n_classes = autoencoder.n_classes
    widths = autoencoder.encoder_widths(n, k, autoencoder.posterior, n_classes)
    n_decoded = autoencoder.decoder_width(k, n_classes)
    return [
        (CustomNetwork("encoder", *widths), autoencoder.encoder),
        (CustomNetwork("decoder", n_decoded, n), autoencoder.decoder),
        *(
            (CustomNetwork("discriminator", c.n_inputs(k), 1), net.discriminators_[c.name])
            for c in net.game.critics
            if c.name == "prior"
        ),
    ]


def _net_state(net: AdversarialNet) -> dict[str, Any]:
    """What makes a net, less what follows from the rest or belongs to one call of fit.

    Terms do: every fit, also one that continues, makes them anew from the parameters.
    """
    return {
        **{name: getattr(net, name) for name in _NET_NUMBERS},
        "module": net.module_,
        "discriminators": dict(net.discriminators_.items()),
        "critics": tuple(net.game.critics),
        "n_steps": net.game.n_steps_,
        "optimizer": net.optimizer,
        "optimizer_options": net.optimizer_options,
        "device": str(net.device),
        "seed": net.seed,
        "batch_size": net.batch_size,
        "interrupted": net.interrupted_,
        "history": [{k: v for k, v in row.items() if k != "batches"} for row in net.history_],
        "generator": net.generator_.get_state(),
        "order_generator": net.order_generator_.get_state(),
        "optimizer_state": _optimizer_state(net.optimizer_),
        "discriminator_optimizer_state": _optimizer_state(net.discriminator_optimizer_),
    }


def _optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """State of each parameter, and the numbers among the settings, which callbacks may change."""
    state = optimizer.state_dict()
    (group,) = state["param_groups"]
    settings = {k: v for k, v in group.items() if type(v) in (int, float, tuple)}
    return {"settings": settings, "state": state["state"]}


# From a document to an estimator.


def _needed_networks(document: dict[str, Any]) -> set[str]:
    check_keys(document, _SECTIONS, "the document")
    passed = document["passed"]
    ok = isinstance(passed, list) and all(name in _ROLES for name in passed)
    require(ok, "passed", "names what is no network")
    return set(passed)


def _rebuilt(
    document: dict[str, Any],
    arrays: dict[str, np.ndarray],
    given: dict[str, Any],
    build: Callable[[CustomNetwork], nn.Module],
) -> Any:
    """The estimator of a document; InvalidModelFileError whatever is wrong with it."""
    try:
        with seeded_global_generator(bool(given), 0):
            return _rebuilt_unguarded(document, arrays, given, build)
    except InvalidModelFileError:
        raise
    except Exception as error:
        # What a strange value does to NumPy, torch or the constructors cannot be listed.
        what = f"{type(error).__name__}: {error}"
        raise InvalidModelFileError(f"a value is impossible: {what[:500]}") from error


def _rebuilt_unguarded(
    document: dict[str, Any],
    arrays: dict[str, np.ndarray],
    given: dict[str, Any],
    build: Callable[[CustomNetwork], nn.Module],
) -> Any:
    decoder = Decoder(arrays, build)
    versions = document["versions"]
    check_keys(versions, set(_PACKAGES), "versions")
    require(all(isinstance(v, str) for v in versions.values()), "versions", "are no strings")
    classes = {cls.__name__: cls for cls in _CHECKS}
    name = document["class"]
    require(isinstance(name, str) and name in classes, "class", f"is unknown: {str(name)[:50]!r}")
    cls = classes[name]

    coded, known = document["parameters"], set(inspect.signature(cls).parameters)
    if isinstance(coded, dict):
        later = {n: v for n, v in _LATER_PARAMETERS.items() if n in known}
        coded = later | coded
    check_keys(coded, known, "parameters")
    parameters = {
        name: given[name]
        if name in given and value == {"type": "passed"}
        else decoder.decode(value, f"parameters.{name}")
        for name, value in coded.items()
    }
    require(isinstance(document["attributes"], dict), "attributes", "are no JSON object")
    for name in document["attributes"]:
        # An attribute must not stand in for a method.
        taken = hasattr(cls, name) or name in parameters or name in CONFIGURATION_ATTRIBUTES
        ok = not taken and name != "net_" and name.isidentifier() and len(name) < 100
        require(ok, "attributes", f"cannot have {name[:50]!r}")
    attributes = {
        name: decoder.decode(value, f"attributes.{name}")
        for name, value in document["attributes"].items()
    }
    check_keys(document["net"], _NET_FIELDS, "net")
    net = {name: decoder.decode(value, f"net_.{name}") for name, value in document["net"].items()}
    decoder.check_all_used()

    for name in _ROLES:
        require(name in given or is_stored(parameters[name]), name, "is no network")
    require(_is_optimizer(parameters["optimizer"]), "optimizer", "is no optimiser")
    require(not parameters["callbacks"], "callbacks", "hold what is not stored")
    estimator = cls(**parameters)
    estimator._validate_params()
    missing = sorted(_ATTRIBUTES - attributes.keys())
    require(not missing, "attributes", f"are missing: {missing}")
    vars(estimator).update(attributes)
    _check_widths(estimator, net["module"])
    _check_attributes(estimator)
    expected = _CHECKS[cls](estimator, net["module"])
    estimator.net_ = _restored_net(estimator, net, expected)
    output, requests = document["output"], document["requests"]
    require(output in (None, "default", "pandas", "polars"), "output", "is no container")
    configure(estimator, output, requests)
    return estimator


def _check_widths(estimator: Any, autoencoder: Any) -> None:
    """Refuse widths that are not those of the networks, and so of what the file holds."""
    n, k = estimator.n_features_in_, estimator.n_components_
    structure = type(estimator)._structure
    require(type(autoencoder) is structure, "net_.module", f"is no {structure.__name__}")
    fits = type(n) is int and n > 0 and autoencoder.lower.shape == (n,)
    require(fits, "n_features_in_", "is not the number of columns")
    require(type(k) is int and k == autoencoder.n_components, "n_components_", "is not the width")


def _check_attributes(estimator: Any) -> None:
    """Refuse attributes that no fit leaves: types, shapes and ranges."""
    n, k = estimator.n_features_in_, estimator.n_components_
    for name in ("_center", "_scale"):
        values = getattr(estimator, name)
        require(_is_float64(values, (n,)), name, f"is no float64 array of {n} values")
        require(np.isfinite(values).all(), name, "holds NaN or infinity")
    require((estimator._scale > 0).all(), "_scale", "is not positive")
    knee, likelihood = estimator._knee, estimator._likelihood
    require(isinstance(knee, float) and knee > 0, "_knee", "is not positive")
    known = isinstance(estimator._dtype, np.dtype) and estimator._dtype in (np.float32, np.float64)
    require(known, "_dtype", "is neither float32 nor float64")
    require(isinstance(likelihood, Likelihood), "_likelihood", "is no likelihood")
    tensors = (likelihood.center, likelihood.scale, likelihood.baseline)
    ok = all(isinstance(t, Tensor) and t.dtype == torch.float64 for t in tensors)
    ok = ok and all(t.shape == (n,) and bool(t.isfinite().all()) for t in tensors)
    require(ok and likelihood.knee == knee, "_likelihood", "does not fit the columns")
    same = np.array_equal(likelihood.center, estimator._center)
    same = same and np.array_equal(likelihood.scale, estimator._scale)
    require(same, "_likelihood", "has another scaling than the estimator")
    _check_prior(estimator.prior_, k)
    names = getattr(estimator, "feature_names_in_", None)
    if names is not None:
        ok = isinstance(names, np.ndarray) and names.dtype == object and names.shape == (n,)
        require(ok and all(isinstance(v, str) for v in names), "feature_names_in_", "are no names")
    n_iter, history = estimator.n_iter_, estimator.history_
    require(type(n_iter) is int and n_iter >= 0, "n_iter_", "is no number of epochs")
    ok = isinstance(history, dict) and all(
        isinstance(name, str) and isinstance(losses, list) and all(map(_is_number, losses))
        for name, losses in history.items()
    )
    require(ok, "history_", "holds other things than losses")
    match = estimator.prior_match_
    ok = isinstance(match, dict) and match.keys() == {"distance", "null", "null_quantile"}
    require(ok and all(map(_is_number, match.values())), "prior_match_", "is no distance")


def _check_prior(prior: Any, n_components: int) -> None:
    ok = isinstance(prior, Prior) and prior.n_components == n_components
    require(ok, "prior_", "is no prior of this width")
    n_classes = getattr(prior, "n_classes", 1)
    if isinstance(prior, Joint):
        for part in (prior.first, prior.second):
            # A part of a part is nothing that an estimator makes.
            require(not isinstance(part, Joint), "prior_", "is a joint of joints")
            _check_prior(part, getattr(part, "n_components", 0))
    few = isinstance(n_classes, numbers.Integral) and n_classes <= _MAX_CLASSES
    require(few, "prior_", f"has more than {_MAX_CLASSES} classes")
    bind_prior(prior, n_components)  # raises where a draw is not of this width


class _Comparison(NamedTuple):
    """What a critic has to compare: part of the codes, with labels of one of some widths."""

    name: str
    columns: tuple[int, int]
    n_labels: tuple[int, ...] = (0,)


def _require_attributes(estimator: Any, *names: str) -> None:
    missing = sorted(set(names) - vars(estimator).keys())
    require(not missing, "attributes", f"are missing: {missing}")


def _check_scores(estimator: Any, autoencoder: Autoencoder) -> list[_Comparison]:
    """Refuse what `AdversarialAutoencoder` cannot score with."""
    require(autoencoder.n_classes == 0, "net_.module", "has classes")
    _require_attributes(estimator, "_density", "_code_density", "_held_out_scores", "offset_")
    density, held_out = estimator._density, estimator._held_out_scores
    require(_is_number(estimator.offset_), "offset_", "is no number")
    require(isinstance(density, Density), "_density", "is no density")
    references, scale, n_neighbors, epsilon = density
    ok = isinstance(references, np.ndarray) and references.ndim == 2 and len(references) > 0
    ok = ok and _is_float64(references, (len(references), 2 * estimator.n_features_in_))
    require(ok and np.isfinite(references).all(), "_density", "has no references")
    ok = isinstance(scale, float) and math.isclose(
        scale, math.sqrt(estimator.n_features_in_ / estimator.n_components_)
    )
    ok = ok and type(n_neighbors) is int and 0 < n_neighbors <= len(references)
    ok = ok and isinstance(epsilon, float) and 0 < epsilon < math.inf
    require(ok, "_density", "is impossible")
    _check_code_density(estimator._code_density, estimator.n_components_)
    if held_out is not None:
        ok = isinstance(held_out, np.ndarray) and held_out.ndim == 1 and len(held_out) > 0
        ok = ok and _is_float64(held_out, held_out.shape) and not np.isnan(held_out).any()
        require(ok and (np.sort(held_out) == held_out).all(), "_held_out_scores", "is not sorted")
    prior = estimator.prior_
    n_labels = (0, prior.n_classes + 1) if has_classes(prior) else (0,)
    return [_Comparison("prior", (0, estimator.n_components_), n_labels)]


def _check_code_density(density: Any, n_components: int) -> None:
    """Refuse what `sample` cannot draw from."""
    require(isinstance(density, CodeDensity), "_code_density", "is no density of codes")
    codes, weights, mean, stretch = density
    ok = isinstance(codes, np.ndarray) and codes.ndim == 2 and len(codes) > 0
    ok = ok and _is_float64(codes, (len(codes), n_components))
    require(ok and np.isfinite(codes).all(), "_code_density", "has no codes")
    ok = _is_float64(weights, (len(codes),)) and bool((weights >= 0).all())
    require(ok and math.isclose(weights.sum(), 1), "_code_density", "has no weights with sum 1")
    ok = all(_is_float64(v, (n_components,)) and np.isfinite(v).all() for v in (mean, stretch))
    require(ok and (stretch >= 0).all(), "_code_density", "is impossible")


def _check_classes(estimator: Any, n: int) -> None:
    """Refuse classes that are not n sorted ones with their shares."""
    _require_attributes(estimator, "classes_", "class_prior_")
    classes, shares = estimator.classes_, estimator.class_prior_
    ok = isinstance(classes, np.ndarray) and classes.shape == (n,) and n >= 2
    ok = ok and (
        classes.dtype.kind in "biufU"
        or all(isinstance(v, str | numbers.Real | np.bool_) for v in classes)
    )
    ok = ok and bool((classes[:-1] < classes[1:]).all())
    require(ok, "classes_", f"are no {n} sorted classes, two at least")
    ok = _is_float64(shares, (n,)) and bool((shares >= 0).all())
    require(ok and math.isclose(shares.sum(), 1), "class_prior_", f"are no {n} shares with sum 1")


def _check_classifier(estimator: Any, autoencoder: Autoencoder) -> list[_Comparison]:
    k, n = estimator.n_components_, autoencoder.n_classes
    _check_classes(estimator, n)
    return [_Comparison("prior", (0, k + n)), _Comparison("categories", (k, k + n))]


def _check_conditional(estimator: Any, autoencoder: Autoencoder) -> list[_Comparison]:
    k, n = estimator.n_components_, autoencoder.n_classes
    _check_classes(estimator, n)
    return [_Comparison("prior", (0, k), (n,))]


def _check_clusters(estimator: Any, autoencoder: Any) -> list[_Comparison]:
    """Refuse clusters that are not those of the networks."""
    _require_attributes(estimator, "cluster_centers_", "cluster_sizes_", "labels_")
    k, n = estimator.n_components_, autoencoder.n_classes
    centers, sizes, labels = estimator.cluster_centers_, estimator.cluster_sizes_, estimator.labels_
    ok = isinstance(centers, np.ndarray) and centers.dtype == np.float32 and len(centers) == n > 0
    same = ok and np.array_equal(centers, autoencoder.heads.detach().cpu().numpy())
    require(same, "cluster_centers_", "are not the heads of the clusters")
    ok = isinstance(labels, np.ndarray) and labels.ndim == 1 and labels.dtype.kind == "i"
    ok = ok and len(labels) > 0 and labels.min() >= 0 and labels.max() < n
    require(ok, "labels_", f"are no clusters from 0 to {n - 1}")
    ok = isinstance(sizes, np.ndarray) and sizes.dtype.kind == "i" and sizes.shape == (n,)
    same = ok and np.array_equal(sizes, np.bincount(labels, minlength=n))
    require(same, "cluster_sizes_", "are not those of labels_")
    return [_Comparison("prior", (0, k)), _Comparison("categories", (k, k + n))]


# The estimators that have files, with what to check of each beyond what they share. The functions
# return what the critics have to compare.
_CHECKS: dict[type[BaseEstimator], Callable[[Any, Autoencoder], list[_Comparison]]] = {
    AdversarialAutoencoder: _check_scores,
    AdversarialAutoencoderClassifier: _check_classifier,
    AdversarialAutoencoderClusterer: _check_clusters,
    ConditionalAdversarialAutoencoder: _check_conditional,
}


def _is_float64(array: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(array, np.ndarray) and array.dtype == np.float64 and array.shape == shape


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def _is_optimizer(value: Any) -> bool:
    made_by = value.func if isinstance(value, partial) else value
    return isinstance(made_by, type) and issubclass(made_by, torch.optim.Optimizer)


# The net.


def _restored_net(
    estimator: Any, state: dict[str, Any], expected: list[_Comparison]
) -> AdversarialNet:
    autoencoder, critics = state["module"], state["critics"]
    discriminators = _checked_discriminators(critics, state["discriminators"], expected)
    for name in _NET_NUMBERS:
        value = state[name]
        ok = _is_number(value) and 0 <= value < math.inf and (value > 0 or name == "noise")
        require(ok, f"net_.{name}", "is out of range")
    for name, least in (("seed", 0), ("batch_size", 1), ("n_steps", 0)):
        ok = type(state[name]) is int and state[name] >= least
        require(ok, f"net_.{name}", "is out of range")
    optimizer, options = state["optimizer"], state["optimizer_options"]
    require(_is_optimizer(optimizer), "net_.optimizer", "is no optimiser")
    ok = isinstance(options, dict) and options.keys() <= {"weight_decay"}
    require(ok and all(map(_is_number, options.values())), "net_.optimizer_options", "are unknown")
    require(isinstance(state["interrupted"], bool), "net_.interrupted", "is no bool")
    zeros = torch.zeros(1, estimator.n_features_in_)
    check_networks(autoencoder, discriminators, critics, zeros)

    device = _available_device(state["device"])
    net = AdversarialNet(
        autoencoder.to(device),
        estimator._likelihood.to(device, torch.float32),
        game=AdversarialTraining(critics),
        discriminators=discriminators.to(device),
        optimizer=optimizer,
        optimizer_options=options,
        device=str(device),
        seed=state["seed"],
        batch_size=state["batch_size"],
        verbose=0,
        **{name: state[name] for name in _NET_NUMBERS},
    ).initialize()
    net.game.n_steps_ = state["n_steps"]
    net.interrupted_ = state["interrupted"]
    net.history_ = _checked_history(state["history"])
    order, others = state["order_generator"], state["generator"]
    for generator in (order, others):
        ok = isinstance(generator, Tensor) and generator.dtype == torch.uint8
        require(ok and generator.ndim == 1 and 16 <= len(generator) < 10_000, "net_", "has no seed")
    net.order_generator_.set_state(order)
    net.generator_ = restored_generator(device, others.numpy())
    for name in ("optimizer", "discriminator_optimizer"):
        _restore_optimizer(getattr(net, f"{name}_"), state[f"{name}_state"], f"net_.{name}_state")
    net._set_training(False)
    return net


def _checked_discriminators(
    critics: Any, discriminators: Any, expected: list[_Comparison]
) -> nn.ModuleDict:
    ok = isinstance(critics, tuple) and all(isinstance(c, Critic) for c in critics)
    require(ok and len(critics) == len(expected), "net_.critics", "are not those of this class")
    for critic, (name, columns, n_labels) in zip(critics, expected, strict=True):
        numbers_ = (critic.weight, critic.gradient_penalty, critic.instance_noise)
        ok = all(_is_number(v) and 0 <= v < math.inf for v in numbers_)
        ok = ok and isinstance(critic.loss, str) and critic.loss in ADVERSARIAL_LOSSES
        ok = ok and critic.name == name and critic.columns == columns
        ok = ok and all(type(v) is int for v in (critic.n_classes, *critic.columns))
        ok = ok and critic.n_classes in n_labels
        require(ok, "net_.critics", "hold impossible values")
        _check_prior(critic.prior, columns[1] - columns[0])
    ok = isinstance(discriminators, dict) and [*discriminators] == [c.name for c in critics]
    ok = ok and all(isinstance(network, nn.Module) for network in discriminators.values())
    require(ok, "net_.discriminators", "are not those of the critics")
    return nn.ModuleDict(discriminators)


def _checked_history(rows: Any) -> History:
    ok = isinstance(rows, list) and all(
        isinstance(row, dict)
        and all(
            isinstance(name, str) and isinstance(value, numbers.Real | np.bool_)
            for name, value in row.items()
        )
        for row in rows
    )
    require(ok, "net_.history", "holds other things than losses")
    return History({**row, "batches": []} for row in rows)


def _available_device(name: Any) -> torch.device:
    """The device of this name, or the CPU where there is none."""
    require(isinstance(name, str), "net_.device", "is no name")
    device = torch.device(name)
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None or device.type != accelerator.type:
        return torch.device("cpu")
    known = (device.index or 0) < torch.accelerator.device_count()
    return device if known else torch.device("cpu")


def _restore_optimizer(optimizer: torch.optim.Optimizer, state: Any, where: str) -> None:
    """Go on from a state that has the shapes which this optimiser makes.

    Optimisers do not check them, and their kernels would write beyond the end.
    """
    check_keys(state, {"settings", "state"}, where)
    settings, values = state["settings"], state["state"]
    fresh = optimizer.state_dict()
    (group,) = fresh["param_groups"]
    ok = isinstance(settings, dict) and all(
        isinstance(name, str) and name != "params" and _is_setting(value, group.get(name, 0.0))
        for name, value in settings.items()
    )
    require(ok, where, "has impossible settings")
    expected = _state_after_a_step(optimizer)
    ok = isinstance(values, dict) and all(
        type(index) is int
        and index in expected
        and isinstance(entries, dict)
        and entries.keys() == expected[index].keys()
        and all(_is_alike(value, expected[index][name]) for name, value in entries.items())
        for index, entries in values.items()
    )
    require(ok, where, "does not fit the weights")
    optimizer.load_state_dict({"state": values, "param_groups": [{**group, **settings}]})


def _state_after_a_step(optimizer: torch.optim.Optimizer) -> dict[int, dict[str, Any]]:
    """What an optimiser remembers: names, shapes and dtypes, from a copy that makes one step."""
    trial = copy.deepcopy(optimizer)
    for group in trial.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    trial.step()
    return trial.state_dict()["state"]


def _is_setting(value: Any, like: Any) -> bool:
    if isinstance(like, tuple):
        same = isinstance(value, tuple) and len(value) == len(like)
        return same and all(map(_is_setting, value, like))
    if like is None:
        return value is None
    return type(like) in (int, float) and type(value) in (int, float) and math.isfinite(value)


def _is_alike(value: Any, like: Any) -> bool:
    if isinstance(like, Tensor):
        same = isinstance(value, Tensor) and (value.shape, value.dtype) == (like.shape, like.dtype)
        return same and not bool(value.isnan().any())
    return type(value) is type(like) and (value is None or _is_number(value))


def _warn_of_differences(estimator: BaseAdversarialAutoencoder, document: dict[str, Any]) -> None:
    written_by = document["versions"]["sklearn-aae"]
    if written_by != _VERSION:
        warnings.warn(
            InconsistentVersionWarning(
                estimator_name=type(estimator).__name__,
                current_sklearn_version=_VERSION,
                original_sklearn_version=written_by,
            ),
            stacklevel=3,
        )
    trained_on, device = document["net"]["device"], str(estimator.net_.device)
    if trained_on != device:
        warnings.warn(
            f"The model was trained on {trained_on}, which is not available here: it is loaded on "
            f"{device}.",
            UserWarning,
            stacklevel=3,
        )
