"""Converters for skl2onnx: graphs of ours among those of the other steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import skl2onnx
from onnx import ModelProto, helper, numpy_helper

# How skl2onnx parses its own classifiers, with or without a ZipMap. It has no public name.
from skl2onnx._parse import _parse_sklearn_classifier
from skl2onnx.common.data_types import (
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

from sklearn_aae._estimators.classifier import AdversarialAutoencoderClassifier
from sklearn_aae._estimators.clusterer import AdversarialAutoencoderClusterer
from sklearn_aae._estimators.conditional import ConditionalAdversarialAutoencoder
from sklearn_aae._graphs.methods import METHODS

_LABELS_AND_PROBABILITIES = ("predict", "predict_proba")
_ToOnnx = Callable[..., ModelProto]


def register(to_onnx: _ToOnnx) -> None:
    """Make the estimators known to skl2onnx."""
    for cls in METHODS:
        options: dict[str, Any] = {"method": None}
        if cls is AdversarialAutoencoderClassifier:
            options |= {"zipmap": [True, False, "columns"], "output_class_labels": [False, True]}
        skl2onnx.update_registered_converter(
            cls,
            f"SklearnAae{cls.__name__}",
            _set_shapes,
            lambda scope, operator, container: _convert(to_onnx, scope, operator, container),
            parser=_parse,
            options=options,
        )


def _methods(scope: Any, model: Any) -> tuple[str, ...]:
    """Methods whose results are the outputs of an operator, and of no other than rows."""
    chosen = scope.get_options(model, {"method": None}, fail=False)["method"]
    if chosen is None:
        both = isinstance(model, AdversarialAutoencoderClassifier | AdversarialAutoencoderClusterer)
        return _LABELS_AND_PROBABILITIES if both else ("transform",)
    cls = type(model)
    others = {"inverse_transform", "translate"}
    if isinstance(model, ConditionalAdversarialAutoencoder):
        others.add("reconstruct")
    allowed = sorted(METHODS[cls].keys() - others)
    if chosen not in allowed:
        raise ValueError(
            f"options: method={chosen!r} is none of {cls.__name__} that takes rows only. Use one "
            f"of {allowed}."
        )
    return (chosen,)


def _parse(scope: Any, model: Any, inputs: list[Any], custom_parsers: Any = None) -> list[Any]:
    """Declare the operator and its outputs."""
    methods = _methods(scope, model)
    if methods == _LABELS_AND_PROBABILITIES and isinstance(model, AdversarialAutoencoderClassifier):
        return _parse_sklearn_classifier(scope, model, inputs, custom_parsers=custom_parsers)
    operator = scope.declare_local_operator(f"SklearnAae{type(model).__name__}", model)
    operator.inputs = inputs
    names = {"predict": "label", "predict_proba": "probabilities"}
    for method in methods:
        name, kind = names.get(method, "variable"), _float_type(inputs)
        operator.outputs.append(scope.declare_local_variable(name, kind()))
    return operator.outputs


def _float_type(variables: list[Any]) -> Any:
    """Double where any input is; all others become float32."""
    doubles = [v for v in variables if isinstance(v.type, DoubleTensorType)]
    return DoubleTensorType if doubles else FloatTensorType


def _set_shapes(operator: Any) -> None:
    """Types and widths of the outputs of an operator."""
    model = operator.raw_operator
    methods = _methods(operator.scope_inst, model)
    n_rows = operator.inputs[0].type.shape[0] if operator.inputs[0].type.shape else None
    width = {
        "transform": getattr(model, "n_components_", None),
        "reconstruct": model.n_features_in_,
        "predict_proba": model.net_.module_.n_classes,
        "predict_log_proba": model.net_.module_.n_classes,
    }
    for method, variable in zip(methods, operator.outputs, strict=True):
        if method == "predict":
            strings = isinstance(model, AdversarialAutoencoderClassifier) and (
                model.classes_.dtype.kind in "OUS"
            )
            variable.type = (StringTensorType if strings else Int64TensorType)([n_rows])
        else:
            # Scores, in double precision whatever the rows are in, are as others have them.
            shape = [n_rows, width[method]] if method in width else [n_rows]
            kind = _float_type(operator.inputs)
            variable.type = kind(shape)


def _convert(to_onnx: _ToOnnx, scope: Any, operator: Any, container: Any) -> None:
    """Put the graphs of an operator's methods among the nodes of a container."""
    model, inputs = operator.raw_operator, operator.inputs
    kind = _float_type(inputs)
    is_double = kind is DoubleTensorType
    number = 11 if is_double else 1  # TensorProto.DOUBLE, FLOAT
    opset = container.target_opset_any_domain("")
    rows = []
    for variable in inputs:
        rows.append(scope.get_unique_variable_name("rows"))
        container.add_node("Cast", variable.full_name, rows[-1], to=number, op_version=13)
    if len(rows) > 1:
        joined = scope.get_unique_variable_name("rows")
        container.add_node("Concat", rows, joined, axis=1, op_version=13)
        rows = [joined]
    dtype = np.float64 if is_double else np.float32
    for method, variable in zip(_methods(scope, model), operator.outputs, strict=True):
        made = to_onnx(model, method, dtype=dtype, opset=opset)
        result = _put_among(scope, container, made, rows[0], opset)
        if method == "predict":
            container.add_node("Identity", result, variable.full_name, op_version=16)
        else:
            container.add_node("Cast", result, variable.full_name, to=number, op_version=13)


def _put_among(scope: Any, container: Any, model: ModelProto, rows: str, opset: int) -> str:
    """Nodes and weights of a model, under new names; the name of its output."""
    (given,), (result,) = model.graph.input, model.graph.output
    names = {given.name: rows, "": ""}

    def new(name: str) -> str:
        if name not in names:
            names[name] = scope.get_unique_variable_name(name)
        return names[name]

    for initializer in model.graph.initializer:
        container.initializers.append(
            numpy_helper.from_array(numpy_helper.to_array(initializer), new(initializer.name))
        )
    for node in model.graph.node:
        container.add_node(
            node.op_type,
            [new(name) for name in node.input],
            [new(name) for name in node.output],
            op_domain=node.domain,
            op_version=opset,
            name=scope.get_unique_operator_name(node.op_type),
            **{a.name: helper.get_attribute_value(a) for a in node.attribute},
        )
    return new(result.name)
