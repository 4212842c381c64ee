"""What must hold of a fit, whatever was fitted: docs/design.md, "What must always hold"."""

import copy
import io
import pickle
import random
import re
import tempfile
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import joblib
import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
    load,
    save,
)
from sklearn_aae.persistence.schema import MODELS
from sklearn_aae.priors import Prior

NETWORKS = ("encoder", "decoder", "discriminator")

# A row's answer may differ between batches by rounding, relative to the largest answer.
ROUNDING = {np.dtype(np.float32): 1e-3, np.dtype(np.float64): 1e-9}


class ViolationError(AssertionError):
    """Something that must hold does not."""


def require(condition, message):
    if not condition:
        raise ViolationError(message)


# Errors and warnings.


# Messages of scikit-learn that name arrays in other words, and of torch about a user's network.
IN_OTHER_WORDS = [
    "Sample weights must contain at least one non-zero number",
    "Found input variables with inconsistent numbers of samples",
    "Unknown label type: continuous",
    "Expected more than 1 value per channel when training",
]


def names(estimator):
    """Parameters and arrays that a message may name."""
    parameters = estimator.get_params()
    classes = {type(v).__name__ for v in parameters.values() if isinstance(v, Prior)}
    return {*parameters, *classes, "X", "y", "X_val", "sample_weight"}


def is_documented(error, estimator):
    """Whether an error or warning is of a kind that is promised, and names what to change."""
    kinds = (ValueError, TypeError, MemoryError, ConvergenceWarning)
    words = set(re.findall(r"\w+", str(error)))
    known = words & names(estimator) or any(text in str(error) for text in IN_OTHER_WORDS)
    return isinstance(error, kinds) and bool(known)


def check_warnings(caught, estimator):
    for warning in caught:
        said = f"warning {type(warning).__name__}: {warning}, from {warning.__notes__}"
        require(is_documented(warning, estimator), said)


# States.


def global_generators():
    name, keys, *rest = np.random.get_state()  # noqa: NPY002  # that it is not used is checked
    return (
        name,
        keys.tobytes(),
        rest,
        torch.random.get_rng_state().numpy().tobytes(),
        random.getstate(),
    )


def described(parameters):
    """Parameters as bytes; a RandomState is advanced by fit, as in scikit-learn."""
    kept = {
        name: value
        for name, value in parameters.items()
        if not isinstance(value, np.random.RandomState)
    }
    return {name: joblib.hash(_plain(value)) for name, value in kept.items()}


def _plain(value):
    if isinstance(value, nn.Module):
        return repr(value), {name: t.numpy() for name, t in value.state_dict().items()}
    return repr(value) if isinstance(value, type) or callable(value) else value


def as_bytes(X):
    """Content of an array, list or frame."""
    array = np.asarray(X)
    # Numbers of more than 64 bits are padded with whatever was there.
    plain = array.dtype.kind in "biuf" and array.dtype.itemsize <= 8
    return array.tobytes() if plain else repr(array.tolist()).encode()


def weights(model):
    state = {**model.net_.module_.state_dict(), **model.net_.discriminators_.state_dict()}
    return {name: t.cpu().numpy().tobytes() for name, t in state.items()}


# Answers.


def row_answers(model, X):
    """Functions of rows to arrays of one answer for each row, by name."""
    functions = {"transform": model.transform}
    if isinstance(model, ConditionalAdversarialAutoencoder):
        label = model.classes_[-1]
        functions["reconstruct"] = lambda rows: model.reconstruct(rows, label)
        functions["translate"] = lambda rows: model.translate(rows, model.classes_[0])
    else:
        functions["reconstruct"] = model.reconstruct
    if isinstance(model, AdversarialAutoencoder):
        for name in ("score_samples", "feature_scores"):
            functions[name] = getattr(model, name)
    if isinstance(model, (AdversarialAutoencoderClassifier, AdversarialAutoencoderClusterer)):
        functions["predict_proba"] = model.predict_proba
    return functions


