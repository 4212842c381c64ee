"""A fitted estimator as a document and arrays, and back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from torch import nn

from sklearn_aae._compat import CONFIGURATION_ATTRIBUTES, configuration, configure
from sklearn_aae._estimators.base import BaseAdversarialAutoencoder
from sklearn_aae._estimators.classifier import AdversarialAutoencoderClassifier
from sklearn_aae._estimators.clusterer import AdversarialAutoencoderClusterer
from sklearn_aae._files.archive import InvalidModelFileError, check_keys, require
from sklearn_aae._learned.density import log_density_at
from sklearn_aae._training.networks import seeded_global_generator
from sklearn_aae.modules import GapEncoder
from sklearn_aae.persistence.decoding import Decoder
from sklearn_aae.persistence.encoding import Encoder
from sklearn_aae.persistence.net_state import NET_FIELDS, is_optimizer, net_state, restored_net
from sklearn_aae.persistence.networks import is_stored
from sklearn_aae.persistence.schema import MODELS
from sklearn_aae.persistence.text import CHECKS
from sklearn_aae.persistence.vocabulary import CustomNetwork

# Parameters whose networks may be the user's.
ROLES = ("encoder", "decoder", "discriminator")

# The file tells what wrote it; another version of the first one warns.
_PACKAGES = ("sklearn-aae", "numpy", "scikit-learn", "scipy", "skorch", "torch")

_SECTIONS = {"class", "versions", "passed", "parameters", "attributes", "net", "output", "requests"}

# Parameters that the first files do not have yet, and what they would say.
_LATER_PARAMETERS = {
    "precision": "float32",
    "compile": False,
    "normalizing_flow": False,
    "class_weight": None,
    "cluster_prior": "uniform",
    "propagation_weight": 0.0,
    "n_neighbors": 10,
    "categorical_features": "from_dtype",
    "references": "rows",
    "n_references": "auto",
}


def upgraded(
    document: dict[str, Any], arrays: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A document of the first format, and its arrays, as those of the second.

    It had no parameters that came later, no flow, no weights of a classifier's classes and shares
    of clusters, and the columns in five attributes, with centre and scale once more in the
    likelihood.
    """
    attributes, parameters = document["attributes"], document["parameters"]
    known = {cls.__name__: inspect.signature(cls).parameters for cls in MODELS}
    names = known.get(document["class"], ())
    later = {name: v for name, v in _LATER_PARAMETERS.items() if name in names}
    attributes = dict(attributes)
    fields = {"likelihood": attributes.pop("_likelihood"), "dtype": attributes.pop("_dtype")}
    doubles = {attributes.pop(name)["name"] for name in ("_center", "_scale")}
    arrays = {name: array for name, array in arrays.items() if name not in doubles}
    attributes.pop("_knee")
    fields["one_unit"] = False
    attributes["_columns"] = {"type": "object", "class": "Columns", "fields": fields}
    if document["class"] == AdversarialAutoencoderClassifier.__name__:
        shares, name = attributes["class_prior_"], "attributes.class_weight_"
        attributes["class_weight_"] = shares | {"name": name}
        arrays[name] = np.ones_like(arrays[shares["name"]])
    if document["class"] == AdversarialAutoencoderClusterer.__name__:
        sizes, name = attributes["cluster_sizes_"], "attributes.cluster_prior_"
        attributes["cluster_prior_"] = sizes | {"name": name}
        n = len(arrays[sizes["name"]])
        arrays[name] = np.full(n, 1 / n)
    if "_density" in attributes:
        attributes["_density"] = _of_neighbors_alone(attributes["_density"], arrays)
    module = document["net"]["module"]
    module = module | {"arguments": {"flow": None} | module["arguments"]}
    document = document | {
        "parameters": later | parameters,
        "attributes": attributes,
        "net": document["net"] | {"module": module},
    }
    return document, arrays


def _of_neighbors_alone(density: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """A density of the first format, with the constant of its scores."""
    fields = density["fields"]
    references, k = arrays[fields["references"]["name"]], fields["n_neighbors"]
    scale = fields["residual_scale"]
    possible = references.ndim == 2 and references.shape[1] > 1 and 0 < k <= len(references)
    require(possible and 0 < scale < np.inf, "_density", "is impossible")
    typical = log_density_at(1.0, k / len(references), references.shape[1] // 2, scale)
    later = {"typical": typical, "near": 1.0, "far": 1.0, "of_neighbors": 1.0}
    unknown = dict.fromkeys(("weights", "center", "whitening", "own_scores"))
    return density | {"fields": fields | later | unknown}


def described(
    estimator: BaseAdversarialAutoencoder,
) -> tuple[dict[str, Any], dict[str, np.ndarray], list[tuple[CustomNetwork, nn.Module]]]:
    """Document and arrays of a fitted estimator, and its networks with what they are built for."""
    networks = _networks(estimator)
    encoder = Encoder({id(network): spec for spec, network in networks})
    parameters: dict[str, Any] = {}
    for name, value in estimator.get_params(deep=False).items():
        if name in ROLES and not is_stored(value):
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
        for name, value in net_state(estimator.net_).items()
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
    autoencoder, k = net.module_, estimator.n_components_
    n = autoencoder.n_inputs
    n_classes = autoencoder.n_classes
    widths = autoencoder.encoder_widths(n, k, autoencoder.posterior, n_classes)
    n_decoded = autoencoder.decoder_width(k, n_classes)
    encoder = autoencoder.encoder
    encoder = encoder.network if isinstance(encoder, GapEncoder) else encoder
    return [
        (CustomNetwork("encoder", *widths), encoder),
        (CustomNetwork("decoder", n_decoded, n), autoencoder.decoder),
        *(
            (CustomNetwork("discriminator", c.n_inputs(k), 1), net.discriminators_[c.name])
            for c in net.game.critics
            if c.name == "prior"
        ),
    ]


def needed_networks(document: dict[str, Any]) -> set[str]:
    """Roles of the networks that the user has to pass again."""
    check_keys(document, _SECTIONS, "the document")
    passed = document["passed"]
    ok = isinstance(passed, list) and all(name in ROLES for name in passed)
    require(ok, "passed", "names what is no network")
    return set(passed)


def rebuilt(
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
    classes = {cls.__name__: cls for cls in CHECKS}
    name = document["class"]
    require(isinstance(name, str) and name in classes, "class", f"is unknown: {str(name)[:50]!r}")
    cls = classes[name]

    coded, known = document["parameters"], set(inspect.signature(cls).parameters)
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
    check_keys(document["net"], NET_FIELDS, "net")
    net = {name: decoder.decode(value, f"net_.{name}") for name, value in document["net"].items()}
    decoder.check_all_used()

    for name in ROLES:
        require(name in given or is_stored(parameters[name]), name, "is no network")
    require(is_optimizer(parameters["optimizer"]), "optimizer", "is no optimiser")
    require(not parameters["callbacks"], "callbacks", "hold what is not stored")
    estimator = cls(**parameters)
    estimator._validate_params()
    vars(estimator).update(attributes)
    expected = CHECKS[cls](estimator, net["module"])
    estimator.net_ = restored_net(estimator, net, expected)
    output, requests = document["output"], document["requests"]
    require(output in (None, "default", "pandas", "polars"), "output", "is no container")
    configure(estimator, output, requests)
    return estimator
