"""What `AdversarialAutoencoder` says of how unusual rows are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_aae._estimators.base import BaseAdversarialAutoencoder, starts_of
from sklearn_aae._estimators.reading import Given
from sklearn_aae._estimators.streams import in_chunks, mean_in_chunks
from sklearn_aae._estimators.trained import check_score_method
from sklearn_aae._learned.density import Density, DensityScore
from sklearn_aae._learned.gaps import GapCorrection, fill_in, fit_gap_correction
from sklearn_aae._learned.mixture import log_densities
from sklearn_aae._learned.references import MAX_SCORED, Trained, at_most
from sklearn_aae._learned.scores import (
    density_scores,
    discriminator_scores,
    offset,
    prior_scores,
    reconstruction_scores,
    scores_as_if_new,
)
from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.inference import Inference
from sklearn_aae._rows.sources import missing_cells
from sklearn_aae._training.net import AdversarialNet
from sklearn_aae._training.plan import Data, Plan


class ScoringAdversarialAutoencoder(OutlierMixin, BaseAdversarialAutoencoder):
    """Scores of rows, their threshold, and what they come from."""

    score_method: str
    normalizing_flow: bool
    contamination: float | str
    references: str
    n_references: int | str
    offset_: float
    _density: Density
    _held_out_scores: np.ndarray | None

    def _check_score_method(self, prior: Any) -> None:
        """What only shows once the prior is bound, before any training."""
        check_score_method(self.score_method, prior)
        if self.normalizing_flow and self.score_method == "discriminator":
            raise ValueError(
                'score_method="discriminator" scores codes as they are before the map of '
                "normalizing_flow=True. Use another score_method or normalizing_flow=False."
            )
        if self.score_method == "discriminator" and self.adversarial_weight == 0:
            raise ValueError(
                'score_method="discriminator" needs a trained discriminator, got '
                "adversarial_weight=0. Raise adversarial_weight or use another score_method."
            )

    @in_chunks
    def score_samples(self, X: Any) -> np.ndarray:
        """Score rows: the higher, the more normal.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            As `score_method` says, in nats, float64. Densities are those of standardised rows.
        """
        given = self._given(X)
        scores = self._scores(given.rows, self._inference, self.net_, self.prior_, self._density)
        correction: GapCorrection | None = vars(self).get("_gap_correction")  # not in older files
        if correction is not None:
            scores = correction.corrected(scores, given.missing)
        if given.unseen is not None:
            scores = scores - given.unseen.sum(axis=1) * self._surprise
        return scores

    @property
    def _surprise(self) -> float:
        """Nats of a category that none of the training rows had (Laplace's rule)."""
        table = self._learned_table
        return 0.0 if table is None else math.log(table.n_rows + 1)

    def _gap_correction_of(
        self,
        plan: Plan,
        data: Data,
        inference: Inference,
        scores: Callable[[Any], np.ndarray],
        seed: int,
    ) -> GapCorrection:
        """What missing cells do to scores, of rows that were not trained on where there are any."""
        table, columns = data.table, plan.columns

        def of_gaps(X: np.ndarray) -> np.ndarray:
            if table is None or not table.has_gaps:
                X = fill_in(X, np.isnan(X), columns.baseline, inference.reconstruct)
            return scores(X)

        rows = data.X if plan.held_out is None else plan.held_out
        own = np.random.RandomState(seed)
        return fit_gap_correction(rows, starts_of(data), of_gaps, own)

    def _learn_scores(
        self,
        plan: Plan,
        data: Data,
        net: AdversarialNet,
        inference: Inference,
        density: Density,
        trained: Trained,
        random_state: np.random.RandomState,
    ) -> dict[str, Any]:
        """The threshold, scores of held-out rows, and what missing cells do to scores."""

        def raw_scores(X: Any) -> np.ndarray:
            return self._scores(X, inference, net, plan.prior, density)

        correction = self._gap_correction_of(plan, data, inference, raw_scores, net.seed)

        def corrected(scores: np.ndarray, X: Any) -> np.ndarray:
            return correction.corrected(scores, missing_cells(X) if data.has_gaps else None)

        def scores(X: Any) -> np.ndarray:
            return corrected(raw_scores(X), X)

        rows = at_most(MAX_SCORED, np.arange(data.X.shape[0]), random_state)
        of_rows = SelectedRows(data.X, rows)
        if self.score_method == "log_likelihood":
            as_if_new = scores_as_if_new(inference, data.X, rows, density, trained)
            of_training = corrected(as_if_new, of_rows)
        else:
            of_training = scores(of_rows)
        weights = None if data.sample_weight is None else data.sample_weight[rows]
        held_out = None if plan.held_out is None else np.sort(scores(plan.held_out))
        return {
            "offset_": offset(of_training, self.contamination, weights),
            "_held_out_scores": held_out,
            "_gap_correction": correction,
        }

    def _scores(
        self,
        X: np.ndarray | SelectedRows,
        inference: Inference,
        net: AdversarialNet,
        prior: Any,
        density: Density,
    ) -> np.ndarray:
        match self.score_method:
            case "log_likelihood":
                return density_scores(inference, X, density)
            case "reconstruction":
                return reconstruction_scores(inference, X)
            case "prior":
                return prior_scores(inference, X, prior)
            case _:
                critic = net.game.critics[0]
                return discriminator_scores(inference, X, critic, net.discriminators_["prior"])

    @in_chunks
    def feature_scores(self, X: Any) -> np.ndarray:
        """What each column adds to the outlyingness of a row, new rows included.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features)
            Non-negative. A row's sum is its squared distance D² from the training rows, 1 for a
            typical one, of which ``score_samples`` with ``score_method="log_likelihood"`` is a
            falling function: ``constant - n_features / 2 * log(D²)``. D is the distance from the
            nearest training rows, twice, and that from the centre of the whole table, once. The
            part of the neighbours is shared out in proportion to the mean squared difference from
            them in each column, in standardised units, and that of the table in proportion to the
            squared difference from its centre, in units of what the other columns leave open.
        """
        given = self._given(X)
        decoded, residual = self._inference.split_rows(given.rows)
        score = DensityScore(self._density, decoded.dtype)
        contributions = score.column_contributions(decoded, residual)
        return self._of_columns(contributions, given)

    def _of_columns(self, contributions: np.ndarray, given: Given) -> np.ndarray:
        """What each column adds, from what the inputs add; a row keeps its sum.

        A missing cell adds nothing. A category that `fit` has not seen multiplies the sum by as
        much as it takes from the score.
        """
        table = self._learned_table
        n_inputs = contributions.shape[1]
        if table is not None:
            contributions = np.add.reduceat(contributions, np.array(table.starts), axis=1)
        if given.missing is None:
            return contributions
        total = contributions.sum(axis=1, keepdims=True)
        observed = np.where(given.missing, 0.0, contributions)
        known = observed.sum(axis=1, keepdims=True)
        observed = observed * np.divide(total, known, out=np.zeros_like(total), where=known > 0)
        if given.unseen is not None:
            n_unseen = given.unseen.sum(axis=1, keepdims=True)
            factor = np.expm1(2 / n_inputs * n_unseen * self._surprise)
            observed += np.where(given.unseen, total * factor / n_unseen.clip(1), 0.0)
        return observed

    def p_values(self, X: Any) -> np.ndarray:
        """Probability that a row from the distribution of the held-out rows scores as low.

        Split-conformal p-values [1]_: the share of held-out training rows, of which there are
        ``validation_fraction`` or `X_val`, that score no higher than the row, the row counted
        among them. For new rows from the same distribution they are uniform, or above, whatever
        the score; `scipy.stats.false_discovery_control` turns them into a list of discoveries.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`, not among those of `fit`.

        Returns
        -------
        p : ndarray of shape (n_samples,)
            In [1 / (n_held_out + 1), 1]; small for outliers.

        References
        ----------
        .. [1] Bates, Candès, Lei, Romano and Sesia (2023), "Testing for outliers with conformal
           p-values", https://arxiv.org/abs/2104.08279
        """
        check_is_fitted(self)
        held_out = self._held_out_scores
        if held_out is None:
            raise ValueError(
                "p_values needs rows that the networks were not trained on, and this fit held none "
                "out: it had fewer than 20 samples, or was made by partial_fit. Call fit with more "
                "rows or with X_val."
            )
        n_as_low = np.searchsorted(held_out, self.score_samples(X), side="right")
        return (1 + n_as_low) / (1 + len(held_out))

    def score(self, X: Any, y: Any = None) -> float:
        """Mean log density of rows, to compare models by: the higher, the better.

        With ``score_method="log_likelihood"`` of a density that integrates to one, so that codes of
        different sizes and other networks compare: around each training row that is kept lies a
        Student t distribution, as wide along the manifold as decodings of its neighbours are and
        off it as their residuals are [1]_. The whole of the table, which `score_samples` ranks
        outliers by, is not in it. Means of groups, kept with ``references="means"``, are closer
        together than rows and give lower values: compare models that keep the same. With another
        `score_method`, the mean of `score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.
        y : Ignored
            Present for scikit-learn's conventions.

        Returns
        -------
        score : float
            In nats, of standardised rows.

        References
        ----------
        .. [1] Vincent and Bengio (2003), "Manifold Parzen windows",
           https://papers.nips.cc/paper/2203-manifold-parzen-windows
        """
        if self.score_method != "log_likelihood":
            return float(self.score_samples(X).mean())
        inference, density = self._inference, self._density

        def mean(X: Any) -> float:
            return float(log_densities(inference, self._rows_to_use(X), density).mean())

        return mean_in_chunks(mean, X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Score rows with the threshold at zero: negative for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``.
        """
        check_is_fitted(self)
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Tell inliers from outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            1 for inliers and -1 for outliers.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)