def answers(model, X):
    """Everything that the model says, by name, as arrays."""
    said = {name: function(X) for name, function in row_answers(model, X).items()}
    codes = said["transform"]
    said["inverse_transform"] = model.inverse_transform(codes)
    if isinstance(model, ConditionalAdversarialAutoencoder):
        said["sample"] = model.sample(3, y=model.classes_[0], random_state=0)
        said["inverse_transform of a class"] = model.inverse_transform(codes, model.classes_[0])
    else:
        sample = model.sample(3, random_state=0)
        said["sample"], *said["sampled labels"] = sample if isinstance(sample, tuple) else (sample,)
    if not isinstance(model, ConditionalAdversarialAutoencoder):
        said["predict"] = model.predict(X)
    if isinstance(model, AdversarialAutoencoder):
        said["interpolate"] = model.interpolate(X[:2], X[-2:], 3)
        said["score"] = model.score(X)
        said["decision_function"] = model.decision_function(X)
        if model._held_out_scores is not None:
            said["p_values"] = model.p_values(X)
    if isinstance(model, AdversarialAutoencoderClassifier):
        said["predict_log_proba"] = model.predict_log_proba(X)
    return {name: np.asarray(value) for name, value in said.items()}


def check_same_bits(said, others, what):
    for name, value in said.items():
        other = others[name]
        same = value.dtype == other.dtype and as_bytes(value) == as_bytes(other)
        require(same, f"{name} differs {what}")


def check_answers(model, said, n, dtype, given):
    """Shapes, dtypes, and that every number is finite."""
    k, width = model.n_components_, model.n_features_in_
    # Columns of a frame come back in the dtype they had; objects say nothing of what they hold.
    decoded = dtype
    if vars(model).get("_table") is not None:
        decoded = None if given.kind == "O" else given
    expected = {
        "transform": ((n, k), dtype),
        "reconstruct": ((n, width), decoded),
        "translate": ((n, width), decoded),
        "inverse_transform": ((n, width), decoded),
        "inverse_transform of a class": ((n, width), decoded),
        "sample": ((3, width), decoded),
        "score_samples": ((n,), np.float64),
        "decision_function": ((n,), np.float64),
        "feature_scores": ((n, width), np.float64),
        "p_values": ((n,), np.float64),
        "score": ((), np.float64),
        "predict": ((n,), None),
        "interpolate": ((min(n, 2), 3, width), decoded),
    }
    for name, value in said.items():
        shape, of_dtype = expected.get(name, (None, None))
        require(shape is None or value.shape == shape, f"{name} has shape {value.shape}")
        require(of_dtype is None or value.dtype == of_dtype, f"{name} has dtype {value.dtype}")
        if value.dtype.kind == "f":
            require(np.isfinite(value).all(), f"{name} holds NaN or infinity")
    if "predict_proba" in said:
        p = said["predict_proba"]
        require((p >= 0).all(), "a probability is negative")
        require(np.allclose(p.sum(axis=1), 1, atol=1e-5), "probabilities do not sum to 1")
    if "feature_scores" in said:
        require((said["feature_scores"] >= 0).all(), "a feature score is negative")
    if "p_values" in said:
        require(((said["p_values"] > 0) & (said["p_values"] <= 1)).all(), "no p-value")
    if isinstance(model, AdversarialAutoencoderClassifier):
        require(np.isin(said["predict"], model.classes_).all(), "predict leaves classes_")


def check_batches(model, X, said):
    """A row gets the same answer alone, in any batch and in any order."""
    order = np.random.RandomState(0).permutation(len(X))
    for name, function in row_answers(model, X).items():
        whole = said[name].astype(float)
        if name in ("reconstruct", "translate"):
            size = np.abs(whole).max(axis=0) + model._columns.scale
        else:
            size = np.abs(whole).max() + (name == "feature_scores")  # whose unit is 1
        tolerance = ROUNDING[X.dtype] * np.maximum(size, np.finfo(X.dtype).tiny)
        for what, rows in (("in another order", order), ("alone", order[:1])):
            difference = np.abs(np.asarray(function(X[rows]), dtype=float) - whole[rows])
            require((difference <= tolerance).all(), f"{name} of a row differs {what}")


def check_copies(model, said, X):
    """Pickles and saved files give the same bits; whether the model could be saved."""
    check_same_bits(said, answers(pickle.loads(pickle.dumps(model)), X), "after pickling")
    if type(model) not in MODELS:
        return False
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.safetensors"
        try:
            save(model, path)
        except (TypeError, ValueError) as error:
            require(is_documented(error, model), f"save: {error}")
            return False
        own = {name: getattr(model, name) for name in NETWORKS}
        loaded = load(path, **{name: value for name, value in own.items() if value is not None})
    check_same_bits(said, answers(loaded, X), "after loading")
    require(weights(loaded) == weights(model), "weights differ after loading")
    return True


