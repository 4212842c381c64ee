"""What all estimators of tables share: rows in and out, and what follows from the networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_aae._compat import output_container, output_frame
from sklearn_aae._estimators.fitting import checked_rows, local_random_state
from sklearn_aae._estimators.parameters import CONSTRAINTS
from sklearn_aae._estimators.reading import Given, read
from sklearn_aae._estimators.streams import in_chunks
from sklearn_aae._estimators.trained import TrainedAutoencoder, check_count
from sklearn_aae._learned.density import N_REFERENCES
from sklearn_aae._learned.gaps import Spread, draw_cells, fill_in, fit_spread, some_rows
from sklearn_aae._learned.marginals import Marginals, fit_marginals
from sklearn_aae._learned.match import measure_prior_match
from sklearn_aae._rows.columns import Columns, fit_columns
from sklearn_aae._rows.group import Group
from sklearn_aae._rows.inference import Inference
from sklearn_aae._rows.scaling import n_varying_columns
from sklearn_aae._rows.sources import is_sparse, missing_cells, narrow
from sklearn_aae._rows.table import Table
from sklearn_aae._training.critics import Critic
from sklearn_aae._training.net import AdversarialNet
from sklearn_aae._training.networks import make_networks
from sklearn_aae._training.plan import Data, Parts, Plan, resolve_n_components


class BaseAdversarialAutoencoder(TrainedAutoencoder):
    """What the estimators of tables share.

    The base stays small: what can be said without it is elsewhere.
    """

    n_features_in_: int
    feature_names_in_: np.ndarray
    _spread: Spread
    _marginals: Marginals
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    n_components: int | str
    hidden_layer_sizes: Any
    activation: str
    image_shape: Any
    likelihood: str
    categorical_features: Any
    standardize: bool
    compile: bool

    # Whether it can be trained on rows that are not in memory.
    _takes_chunks: ClassVar[bool] = False

    # What an estimator says.

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, group: Group, *, reset: bool
    ) -> Data:
        return checked_rows(self, X, y, sample_weight, X_val, group, reset=reset)

    def _width_of_code(self, data: Data) -> int:
        return resolve_n_components(self.n_components, data.X.shape[1], n_varying_columns(data.X))

    def _fit_columns(self, data: Data, training: np.ndarray | None) -> tuple[Columns, float]:
        return fit_columns(
            data.X,
            data.sample_weight,
            self.likelihood,
            standardize=self.standardize,
            table=data.table if data.has_gaps else None,
            rows=training,
        )

    def _make_networks(
        self, data: Data, parts: Parts, n_components: int, training: np.ndarray | None, seed: int
    ) -> tuple[Any, nn.ModuleDict]:
        return make_networks(
            data.X.shape[1],
            n_components,
            parts.critics,
            encoder=self.encoder,
            decoder=self.decoder,
            discriminator=self.discriminator,
            hidden_layer_sizes=self.hidden_layer_sizes,
            activation=self.activation,
            image_shape=self.image_shape,
            posterior=self.posterior,
            seed=seed,
            structure=parts.structure,
            n_classes=parts.n_classes,
            starts=data.table.starts if data.table is not None and data.has_gaps else None,
        )

    def _known_of(self, data: Data) -> dict[str, Any]:
        return {"_table": data.table}

    def _learn(
        self,
        plan: Plan,
        data: Data,
        net: AdversarialNet,
        inference: Inference,
        random_state: np.random.RandomState,
    ) -> dict[str, Any]:
        """Attributes that it learns once the networks are trained."""
        rows = data.X if plan.held_out is None else plan.held_out
        reconstruct = self._filling(plan, inference, data.table)
        # Draws of its own: everything else is as without them.
        own = np.random.RandomState(net.seed)
        missing = missing_cells(data.X) if data.has_gaps else None
        spread = fit_spread(missing, rows, starts_of(data), plan.columns, reconstruct, own)
        match = measure_prior_match(inference, prior=plan.prior, X=rows)
        learned = {"prior_match_": match, "_spread": spread}
        if data.table is not None and data.table.has_gaps:
            bounds = range_of(net.module_)

            def drawn(X: np.ndarray) -> np.ndarray:
                return draw_cells(reconstruct(X), plan.columns, spread.seen, bounds, own)

            sample = some_rows(data.X, N_REFERENCES, own)
            learned["_marginals"] = fit_marginals(sample, data.table.numbers, drawn)
        return learned

    def _filling(
        self, plan: Plan, inference: Inference, table: Table | None
    ) -> Callable[[np.ndarray], np.ndarray]:
        """From rows, which may have gaps, to decoded ones."""
        decode = self._reconstruction(inference, plan.parts.attributes)
        if table is not None and table.has_gaps:
            return decode
        baseline = plan.columns.baseline
        return lambda X: decode(fill_in(X, np.isnan(X), baseline, decode))

    def _category_critic(self, shares: Any, n_components: int, weight: float) -> Critic:
        """The critic of class probabilities, which follow the style in the codes."""
        return Critic(
            "categories",
            shares,
            weight,
            loss=self.adversarial_loss,
            gradient_penalty=float(self.gradient_penalty),
            columns=(n_components, n_components + shares.n_components),
        )

    # Use.

    @in_chunks
    def transform(self, X: Any) -> Any:
        """Encode X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            Codes, deterministic for every posterior, in the dtype of X.
        """
        X = self._rows_to_use(X)
        return self._inference.encode(X)

    @in_chunks
    def reconstruct(self, X: Any) -> Any:
        """Encode and decode: X without what the code has no room for, such as noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        X_reconstructed : ndarray or frame of shape (n_samples, n_features)
            In the units and dtype of X; a frame where one was fitted, or under `set_output`.
        """
        return self._given_back(self._reconstructed(self._rows_to_use(X)), X)

    def impute(self, X: Any, *, n_draws: int | None = None, random_state: Any = None) -> Any:
        """Fill missing cells in with what the other cells of their row say.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`. Missing cells are NaN, None or NA.
        n_draws : int or None, default=None
            None: the most probable category, and of a number its mean. An int, at least 1: so many
            tables whose cells are draws, for multiple imputation. How far they differ tells how
            sure a cell is.
        random_state : int, RandomState instance or None, default=None
            Of draws. An int gives the same at every call; None draws anew.

        Returns
        -------
        X_filled : ndarray or frame of shape (n_samples, n_features), or list of n_draws of them
            X with its missing cells filled in; the other cells are as they were.
        """
        if n_draws is not None:
            check_count("n_draws", n_draws)
        given = self._given(X)
        decoded = self._reconstructed(given.rows)
        if n_draws is None:
            return self._filled(given, decoded, X)
        generator = local_random_state(random_state)
        return [
            self._filled(given, self._drawn(decoded, self._spread.hidden, generator), X)
            for _ in range(n_draws)
        ]

    def _sampled(self, decoded: np.ndarray, missing: bool, generator: np.random.RandomState) -> Any:
        """Decoded rows as samples: of a table with draws of their cells, some of them missing."""
        table = self._learned_table
        if table is not None and table.has_gaps:
            decoded = self._drawn(decoded, self._spread.seen, generator)
            decoded = self._marginals.mapped(decoded)
        if missing and "_spread" in vars(self):
            cells = generator.random_sample((len(decoded), self.n_features_in_))
            gaps = cells < self._spread.missing
            if table is not None:
                gaps = np.repeat(gaps, [kind.width for kind in table.kinds], axis=1)
            decoded = np.where(gaps, np.nan, decoded)
        return self._given_back(decoded, None)

    def _drawn(
        self, decoded: np.ndarray, spread: np.ndarray, generator: np.random.RandomState
    ) -> np.ndarray:
        """Draws of what decoded rows say."""
        bounds = range_of(self.net_.module_)
        return draw_cells(decoded, self._columns, spread, bounds, generator)

    def _filled(self, given: Given, decoded: np.ndarray, X: Any) -> Any:
        """The rows of X, with decoded cells where cells are missing."""
        table = self._learned_table
        if given.cells is None or table is None:
            # Of a sparse array no cell is missing.
            rows = given.rows.array.copy() if is_sparse(given.rows) else given.rows
            if given.missing is not None:
                rows = np.where(given.missing, decoded, rows)
            return output_frame(self, rows, X)
        codes = narrow(decoded, table.kinds)
        container = output_container(self)
        library = table.library if container == "default" else container
        return table.filled(given.cells, codes, X, library)

    def _inference_with(self, columns: Columns, net: AdversarialNet) -> Inference:
        return Inference(columns, net.module_, net.device, verbose=bool(self.verbose))

    @property
    def _learned_table(self) -> Table | None:
        """What is known of the columns of a table; None of a plain array."""
        return vars(self).get("_table")

    def _rows_to_use(self, X: Any) -> Any:
        """Rows as given to a method of a fitted estimator, checked."""
        return self._given(X).rows

    def _given(self, X: Any) -> Given:
        """Rows as given to a method of a fitted estimator, and what of them is missing.

        Networks that were made for rows without gaps see what they fill in themselves.
        """
        check_is_fitted(self)
        table = self._learned_table
        given = read(self, X, table)
        if given.missing is None or (table is not None and table.has_gaps):
            return given
        baseline = self._columns.baseline
        return given._replace(
            rows=fill_in(given.rows, given.missing, baseline, self._reconstructed)
        )

    def _reconstructed(self, X: Any) -> np.ndarray:
        """Rows encoded and decoded, as the networks see them."""
        return self._reconstruction(self._inference, vars(self))(X)

    def _reconstruction(
        self, inference: Inference, attributes: Mapping[str, Any]
    ) -> Callable[[Any], np.ndarray]:
        """From rows to decoded ones; `attributes` are those that labels leave."""
        return inference.reconstruct

    def _given_back(self, rows: np.ndarray, like: Any) -> Any:
        """Rows that were decoded, as the user has them: a frame where one was fitted."""
        table = self._learned_table
        if table is None:
            return output_frame(self, rows, like)
        container = output_container(self)
        library = table.library if container == "default" else container
        if library is None and table.library is None and not table.has_categories:
            return rows
        return table.given_back(narrow(rows, table.kinds), like, library)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        return tags


def range_of(autoencoder: Any) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest standardised value of each input."""
    return autoencoder.lower.cpu().numpy(), autoencoder.upper.cpu().numpy()


def starts_of(data: Data) -> np.ndarray:
    """First of the inputs of each column."""
    return np.arange(data.X.shape[1]) if data.table is None else np.array(data.table.starts)
