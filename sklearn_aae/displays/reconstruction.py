"""Rows and what the autoencoder makes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import mean_squared_error

from sklearn_aae.displays.drawing import (
    COLORS,
    REFERENCE,
    as_images,
    check_count,
    check_estimator,
    check_no_columns,
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
    number_text,
    panel_axes,
    point_size,
    resolve_image_shape,
)


class ReconstructionDisplay:
    """Rows beside their reconstructions: images, or column against column.

    Make it with `from_estimator` or, for reconstructions at hand, `from_predictions`.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Original rows.
    X_reconstructed : ndarray of shape (n_samples, n_features)
        Their reconstructions, in the same units.
    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) where rows are images.
    feature_names : sequence of str or None, default=None
        Names of the columns; None: x0, x1, ...

    Attributes
    ----------
    mean_squared_error : float
        Of all values, in squared units of X.
    image_ : matplotlib AxesImage or None
        Originals above reconstructions, as one montage.
    scatters_ : list of matplotlib PathCollection
        Points of each column; empty for images.
    texts_ : list of matplotlib Text
        Error of each column; empty for images, whose errors are ticks.
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        (1, 1) for images, else one for each column.
    ax_ : matplotlib Axes
        The first of `axes_`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.displays import ReconstructionDisplay
    >>> X = np.arange(12.0).reshape(3, 4)
    >>> display = ReconstructionDisplay.from_predictions(X, X + 1, image_shape=(2, 2))
    >>> display.mean_squared_error
    1.0
    """

    def __init__(
        self,
        *,
        X: np.ndarray,
        X_reconstructed: np.ndarray,
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.X = X
        self.X_reconstructed = X_reconstructed
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.mean_squared_error = float(mean_squared_error(X, X_reconstructed))

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        image_shape: Sequence[int] | None = None,
        columns: Any = None,
        n_images: int = 10,
        ax: Any = None,
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Reconstruct rows and draw them.

        Parameters
        ----------
        estimator : estimator with `reconstruct`
        X : array-like of shape (n_samples, n_features)
            Rows to reconstruct. The error is that of all of them.
        image_shape : tuple of int, default=None
            (height, width) or (channels, height, width); None: the estimator's.
        columns, n_images, ax, **kwargs
            As in `plot`.

        Returns
        -------
        display : ReconstructionDisplay
        """
        caller = "ReconstructionDisplay.from_estimator"
        import_pyplot(caller)
        check_estimator(estimator, caller, ["reconstruct"])
        original = checked_rows(X, "X")
        shape = resolve_image_shape(image_shape, original.shape[1], estimator)
        names = names_of_features(original.shape[1], estimator, X)
        column_positions(columns, names, 1)
        display = cls(
            X=original,
            X_reconstructed=checked_rows(estimator.reconstruct(X), "the reconstruction"),
            image_shape=shape,
            feature_names=names,
        )
        return display.plot(ax, columns=columns, n_images=n_images, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        X_reconstructed: Any,
        *,
        image_shape: Sequence[int] | None = None,
        columns: Any = None,
        n_images: int = 10,
        ax: Any = None,
        **kwargs: Any,
    ) -> ReconstructionDisplay:
        """Draw rows and their reconstructions.

        Parameters
        ----------
        X, X_reconstructed : array-like of shape (n_samples, n_features)
            Original rows and reconstructions.
        image_shape : tuple of int, default=None
            (height, width) or (channels, height, width) where rows are images.
        columns, n_images, ax, **kwargs
            As in `plot`.

        Returns
        -------
        display : ReconstructionDisplay
        """
        import_pyplot("ReconstructionDisplay.from_predictions")
        original = checked_rows(X, "X")
        reconstructed = checked_rows(X_reconstructed, "X_reconstructed")
        if original.shape != reconstructed.shape:
            raise ValueError(
                "X and X_reconstructed must have the same shape, got "
                f"{original.shape} and {reconstructed.shape}."
            )
        display = cls(
            X=original,
            X_reconstructed=reconstructed,
            image_shape=image_shape,
            feature_names=names_of_features(original.shape[1], X, X_reconstructed),
        )
        return display.plot(ax, columns=columns, n_images=n_images, **kwargs)

    def plot(
        self, ax: Any = None, *, columns: Any = None, n_images: int = 10, **kwargs: Any
    ) -> ReconstructionDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One for images. For columns one each, or one whose place they share. None: a new
            figure.
        columns : sequence of str or int, default=None
            Columns to draw, by name or position; None: the first six. Not for images.
        n_images : int, default=10
            The first rows to draw as images, as far as there are so many.
        **kwargs
            For `matplotlib.axes.Axes.imshow` or `scatter`.

        Returns
        -------
        self : ReconstructionDisplay

        Raises
        ------
        ValueError
            If `image_shape` does not fit the rows, or a column is not there.
        """
        plt = import_pyplot("ReconstructionDisplay.plot")
        n_features = self.X.shape[1]
        shape = resolve_image_shape(self.image_shape, n_features)
        self.image_: Any = None
        self.scatters_: list[Any] = []
        self.texts_: list[Any] = []
        if shape is not None:
            check_no_columns(columns)
            n_images = min(check_count(n_images, "n_images", 1), len(self.X))
            return self._plot_images(plt, ax, shape, n_images, kwargs)
        names = self.feature_names or names_of_features(n_features)
        return self._plot_columns(plt, ax, names, column_positions(columns, names, 6), kwargs)

    def _plot_images(
        self, plt: Any, ax: Any, shape: tuple[int, int, int], n: int, kwargs: Mapping[str, Any]
    ) -> ReconstructionDisplay:
        images = as_images(np.concatenate([self.X[:n], self.X_reconstructed[:n]]), shape)
        errors = np.square(self.X[:n] - self.X_reconstructed[:n]).mean(axis=1)
        self.axes_ = many_axes(plt, ax, (1, 1), (0.8 * n + 1.6, 2.4))
        self.ax_ = self.axes_[0, 0]
        self.figure_ = self.ax_.figure
        self.image_ = draw_montage(self.ax_, montage(images, n), color_range(images), kwargs)
        self.ax_.set_xticks(image_centers(n, shape[2]), [f"{error:.3g}" for error in errors])
        self.ax_.set_yticks(image_centers(2, shape[1]), ["original", "reconstruction"])
        self.ax_.set(
            xlabel="mean squared error of the image (squared units of X)",
            title=f"Mean squared error of {len(self.X)} images: {self.mean_squared_error:.3g}",
        )
        return self

    def _plot_columns(
        self, plt: Any, ax: Any, names: Sequence[str], columns: list[int], kwargs: Mapping[str, Any]
    ) -> ReconstructionDisplay:
        n_columns = min(3, len(columns))
        self.axes_ = panel_axes(plt, ax, len(columns), n_columns, (3.0, 3.0))
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        defaults = {"s": point_size(len(self.X)), "alpha": 0.6, "linewidths": 0, "color": COLORS[0]}
        style = merged_style("points", defaults, kwargs)
        for panel_ax, column in zip(self.axes_, columns, strict=True):
            original, reconstructed = self.X[:, column], self.X_reconstructed[:, column]
            panel_ax.axline(
                (original[0], original[0]), slope=1, color=REFERENCE, linewidth=0.8, zorder=1
            )
            self.scatters_.append(panel_ax.scatter(original, reconstructed, **style))
            text = _error_text(original, reconstructed)
            corner = {"va": "top", "fontsize": "small", "transform": panel_ax.transAxes}
            self.texts_.append(panel_ax.text(0.04, 0.97, text, **corner))
            self.texts_[-1].set_bbox({"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1})
            panel_ax.set(
                title=names[column],
                xlabel="original (units of X)",
                ylabel="reconstruction (units of X)",
            )
            panel_ax.spines[["top", "right"]].set_visible(False)
        return self


def _error_text(original: np.ndarray, reconstructed: np.ndarray) -> str:
    """Error of a column in its units and, where it varies, the share of variance explained."""
    squared_error = np.square(original - reconstructed).mean()
    lines = [f"RMSE {number_text(math.sqrt(squared_error))}"]
    variance = original.var()
    if variance > 0:
        lines.append(f"R² {number_text(1 - squared_error / variance)}")
    return "\n".join(lines)
