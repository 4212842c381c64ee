"""What the displays share: checks, images side by side, axes and styles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.validation import check_is_fitted

# Ten colours that people with the usual deficiencies tell apart (Petroff, 2021,
# https://arxiv.org/abs/2107.02270).
COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
MARKERS = ("o", "^", "s", "D", "v")
REFERENCE = "0.35"  # lines and points that data are compared with, a dark grey
CONTINUOUS = "viridis"

GAP = 1  # pixels between two images


# Checks ---------------------------------------------------------------------------------------


def import_pyplot(caller: str) -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib. Install it with: pip install 'sklearn-aae[plot]'"
        ) from error
    return plt


def check_estimator(estimator: Any, caller: str, needed: Sequence[str]) -> None:
    check_is_fitted(estimator)
    missing = [name for name in needed if not hasattr(estimator, name)]
    if missing:
        raise TypeError(
            f"{caller} needs a fitted estimator with {', '.join(needed)}; "
            f"{type(estimator).__name__} has no {', '.join(missing)}. Pass an estimator of "
            "sklearn_aae; of a Pipeline, its last step, and X as that step gets it."
        )


def _is_int(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_count(value: Any, name: str, minimum: int) -> int:
    if not _is_int(value) or value < minimum:
        raise ValueError(f"{name} must be an int of at least {minimum}, got {value!r}.")
    return int(value)


def checked_rows(X: Any, name: str) -> np.ndarray:
    return check_array(X, dtype=[np.float64, np.float32], input_name=name)


def checked_labels(y: Any, n_samples: int) -> np.ndarray:
    labels = column_or_1d(y)
    if len(labels) != n_samples:
        raise ValueError(
            f"y must have one label for each of the {n_samples} rows, got {len(labels)}."
        )
    assert_all_finite(labels, input_name="y")
    return labels


def names_of_features(n_features: int, *sources: Any) -> list[str]:
    """Names from the first fitted estimator or frame that has them, else x0, x1, ..."""
    for source in sources:
        for attribute in ("feature_names_in_", "columns"):
            names = getattr(source, attribute, None)
            if names is not None and len(names) == n_features:
                return [str(name) for name in names]
    return [f"x{i}" for i in range(n_features)]


def column_positions(columns: Any, names: Sequence[str], n_default: int) -> list[int]:
    """Positions of columns given by name or position; the first `n_default` if none are given."""
    if columns is None:
        return list(range(min(n_default, len(names))))
    chosen = [columns] if isinstance(columns, str) or _is_int(columns) else list(columns)
    positions = []
    for column in chosen:
        if isinstance(column, str) and column in names:
            positions.append(list(names).index(column))
        elif _is_int(column) and 0 <= column < len(names):
            positions.append(int(column))
        else:
            raise ValueError(
                f"columns must be names of features or ints from 0 to {len(names) - 1}, got "
                f"{column!r}. The names are {', '.join(names[:10])}{', ...' * (len(names) > 10)}."
            )
    if not positions:
        raise ValueError("columns is empty. Name at least one column, or leave it out.")
    return positions


def check_no_columns(columns: Any) -> None:
    if columns is not None:
        raise ValueError(
            f"columns={columns!r} are not drawn of images. Leave columns or image_shape out."
        )


def checked_dimensions(dimensions: Any, width: int) -> list[int]:
    """Check dimensions of the code against its width."""
    chosen = list(dimensions)
    valid = all(_is_int(d) and 0 <= d < width for d in chosen)
    if not chosen or not valid or len(set(chosen)) < len(chosen):
        raise ValueError(
            f"dimensions must be different ints from 0 to {width - 1}, the dimensions of the code, "
            f"got {dimensions!r}."
        )
    return [int(d) for d in chosen]


# Images ---------------------------------------------------------------------------------------


def resolve_image_shape(
    image_shape: Any, n_features: int, estimator: Any = None
) -> tuple[int, int, int] | None:
    """(channels, height, width) from the argument, else from the estimator, else None."""
    shape = image_shape if image_shape is not None else getattr(estimator, "image_shape", None)
    if shape is None:
        return None
    sizes = tuple(shape)
    sizes = (1, *sizes) if len(sizes) == 2 else sizes
    valid = len(sizes) == 3 and all(_is_int(s) and s > 0 for s in sizes)
    if not valid or math.prod(sizes) != n_features:
        raise ValueError(
            "image_shape must be (height, width) or (channels, height, width) with as many values "
            f"as a row has, {n_features}, got {shape!r}."
        )
    if sizes[0] not in (1, 3):
        raise ValueError(
            "image_shape: only images of 1 channel (grey) or 3 channels (red, green, blue) can be "
            f"drawn, got {shape!r}. Leave out the other channels, or pass image_shape=None to an "
            "estimator without one."
        )
    return int(sizes[0]), int(sizes[1]), int(sizes[2])


def as_images(X: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
    """Rows as images, (n, height, width) or (n, height, width, 3)."""
    images = X.reshape(-1, *image_shape)
    return images[:, 0] if image_shape[0] == 1 else np.moveaxis(images, 1, -1)


def montage(images: np.ndarray, n_columns: int, gap: int = GAP) -> np.ndarray:
    """Images side by side, row after row, with NaN in gaps and places without an image."""
    n, height, width = images.shape[:3]
    n_rows = -(-n // n_columns)
    size = (n_rows * (height + gap) - gap, n_columns * (width + gap) - gap)
    canvas = np.full((*size, *images.shape[3:]), np.nan)
    for index, image in enumerate(images):
        top, left = (index // n_columns) * (height + gap), (index % n_columns) * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def image_centers(n: int, size: int, gap: int = GAP) -> np.ndarray:
    """Where the middles of n images lie along an axis of a montage."""
    return np.arange(n) * (size + gap) + (size - 1) / 2


def color_range(*images: np.ndarray) -> tuple[float, float]:
    """Range of grey values or colours that holds all images, so that nothing is cut off."""
    low = min(float(np.nanmin(a)) for a in images)
    high = max(float(np.nanmax(a)) for a in images)
    if images[0].ndim == 4:  # colours are absolute where the usual scales hold them
        for top in (1.0, 255.0):
            if low >= 0 and high <= top:
                return 0.0, top
    return low, high if high > low else low + 1


def draw_montage(
    ax: Any,
    canvas: np.ndarray,
    value_range: tuple[float, float],
    style: Mapping[str, Any],
    **placement: Any,
) -> Any:
    """Draw a montage without frame and ticks; the AxesImage."""
    low, high = value_range
    if canvas.ndim == 3:
        opaque = ~np.isnan(canvas).any(axis=2, keepdims=True)
        scaled = (np.nan_to_num(canvas, nan=low) - low) / (high - low)
        canvas = np.concatenate([scaled, opaque], axis=2)
    defaults = {"cmap": "gray", "vmin": low, "vmax": high, "interpolation": "nearest"}
    image = ax.imshow(canvas, **{**defaults, **placement, **style})
    ax.set(xticks=[], yticks=[])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image


# Axes -----------------------------------------------------------------------------------------


def one_axes(plt: Any, ax: Any, size: tuple[float, float]) -> Any:
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")[1]
    return ax


def many_axes(
    plt: Any, ax: Any, shape: tuple[int, int], size: tuple[float, float], **ratios: Any
) -> np.ndarray:
    """Axes (n_rows, n_columns): new ones, those given, or a grid in the place of a single one."""
    n_rows, n_columns = shape
    if ax is None:
        figure, axes = plt.subplots(
            n_rows, n_columns, squeeze=False, figsize=size, layout="constrained", **ratios
        )
        figure.get_layout_engine().set(w_pad=0.08, h_pad=0.06)  # inches, twice the default
        return axes
    if isinstance(ax, np.ndarray | list | tuple):
        given = np.asarray(ax, dtype=object)
        if given.size != n_rows * n_columns:
            raise ValueError(
                f"ax: this plot has {n_rows} x {n_columns} panels, got {given.size} axes. Pass as "
                "many, or a single one, whose place they then share."
            )
        return given.reshape(shape)
    if shape == (1, 1):
        return np.array([[ax]], dtype=object)
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            "ax has no place in a grid that several panels could share. Pass axes made by "
            f"plt.subplots, or an array of {n_rows} x {n_columns} axes."
        )
    ax.set_axis_off()
    # A layout engine makes room for labels; without one there has to be some.
    if ax.figure.get_layout_engine() is None:
        ratios = {"wspace": 0.5, "hspace": 0.5, **ratios}
    return place.subgridspec(n_rows, n_columns, **ratios).subplots(squeeze=False)


def panel_axes(
    plt: Any, ax: Any, n_panels: int, n_columns: int, panel_size: tuple[float, float]
) -> np.ndarray:
    """Axes (n_panels,) in rows of n_columns, or the n_panels axes given."""
    if isinstance(ax, np.ndarray | list | tuple):
        return many_axes(plt, ax, (n_panels, 1), (1, 1)).ravel()
    shape = -(-n_panels // n_columns), n_columns
    grid = many_axes(plt, ax, shape, (panel_size[0] * shape[1], panel_size[1] * shape[0])).ravel()
    for unused in grid[n_panels:]:
        unused.remove()
    return grid[:n_panels]


def merged_style(
    artist: str, defaults: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Defaults overridden by what was given, whichever of matplotlib's spellings it used."""
    from matplotlib import cbook, collections, lines, patches

    kinds = {"line": lines.Line2D, "points": collections.PathCollection, "bars": patches.Polygon}
    return {**defaults, **cbook.normalize_kwargs(dict(given), kinds[artist])}


def point_size(n: int) -> float:
    """Area of a marker, in square points, at which n points leave each other room."""
    return float(np.clip(8000 / max(n, 1), 4, 30))


def percent_text(share: float) -> str:
    return f"{100 * share:.3g} %"


def number_text(value: float) -> str:
    """Three digits, and a minus sign as on matplotlib's axes."""
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
