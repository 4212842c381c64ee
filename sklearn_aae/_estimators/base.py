"""What all estimators share: rows in and out, what follows from the networks, their state."""

from __future__ import annotations

import numbers
import warnings
from importlib.metadata import version
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from sklearn_aae._compat import output_frame
from sklearn_aae._estimators.parameters import CONSTRAINTS
from sklearn_aae._learned.match import measure_prior_match
from sklearn_aae._rows.columns import Columns
from sklearn_aae._rows.inference import Inference
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
        return {"prior_match_": measure_prior_match(inference, prior=plan.prior, X=rows)}

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

    def reconstruct(self, X: Any) -> Any:
        """Encode and decode: X without what the code has no room for, such as noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        X_reconstructed : ndarray or frame of shape (n_samples, n_features)
            In the units and dtype of X; a frame under `set_output`.
        """
        return output_frame(self, self._inference.reconstruct(self._rows_to_use(X)), X)

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

    def _rows_to_use(self, X: Any) -> np.ndarray:
        """Rows as given to a method of a fitted estimator, checked."""
        check_is_fitted(self)
        return self._validated(X)

    def _validated(self, X: Any, *, reset: bool = False, **options: Any) -> np.ndarray:
        # scikit-learn adds all values up to see whether they are finite. The sum may not be.
        with np.errstate(over="ignore", invalid="ignore"):
            return validate_data(self, X, reset=reset, dtype=[np.float64, np.float32], **options)

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
        return tags


def check_n_samples(n_samples: Any) -> None:
    if not isinstance(n_samples, numbers.Integral) or n_samples < 1:
        raise ValueError(f"n_samples must be an int of at least 1, got {n_samples!r}.")
