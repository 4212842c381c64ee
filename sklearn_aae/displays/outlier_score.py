"""Scores of rows, their threshold, and the columns that the most unusual ones owe them to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import column_or_1d

from sklearn_aae.displays.drawing import (
    COLORS,
    CONTINUOUS,
    GAP,
    as_images,
    check_count,
    check_estimator,
    checked_labels,
    checked_rows,
    color_range,
    draw_montage,
    image_centers,
    import_pyplot,
    many_axes,
    merged_style,
    montage,
    names_of_features,
    number_text,
    percent_text,
    resolve_image_shape,
)


class ExplainedRows(NamedTuple):
    """Rows and what made them stand out.

    Attributes
    ----------
    positions : ndarray of shape (n_rows,)
        Where they are among the scored rows.
    X : ndarray of shape (n_rows, n_features)
        The rows.
    feature_scores : ndarray of shape (n_rows, n_features)
        What each column adds to their outlyingness, non-negative.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> from sklearn_aae.displays import OutlierScoreDisplay
    >>> X = load_iris().data
    >>> model = AdversarialAutoencoder(max_iter=3, random_state=0).fit(X)
    >>> rows = OutlierScoreDisplay.from_estimator(model, X).top
    >>> rows.feature_scores.shape == rows.X.shape
    True
    """

    positions: np.ndarray
    X: np.ndarray
    feature_scores: np.ndarray


class OutlierScoreDisplay:
    """Scores of inliers and outliers, the threshold, and what made the top rows stand out.

    Make it with `from_estimator` or, for scores at hand, `from_predictions`.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        The higher, the more normal.
    y : ndarray of shape (n_samples,) or None, default=None
        1 for inliers and -1 for outliers.
    threshold : float or None, default=None
        Rows that score less are flagged.
    top : ExplainedRows or None, default=None
        Rows with the lowest scores, lowest first.
    image_shape : tuple of int or None, default=None
        (height, width) or (channels, height, width) where rows are images.
    feature_names : sequence of str or None, default=None
        Names of the columns; None: x0, x1, ...

    Attributes
    ----------
    histograms_ : list of matplotlib StepPatch
        Of all rows, or of inliers and of outliers.
    threshold_ : matplotlib Line2D or None
    image_ : matplotlib AxesImage or None
        Feature scores: of images a montage, of tables a matrix, with a last
        column for the sum of what is not shown, written but not coloured.
    images_ : matplotlib AxesImage or None
        The images above them.
    colorbar_ : matplotlib Colorbar or None
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes of shape (1, 1) or (1, 2)
    ax_ : matplotlib Axes
        The first of `axes_`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_aae.displays import OutlierScoreDisplay
    >>> scores, y = np.array([1.0, 2.0, 3.0, -4.0]), np.array([1, 1, 1, -1])
    >>> display = OutlierScoreDisplay.from_predictions(scores, y, threshold=0.0)
    >>> len(display.histograms_)
    2
    """

    def __init__(
        self,
        *,
        scores: np.ndarray,
        y: np.ndarray | None = None,
        threshold: float | None = None,
        top: ExplainedRows | None = None,
        image_shape: Sequence[int] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.scores = scores
        self.y = y
        self.threshold = threshold
        self.top = top
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        n_rows: int = 5,
        image_shape: Sequence[int] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> OutlierScoreDisplay:
        """Score rows and draw the scores.

        Parameters
        ----------
        estimator : estimator with `score_samples` and `offset_`
            Also scikit-learn's outlier detectors; without `feature_scores` there is one panel.
        X : array-like of shape (n_samples, n_features)
            Rows to score.
        y : array-like of shape (n_samples,), default=None
            1 for inliers and -1 for outliers.
        n_rows : int, default=5
            Rows to show feature scores of, those with the lowest scores; 0 leaves them out.
        image_shape : tuple of int, default=None
            (height, width) or (channels, height, width); None: the estimator's.
        ax, **kwargs
            As in `plot`.

        Returns
        -------
        display : OutlierScoreDisplay

        Raises
        ------
        ValueError
            If labels are not 1 and -1, or a score is not finite.
        """
        caller = "OutlierScoreDisplay.from_estimator"
        import_pyplot(caller)
        check_estimator(estimator, caller, ["score_samples", "offset_"])
        rows = checked_rows(X, "X")
        shape = resolve_image_shape(image_shape, rows.shape[1], estimator)
        n_rows = min(check_count(n_rows, "n_rows", 0), len(rows))
        labels = None if y is None else _outlier_labels(y, len(rows))
        scores = _finite_scores(estimator.score_samples(X))
        top = None
        if n_rows > 0 and hasattr(estimator, "feature_scores"):
            positions = np.argsort(scores, kind="stable")[:n_rows]
            feature_scores = np.asarray(estimator.feature_scores(X))
            top = ExplainedRows(positions, rows[positions], feature_scores[positions])
        display = cls(
            scores=scores,
            y=labels,
            threshold=float(estimator.offset_),
            image_shape=shape,
            feature_names=names_of_features(rows.shape[1], estimator, X),
            top=top,
        )
        return display.plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        scores: Any,
        y: Any = None,
        *,
        threshold: float | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> OutlierScoreDisplay:
        """Draw scores.

        Parameters
        ----------
        scores : array-like of shape (n_samples,)
            The higher, the more normal.
        y : array-like of shape (n_samples,), default=None
            1 for inliers and -1 for outliers.
        threshold : float, default=None
            Rows that score less are flagged.
        ax, **kwargs
            As in `plot`.

        Returns
        -------
        display : OutlierScoreDisplay
        """
        import_pyplot("OutlierScoreDisplay.from_predictions")
        checked = _finite_scores(scores)
        labels = None if y is None else _outlier_labels(y, len(checked))
        return cls(scores=checked, y=labels, threshold=threshold).plot(ax, **kwargs)

    def plot(
        self, ax: Any = None, *, bins: Any = 25, n_columns: int = 8, **kwargs: Any
    ) -> OutlierScoreDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One for each panel, or one whose place they share; None: a new figure.
        bins : int, sequence or str, default=25
            Bins of the histograms, as for `numpy.histogram_bin_edges`; shared by both.
        n_columns : int, default=8
            Columns of tables to show feature scores of, those that add most to the rows shown;
            the others are summed up.
        **kwargs
            For the histograms, see `matplotlib.axes.Axes.stairs`.

        Returns
        -------
        self : OutlierScoreDisplay
        """
        plt = import_pyplot("OutlierScoreDisplay.plot")
        n_columns = check_count(n_columns, "n_columns", 1)
        top, shape = self.top, None
        if top is not None:
            shape = resolve_image_shape(self.image_shape, top.feature_scores.shape[1])
        edges = np.histogram_bin_edges(self.scores, bins=bins)
        if top is None:
            self.axes_ = many_axes(plt, ax, (1, 1), (5.2, 3.6))
        else:
            self.axes_ = many_axes(plt, ax, (1, 2), (10.5, 4.2), width_ratios=(1, 1.2))
        self.ax_ = self.axes_[0, 0]
        self.figure_ = self.ax_.figure
        self._plot_histograms(edges, kwargs)
        self.image_: Any = None
        self.images_: Any = None
        self.colorbar_: Any = None
        if top is not None and shape is None:
            self._plot_matrix(self.axes_[0, 1], top, n_columns)
        elif top is not None and shape is not None:
            self._plot_maps(self.axes_[0, 1], top, shape)
        return self

    def _plot_histograms(self, edges: np.ndarray, kwargs: Mapping[str, Any]) -> None:
        ax = self.ax_
        groups = {"rows": (self.scores, COLORS[0])}
        if self.y is not None:
            groups = {
                "inliers": (self.scores[self.y == 1], COLORS[0]),
                "outliers": (self.scores[self.y == -1], COLORS[6]),
            }
        self.histograms_ = []
        for name, (scores, color) in groups.items():
            percent = 100 * np.histogram(scores, edges)[0] / max(len(scores), 1)
            label = f"{len(scores)} {name}"
            if self.threshold is not None and len(scores):
                label += f", {percent_text((scores < self.threshold).mean())} flagged"
            defaults = {"color": color, "fill": True, "alpha": 0.6, "label": label}
            self.histograms_.append(
                ax.stairs(percent, edges, **merged_style("bars", defaults, kwargs))
            )
        self.threshold_ = None
        if self.threshold is not None:
            label = f"threshold {number_text(self.threshold)}"
            self.threshold_ = ax.axvline(
                self.threshold, color="black", linestyle="--", linewidth=1.2, label=label
            )
        ax.set(
            xlabel="score (higher: more normal)",
            ylabel="share of the group (%)" if self.y is not None else "share of the rows (%)",
        )
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1))

    def _row_labels(self, top: ExplainedRows) -> list[str]:
        return [f"row {row}\n{number_text(self.scores[row])}" for row in top.positions]

    def _plot_matrix(self, ax: Any, top: ExplainedRows, n_columns: int) -> None:
        shares = 100 * _shares(top.feature_scores)
        names = list(self.feature_names or names_of_features(shares.shape[1]))
        order = np.argsort(-shares.sum(axis=0), kind="stable")
        shown = order[:n_columns]
        matrix, labels = shares[:, shown], [names[column] for column in shown]
        n_others = len(order) - len(shown)
        if n_others:
            # A sum of many columns has no colour, which it would take from the others.
            others = shares[:, order[n_columns:]].sum(axis=1)
            matrix = np.column_stack([matrix, np.full(len(matrix), np.nan)])
            labels.append(f"{n_others} others")
            for i, share in enumerate(others):
                ax.text(len(shown), i, f"{share:.0f}", ha="center", va="center")
        self.image_ = ax.imshow(matrix, cmap="cividis", vmin=0, aspect="auto")
        for (i, j), share in np.ndenumerate(matrix[:, : len(shown)]):
            color = "white" if share < 0.5 * self.image_.norm.vmax else "black"
            ax.text(j, i, f"{share:.0f}", ha="center", va="center", color=color)
        ax.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(len(matrix)), self._row_labels(top))
        ax.set(
            title="Feature scores of the rows with the lowest scores", ylabel="row and its score"
        )
        self.colorbar_ = self.figure_.colorbar(
            self.image_, ax=ax, label="share of the row's\nfeature scores (%)"
        )

    def _plot_maps(self, ax: Any, top: ExplainedRows, shape: tuple[int, int, int]) -> None:
        n = len(top.positions)
        channels, height, width = shape
        images = as_images(top.X, shape)
        # What the channels of a pixel add is added up.
        scores = top.feature_scores.reshape(n, channels, height, width).sum(axis=1)
        shares = 100 * _shares(scores.reshape(n, -1)).reshape(scores.shape)
        above, bottom = montage(images, n), montage(shares, n)
        right = above.shape[1] - 0.5
        below = above.shape[0] + GAP - 0.5
        self.images_ = draw_montage(ax, above, color_range(images), {})
        self.image_ = draw_montage(
            ax,
            bottom,
            (0.0, float(shares.max()) or 1.0),
            {"cmap": CONTINUOUS},
            extent=(-0.5, right, below + height, below),
        )
        ax.set(xlim=(-0.5, right), ylim=(below + height, -0.5))
        ax.set_xticks(image_centers(n, width), self._row_labels(top))
        ax.set_yticks(image_centers(2, height), ["image", "feature score"])
        ax.set(title="Images with the lowest scores", xlabel="row and its score")
        self.colorbar_ = self.figure_.colorbar(
            self.image_, ax=ax, label="share of the row's\nfeature scores (%)"
        )


def _shares(feature_scores: np.ndarray) -> np.ndarray:
    """Rows over their sums; a row of zeros, which nothing distinguishes, stays zero."""
    total = feature_scores.sum(axis=1, keepdims=True)
    return feature_scores / np.where(total > 0, total, 1)


def _finite_scores(scores: Any) -> np.ndarray:
    checked = column_or_1d(scores, dtype=np.float64)
    finite = np.isfinite(checked)
    if len(checked) == 0 or not finite.all():
        raise ValueError(
            f"scores: {(~finite).sum()} of {len(checked)} are not finite, and a histogram needs "
            "finite ones. Use another score_method, or leave those rows out."
        )
    return checked


def _outlier_labels(y: Any, n_samples: int) -> np.ndarray:
    labels = checked_labels(y, n_samples)
    values = np.unique(labels)
    if not np.isin(values, [1, -1]).all():
        raise ValueError(
            f"y must be 1 for inliers and -1 for outliers, got {values[:10].tolist()}. "
            "np.where(is_outlier, -1, 1) makes such labels."
        )
    return labels
