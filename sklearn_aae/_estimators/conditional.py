"""ConditionalAdversarialAutoencoder: style apart from class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from sklearn_aae._compat import CallbackSupportMixin, _fit_context
from sklearn_aae._estimators.fitting import fit_estimator, local_random_state
from sklearn_aae._estimators.labelled import LabelledAdversarialAutoencoder
from sklearn_aae._estimators.parameters import document_shared_parameters, store_parameters
from sklearn_aae._rows.inference import Inference
from sklearn_aae._rows.labels import labelled_shares
from sklearn_aae._training.net import AdversarialNet
from sklearn_aae._training.plan import Data, Parts
from sklearn_aae.modules import ConditionalAutoencoder


@document_shared_parameters
class ConditionalAdversarialAutoencoder(CallbackSupportMixin, LabelledAdversarialAutoencoder):
    """Autoencoder whose code holds the style of a row and not its class.

    The decoder is told the class of each row, so that the code needs to hold only what is left: the
    style [1]_. The discriminator is told it too, and so matches the styles of every class with
    `prior`. Rows of a chosen class can be sampled, and rows moved from one class to another with
    their style kept (`translate`).

    Little of the class is left in the style, not nothing: of MNIST digits, a logistic regression
    reads 16 % from it (chance: 10 %), a nearest-neighbour classifier more. Do not use it to hide an
    attribute.

    Parameters
    ----------
    {shared_parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes seen in `fit`, sorted.
    class_prior_ : ndarray of shape (n_classes,)
        Their shares.
    n_components_ : int
        Width of the style.
    n_iter_ : int
        Number of epochs run, over all fits where they continue each other.
    history_ : dict of str to list of float
        Losses by name, one value for each epoch.
    prior_ : object
        The prior of the style, bound to its width.
    prior_match_ : dict
        How far styles are from the prior, as in `AdversarialAutoencoder`; of held-out rows with
        `early_stopping`, else of the training rows.
    encoder_, decoder_, discriminator_ : nn.Module
        Networks in eval mode.
    net_ : AdversarialNet
        The skorch net.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of columns seen in `fit`, if all were strings.

    References
    ----------
    .. [1] Makhzani, Shlens, Jaitly, Goodfellow and Frey (2015), "Adversarial autoencoders",
       section 3, https://arxiv.org/abs/1511.05644

    Mescheder, Geiger and Nowozin (2018), "Which training methods for GANs do actually converge?",
    https://arxiv.org/abs/1801.04406

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import ConditionalAdversarialAutoencoder
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ConditionalAdversarialAutoencoder(n_components=2, max_iter=30, random_state=0)
    >>> model.fit(X, y).transform(X).shape
    (150, 2)
    >>> model.sample(3, y=0, random_state=0).shape
    (3, 4)
    """

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        hidden_layer_sizes: Any = "auto",
        activation: str = "relu",
        encoder: Any = None,
        decoder: Any = None,
        discriminator: Any = None,
        image_shape: Any = None,
        posterior: str = "deterministic",
        prior: Any = "normal",
        likelihood: str = "gaussian",
        categorical_features: Any = "from_dtype",
        adversarial_weight: float = 0.2,
        adversarial_loss: str = "non_saturating",
        gradient_penalty: float = 0.01,
        instance_noise: float = 0.0,
        noise: float = 0.3,
        standardize: bool = True,
        lr: float = 1e-3,
        discriminator_lr: float | None = None,
        weight_decay: float = 0.0,
        optimizer: Any = torch.optim.Adam,
        batch_size: int | str = "auto",
        max_iter: int | str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | str = "auto",
        tol: float = 1e-4,
        warm_start: bool = False,
        callbacks: Any = None,
        device: Any = "auto",
        precision: str = "float32",
        compile: bool = False,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        store_parameters(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ConditionalAdversarialAutoencoder:
        """Train the networks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            At least two rows, finite.
        y : array-like of shape (n_samples,)
            Class of each row; at least two classes, none of them -1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in all losses, non-negative and not all zero.

        Returns
        -------
        self : ConditionalAdversarialAutoencoder
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or array is out of its range. The estimator is then as it was before.
        """
        continued = self.warm_start and hasattr(self, "net_")
        fit_estimator(self, X, y, sample_weight, continued=continued)
        return self

    def _parts(
        self, data: Data, prior: Any, n_components: int, net: AdversarialNet | None
    ) -> Parts:
        classes, labels = self._encoded(data, net is not None, allow_unlabelled=False)
        n = len(classes)
        # One distribution for the styles of all classes, also where the prior has components.
        critic = self._style_critic(prior, n_components)
        critic = replace(critic, n_classes=n, prior_sees_labels=False)
        shares = labelled_shares(labels, n, data.sample_weight)
        return Parts(
            critics=(critic,),
            structure=ConditionalAutoencoder,
            n_classes=n,
            labels=labels,
            holds_out=self.early_stopping,
            attributes={"classes_": classes, "class_prior_": shares},
        )

    def reconstruct(self, X: Any, y: Any) -> Any:  # type: ignore[override]  # nothing without y
        """Encode and decode: X without what the code has no room for, such as noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.
        y : label or array-like of shape (n_samples,)
            Class of each row, or one for all.

        Returns
        -------
        X_reconstructed : ndarray or frame of shape (n_samples, n_features)
            In the units and dtype of X; a frame where one was fitted, or under `set_output`.
        """
        return self.translate(X, y)

    def _reconstruction(
        self, inference: Inference, attributes: Mapping[str, Any]
    ) -> Callable[[Any], np.ndarray]:
        """From rows to decoded ones of all classes, by their shares."""
        shares = attributes["class_prior_"]

        def reconstruct(X: Any) -> np.ndarray:
            styles = inference.encode(X)
            classes = np.tile(shares.astype(styles.dtype), (len(styles), 1))
            return inference.decode(np.concatenate([styles, classes], axis=1))

        return reconstruct

    def translate(self, X: Any, y: Any) -> Any:
        """Rows of the same style and of another class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.
        y : label or array-like of shape (n_samples,)
            The class that each row is to have, or one for all.

        Returns
        -------
        X_translated : ndarray or frame of shape (n_samples, n_features)
            In the units and dtype of X; a frame where one was fitted, or under `set_output`.
        """
        styles = self._inference.encode(self._rows_to_use(X))
        return self._given_back(self._decode_styles(styles, self._one_hot(y, styles)), X)

    def sample(
        self, n_samples: int = 1, y: Any = None, random_state: Any = None, *, missing: bool = False
    ) -> Any:
        """Decode styles drawn from the prior as rows of given classes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, at least 1.
        y : label or array-like of shape (n_samples,)
            Class of each row, or one for all. It has to be given.
        random_state : int, RandomState instance or None, default=None
            An int gives the same rows at every call; None draws anew.
        missing : bool, default=False
            Whether cells are missing, each column's at the rate seen in `fit`.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            Rows as those of `fit`: a frame where one was fitted, or under `set_output`.
        """
        check_is_fitted(self)
        if y is None:
            raise ValueError(
                "sample needs y, the class of the rows to draw: one for all, or one for each. "
                f"Known classes: {self.classes_.tolist()}."
            )
        generator = local_random_state(random_state)
        styles = self._draw_styles(n_samples, generator)
        decoded = self._decode_styles(styles, self._one_hot(y, styles))
        return self._sampled(decoded, missing, generator)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
