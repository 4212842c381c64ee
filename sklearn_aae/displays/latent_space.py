"""Codes in two dimensions, with their prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_aae.displays.drawing import (
    COLORS,
    CONTINUOUS,
    MARKERS,
    REFERENCE,
    check_estimator,
    checked_dimensions,
    checked_labels,
    checked_rows,
    import_pyplot,
    merged_style,
    one_axes,
    percent_text,
    point_size,
)
from sklearn_aae.displays.prior_contours import (
    N_PRIOR_DRAWS,
    PriorContours,
    prior_contours,
    prior_draws,
)


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
            all_draws = prior_draws(prior, N_PRIOR_DRAWS)
            if all_draws.shape[1] != codes.shape[1]:
                raise ValueError(
                    f"prior {prior!r} draws {all_draws.shape[1]} dimensions, and the codes have "
                    f"{codes.shape[1]}. Pass the prior of these codes, or none; from_estimator "
                    "takes show_prior=False."
                )
            draws = all_draws[:, chosen]
            contours = prior_contours(prior, all_draws, chosen)
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
