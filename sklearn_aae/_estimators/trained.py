"""What fitted estimators share whatever their rows are: networks, codes, state."""

from __future__ import annotations

import numbers
import warnings
from importlib.metadata import version
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklearn_aae._rows.columns import Columns
from sklearn_aae._rows.group import Group
from sklearn_aae._rows.inference import Inference
from sklearn_aae._training.critics import Critic
from sklearn_aae._training.net import AdversarialNet
from sklearn_aae._training.pickling import Frozen, freeze, thaw
from sklearn_aae._training.plan import Data, Parts, Plan
from sklearn_aae.priors import PRIORS, draw

_VERSION = version("sklearn-aae")


class TrainedAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Networks, their codes, and the state of an estimator.

    An estimator defines `__init__` with its own parameters, how what it is given becomes rows,
    columns and networks, `_parts`, which says in what its training differs from that of the others,
    and `_learn`, what it learns after it. `fitting.py` calls these in turn.
    """

    net_: AdversarialNet
    n_components_: int
    n_iter_: int
    history_: dict[str, list[float]]
    prior_: Any
    prior_match_: dict[str, float]
    _columns: Columns

    encoder: Any
    decoder: Any
    discriminator: Any
    posterior: str
    prior: Any
    adversarial_weight: float
    adversarial_loss: str
    gradient_penalty: float
    instance_noise: float
    noise: float
    lr: float
    discriminator_lr: float | None
    weight_decay: float
    optimizer: Any
    batch_size: int | str
    max_iter: int | str
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int | str
    tol: float
    warm_start: bool
    callbacks: Any
    device: Any
    precision: str
    verbose: int
    random_state: Any

    # What an estimator says.

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, group: Group, *, reset: bool
    ) -> Data:
        """What a fit is given, as rows and arrays that it can work with."""
        raise AssertionError("an estimator defines _checked")

    def _width_of_code(self, data: Data) -> int:
        """Width of the code where the parameter leaves it open."""
        raise AssertionError("an estimator defines _width_of_code")

    def _fit_columns(self, data: Data, training: np.ndarray | None) -> tuple[Columns, float]:
        """How rows are standardised, and the unit of the reconstruction loss."""
        raise AssertionError("an estimator defines _fit_columns")

    def _make_networks(
        self, data: Data, parts: Parts, n_components: int, training: np.ndarray | None, seed: int
    ) -> tuple[Any, nn.ModuleDict]:
        """Autoencoder and discriminators, before any training."""
        raise AssertionError("an estimator defines _make_networks")

    def _known_of(self, data: Data) -> dict[str, Any]:
        """Attributes that tell what rows are made of."""
        raise AssertionError("an estimator defines _known_of")

    def _inference_with(self, columns: Columns, net: AdversarialNet) -> Inference:
        """Networks at work."""
        raise AssertionError("an estimator defines _inference_with")

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
        raise AssertionError("an estimator defines _learn")

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

    # Use.

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
    def _inference(self) -> Any:
        check_is_fitted(self)
        return self._inference_with(self._columns, self.net_)

    def _codes_to_use(self, Z: Any) -> np.ndarray:
        """Codes as given to a method of a fitted estimator, checked."""
        check_is_fitted(self)
        codes = check_array(Z, dtype=[np.float64, np.float32], input_name="Z")
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


def check_score_method(score_method: str, prior: Any) -> None:
    """Refuse scores by a prior that has no density, or one that ends somewhere."""
    if score_method == "prior" and not (
        hasattr(prior, "log_prob") and getattr(prior, "has_full_support", True)
    ):
        raise ValueError(
            'score_method="prior" needs a prior with a density that is positive everywhere, got '
            f'prior={prior!r}. Use prior="normal" or "mixture_of_gaussians", or another '
            "score_method."
        )


def check_n_samples(n_samples: Any) -> None:
    check_count("n_samples", n_samples)


def check_count(name: str, value: Any) -> None:
    if not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be an int of at least 1, got {value!r}.")


def check_n_steps(n_steps: Any) -> None:
    """Points on the way from one row to another."""
    if not isinstance(n_steps, numbers.Integral) or n_steps < 2:
        raise ValueError(f"n_steps must be an int of at least 2, got {n_steps!r}.")


def check_same_number(n_from: int, n_to: int, what: str) -> None:
    """Ends of as many ways."""
    if n_from != n_to:
        raise ValueError(
            f"X_from and X_to must have the same number of {what}, got {n_from} and {n_to}. To "
            "start from one, repeat it."
        )
