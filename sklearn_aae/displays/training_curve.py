"""Losses over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from sklearn_aae.displays.drawing import (
    COLORS,
    REFERENCE,
    check_estimator,
    import_pyplot,
    merged_style,
    panel_axes,
)


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
