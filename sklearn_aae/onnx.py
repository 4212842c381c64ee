"""Fitted estimators as ONNX models, which run without this package, torch and Python.

Needs the extra ``onnx``: ``pip install "sklearn-aae[onnx]"``.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sklearn_aae._graphs.methods import METHODS, Method
from sklearn_aae._graphs.parts import Parts
from sklearn_aae._graphs.tables import described as described_columns

if TYPE_CHECKING:
    import onnx

__all__ = ["register_converters", "to_onnx"]

# What torch's exporter writes, and what it writes unless asked.
_OLDEST_OPSET, _DEFAULT_OPSET = 18, 20
# Labels given as strings are compared from this one on.
_OPSET_OF_STRINGS = 19


def to_onnx(
    model: Any,
    method: str = "score_samples",
    *,
    dtype: Any = np.float32,
    opset: int | None = None,
) -> onnx.ModelProto:
    """A method of a fitted estimator as an ONNX model.

    The model takes rows as the method does, in the units of `fit`, as many as there are: scaling,
    networks, densities and thresholds are all inside. Inputs have the names "X" (rows, float
    ``(n_samples, n_features_in_)``), "Z" (codes, float ``(n_samples, n_components_)``) and "y"
    (labels, ``(n_samples,)``: int64, float64, bool or strings, as `classes_` are). The metadata of
    the model say the version of this package, class, method, names of the columns and classes.

    A model that was fitted to a table takes and gives one number for each cell: of a date or a
    duration its seconds, of a boolean 1 or 0, of a category its position among "categories", from
    0, as the metadata entry "columns" (JSON) lists them for each column. NaN is a missing cell,
    and -1 a category that `fit` has not seen. Dates need ``dtype=numpy.float64``.

    Parameters
    ----------
    model : estimator of sklearn_aae
        Fitted. Networks of your own are exported as far as torch can.
    method : str, default="score_samples"
        "transform", "inverse_transform", "reconstruct" for all estimators; "score_samples",
        "decision_function", "predict" for `AdversarialAutoencoder`; "predict", "predict_proba" for
        classifier and clusterer, "predict_log_proba" for the classifier; "translate" for
        `ConditionalAdversarialAutoencoder`. What `sample` draws is not a function of rows.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Of rows, codes and networks. float64 gives the answers of the estimator for float64 rows,
        float32 those for float32 rows, at half of the size.
    opset : int, default=None
        Version of ONNX's operators, at least 18; None for 20.

    Returns
    -------
    onnx_model : onnx.ModelProto
        ``onnx_model.SerializeToString()`` is what ``onnxruntime.InferenceSession`` takes.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is none of this package.
    ValueError
        If it has no such method, `dtype` or `opset` are out of their range, labels are neither
        numbers nor strings, or a network cannot be exported, which is named.
    ImportError
        If the extra ``onnx`` is not installed.

    Notes
    -----
    Labels that `fit` has not seen make NaN, since a graph raises no errors. So do missing cells of
    models that were fitted to rows without any; infinite values are not refused: check rows before.

    Examples
    --------
    >>> import numpy as np
    >>> import onnxruntime
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> from sklearn_aae.onnx import to_onnx
    >>> X = load_iris().data
    >>> model = AdversarialAutoencoder(max_iter=5, random_state=0).fit(X)
    >>> onnx_model = to_onnx(model, "transform", dtype=np.float64)
    >>> session = onnxruntime.InferenceSession(onnx_model.SerializeToString())
    >>> (Z,) = session.run(None, {"X": X})
    >>> bool(np.allclose(Z, model.transform(X), rtol=1e-9))
    True
    """
    _check_installed("onnx", "onnxscript", "onnxruntime")
    builders = METHODS.get(type(model))
    if builders is None:
        known = sorted(cls.__name__ for cls in METHODS)
        raise TypeError(
            f"to_onnx takes a fitted estimator of {known}, got {type(model).__name__}. For "
            "pipelines, call register_converters() and then skl2onnx.to_onnx."
        )
    if method not in builders:
        raise ValueError(
            f"method={method!r} is none that {type(model).__name__} has as a graph. Use one of "
            f"{sorted(builders)}."
        )
    opset = _checked_opset(opset)
    numpy_dtype = _checked_dtype(dtype)
    check_is_fitted(model, "net_")
    parts = Parts(model, numpy_dtype)
    made = builders[method](parts)
    onnx_model = _exported(made, parts, opset)
    _put_labels(onnx_model, made, model, opset)
    _describe(onnx_model, model, method)
    _check_loads(onnx_model, parts)
    return onnx_model


def register_converters() -> None:
    """Let skl2onnx convert the estimators, and pipelines and column transformers with them.

    Each of them becomes what it does in a pipeline: `AdversarialAutoencoder` and
    `ConditionalAdversarialAutoencoder` what `transform` gives, the classifier and the clusterer
    labels and probabilities. The option "method" of skl2onnx asks for another method that takes
    rows, for example for a pipeline that ends in an outlier detector,
    ``options={AdversarialAutoencoder: {"method": "score_samples"}}``.

    Raises
    ------
    ImportError
        If the extra ``onnx`` is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import skl2onnx
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> from sklearn_aae.onnx import register_converters
    >>> register_converters()
    >>> X, y = load_iris(return_X_y=True)
    >>> pipeline = make_pipeline(
    ...     StandardScaler(),
    ...     AdversarialAutoencoder(max_iter=5, random_state=0),
    ...     LogisticRegression(),
    ... ).fit(X, y)
    >>> onnx_model = skl2onnx.to_onnx(pipeline, X[:1].astype(np.float32))
    >>> [output.name for output in onnx_model.graph.output]
    ['output_label', 'output_probability']
    """
    _check_installed("onnx", "onnxscript", "onnxruntime", "skl2onnx")
    from sklearn_aae._graphs.converters import register

    register(to_onnx)


class _Graph(nn.Module):
    """A method as a module, with the networks as its own."""

    def __init__(self, method: Method, parts: Parts) -> None:
        super().__init__()
        self.networks = parts.modules
        self._function = method.function

    def forward(self, *tensors: Tensor) -> Tensor:
        return self._function(*tensors)


def _exported(method: Method, parts: Parts, opset: int) -> onnx.ModelProto:
    # Two rows: one, and none, would be taken for a constant.
    examples = {
        "X": torch.zeros(2, parts.model.n_features_in_, dtype=parts.dtype),
        "Z": torch.zeros(2, parts.model.n_components_, dtype=parts.dtype),
        "y": torch.zeros(2, parts.autoencoder.n_classes, dtype=torch.bool),
    }
    given = tuple(examples[name] for name in method.inputs)
    problem = None
    try:
        onnx_model = _export(_Graph(method, parts).eval(), given, method, opset)
    except Exception as error:  # a user's network may raise anything
        problem = error
    if problem is None and _has_any_number_of_rows(onnx_model):
        return onnx_model
    raise ValueError(_what_fails(parts, opset, problem)) from problem


def _export(
    module: nn.Module, given: tuple[Tensor, ...], method: Method | None, opset: int
) -> onnx.ModelProto:
    from sklearn_aae._graphs.operators import IN_DOUBLE, NUMBERS

    in_double = any(t.dtype == torch.float64 for t in given)
    rows = torch.export.Dim("n_samples")
    with _quiet():
        program = torch.onnx.export(
            module,
            given,
            input_names=None if method is None else method.inputs,
            output_names=None if method is None else [method.output],
            dynamic_shapes=(tuple({0: rows} for _ in given),),
            custom_translation_table=NUMBERS | (IN_DOUBLE if in_double else {}),
            opset_version=opset,
            dynamo=True,
            # onnxruntime does the same when it loads a model, in a hundredth of the time.
            optimize=False,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _has_any_number_of_rows(onnx_model: onnx.ModelProto) -> bool:
    ends = [*onnx_model.graph.input, *onnx_model.graph.output]
    return all(value.type.tensor_type.shape.dim[0].HasField("dim_param") for value in ends)


def _what_fails(parts: Parts, opset: int, error: Exception | None) -> str:
    """Message that names the network that cannot be exported on its own."""
    autoencoder, model = parts.autoencoder, parts.model
    n, k, c = model.n_features_in_, model.n_components_, autoencoder.n_classes
    widths = {
        "encoder": autoencoder.encoder_widths(n, k, autoencoder.posterior, c)[0],
        "decoder": autoencoder.decoder_width(k, c),
    }
    for name, width in widths.items():
        given = (torch.zeros(2, width, dtype=parts.dtype),)
        module = getattr(autoencoder, name)
        try:
            alone = _export(_Alone(module), given, None, opset)
            why = None if _has_any_number_of_rows(alone) else "it takes a fixed number of rows"
        except Exception as failure:
            why = str(failure).split("Exception summary")[-1].strip()[:500]
        if why is not None:
            return (
                f"{name}={type(module).__name__}: torch cannot export this network to ONNX with "
                f"opset={opset}: {why}. Use layers of torch whose shapes do not depend on values, "
                "or another opset."
            )
    return f"{type(model).__name__} cannot be exported with opset={opset}: {error}."


class _Alone(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.network(*tensors)


def _put_labels(onnx_model: onnx.ModelProto, method: Method, model: Any, opset: int) -> None:
    """Labels in place of positions and indicators."""
    takes_labels = "y" in method.inputs
    if not takes_labels and not method.gives_class:
        return
    from sklearn_aae._graphs.labels import from_positions, storable, to_indicators

    classes = storable(model.classes_)
    if takes_labels:
        if classes.dtype == object and opset < _OPSET_OF_STRINGS:
            raise ValueError(
                f"opset={opset} does not compare strings, and the labels are such. Use at least "
                f"{_OPSET_OF_STRINGS}."
            )
        to_indicators(onnx_model, "y", classes)
    else:
        from_positions(onnx_model, method.output, classes)


def _describe(onnx_model: onnx.ModelProto, model: Any, method: str) -> None:
    from onnx import helper

    names = getattr(model, "feature_names_in_", None)
    classes = getattr(model, "classes_", None)
    table = vars(model).get("_table")
    described = {
        "sklearn_aae_version": version("sklearn-aae"),
        "class": type(model).__name__,
        "method": method,
        **({} if names is None else {"feature_names": json.dumps(names.tolist())}),
        **({} if classes is None else {"classes": json.dumps(classes.tolist())}),
        **({} if table is None else {"columns": json.dumps(described_columns(table))}),
    }
    helper.set_model_props(onnx_model, described)
    onnx_model.producer_name = "sklearn-aae"
    onnx_model.producer_version = described["sklearn_aae_version"]


def _check_loads(onnx_model: onnx.ModelProto, parts: Parts) -> None:
    """Refuse what onnxruntime has no operators for."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(
            onnx_model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        networks = {type(getattr(parts.autoencoder, n)).__name__ for n in ("encoder", "decoder")}
        raise ValueError(
            f"onnxruntime does not run the model of {sorted(networks)} in {parts.dtype}: {error}. "
            "Use dtype=numpy.float32, or other layers."
        ) from error


def _checked_opset(opset: int | None) -> int:
    from onnx.defs import onnx_opset_version

    newest = onnx_opset_version()
    opset = _DEFAULT_OPSET if opset is None else opset
    if type(opset) is not int or not _OLDEST_OPSET <= opset <= newest:
        raise ValueError(
            f"opset={opset!r} must be an int from {_OLDEST_OPSET}, the oldest that torch writes, "
            f"to {newest}, the newest of the installed onnx; None for {_DEFAULT_OPSET}."
        )
    return opset


def _checked_dtype(dtype: Any) -> np.dtype[Any]:
    try:
        known = np.dtype(dtype)
    except TypeError:
        known = None
    if known not in (np.float32, np.float64):
        raise ValueError(f"dtype={dtype!r} must be numpy.float32 or numpy.float64.")
    return known


def _check_installed(*packages: str) -> None:
    from importlib.util import find_spec

    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"{', '.join(missing)} must be installed for sklearn_aae.onnx: "
            'pip install "sklearn-aae[onnx]"'
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Context in which torch does not speak of its own inside."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
