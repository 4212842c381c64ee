"""Displays in the manner of scikit-learn: training, codes, reconstructions, samples, scores.

`from_estimator` computes, the constructor stores, `plot` draws; what is drawn stays on the display.
They use public attributes of a fitted estimator only. matplotlib is imported when something is to
be drawn, nothing is shown and no file is written.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from sklearn.metrics import mean_squared_error
from sklearn.utils import column_or_1d

from sklearn_aae.displays.drawing import (
    COLORS,
    CONTINUOUS,
    GAP,
    MARKERS,
    REFERENCE,
    as_images,
    check_count,
    check_estimator,
    check_no_columns,
    checked_dimensions,
    checked_labels,
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
    one_axes,
    panel_axes,
    percent_text,
    point_size,
    resolve_image_shape,
)
from sklearn_aae.priors import draw

__all__ = [
    "ExplainedRows",
    "LatentSpaceDisplay",
    "OutlierScoreDisplay",
    "PriorContours",
    "ReconstructionDisplay",
    "SampleDisplay",
    "TrainingCurveDisplay",
    "TraversalDisplay",
]

_N_PRIOR_DRAWS = 5000
_N_QUANTILE_DRAWS = 20_000
_N_GRID = 200
_PRIOR_MASSES = (0.99, 0.9, 0.5)


class TrainingCurveDisplay:
    """Losses, discriminator accuracy and prior match over the epochs.

    Make it with `from_estimator`.

    Parameters
    ----------
    history : dict of str to list of float
        One value for each epoch by name, as in `history_`; NaN where it was not measured.
    adversarial_loss : str or None, default=None
        The estimator's parameter; "non_saturating" losses are in nats.
    prior_match_null : float or None, default=None
        Distance of two samples of the prior, which a perfect match comes down to.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        Curves by name.
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
    ax_ : matplotlib Axes
        The first of `axes_`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> from sklearn_aae.displays import TrainingCurveDisplay
    >>> model = AdversarialAutoencoder(max_iter=3, random_state=0).fit(load_iris().data)
    >>> display = TrainingCurveDisplay.from_estimator(model)
    >>> sorted(display.lines_)[:2]
    ['discriminator_accuracy', 'discriminator_loss']
    """

    # Endings of names that share a panel; more than one critic has more than one of each.
    _PANELS: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("reconstruction_loss", "valid_loss"),
        ("generator_loss", "discriminator_loss"),
        ("discriminator_accuracy",),
        ("prior_match",),
    )
    _LEGEND: ClassVar[dict[str, str]] = {
        "reconstruction_loss": "training rows",
        "valid_loss": "held-out rows",
        "prior_match": "held-out rows",
    }

    def __init__(
        self,
        *,
        history: Mapping[str, Sequence[float]],
        adversarial_loss: str | None = None,
        prior_match_null: float | None = None,
    ) -> None:
        self.history = history
        self.adversarial_loss = adversarial_loss
        self.prior_match_null = prior_match_null

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, names: Sequence[str] | None = None, ax: Any = None, **kwargs: Any
    ) -> TrainingCurveDisplay:
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : estimator with `history_`
        names, ax, **kwargs
            As in `plot`.

        Returns
        -------
        display : TrainingCurveDisplay
        """
        import_pyplot("TrainingCurveDisplay.from_estimator")
        check_estimator(estimator, "TrainingCurveDisplay.from_estimator", ["history_"])
        match = getattr(estimator, "prior_match_", None)
        display = cls(
            history=estimator.history_,
            adversarial_loss=getattr(estimator, "adversarial_loss", None),
            prior_match_null=None if match is None else match["null"],
        )
        return display.plot(ax, names=names, **kwargs)

    def plot(
        self, ax: Any = None, *, names: Sequence[str] | None = None, **kwargs: Any
    ) -> TrainingCurveDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, default=None
            One for each panel, or one whose place the panels share; None: a new figure.
        names : sequence of str, default=None
            Entries of the history to draw. None: reconstruction loss of training and held-out
            rows, losses and accuracy of the game, and prior match, as far as they are there.
            Other entries have to be named and get a panel each.
        **kwargs
            For the curves, see `matplotlib.axes.Axes.plot`.

        Returns
        -------
        self : TrainingCurveDisplay

        Raises
        ------
        ValueError
            If a name is not in the history or the entries differ in length.
        """
        plt = import_pyplot("TrainingCurveDisplay.plot")
        panels = self._panels(names)
        n_columns = len(panels) if len(panels) <= 3 else -(-len(panels) // 2)
        self.axes_ = panel_axes(plt, ax, len(panels), n_columns, (3.8, 3.0))
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        self.lines_: dict[str, Any] = {}
        for panel_ax, panel in zip(self.axes_, panels, strict=True):
            self._plot_panel(panel_ax, panel, kwargs)
        return self

    def _panels(self, names: Sequence[str] | None) -> list[list[str]]:
        """Names of the history that share a panel."""
        history = self.history
        chosen = list(history if names is None else names)
        unknown = [name for name in chosen if name not in history]
        if unknown:
            raise ValueError(
                f"names: {unknown} not in the history, which has {sorted(history)}. early_stopping "
                "or X_val makes fit record held-out rows."
            )
        lengths = {len(history[name]) for name in chosen}
        if len(lengths) > 1:
            raise ValueError(
                "history: all entries must have one value for each epoch, got lengths "
                f"{ {name: len(history[name]) for name in chosen} }. Put NaN where an epoch has "
                "none."
            )
        panels = [[name for name in chosen if name.endswith(endings)] for endings in self._PANELS]
        if names is not None:
            known = {name for panel in panels for name in panel}
            panels += [[name] for name in chosen if name not in known]
        panels = [panel for panel in panels if panel]
        if not panels:
            raise ValueError(
                f"history has nothing to draw, only {sorted(history)}. Pass names to draw these."
            )
        return panels

    def _plot_panel(self, ax: Any, panel: list[str], kwargs: Mapping[str, Any]) -> None:
        for name, color in zip(panel, COLORS * (1 + len(panel) // len(COLORS)), strict=False):
            values = np.asarray(self.history[name], dtype=float)
            defaults: dict[str, Any] = {
                "color": color,
                "label": self._LEGEND.get(name, name.replace("_", " ")),
            }
            if len(values) < 20:  # a single epoch is a point, and few are better seen
                defaults["marker"] = "o"
                defaults["markersize"] = 4
            style = merged_style("line", defaults, kwargs)
            (self.lines_[name],) = ax.plot(np.arange(1, len(values) + 1), values, **style)
        reference: dict[str, Any] = {"color": REFERENCE, "linestyle": ":", "zorder": 1}
        kind = panel[0]
        if kind.endswith("discriminator_accuracy"):
            ax.axhline(0.5, label="guessing", **reference)
            ax.set_ylim(0, 1)
        elif kind == "prior_match" and self.prior_match_null is not None:
            ax.axhline(self.prior_match_null, label="two samples of the prior", **reference)
        if kind.endswith(("loss", "prior_match")) and np.nanmin(self.history[kind]) >= 0:
            ax.set_ylim(bottom=0)
        ax.set(xlabel="epoch", ylabel=self._axis_label(kind))
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.spines[["top", "right"]].set_visible(False)
        if len(ax.get_lines()) > 1:
            ax.legend(frameon=False)

    def _axis_label(self, name: str) -> str:
        if name.endswith(self._PANELS[0]):
            return "reconstruction loss\n(share of the null deviance)"
        if name.endswith(self._PANELS[1]):
            unit = "nats" if self.adversarial_loss == "non_saturating" else "no unit"
            return f"adversarial losses\n({unit})"
        if name.endswith(self._PANELS[2]):
            return "accuracy of the discriminator\n(share of its inputs)"
        if name.endswith(self._PANELS[3]):
            return "distance of codes from the prior\n(root mean squares of the prior)"
        return name.replace("_", " ")


class PriorContours(NamedTuple):
    """Density of a prior in two dimensions of the code.

    Attributes
    ----------
    x, y : ndarrays of shape (n_x,) and (n_y,)
        Coordinates along the first and the second of the dimensions.
    density : ndarray of shape (n_y, n_x)
        Relative to the largest value.
    levels : ndarray of shape (n_levels,)
        Increasing densities.
    masses : ndarray of shape (n_levels,)
        Share of the prior where the density is at least that.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> from sklearn_aae.displays import LatentSpaceDisplay
    >>> X = load_iris().data
    >>> model = AdversarialAutoencoder(n_components=2, max_iter=3, random_state=0).fit(X)
    >>> contours = LatentSpaceDisplay.from_estimator(model, X).prior_contours
    >>> contours.masses.tolist()
    [0.99, 0.9, 0.5]
    """

    x: np.ndarray
    y: np.ndarray
    density: np.ndarray
    levels: np.ndarray
    masses: np.ndarray


def _prior_contours(
    prior: Any, draws: np.ndarray, dimensions: Sequence[int]
) -> PriorContours | None:
    """Regions of highest density of a prior in two dimensions (Hyndman, 1996).

    With more than two dimensions in the code, a slice of the density is the density of the two
    dimensions if it is the same wherever the others are; this is looked up at a few draws.

    Parameters
    ----------
    prior : object
        Perhaps with ``log_prob(z)``.
    draws : ndarray of shape (n_draws, n_components)
        Draws of the prior, which tell where it lies and what lies above a level.
    dimensions : sequence of two ints

    Returns
    -------
    contours : PriorContours or None
        None where the prior has no density, or not in these two dimensions alone.
    """
    if not hasattr(prior, "log_prob"):
        return None
    first, second = dimensions
    points = draws[:, [first, second]]
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.02 * (high - low)  # the border of a box must lie inside
    grid = np.linspace(low - margin, high + margin, _N_GRID, axis=1)
    cells = np.stack(np.meshgrid(*grid), axis=-1).reshape(-1, 2)
    n_slices = 1 if draws.shape[1] == 2 else 4
    slices, tops = [], []
    for others in draws[:n_slices]:
        log_density = _log_slice(prior, others, dimensions, cells)
        top = log_density.max()
        if not np.isfinite(top):
            return None
        slices.append(np.exp(log_density - top))
        tops.append(top)
    # Three digits are more than an eye sees in a contour.
    if not all(np.allclose(s, slices[0], rtol=0, atol=1e-3) for s in slices):
        return None
    at_draws = np.exp(_log_slice(prior, draws[0], dimensions, points) - tops[0])
    # A flat density has one level, its own; just below it there is a border to draw.
    levels = np.minimum(np.quantile(at_draws, 1 - np.array(_PRIOR_MASSES)), 1 - 1e-6)
    levels = np.unique(levels)
    masses = (at_draws >= levels[:, None]).mean(axis=1)
    density = slices[0].reshape(_N_GRID, _N_GRID)
    # Around the lowest level there is nothing to draw.
    inside = density >= levels[0]
    rows, columns = _around(inside.any(axis=1)), _around(inside.any(axis=0))
    return PriorContours(grid[0, columns], grid[1, rows], density[rows, columns], levels, masses)


def _around(mask: np.ndarray) -> slice:
    """From the first True to the last, and one more at either end."""
    positions = np.flatnonzero(mask)
    return slice(max(positions[0] - 1, 0), positions[-1] + 2)


def _log_slice(
    prior: Any, others: np.ndarray, dimensions: Sequence[int], points: np.ndarray
) -> np.ndarray:
    """Log density at points (n, 2) of two dimensions, the other dimensions held fixed."""
    z = np.tile(others.astype(np.float64), (len(points), 1))
    z[:, list(dimensions)] = points
    return np.asarray(torch.as_tensor(prior.log_prob(torch.from_numpy(z))).detach())


def _prior_draws(prior: Any, n_draws: int) -> np.ndarray:
    return draw(prior, n_draws, torch.Generator().manual_seed(0)).numpy()


class LatentSpaceDisplay:
    """Two dimensions of the codes, over the prior that they are to follow.

    Make it with `from_estimator` or, for codes at hand, `from_predictions`.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, 2)
        The two dimensions drawn.
    dimensions : sequence of two ints
        Which ones they are.
    y : ndarray of shape (n_samples,) or None, default=None
        Labels, or values, for colours.
    prior_contours : PriorContours or None, default=None
        Regions of highest density of the prior.
    prior_draws : ndarray of shape (n_draws, 2) or None, default=None
        Draws of the prior, drawn where there are no contours.

    Attributes
    ----------
    scatters_ : list of matplotlib PathCollection
        Points, one collection for each class, or a single one.
    prior_ : matplotlib ContourSet, PathCollection or None
        Contours or draws of the prior.
    legend_ : matplotlib Legend or None
    colorbar_ : matplotlib Colorbar or None
        For labels that are numbers with more than ten values.
    figure_ : matplotlib Figure
    ax_ : matplotlib Axes

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> from sklearn_aae.displays import LatentSpaceDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = AdversarialAutoencoder(n_components=2, max_iter=3, random_state=0).fit(X)
    >>> display = LatentSpaceDisplay.from_estimator(model, X, y)
    >>> len(display.scatters_)
    3
    """

    def __init__(
        self,
        *,
        codes: np.ndarray,
        dimensions: Sequence[int],
        y: np.ndarray | None = None,
        prior_contours: PriorContours | None = None,
        prior_draws: np.ndarray | None = None,
    ) -> None:
        self.codes = codes
        self.dimensions = dimensions
        self.y = y
        self.prior_contours = prior_contours
        self.prior_draws = prior_draws

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        dimensions: Sequence[int] = (0, 1),
        show_prior: bool = True,
        ax: Any = None,
        **kwargs: Any,
    ) -> LatentSpaceDisplay:
        """Draw the codes of rows.

        Parameters
        ----------
        estimator : estimator with `transform` and, for `show_prior`, `prior_`
        X : array-like of shape (n_samples, n_features)
            Rows to encode.
        y, dimensions, ax, **kwargs
            As in `from_predictions`.
        show_prior : bool, default=True
            Whether to draw the prior behind the codes.

        Returns
        -------
        display : LatentSpaceDisplay
        """
        caller = "LatentSpaceDisplay.from_estimator"
        import_pyplot(caller)
        check_estimator(estimator, caller, ["transform", "prior_"] if show_prior else ["transform"])
        return cls.from_predictions(
            estimator.transform(X),
            y,
            prior=estimator.prior_ if show_prior else None,
            dimensions=dimensions,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        codes: Any,
        y: Any = None,
        *,
        prior: Any = None,
        dimensions: Sequence[int] = (0, 1),
        ax: Any = None,
        **kwargs: Any,
    ) -> LatentSpaceDisplay:
        """Draw codes.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_components)
            All dimensions of the codes.
        y : array-like of shape (n_samples,), default=None
            Labels for colours; numbers with more than ten values get a colour bar.
        prior : object or None, default=None
            An estimator's `prior_`, or an object of `sklearn_aae.priors` with `n_components` set.
            Where it has a density in the two dimensions, the regions of highest density with 50,
            90 and 99 % of the prior are drawn, else draws of it.
        dimensions : sequence of two ints, default=(0, 1)
            Dimensions of the code to draw, from 0.
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.
        **kwargs
            For the points, see `matplotlib.axes.Axes.scatter`.

        Returns
        -------
        display : LatentSpaceDisplay

        Raises
        ------
        ValueError
            If the codes have fewer than two dimensions, those named are not there, `y` or `prior`
            does not fit the codes, or there are more than 50 classes.
        """
        import_pyplot("LatentSpaceDisplay.from_predictions")
        codes = checked_rows(codes, "codes")
        if codes.shape[1] < 2:
            raise ValueError(
                "LatentSpaceDisplay draws two dimensions of the code, got codes of shape "
                f"{codes.shape}. Fit with n_components of at least 2, or draw a histogram."
            )
        chosen = checked_dimensions(dimensions, codes.shape[1])
        if len(chosen) != 2:
            raise ValueError(f"dimensions must be two ints, got {dimensions!r}.")
        labels = None if y is None else checked_labels(y, len(codes))
        draws = contours = None
        if prior is not None:
            all_draws = _prior_draws(prior, _N_PRIOR_DRAWS)
            if all_draws.shape[1] != codes.shape[1]:
                raise ValueError(
                    f"prior {prior!r} draws {all_draws.shape[1]} dimensions, and the codes have "
                    f"{codes.shape[1]}. Pass the prior of these codes, or none; from_estimator "
                    "takes show_prior=False."
                )
            draws = all_draws[:, chosen]
            contours = _prior_contours(prior, all_draws, chosen)
        display = cls(
            codes=codes[:, chosen],
            dimensions=chosen,
            y=labels,
            prior_contours=contours,
            prior_draws=draws,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> LatentSpaceDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.
        **kwargs
            For the points, see `matplotlib.axes.Axes.scatter`.

        Returns
        -------
        self : LatentSpaceDisplay
        """
        plt = import_pyplot("LatentSpaceDisplay.plot")
        groups = self._groups()
        self.ax_ = one_axes(plt, ax, (6.4, 4.6))
        self.figure_ = self.ax_.figure
        handles = self._plot_prior()
        self.scatters_: list[Any] = []
        self.colorbar_ = self.legend_ = None
        defaults = {"s": point_size(len(self.codes)), "alpha": 0.8, "linewidths": 0}
        if groups is None:
            values = {"color": COLORS[0]} if self.y is None else {"c": self.y, "cmap": CONTINUOUS}
            style = merged_style("points", {**defaults, **values}, kwargs)
            self.scatters_.append(self.ax_.scatter(*self.codes.T, **style))
            if self.y is not None:
                self.colorbar_ = self.figure_.colorbar(self.scatters_[0], ax=self.ax_, label="y")
        else:
            for index, (label, rows) in enumerate(groups.items()):
                look = {
                    "color": COLORS[index % len(COLORS)],
                    "marker": MARKERS[index // len(COLORS)],
                    "label": label,
                }
                style = merged_style("points", {**defaults, **look}, kwargs)
                self.scatters_.append(self.ax_.scatter(*self.codes[rows].T, **style))
            handles = [*self.scatters_, *handles]
        if handles:
            self._add_legend(handles)
        for axis, dimension in zip("xy", self.dimensions, strict=True):
            label = f"dimension {dimension} of the code (units of the prior)"
            self.ax_.set(**{f"{axis}label": label})
        self.ax_.set_aspect("equal", adjustable="datalim")
        return self

    def _groups(self) -> dict[str, np.ndarray] | None:
        """Rows of each class; None without labels, or where they are many numbers."""
        if self.y is None:
            return None
        classes = np.unique(self.y)
        if len(classes) > len(COLORS) and self.y.dtype.kind in "iuf":
            return None
        if len(classes) > len(COLORS) * len(MARKERS):
            raise ValueError(
                f"y has {len(classes)} classes, and only {len(COLORS) * len(MARKERS)} can be told "
                "apart. Join classes, or pass numbers, which get a colour bar."
            )
        return {str(label): np.flatnonzero(self.y == label) for label in classes}

    def _plot_prior(self) -> list[Any]:
        """Draw the prior; handles for the legend."""
        self.prior_: Any = None
        contours = self.prior_contours
        if contours is not None:
            self.prior_ = self.ax_.contour(
                contours.x,
                contours.y,
                contours.density,
                levels=contours.levels,
                colors=REFERENCE,
                linewidths=np.linspace(0.7, 1.6, len(contours.levels)),
                zorder=0.9,  # below points, above the background
            )
            handles = self.prior_.legend_elements()[0]
            shares = [f"{percent_text(mass)} of the prior" for mass in contours.masses]
            for handle, share in zip(handles, shares, strict=True):
                handle.set_label(share)
            return list(handles)
        if self.prior_draws is None:
            return []
        self.prior_ = self.ax_.scatter(
            *self.prior_draws.T,
            s=2,
            color="0.75",
            linewidths=0,
            label="draws of the prior",
            zorder=0.9,
        )
        return [self.prior_]

    def _add_legend(self, handles: list[Any]) -> None:
        # Beside the axes, or above them where a colour bar is beside.
        if self.colorbar_ is None:
            place = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
        else:
            place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}
        scale = max(1.0, (30 / point_size(len(self.codes))) ** 0.5)
        self.legend_ = self.ax_.legend(handles=handles, frameon=False, markerscale=scale, **place)


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
        self,
        plt: Any,
        ax: Any,
        names: Sequence[str],
        columns: list[int],
        kwargs: Mapping[str, Any],
    ) -> ReconstructionDisplay:
        n_columns = min(3, len(columns))
        self.axes_ = panel_axes(plt, ax, len(columns), n_columns, (3.0, 3.0))
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        defaults = {
            "s": point_size(len(self.X)),
            "alpha": 0.6,
            "linewidths": 0,
            "color": COLORS[0],
        }
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
        estimator : estimator with `sample`
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
        draws = _prior_draws(estimator.prior_, _N_QUANTILE_DRAWS)
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
        self,
        plt: Any,
        ax: Any,
        names: Sequence[str],
        columns: list[int],
        kwargs: Mapping[str, Any],
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
