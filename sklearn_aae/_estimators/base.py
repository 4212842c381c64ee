"""What all estimators share: rows in and out, what follows from the networks, their state."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_aae._compat import output_container, output_frame
from sklearn_aae._estimators.fitting import local_random_state
from sklearn_aae._estimators.parameters import CONSTRAINTS
from sklearn_aae._estimators.reading import Given, read
from sklearn_aae._estimators.streams import in_chunks
from sklearn_aae._learned.density import MAX_REFERENCES
from sklearn_aae._learned.gaps import Spread, draw_cells, fill_in, fit_spread, some_rows
from sklearn_aae._learned.marginals import Marginals, fit_marginals
from sklearn_aae._learned.match import measure_prior_match
from sklearn_aae._rows.columns import Columns
from sklearn_aae._rows.inference import Inference
from sklearn_aae._rows.sources import is_sparse, narrow
from sklearn_aae._rows.table import Table
from sklearn_aae._training.critics import Critic
from sklearn_aae._training.net import AdversarialNet
from sklearn_aae._training.pickling import Frozen, freeze, thaw
from sklearn_aae._training.plan import Data, Parts, Plan
from sklearn_aae.priors import PRIORS, draw

_VERSION = version("sklearn-aae")


class BaseAdversarialAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """What the estimators share. The base stays small: what can be said without it is elsewhere.

    An estimator defines `__init__` with its own parameters, `_parts`, which says in what its
    training differs from that of the others, and `_learn`, what it learns after it.
    """

    net_: AdversarialNet
    n_components_: int
    n_features_in_: int
    feature_names_in_: np.ndarray
    n_iter_: int
    history_: dict[str, list[float]]
    prior_: Any
    prior_match_: dict[str, float]
    _spread: Spread
    _marginals: Marginals
    _columns: Columns
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS

    n_components: int | str
    hidden_layer_sizes: Any
    activation: str
    encoder: Any
    decoder: Any
    discriminator: Any
    image_shape: Any
    posterior: str
    prior: Any
    likelihood: str
    categorical_features: Any
    adversarial_weight: float
    adversarial_loss: str
    gradient_penalty: float
    instance_noise: float
    noise: float
    standardize: bool
    lr: float
    discriminator_lr: float | None
    weight_decay: float
    optimizer: Any
    batch_size: int | str
    max_iter: int | str
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    warm_start: bool
    callbacks: Any
    device: Any
    precision: str
    compile: bool
    verbose: int
    random_state: Any

    # Whether it can be trained on rows that are not in memory.
    _takes_chunks: ClassVar[bool] = False

    # What an estimator says.

    def _parts(
        self, data: Data, prior: Any, n_components: int, net: AdversarialNet | None
    ) -> Parts:
        """In what its training differs, before any; of one that goes on with `net`, if given.

        Raises ValueError where data and parameters do not go together.
        """
        raise AssertionError("an estimator defines _parts")

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
        spread = fit_spread(data.X, rows, starts_of(data), plan.columns, reconstruct, own)
        match = measure_prior_match(inference, prior=plan.prior, X=rows)
        learned = {"prior_match_": match, "_spread": spread}
        if data.table is not None and data.table.has_gaps:
            bounds = range_of(net.module_)

            def drawn(X: np.ndarray) -> np.ndarray:
                return draw_cells(reconstruct(X), plan.columns, spread.seen, bounds, own)

            sample = some_rows(data.X, MAX_REFERENCES, own)
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

    def _style_critic(self, prior: Any, n_components: int) -> Critic:
        """The critic of the codes, or of their style part."""
        return Critic(
            "prior",
            prior,
            float(self.adversarial_weight),
            loss=self.adversarial_loss,
            gradient_penalty=float(self.gradient_penalty),
            instance_noise=float(self.instance_noise),
            columns=(0, n_components),
        )

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

    @property
    def encoder_(self) -> nn.Module:
        """Encoder network in eval mode, on the device of `net_`."""
        return self.net_.module_.encoder

    @property
    def decoder_(self) -> nn.Module:
        """Decoder network in eval mode, on the device of `net_`."""
        return self.net_.module_.decoder

    @property
    def discriminator_(self) -> nn.Module:
        """Discriminator of codes in eval mode, on the device of `net_`."""
        return self.net_.discriminators_["prior"]

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    @property
    def _inference(self) -> Inference:
        check_is_fitted(self)
        return self._inference_with(self._columns, self.net_)

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

    def _codes_to_use(self, Z: Any) -> np.ndarray:
        """Codes as given to a method of a fitted estimator, checked."""
        check_is_fitted(self)
        codes = check_array(Z, dtype=[np.float64, np.float32])
        if codes.shape[1] != self.n_components_:
            raise ValueError(
                f"Z has {codes.shape[1]} columns, but {type(self).__name__} decodes codes of "
                f"n_components_={self.n_components_} columns, as transform returns them."
            )
        return codes

    def _draw_styles(self, n_samples: int, random_state: np.random.RandomState) -> np.ndarray:
        check_n_samples(n_samples)
        seed = int(random_state.randint(2**31 - 1))
        z = draw(self.prior_, int(n_samples), torch.Generator().manual_seed(seed))
        return z.numpy().astype(self._columns.dtype)

    # State.

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of nested objects as ``<parameter>__<name>``.

        Parameters
        ----------
        **params : dict
            New values. With one of the prior, such as `prior__scale`, a prior that is given by name
            becomes the object that the name stands for.

        Returns
        -------
        self : estimator
        """
        prior = params.get("prior", self.prior)
        of_the_prior = any(name.startswith("prior__") for name in params)
        if of_the_prior and isinstance(prior, str) and prior in PRIORS:
            params["prior"] = PRIORS[prior]()
        return super().set_params(**params)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__().copy()
        for name, value in state.items():
            if isinstance(value, nn.Module):  # a network of the user
                state[name] = freeze(value)
        if "net_" in state:
            state["_sklearn_aae_version"] = _VERSION
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        written_by = state.pop("_sklearn_aae_version", _VERSION)
        if written_by != _VERSION:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=_VERSION,
                    original_sklearn_version=written_by,
                ),
                stacklevel=2,
            )
        thawed = {name: thaw(v) for name, v in state.items() if isinstance(v, Frozen)}
        super().__setstate__(state | thawed)

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


def check_n_samples(n_samples: Any) -> None:
    check_count("n_samples", n_samples)


def check_count(name: str, value: Any) -> None:
    if not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be an int of at least 1, got {value!r}.")
