"""Operators in double precision, where torch's exporter or onnxruntime has float32 only.

Each function takes the arguments of torch's operator and gives values of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from onnx import helper, numpy_helper
from onnxscript import opset18 as op


def _constant(value: Any) -> Any:
    return op.Constant(value=numpy_helper.from_array(np.asarray(value)))


def _double(value: float) -> Any:
    return _constant(np.float64(value))


def _scalar(value: float, dtype: int = 1, **_: Any) -> Any:
    """A number of a dtype of ONNX, which torch's exporter would round to float32 first."""
    return _constant(np.array(value, helper.tensor_dtype_to_np_dtype(dtype)))


def _subtract_from(x: Any, y: float, alpha: float = 1) -> Any:
    scaled = x if alpha == 1 else op.Mul(x, _constant(np.array(alpha, x.dtype.numpy())))
    return op.Sub(_constant(np.array(y, x.dtype.numpy())), scaled)


def _leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    zero = _double(0)
    return op.Add(op.Max(x, zero), op.Mul(_double(negative_slope), op.Min(x, zero)))


def _elu(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    zero, one = _double(0), _double(1)
    below = op.Sub(op.Exp(op.Mul(_double(input_scale), op.Min(x, zero))), one)
    return op.Mul(_double(scale), op.Add(op.Max(x, zero), op.Mul(_double(alpha), below)))


def _selu(x: Any) -> Any:
    return _elu(x, alpha=1.6732632423543772, scale=1.0507009873554805)


def _softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    scaled = op.Mul(x, _double(beta))
    rest = op.Log(op.Add(_double(1), op.Exp(op.Neg(op.Abs(scaled)))))
    value = op.Div(op.Add(op.Max(scaled, _double(0)), rest), _double(beta))
    return op.Where(op.Greater(scaled, _double(threshold)), x, value)


def _mish(x: Any) -> Any:
    return op.Mul(x, op.Tanh(_softplus(x)))


def _erf(x: Any) -> Any:
    """2 x / sqrt(pi) times the integral of exp(-x² t²) over t from 0 to 1, by Gauss and Legendre.

    Beyond 6 the function is 1 to the last digit, and up to there 40 nodes are exact.
    """
    x = op.Clip(x, _double(-6), _double(6))
    negative_square = op.Neg(op.Mul(x, x))
    nodes, weights = np.polynomial.legendre.leggauss(40)
    total = _double(0)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        value = op.Exp(op.Mul(negative_square, _double(node**2)))
        total = op.Add(total, op.Mul(_double(weight), value))
    return op.Mul(op.Mul(_double(2 / np.sqrt(np.pi)), x), total)


def _gelu(x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        cube = op.Mul(op.Mul(x, x), x)
        inner = op.Mul(_double(np.sqrt(2 / np.pi)), op.Add(x, op.Mul(_double(0.044715), cube)))
        distribution = op.Tanh(inner)
    else:
        distribution = _erf(op.Mul(x, _double(np.sqrt(0.5))))
    return op.Mul(op.Mul(_double(0.5), x), op.Add(_double(1), distribution))


def _convolution(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    transposed: bool = False,
    output_padding: Sequence[int] = (0,),
    groups: int = 1,
) -> Any:
    """A convolution as a matrix product with the values under the kernel at each place."""
    if groups != 1:
        raise ValueError("convolutions in groups are not made in double precision")
    n_in, *sizes = (int(n) for n in x.shape[1:])
    kernel = [int(n) for n in weight.shape[2:]]
    n_out = int(weight.shape[1 if transposed else 0])
    axes = [
        _under_kernel(size, k, s, p, d, transposed, extra)
        for size, k, s, p, d, extra in zip(
            sizes,
            kernel,
            *(_each(v, len(sizes)) for v in (stride, padding, dilation, output_padding)),
            strict=True,
        )
    ]
    # Positions in a row of all values, whose last one is an added 0; -1 is that one.
    position = np.arange(n_in)[:, None, None]
    inside = np.ones((1, 1, 1), dtype=bool)
    for size, axis in zip(sizes, axes, strict=True):
        n, length, k = position.shape
        position = position[:, :, None, :, None] * size + axis[None, None, :, None, :]
        inside = inside[:, :, None, :, None] & (axis >= 0)[None, None, :, None, :]
        position = position.reshape(n, length * len(axis), k * axis.shape[1])
        inside = inside.reshape(1, length * len(axis), k * axis.shape[1])
    position = np.where(inside, position, n_in * np.prod(sizes)).transpose(1, 0, 2)
    position = position.reshape(len(position), -1)
    values = op.Pad(op.Flatten(x, axis=1), _constant(np.array([0, 0, 0, 1])))
    under = op.Gather(values, _constant(position), axis=1)  # (n, places, channels * kernel)
    perm = [1, 0, *range(2, 2 + len(sizes))]
    channels_first = weight if transposed else op.Transpose(weight, perm=perm)
    # (n_in, n_out, kernel) to (n_in, kernel, n_out)
    flat = op.Reshape(channels_first, _constant(np.array([n_in, n_out, -1])))
    matrix = op.Reshape(op.Transpose(flat, perm=[0, 2, 1]), _constant(np.array([-1, n_out])))
    out = op.MatMul(under, matrix)
    if bias is not None:
        out = op.Add(out, bias)
    shape = np.array([-1, n_out, *(len(axis) for axis in axes)])
    return op.Reshape(op.Transpose(out, perm=[0, 2, 1]), _constant(shape))


def _each(values: Sequence[int], n: int) -> list[int]:
    return list(values) * (n if len(values) == 1 else 1)


def _under_kernel(
    size: int, kernel: int, stride: int, padding: int, dilation: int, transposed: bool, extra: int
) -> np.ndarray:
    """Along one axis: what is under each value of the kernel at each place; -1 for nothing."""
    offset = dilation * np.arange(kernel)
    if transposed:
        n_places = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1
        spread = np.arange(n_places)[:, None] + padding - offset
        position, on_value = spread // stride, spread % stride == 0
    else:
        n_places = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        position = stride * np.arange(n_places)[:, None] - padding + offset
        on_value = np.ones_like(position, dtype=bool)
    return np.where(on_value & (position >= 0) & (position < size), position, -1)


def _conv(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Any:
    return _convolution(x, weight, bias, stride, padding, dilation, groups=groups)


_aten = torch.ops.aten
# Also where rows are in float32: scores are in double precision.
NUMBERS: dict[Any, Callable[..., Any]] = {
    _aten.scalar_tensor.default: _scalar,
    _aten.rsub.Scalar: _subtract_from,
}
IN_DOUBLE: dict[Any, Callable[..., Any]] = {
    _aten.leaky_relu.default: _leaky_relu,
    _aten.elu.default: _elu,
    _aten.selu.default: _selu,
    _aten.softplus.default: _softplus,
    _aten.mish.default: _mish,
    _aten.erf.default: _erf,
    _aten.gelu.default: _gelu,
    _aten.convolution.default: _convolution,
    _aten.conv1d.default: _conv,
    _aten.conv2d.default: _conv,
}
