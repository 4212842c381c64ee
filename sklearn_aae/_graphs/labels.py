"""Labels at both ends of a graph: torch has no strings, so these nodes are put there by hand."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Types that graphs have labels of, by kind of NumPy's dtypes.
_KINDS = {"i": np.int64, "u": np.int64, "f": np.float64, "b": np.bool_}


def storable(classes: np.ndarray) -> np.ndarray:
    """Classes as a graph can hold them; ValueError where it cannot."""
    if classes.dtype.kind in _KINDS:
        return classes.astype(_KINDS[classes.dtype.kind])
    if all(isinstance(label, str) for label in classes.tolist()):
        return classes.astype(object)
    raise ValueError(
        f"classes_={classes.tolist()} are neither numbers nor strings, and ONNX has no other "
        "labels. Encode them, for example with sklearn.preprocessing.LabelEncoder, before fit."
    )


def from_positions(model: onnx.ModelProto, output: str, classes: np.ndarray) -> None:
    """Let an output of positions among the classes be the classes."""
    graph = model.graph
    inner = f"{output}_position"
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = inner if name == output else name
    (info,) = (o for o in graph.output if o.name == output)
    info.type.tensor_type.elem_type = _type_of(classes)
    graph.initializer.append(numpy_helper.from_array(classes, "classes"))
    graph.node.append(helper.make_node("Gather", ["classes", inner], [output], name="label_of"))


def to_indicators(model: onnx.ModelProto, name: str, classes: np.ndarray) -> None:
    """Let an input of one bool for each class be one of labels."""
    graph = model.graph
    inner = f"{name}_is_class"
    for node in graph.node:
        for i, used in enumerate(node.input):
            node.input[i] = inner if used == name else used
    (info,) = (value for value in graph.input if value.name == name)
    info.type.tensor_type.elem_type = _type_of(classes)
    del info.type.tensor_type.shape.dim[1:]
    graph.initializer.append(numpy_helper.from_array(classes, "classes"))
    graph.initializer.append(numpy_helper.from_array(np.array([1]), f"{name}_axis"))
    for node in (
        helper.make_node("Equal", [f"{name}_column", "classes"], [inner], name=f"{name}_equal"),
        helper.make_node(
            "Unsqueeze", [name, f"{name}_axis"], [f"{name}_column"], name=f"{name}_unsqueeze"
        ),
    ):
        graph.node.insert(0, node)


def _type_of(classes: np.ndarray) -> int:
    if classes.dtype == object:
        return TensorProto.STRING
    return helper.np_dtype_to_tensor_dtype(classes.dtype)
