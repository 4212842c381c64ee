"""Rows drawn from the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sklearn_aae.displays.drawing import (
    COLORS,
    GAP,
    as_images,
    check_estimator,
    check_no_columns,
    checked_labels,
    checked_rows,
    color_range,
    column_positions,
    draw_montage,
    import_pyplot,
    many_axes,
    merged_style,
    montage,
    names_of_features,
    point_size,
    resolve_image_shape,
)


class SampleDisplay:
    """Samples drawn from a model: images, or two columns against the data.

    Make it with `from_estimator`.

    Parameters
    ----------
    samples : ndarray of shape (n_samples, n_features)
        Drawn rows.
    X : ndarray of shape (n_rows, n_features) or None, default=None
        Data to compare with.
    y : ndarray of shape (n_samples,) or None, default=None
        Labels of the samples, written into images.
    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) where rows are images.
    feature_names : sequence of str or None, default=None
        Names of the columns; None: x0, x1, ...

    Attributes
    ----------
    images_ : list of matplotlib AxesImage
        Montages of samples and, with `X`, of data; empty for tables.
    scatters_ : list of matplotlib PathCollection
        Data, if given, and samples in two columns; empty for images and a single column.
    histograms_ : list of matplotlib artists
        Outlines of histograms, data before samples, column after column; empty for images.
    texts_ : list of matplotlib Text
        Labels of images.
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes
        Images: (1, n_panels). Two columns: (2, 2), histograms above and to the right. One column:
        (1, 1).
    ax_ : matplotlib Axes
        The panel of the sampled images, of the points, or of the single histogram.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.displays import SampleDisplay
    >>> display = SampleDisplay(samples=np.eye(4), image_shape=(2, 2)).plot()
    >>> len(display.images_)
    1
    """

    def __init__(
        self,
        *,
        samples: np.ndarray,
        X: np.ndarray | None = None,
        y: np.ndarray | None = None,
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.samples = samples
        self.X = X
        self.y = y
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        n_samples: int | None = None,
        y: Any = None,
        random_state: Any = None,
        image_shape: Sequence[int] | None = None,
        columns: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> SampleDisplay:
        """Sample and draw.

        Parameters
        ----------
        estimator : estimator with ``sample``
            Its samples may come with labels, as ``(X, y)``.
        X : array-like of shape (n_rows, n_features), default=None
            Data to compare with. Of images, as many as there are samples, from the first on.
        n_samples : int, default=None
            Number of samples. None: 36 images, as many rows as X has, or 500 without X.
        y : array-like of shape (n_samples,) or label, default=None
            Labels to sample, for estimators that take them.
        random_state : int, RandomState instance or None, default=None
            An int gives the same samples at every call.
        image_shape : tuple of int, default=None
            (height, width) or (channels, height, width); None: the estimator's.
        columns, ax, **kwargs
            As in `plot`.

        Returns
        -------
        display : SampleDisplay
        """
        caller = "SampleDisplay.from_estimator"
        import_pyplot(caller)
        check_estimator(estimator, caller, ["sample", "n_features_in_"])
        n_features = estimator.n_features_in_
        shape = resolve_image_shape(image_shape, n_features, estimator)
        data = None if X is None else checked_rows(X, "X")
        if data is not None and data.shape[1] != n_features:
            raise ValueError(
                f"X has {data.shape[1]} columns, and samples of {type(estimator).__name__} have "
                f"{n_features}. Pass the data that it was fitted on."
            )
        names = names_of_features(n_features, estimator, X)
        column_positions(columns, names, 2)
        if n_samples is None:
            n_samples = 36 if shape else 500 if data is None else len(data)
        options = (
            {"random_state": random_state} if y is None else {"random_state": random_state, "y": y}
        )
        drawn = estimator.sample(n_samples, **options)
        samples, labels = drawn if isinstance(drawn, tuple) else (drawn, y)
        samples = checked_rows(samples, "the sample")
        if labels is not None:
            labels = checked_labels(np.broadcast_to(labels, len(samples)), len(samples))
        display = cls(samples=samples, X=data, y=labels, image_shape=shape, feature_names=names)
        return display.plot(ax, columns=columns, **kwargs)

    def plot(self, ax: Any = None, *, columns: Any = None, **kwargs: Any) -> SampleDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One for each panel, or one whose place they share; None: a new figure.
        columns : sequence of one or two str or int, default=None
            Columns to draw, by name or position; None: the first two. Not for images.
        **kwargs
            For `matplotlib.axes.Axes.imshow`, for the samples' `scatter`, or, with one column, for
            their `stairs`.

        Returns
        -------
        self : SampleDisplay

        Raises
        ------
        ValueError
            If `image_shape` does not fit the rows, or columns are not there or more than two.
        """
        plt = import_pyplot("SampleDisplay.plot")
        n_features = self.samples.shape[1]
        shape = resolve_image_shape(self.image_shape, n_features)
        self.images_: list[Any] = []
        self.scatters_: list[Any] = []
        self.histograms_: list[Any] = []
        self.texts_: list[Any] = []
        if shape is not None:
            check_no_columns(columns)
            return self._plot_images(plt, ax, shape, kwargs)
        names = self.feature_names or names_of_features(n_features)
        chosen = column_positions(columns, names, 2)
        if len(chosen) > 2:
            raise ValueError(f"columns must be one or two, got {len(chosen)}: {columns!r}.")
        labels = [f"{names[column]} (units of X)" for column in chosen]
        if len(chosen) == 1:
            self.axes_ = many_axes(plt, ax, (1, 1), (4.6, 3.4))
            self.ax_ = self.axes_[0, 0]
            self._plot_histograms(self.ax_, chosen[0], "vertical", kwargs)
            self.ax_.set(xlabel=labels[0], ylabel="share of the rows (%)")
            self.ax_.legend(frameon=False)
        else:
            self._plot_scatter(plt, ax, chosen, kwargs)
            self.ax_.set(xlabel=labels[0], ylabel=labels[1])
        self.figure_ = self.ax_.figure
        return self

    def _plot_images(
        self, plt: Any, ax: Any, shape: tuple[int, int, int], kwargs: Mapping[str, Any]
    ) -> SampleDisplay:
        groups = {"samples": as_images(self.samples, shape)}
        if self.X is not None:
            groups["data"] = as_images(self.X[: len(self.samples)], shape)
        n_columns = math.ceil(len(self.samples) ** 0.5)
        n_rows = -(-len(self.samples) // n_columns)
        tile = max(0.5, 2.4 / n_columns)
        size = (len(groups) * tile * n_columns + 0.4, tile * n_rows * shape[1] / shape[2] + 0.3)
        self.axes_ = many_axes(plt, ax, (1, len(groups)), size)
        self.ax_ = self.axes_[0, 0]
        value_range = color_range(*groups.values())
        for panel_ax, (name, images) in zip(self.axes_[0], groups.items(), strict=True):
            canvas = montage(images, n_columns)
            self.images_.append(draw_montage(panel_ax, canvas, value_range, kwargs))
            panel_ax.set_title(name)
        if self.y is not None:
            for index, label in enumerate(self.y):
                row, column = divmod(index, n_columns)
                position = column * (shape[2] + GAP) - 0.4, row * (shape[1] + GAP) - 0.4
                text = self.ax_.text(*position, str(label), va="top", fontsize="x-small")
                text.set_bbox({"facecolor": "white", "alpha": 0.8, "pad": 0.5, "linewidth": 0})
                self.texts_.append(text)
        self.figure_ = self.ax_.figure
        return self

    def _plot_scatter(
        self, plt: Any, ax: Any, columns: list[int], kwargs: Mapping[str, Any]
    ) -> None:
        ratios = {"width_ratios": (4, 1), "height_ratios": (1, 4)}
        self.axes_ = many_axes(plt, ax, (2, 2), (5.2, 5.2), **ratios)
        above, corner, main, beside = self.axes_.ravel()
        corner.set_axis_off()
        self.ax_ = main
        if self.X is not None:
            self.scatters_.append(
                main.scatter(
                    *self.X[:, columns].T, s=point_size(len(self.X)), color=COLORS[0],
                    alpha=0.7, linewidths=0, label="data",
                )
            )  # fmt: skip
        defaults = {
            "s": point_size(len(self.samples)),
            "color": COLORS[6],
            "alpha": 0.7,
            "linewidths": 0,
            "label": "samples",
        }
        style = merged_style("points", defaults, kwargs)
        self.scatters_.append(main.scatter(*self.samples[:, columns].T, **style))
        self._plot_histograms(above, columns[0], "vertical", {})
        self._plot_histograms(beside, columns[1], "horizontal", {})
        above.sharex(main)
        beside.sharey(main)
        above.tick_params(labelbottom=False)
        beside.tick_params(labelleft=False)
        above.set_ylabel("share (%)")
        beside.set_xlabel("share (%)")
        main.spines[["top", "right"]].set_visible(False)
        above.legend(
            handles=self.scatters_, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2
        )

    def _plot_histograms(
        self, ax: Any, column: int, orientation: str, kwargs: Mapping[str, Any]
    ) -> None:
        groups = {} if self.X is None else {"data": (self.X[:, column], COLORS[0])}
        groups["samples"] = (self.samples[:, column], COLORS[6])
        together = np.concatenate([values for values, _ in groups.values()])
        edges = np.histogram_bin_edges(together, bins=30)
        for name, (values, color) in groups.items():
            percent = 100 * np.histogram(values, edges)[0] / len(values)
            defaults = {"color": color, "linewidth": 1.5, "label": name}
            style = merged_style("bars", defaults, kwargs if name == "samples" else {})
            self.histograms_.append(ax.stairs(percent, edges, orientation=orientation, **style))
        ax.spines[["top", "right"]].set_visible(False)
