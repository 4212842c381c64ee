"""Rows decoded on a walk through the codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from sklearn_aae.displays.drawing import (
    COLORS,
    as_images,
    check_count,
    check_estimator,
    check_no_columns,
    checked_dimensions,
    checked_rows,
    color_range,
    column_positions,
    draw_montage,
    image_centers,
    import_pyplot,
    many_axes,
    merged_style,
    montage,
    names_of_features,
    percent_text,
    resolve_image_shape,
)
from sklearn_aae.displays.prior_contours import N_QUANTILE_DRAWS, prior_draws


class TraversalDisplay:
    """What the decoder makes of codes on a walk through the prior.

    Make it with `from_estimator`.

    Parameters
    ----------
    decoded : ndarray of shape (n_rows, n_steps, n_features)
        Decoded codes. ``kind="rows"``: a row for each of `dimensions`, along which that dimension
        alone changes. ``kind="manifold"``: rows for steps of the second of the two dimensions,
        columns for steps of the first.
    steps : ndarray of shape (n_dimensions, n_steps)
        Values that each dimension takes.
    quantiles : ndarray of shape (n_steps,)
        The quantiles of the prior that they are.
    dimensions : sequence of int
        Dimensions of the code.
    kind : {"rows", "manifold"}, default="rows"
    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) where rows are images.
    feature_names : sequence of str or None, default=None
        Names of the columns; None: x0, x1, ...

    Attributes
    ----------
    image_ : matplotlib AxesImage or None
        Montage of decoded images; the rows of a manifold go upwards.
    lines_ : ndarray of matplotlib Line2D of shape (n_dimensions, n_columns)
        Decoded columns; empty for images.
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        (1, 1) for images, else (n_dimensions, n_columns).
    ax_ : matplotlib Axes
        The first of `axes_`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> from sklearn_aae.displays import TraversalDisplay
    >>> X = load_iris().data
    >>> model = AdversarialAutoencoder(n_components=2, max_iter=3, random_state=0).fit(X)
    >>> TraversalDisplay.from_estimator(model, n_steps=5).decoded.shape
    (2, 5, 4)
    """

    def __init__(
        self,
        *,
        decoded: np.ndarray,
        steps: np.ndarray,
        quantiles: np.ndarray,
        dimensions: Sequence[int],
        kind: str = "rows",
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.decoded = decoded
        self.steps = steps
        self.quantiles = quantiles
        self.dimensions = dimensions
        self.kind = kind
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        y: Any = None,
        kind: str = "auto",
        dimensions: Sequence[int] | None = None,
        n_steps: int | None = None,
        quantile_range: Sequence[float] = (0.05, 0.95),
        image_shape: Sequence[int] | None = None,
        columns: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> TraversalDisplay:
        """Walk through the prior and decode.

        Parameters
        ----------
        estimator : estimator with `inverse_transform` and `prior_`; with `X`, `transform`
        X : array-like of shape (1, n_features), default=None
            A row from whose code the walks depart. None: the prior's median in every dimension.
        y : label, default=None
            Label to decode with, for estimators whose `inverse_transform` takes one.
        kind : {"auto", "rows", "manifold"}, default="auto"
            One dimension at a time, or a grid over two dimensions. "auto": the grid for images of a
            code with two dimensions.
        dimensions : sequence of int, default=None
            Dimensions of the code, from 0; None: the first ten, or the first two for the grid.
        n_steps : int, default=None
            Steps along a dimension, at least 2; None: 19, but 7 for rows of
            images.
        quantile_range : pair of float, default=(0.05, 0.95)
            Quantiles of the prior, dimension by dimension, that a walk goes from and to,
            increasing in (0, 1); found among 20,000 draws.
        image_shape : tuple of int, default=None
            (height, width) or (channels, height, width); None: the estimator's.
        columns, ax, **kwargs
            As in `plot`.

        Returns
        -------
        display : TraversalDisplay

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        caller = "TraversalDisplay.from_estimator"
        import_pyplot(caller)
        needed = ["inverse_transform", "prior_", "n_features_in_"]
        check_estimator(estimator, caller, needed if X is None else [*needed, "transform"])
        n_features = estimator.n_features_in_
        shape = resolve_image_shape(image_shape, n_features, estimator)
        names = names_of_features(n_features, estimator, X)
        column_positions(columns, names, 1)
        quantile_range = tuple(quantile_range)
        if not (
            len(quantile_range) == 2
            and all(isinstance(q, Real) for q in quantile_range)
            and 0 < quantile_range[0] < quantile_range[1] < 1
        ):
            raise ValueError(
                f"quantile_range must be two increasing numbers in (0, 1), got {quantile_range!r}."
            )
        draws = prior_draws(estimator.prior_, N_QUANTILE_DRAWS)
        width = draws.shape[1]
        if kind not in ("auto", "rows", "manifold"):
            raise ValueError(f'kind must be "auto", "rows" or "manifold", got {kind!r}.')
        if kind == "auto":
            n_chosen = width if dimensions is None else len(dimensions)
            kind = "manifold" if shape and width == n_chosen == 2 else "rows"
        n_default = 2 if kind == "manifold" else 10
        chosen = checked_dimensions(
            range(min(n_default, width)) if dimensions is None else dimensions, width
        )
        if kind == "manifold" and (shape is None or len(chosen) != 2):
            raise ValueError(
                'kind="manifold" is a grid of images over two dimensions, got '
                f'image_shape={shape} and dimensions={chosen}. Pass both, or kind="rows".'
            )
        if n_steps is None:
            n_steps = 7 if shape and kind == "rows" else 19
        quantiles = np.linspace(*quantile_range, check_count(n_steps, "n_steps", 2))
        if X is None:
            start = np.median(draws, axis=0)
        else:
            if len(checked_rows(X, "X")) != 1:
                raise ValueError(f"X must be one row to depart from, got {len(X)}.")
            start = np.asarray(estimator.transform(X))[0]
            if len(start) != width:
                raise ValueError(
                    f"The prior has {width} dimensions, and the code of X {len(start)}. Leave X "
                    "out."
                )
        steps = np.quantile(draws[:, chosen], quantiles, axis=0).T
        codes = _walks(start, chosen, steps, kind)
        flat = codes.reshape(-1, width)
        labels = [] if y is None else [np.full(len(flat), y)]
        decoded = np.asarray(estimator.inverse_transform(flat, *labels))
        display = cls(
            decoded=decoded.reshape(*codes.shape[:2], n_features),
            steps=steps,
            quantiles=quantiles,
            dimensions=chosen,
            kind=kind,
            image_shape=shape,
            feature_names=names,
        )
        return display.plot(ax, columns=columns, **kwargs)

    def plot(self, ax: Any = None, *, columns: Any = None, **kwargs: Any) -> TraversalDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One for images. For tables one for each dimension and column, or one whose place they
            share. None: a new figure.
        columns : sequence of str or int, default=None
            Columns to draw, by name or position; None: the first four. Not for images.
        **kwargs
            For `matplotlib.axes.Axes.imshow` or `plot`.

        Returns
        -------
        self : TraversalDisplay
        """
        plt = import_pyplot("TraversalDisplay.plot")
        n_features = self.decoded.shape[-1]
        shape = resolve_image_shape(self.image_shape, n_features)
        self.image_, self.lines_ = None, np.empty((0, 0), dtype=object)
        if shape is not None:
            check_no_columns(columns)
            self._plot_images(plt, ax, shape, kwargs)
        else:
            names = self.feature_names or names_of_features(n_features)
            self._plot_columns(plt, ax, names, column_positions(columns, names, 4), kwargs)
        self.ax_ = self.axes_[0, 0]
        self.figure_ = self.ax_.figure
        return self

    def _plot_images(
        self, plt: Any, ax: Any, shape: tuple[int, int, int], kwargs: Mapping[str, Any]
    ) -> None:
        n_rows, n_steps = self.decoded.shape[:2]
        manifold = self.kind == "manifold"
        rows = self.decoded[::-1] if manifold else self.decoded  # larger values further up
        images = as_images(rows.reshape(n_rows * n_steps, -1), shape)
        tile = 0.35 if manifold else 0.6
        size = (tile * n_steps * shape[2] / shape[1] + 1.2, tile * n_rows + 1.0)
        self.axes_ = many_axes(plt, ax, (1, 1), size)
        panel_ax = self.axes_[0, 0]
        canvas = montage(images, n_steps)
        self.image_ = draw_montage(panel_ax, canvas, color_range(images), kwargs)
        ticks = _some(n_steps, 7)
        percent = [percent_text(q) for q in self.quantiles]
        panel_ax.set_xticks(image_centers(n_steps, shape[2])[ticks], [percent[i] for i in ticks])
        row_centers = image_centers(n_rows, shape[1])
        if manifold:
            first, second = self.dimensions
            panel_ax.set_yticks(row_centers[::-1][ticks], [percent[i] for i in ticks])
            panel_ax.set(
                xlabel=f"dimension {first} of the code\n(quantile of the prior)",
                ylabel=f"dimension {second} of the code\n(quantile of the prior)",
            )
        else:
            panel_ax.set_yticks(row_centers, [str(d) for d in self.dimensions])
            panel_ax.set(xlabel="quantile of the prior", ylabel="dimension of the code")

    def _plot_columns(
        self, plt: Any, ax: Any, names: Sequence[str], columns: list[int], kwargs: Mapping[str, Any]
    ) -> None:
        shape = len(self.dimensions), len(columns)
        self.axes_ = many_axes(plt, ax, shape, (2.6 * shape[1], 1.7 * shape[0] + 0.5))
        self.lines_ = np.empty(shape, dtype=object)
        style = merged_style("line", {"color": COLORS[0], "linewidth": 2}, kwargs)
        for i, dimension in enumerate(self.dimensions):
            for j, column in enumerate(columns):
                panel_ax = self.axes_[i, j]
                values = self.decoded[i, :, column]
                (self.lines_[i, j],) = panel_ax.plot(100 * self.quantiles, values, **style)
                panel_ax.spines[["top", "right"]].set_visible(False)
                # One scale for a column: a flat line is a dimension that does nothing to it.
                every = self.decoded[:, :, column]
                margin = 0.05 * (every.max() - every.min() or 1.0)
                panel_ax.set_ylim(every.min() - margin, every.max() + margin)
                if i == 0:
                    panel_ax.set_title(names[column])
                if j == 0:
                    panel_ax.set_ylabel(f"along dimension {dimension}:\ndecoded (units of X)")
                if i + 1 == shape[0]:
                    panel_ax.set_xlabel("quantile of the prior (%)")


def _walks(start: np.ndarray, dimensions: list[int], steps: np.ndarray, kind: str) -> np.ndarray:
    """Codes (n_rows, n_steps, n_components) from a start, as `TraversalDisplay` says."""
    n_dimensions, n_steps = steps.shape
    n_rows = n_steps if kind == "manifold" else n_dimensions
    codes = np.tile(start, (n_rows, n_steps, 1))
    if kind == "manifold":
        first, second = dimensions
        codes[:, :, first] = steps[0]
        codes[:, :, second] = steps[1][:, None]
    else:
        for row, dimension in enumerate(dimensions):
            codes[row, :, dimension] = steps[row]
    return codes


def _some(n: int, at_most: int) -> np.ndarray:
    """Up to `at_most` of n positions, evenly spaced, with both ends."""
    return np.unique(np.linspace(0, n - 1, min(n, at_most)).round().astype(int))