def check_frames(model, said, X):
    """A deep copy with `set_output` has another container and names, and the same numbers."""
    framed = copy.deepcopy(model).set_output(transform="pandas")
    Z = framed.transform(X)
    require(list(Z.columns) == list(model.get_feature_names_out()), "names of a frame")
    require(Z.to_numpy().tobytes() == said["transform"].tobytes(), "numbers of a frame")


# One case.


def silent_fit(model, X, *arguments, **named):
    """Fit; the warnings, and the error if there was one."""
    with (
        warnings.catch_warnings(record=True) as caught,
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("always")
        try:
            model.fit(X, *arguments, **named)
        except Exception as error:
            return [located(w) for w in caught], error
    return [located(w) for w in caught], None


def located(caught):
    """The message of a warning, with a note of where it came from."""
    caught.message.add_note(f"{caught.filename}:{caught.lineno}")
    return caught.message


def check_fit(model, X, y=None, sample_weight=None, *, X_val=None, queries=None):
    """Fit, and check that what came of it is promised; returns it in a word or two.

    Parameters
    ----------
    model : estimator
        Not fitted.
    X : array-like
        Any container.
    y, sample_weight, X_val
        As `fit` takes them.
    queries : ndarray of shape (n, n_features), default=None
        Further rows that a fitted model has to answer for.
    """
    named = {} if X_val is None else {"X_val": X_val}
    given = [v for v in (X, y, sample_weight, X_val) if v is not None]
    contents = [as_bytes(v) for v in given]
    parameters, generators = described(model.get_params(deep=False)), global_generators()
    twin = clone(model)

    caught, error = silent_fit(model, X, y, sample_weight, **named)

    require(global_generators() == generators, "fit changed a global generator")
    require(described(model.get_params(deep=False)) == parameters, "fit changed a parameter")
    require([as_bytes(v) for v in given] == contents, "fit changed its input")
    check_warnings(caught, model)
    if error is not None:
        if not is_documented(error, model):
            raise ViolationError(f"{type(error).__name__}: {error}") from error
        learned = set(vars(model)) - set(model.get_params(deep=False))
        require(not learned, f"a fit that failed left {learned}")
        return f"{type(error).__name__}: {error}"

    native = np.asarray(X)
    dtype = np.float32 if native.dtype == np.float32 and native.dtype.isnative else np.float64
    rows = native.astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # A model fitted on a frame expects names, and warns without them.
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        said, saved = check_fitted(model, rows, dtype, native.dtype, queries)
        require(global_generators() == generators, "using the model changed a global generator")
        require(described(model.get_params(deep=False)) == parameters, "using it set a parameter")
        if not isinstance(model.random_state, (np.random.RandomState, type(None))):
            _, error = silent_fit(twin, X, y, sample_weight, **named)
            require(error is None, f"a second fit failed: {error}")
            require(weights(twin) == weights(model), "a second fit has other weights")
            same = repr(twin.history_) == repr(model.history_)
            require(same, "a second fit has another history")
            check_same_bits(said, answers(twin, rows), "after a second fit")
    return "fitted" + (", warned" if caught else "") + (", saved" if saved else "")


def check_fitted(model, rows, dtype, given, queries):
    said = answers(model, rows)
    check_answers(model, said, len(rows), dtype, given)
    check_batches(model, rows, said)
    if queries is not None:
        queries = queries.astype(dtype)
        check_answers(model, answers(model, queries), len(queries), dtype, given)
    require(model.n_iter_ >= 1, "n_iter_")
    lengths = {len(values) for values in model.history_.values()}
    require(lengths == {model.n_iter_}, f"history_ of lengths {lengths}")
    for name, values in model.history_.items():
        # Held-out rows may lie so far out, unscaled, that their loss is beyond float32.
        fine = not np.isnan(values).any() if name == "valid_loss" else np.isfinite(values).all()
        require(fine or model.early_stopping, f"history_ holds {name} {values}")
    if isinstance(model, AdversarialAutoencoder):
        require(np.isfinite(model.offset_), f"offset_ is {model.offset_}")
    require(np.isfinite(list(model.prior_match_.values())).all(), f"{model.prior_match_}")
    if isinstance(model, AdversarialAutoencoderClusterer):
        require(model.labels_.tolist() == model.predict(rows).tolist(), "labels_")
        require(model.cluster_sizes_.sum() == len(rows), "cluster_sizes_")
    check_frames(model, said, rows)
    repr(model)
    return said, check_copies(model, said, rows)
