"""Strings in the stages of a fit, and their scores: what `AdversarialTextAutoencoder` builds on."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_aae._estimators.fitting import checked_weight
from sklearn_aae._estimators.trained import TrainedAutoencoder, check_score_method
from sklearn_aae._learned.codes import CodeDensity
from sklearn_aae._learned.match import measure_prior_match
from sklearn_aae._learned.references import MAX_SCORED, at_most, fit_codes
from sklearn_aae._learned.scores import offset, prior_scores
from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.columns import Columns
from sklearn_aae._rows.group import Group
from sklearn_aae._rows.sequences import (
    SequenceInference,
    TokenRows,
    n_counted,
    token_columns,
    token_frequencies,
)
from sklearn_aae._rows.strings import read_strings
from sklearn_aae._rows.tokens import Tokens, fit_tokens
from sklearn_aae._training.net import AdversarialNet
from sklearn_aae._training.plan import Data, Parts, Plan
from sklearn_aae._training.sequences import make_sequence_networks
from sklearn_aae._warnings import warn_user
from sklearn_aae.modules import SequenceAutoencoder

# Strings that tell how much of the likelihood is due to their own codes.
_N_TOLD = 1000
# Share of what frequencies leave open that a code has to tell: below, the decoder does without.
_LEAST_TOLD = 0.05
# Before, networks have hardly left their initial weights.
_MIN_STEPS = 300
# Steps that max_iter="auto" stands for, in at most 300 epochs: with batches of 64 sentences, 11
# minutes on one core.
_N_STEPS = 10_000


class StringAutoencoder(OutlierMixin, TrainedAutoencoder):
    """Strings as rows of tokens, their networks, and what is learned of them."""

    n_components: int
    analyzer: Any
    lowercase: bool
    max_features: int | None
    min_df: float
    max_length: int
    embedding_size: int
    hidden_size: int
    score_method: str
    sampler: str
    contamination: float | str

    _tokens: Tokens
    _code_density: CodeDensity
    vocabulary_: dict[str, int]
    offset_: float
    code_information_: float

    # Networks of sequences are loops, which torch would compile anew for every length.
    compile: ClassVar[bool] = False
    # Nothing to scale.
    standardize: ClassVar[bool] = True

    # What is said in the stages of a fit.

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, group: Group, *, reset: bool
    ) -> Data:
        strings = read_strings(X, min_samples=2)
        if reset:
            tokens = fit_tokens(
                strings,
                self.analyzer,
                lowercase=self.lowercase,
                max_features=self.max_features,
                min_df=self.min_df,
                max_length=int(self.max_length),
            )
        else:
            tokens = self._tokens
        rows = _rows_of(tokens, strings, "X")
        sample_weight = checked_weight(sample_weight, rows)
        if X_val is not None:
            X_val = _rows_of(tokens, read_strings(X_val, "X_val"), "X_val")
        return Data(rows, y, sample_weight, X_val, X_given=strings, tokens=tokens)

    def _width_of_code(self, data: Data) -> int:
        return int(self.n_components)

    def _fit_columns(self, data: Data, training: np.ndarray | None) -> tuple[Columns, float]:
        return token_columns(), self._frequencies(data, training)[1]

    def _frequencies(self, data: Data, training: np.ndarray | None) -> tuple[np.ndarray, float]:
        assert data.tokens is not None
        return token_frequencies(data.X, data.tokens.n_tokens, data.sample_weight, training)

    def _make_networks(
        self, data: Data, parts: Parts, n_components: int, training: np.ndarray | None, seed: int
    ) -> tuple[SequenceAutoencoder, nn.ModuleDict]:
        return make_sequence_networks(
            self._frequencies(data, training)[0],
            n_components,
            parts.critics,
            encoder=self.encoder,
            decoder=self.decoder,
            discriminator=self.discriminator,
            embedding_size=int(self.embedding_size),
            hidden_size=int(self.hidden_size),
            posterior=self.posterior,
            longest=data.X.shape[1],
            seed=seed,
        )

    def _known_of(self, data: Data) -> dict[str, Any]:
        assert data.tokens is not None
        return {"_tokens": data.tokens, "vocabulary_": dict(data.tokens.vocabulary)}

    def _inference_with(self, columns: Columns, net: AdversarialNet) -> SequenceInference:
        return SequenceInference(columns, net.module_, net.device, verbose=bool(self.verbose))

    def _parts(
        self, data: Data, prior: Any, n_components: int, net: AdversarialNet | None
    ) -> Parts:
        check_score_method(self.score_method, prior)
        if net is not None:
            net.module_.longest = max(net.module_.longest, data.X.shape[1])
        return Parts(critics=(self._style_critic(prior, n_components),), n_steps=_N_STEPS)

    def _learn(
        self,
        plan: Plan,
        data: Data,
        net: AdversarialNet,
        inference: Any,
        random_state: np.random.RandomState,
    ) -> dict[str, Any]:
        held_out = data.X if plan.held_out is None else plan.held_out
        weights = data.sample_weight
        scored: Any
        if plan.held_out is None:
            rows = at_most(MAX_SCORED, np.arange(len(data.X)), random_state)
            scored = SelectedRows(data.X, rows)
            weights = None if weights is None else weights[rows]
        else:
            # Of strings that were not trained on, as those to come.
            scored, weights = held_out, _weights_of(held_out, weights)
        return {
            "prior_match_": measure_prior_match(inference, prior=plan.prior, X=held_out),
            "code_information_": _code_information(inference, held_out),
            "_code_density": fit_codes(plan, data, inference, random_state),
            "offset_": offset(
                self._scores(inference, scored, plan.prior), self.contamination, weights
            ),
        }

    def _warn_of_an_ignored_code(self) -> None:
        """Warn where strings are as probable given the code of another string."""
        net = self.net_
        if net.diverged_ is not None or net.interrupted_ or net.game.n_steps_ < _MIN_STEPS:
            return
        share = self.code_information_ / net.null_deviance
        if share < _LEAST_TOLD:
            game = self.adversarial_weight
            warn_user(
                "The decoder does without the code: given the code of another string, strings are "
                f"less probable by {self.code_information_:.2g} nats, {share:.1%} of what the "
                "frequencies of tokens leave open. Samples and reconstructions then say nothing of "
                f"the code. Lower adversarial_weight (now {game:g}) or noise (now {net.noise:g}), "
                f"or raise n_components (now {self.n_components_}) or max_iter.",
                ConvergenceWarning,
            )

    # Use.

    def _rows_to_use(self, X: Any, name: str = "X") -> Any:
        check_is_fitted(self)
        return _rows_of(self._tokens, read_strings(X, name), name)

    def score_samples(self, X: Any) -> np.ndarray:
        """Score strings: the higher, the more normal.

        Parameters
        ----------
        X : iterable of str of shape (n_samples,)
            Strings.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            As `score_method` says, in nats, float64.
        """
        rows = self._rows_to_use(X)
        return self._scores(self._inference, rows, self.prior_)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of `score_samples`, to compare models by: the higher, the better.

        Parameters
        ----------
        X : iterable of str of shape (n_samples,)
            Strings.
        y : Ignored
            Present for scikit-learn's conventions.

        Returns
        -------
        score : float
            In nats.
        """
        return float(self.score_samples(X).mean())

    def decision_function(self, X: Any) -> np.ndarray:
        """Score strings with the threshold at zero: negative for outliers.

        Parameters
        ----------
        X : iterable of str of shape (n_samples,)
            Strings.

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
        X : iterable of str of shape (n_samples,)
            Strings.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            1 for inliers and -1 for outliers.
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def _scores(self, inference: SequenceInference, rows: Any, prior: Any) -> np.ndarray:
        if self.score_method == "prior":
            return prior_scores(inference, rows, prior)
        nats = inference.log_likelihood(rows)
        return nats if self.score_method == "log_likelihood" else nats / n_counted(rows)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags


def _rows_of(tokens: Tokens, strings: list[str], name: str) -> TokenRows:
    """Strings as rows of tokens; a warning where some were cut."""
    ids, n_cut = tokens.ids(strings)
    if n_cut:
        warn_user(
            f"{name} has {n_cut} of {len(strings)} strings with more than "
            f"max_length={tokens.max_length} tokens, which were cut. Raise max_length, or split "
            "long strings first.",
            UserWarning,
        )
    return TokenRows(ids)


def _weights_of(rows: Any, sample_weight: np.ndarray | None) -> np.ndarray | None:
    """Weights of selected rows; None of rows that have none, or were given apart."""
    if sample_weight is None or not isinstance(rows, SelectedRows):
        return None
    weights = sample_weight[rows.positions]
    return weights if weights.any() else None


def _code_information(inference: SequenceInference, X: Any) -> float:
    """By how many nats strings are likelier given their own code than that of the one before."""
    rows = X[:: max(1, len(X) // _N_TOLD)]
    codes = inference.encode(rows)
    own = inference.log_likelihood(rows, codes)
    return float((own - inference.log_likelihood(rows, np.roll(codes, 1, axis=0))).mean())
