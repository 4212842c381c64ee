"""Save fitted estimators to one file and load them again, without pickle.

A file of `save` holds data and nothing that runs: a document in JSON and the arrays it refers to,
in the layout of safetensors. `load` looks classes up in a fixed list, checks every size before it
takes memory for it, and accepts exactly what `save` writes.
"""

from __future__ import annotations

import copy
import os
from importlib.metadata import version
from typing import Any

from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_aae._estimators.base import BaseAdversarialAutoencoder
from sklearn_aae._files.archive import InvalidModelFileError, read_archive, require, write_archive
from sklearn_aae._training.networks import make_network
from sklearn_aae._warnings import warn_user
from sklearn_aae.persistence.documents import described, needed_networks, rebuilt, upgraded
from sklearn_aae.persistence.text import CHECKS
from sklearn_aae.persistence.vocabulary import CustomNetwork

_VERSION = version("sklearn-aae")


def save(estimator: BaseAdversarialAutoencoder, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator to a file that `load` reads without running code from it.

    Everything is stored: parameters, weights, the states of optimisers and random generators,
    scaling, density, history, the output container of `set_output`. The loaded estimator gives the
    same bits, and `partial_fit` and `warm_start` go on as they would have here.

    Networks of your own (`encoder`, `decoder`, `discriminator`) are stored as weights: pass their
    structure to `load` again. Other objects that only code can describe (callbacks, priors of your
    own, optimisers from outside torch) are an error.

    The file tells about training rows: the density of an `AdversarialAutoencoder` keeps up to
    2,000 of them as references, and up to 20,000 codes; with ``references="means"``, means of
    groups instead.

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
    if type(estimator) not in CHECKS:
        known = sorted(cls.__name__ for cls in CHECKS)
        raise TypeError(
            f"save takes a fitted estimator of {known}, got {type(estimator).__name__}. For other "
            "estimators, also classes that inherit from these, and for pipelines, use joblib.dump."
        )
    check_is_fitted(estimator, "net_")
    document, arrays, networks = described(estimator)
    # A model is often gone once it is saved: what could not be loaded must not be written.
    given = {name: estimator.get_params(deep=False)[name] for name in document["passed"]}
    try:
        rebuilt(document, arrays, given, lambda spec: copy.deepcopy(dict(networks)[spec]))
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
        document, arrays, format_version = read_archive(path)
        if format_version == 1:
            document, arrays = upgraded(document, arrays)
        needed = needed_networks(document)
    except InvalidModelFileError as error:
        raise InvalidModelFileError(f"{name!r} cannot be loaded: {error}.") from error
    except (KeyError, TypeError, AttributeError) as error:  # of an upgrade
        raise InvalidModelFileError(f"{name!r} cannot be loaded: it lacks {error}.") from error
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
        estimator = rebuilt(document, arrays, given, build)
    except InvalidModelFileError as error:
        raise InvalidModelFileError(f"{name!r} cannot be loaded: {error}.") from error
    _warn_of_differences(estimator, document)
    return estimator


def _warn_of_differences(estimator: BaseAdversarialAutoencoder, document: dict[str, Any]) -> None:
    written_by = document["versions"]["sklearn-aae"]
    if written_by != _VERSION:
        warn_user(
            InconsistentVersionWarning(
                estimator_name=type(estimator).__name__,
                current_sklearn_version=_VERSION,
                original_sklearn_version=written_by,
            )
        )
    trained_on, device = document["net"]["device"], str(estimator.net_.device)
    if trained_on != device:
        warn_user(
            f"The model was trained on {trained_on}, which is not available here: it is loaded on "
            f"{device}.",
            UserWarning,
        )
