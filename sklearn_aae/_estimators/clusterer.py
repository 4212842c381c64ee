"""AdversarialAutoencoderClusterer: categories that the data suggest."""

from __future__ import annotations

import numbers
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from sklearn_aae._compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    _fit_context,
)
from sklearn_aae._estimators.base import BaseAdversarialAutoencoder
from sklearn_aae._estimators.fitting import fit_estimator, local_random_state
from sklearn_aae._estimators.outcome import advice_on_divergence
from sklearn_aae._estimators.parameters import (
    CONSTRAINTS,
    NON_NEGATIVE,
    POSITIVE,
    document_shared_parameters,
    store_parameters,
)
from sklearn_aae._rows.inference import Inference
from sklearn_aae._rows.labels import check_shares, class_positions, one_hot
from sklearn_aae._training.guides import Partition
from sklearn_aae._training.net import AdversarialNet
from sklearn_aae._training.plan import Data, Parts, Plan
from sklearn_aae._training.terms import Agreement, Balance, Certainty, Guidance, Separation
from sklearn_aae._warnings import warn_user
from sklearn_aae.modules import EmbeddingAutoencoder
from sklearn_aae.priors import Categorical


@document_shared_parameters
class AdversarialAutoencoderClusterer(
    CallbackSupportMixin, ClusterMixin, BaseAdversarialAutoencoder
):
    """Clusters as the discrete part of a code, found by matching a categorical distribution.

    The encoder splits a row into a cluster and a style within it. One discriminator matches the
    style with `prior`, another makes the cluster probabilities look like one-hot vectors that are
    equally frequent [1]_. The decoder sees both as one point, the head of the cluster plus the
    style: `transform` returns these points, a map of the data where ``n_components=2``.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters. More of them than the groups that you expect are safer than
        fewer: a group may take several.

    {shared_parameters}

    cluster_prior : {"uniform", "auto"} or array-like of shape (n_clusters,), default="uniform"
        Shares of the clusters that balance and the match of cluster probabilities hold to. "auto":
        those of the spectral partition (see `agreement_weight`), for groups that differ much in
        size; equal shares where there is none. An array gives the share of each cluster. A prior
        and no law: clusters of other sizes are found where neighbours say so.

    category_weight : float, default=0.2
        Weight of the match of cluster probabilities with one-hot vectors.

    agreement_weight : float, default=1.0
        Weight of the cross-entropy, in nats, between the cluster probabilities of a row and those
        of its neighbours, each way [2]_: borders between clusters move to where few rows are
        neighbours. Also the weight of the cross-entropy with a spectral partition of the graph of
        neighbours [4]_, which tells before the training which rows belong together. With 0 nobody
        looks for neighbours.

    n_neighbors : int, default=10
        Nearest training rows that count as neighbours of a row, at most half as many as a cluster
        has on average. Of wide rows the first 50 principal components are compared; of more than
        60,000 rows, each is compared with a sample of them.

    certainty_weight : float, default=0.3
        Weight of the mean entropy, in nats, of the cluster probabilities of a row.

    balance_weight : float, default=0.6
        Weight of the divergence, in nats, of the shares of the clusters from `cluster_prior` [3]_.

    separation_weight : float, default=1.0
        Weight of the cost of cluster heads nearer to each other than `separation_distance`.

    separation_distance : float, default=3.0
        Distance of cluster heads beyond which they cost nothing, in units of the codes; the style
        of a normal prior is 1 wide in each dimension.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Clusters of the training rows, from 0 to n_clusters - 1.
    cluster_centers_ : ndarray of shape (n_clusters, n_components_)
        Heads of the clusters, in the space of `transform`.
    cluster_sizes_ : ndarray of shape (n_clusters,)
        Training rows in each cluster; 0 for one that is not used.
    cluster_prior_ : ndarray of shape (n_clusters,)
        Shares that the clusters were held to.
    n_components_ : int
        Width of style and map.
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

    See Also
    --------
    sklearn.cluster.KMeans : Clusters of rows around means.
    sklearn.mixture.GaussianMixture : Clusters as normal distributions.

    References
    ----------
    .. [1] Makhzani, Shlens, Jaitly, Goodfellow and Frey (2015), "Adversarial autoencoders",
       sections 5 and 7, https://arxiv.org/abs/1511.05644
    .. [2] Van Gansbeke, Vandenhende, Georgoulis, Proesmans and Van Gool (2020), "SCAN: learning to
       classify images without labels", https://arxiv.org/abs/2005.12320
    .. [3] Krause, Perona and Gomes (2010), "Discriminative clustering by regularized information
       maximization", https://papers.nips.cc/paper/4154
    .. [4] Ng, Jordan and Weiss (2001), "On spectral clustering: analysis and an algorithm",
       https://papers.nips.cc/paper/2092

    Mescheder, Geiger and Nowozin (2018), "Which training methods for GANs do actually converge?",
    https://arxiv.org/abs/1801.04406

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn_aae import AdversarialAutoencoderClusterer
    >>> X, y = make_blobs(300, n_features=5, centers=3, random_state=0)
    >>> model = AdversarialAutoencoderClusterer(3, n_components=2, max_iter=10, random_state=0)
    >>> model.fit_predict(X).shape
    (300,)
    >>> model.transform(X).shape
    (300, 2)
    """

    labels_: np.ndarray
    cluster_centers_: np.ndarray
    cluster_sizes_: np.ndarray

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "n_clusters": [Interval(numbers.Integral, 1, None, closed="left")],
        "cluster_prior": [StrOptions({"uniform", "auto"}), "array-like"],
        "category_weight": [POSITIVE],
        "agreement_weight": [NON_NEGATIVE],
        "n_neighbors": [Interval(numbers.Integral, 1, None, closed="left")],
        "certainty_weight": [NON_NEGATIVE],
        "balance_weight": [NON_NEGATIVE],
        "separation_weight": [NON_NEGATIVE],
        "separation_distance": [POSITIVE],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_components: int | str = "auto",
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
        gradient_penalty: float = 0.1,
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
        cluster_prior: Any = "uniform",
        category_weight: float = 0.2,
        agreement_weight: float = 1.0,
        n_neighbors: int = 10,
        certainty_weight: float = 0.3,
        balance_weight: float = 0.6,
        separation_weight: float = 1.0,
        separation_distance: float = 3.0,
        callbacks: Any = None,
        device: Any = "auto",
        precision: str = "float32",
        compile: bool = False,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        store_parameters(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> AdversarialAutoencoderClusterer:
        """Train the networks and assign the training rows to clusters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            At least n_clusters rows, finite.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in all losses, non-negative and not all zero.

        Returns
        -------
        self : AdversarialAutoencoderClusterer
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
        n = int(self.n_clusters)
        if net is not None and n != net.module_.n_classes:
            raise ValueError(
                f"n_clusters={n} differs from the {net.module_.n_classes} "
                "clusters of the fit that warm_start continues. Set it back, or warm_start=False."
            )
        if n > len(data.X):
            raise ValueError(
                f"n_clusters={n} is more than the n_samples={len(data.X)} rows of X. "
                "Lower n_clusters."
            )
        shares = self._shares(n, continued=net is not None)
        compares = self.agreement_weight > 0 and n > 1
        drawn = Categorical(n, n_components=n)
        parts = Parts(
            critics=(
                self._style_critic(prior, n_components),
                self._category_critic(drawn, n_components, float(self.category_weight)),
            ),
            structure=EmbeddingAutoencoder,
            n_classes=n,
            guide=Partition(self.n_neighbors, n, shares) if compares else None,
            holds_out=self.early_stopping,
        )
        return self._informed(parts, np.full(n, 1 / n) if shares is None else shares)

    def _shares(self, n: int, *, continued: bool) -> np.ndarray | None:
        """Shares of the clusters; None where the partition is to tell them."""
        if not isinstance(self.cluster_prior, str):
            meaning = f'one for each of n_clusters={n}, or "uniform" or "auto"'
            return check_shares("cluster_prior", self.cluster_prior, n, meaning)
        if self.cluster_prior == "uniform":
            return np.full(n, 1 / n)
        # A fit that goes on makes no partition.
        return self.cluster_prior_ if continued else None

    def _informed(self, parts: Parts, shares: np.ndarray) -> Parts:
        """Parts that hold to the shares of the clusters."""
        style, categories = parts.critics
        n = parts.n_classes
        equal = bool((shares == shares[0]).all())
        drawn = Categorical(n, probabilities=None if equal else shares, n_components=n)
        return replace(
            parts,
            critics=(style, replace(categories, prior=drawn)),
            terms=self._terms(None if equal else shares),
            attributes={"cluster_prior_": shares},
        )

    def _terms(self, shares: np.ndarray | None) -> tuple[Any, ...]:
        terms: list[Any] = [
            Agreement(float(self.agreement_weight)),
            Guidance(float(self.agreement_weight), "partition"),
            Certainty(float(self.certainty_weight)),
            Balance(float(self.balance_weight), shares),
        ]
        if self.n_clusters > 1:
            separation = float(self.separation_weight), float(self.separation_distance)
            terms.append(Separation(*separation))
        return tuple(term for term in terms if term.weight > 0)

    def _learn(
        self,
        plan: Plan,
        data: Data,
        net: AdversarialNet,
        inference: Inference,
        random_state: np.random.RandomState,
    ) -> dict[str, Any]:
        learned = super()._learn(plan, data, net, inference, random_state)
        centers = net.module_.heads.detach().cpu().numpy().copy()
        n = len(centers)
        # No row needs to be near a head. Values may be beyond the precision of the weights.
        if not np.isfinite(inference.decode(centers.astype(inference.columns.dtype))).all():
            raise ValueError(
                "Decoded cluster heads are infinite after the last epoch: the training diverged. "
                f"{advice_on_divergence(net, standardize=self.standardize)}"
            )
        labels = inference.categories(data.X).argmax(axis=1)
        sizes = np.bincount(labels, minlength=n)
        if (sizes > 0).sum() < min(2, n):
            warn_user(
                f"All rows are in one of n_clusters={n} clusters. If they are not all alike, raise "
                f"category_weight (now {self.category_weight:g}), balance_weight (now "
                f"{self.balance_weight:g}) or max_iter.",
                ConvergenceWarning,
            )
        return learned | {"cluster_centers_": centers, "labels_": labels, "cluster_sizes_": sizes}

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the clusters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        p : ndarray of shape (n_samples, n_clusters)
            Rows have sum 1.
        """
        X = self._rows_to_use(X)
        return self._inference.categories(X)

    def predict(self, X: Any) -> np.ndarray:
        """Most probable cluster.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            From 0 to n_clusters - 1.
        """
        return self.predict_proba(X).argmax(axis=1)

    def transform(self, X: Any) -> Any:
        """Points of rows on the map: the head of the cluster plus the style.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            In the dtype of X; between heads where the cluster of a row is uncertain.
        """
        X, k = self._rows_to_use(X), self.n_components_
        return self._inference.on_codes(lambda network, codes: network.embed(codes), X, k)

    def inverse_transform(self, Z: Any) -> Any:
        """Decode points of the map.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)
            Points, as `transform` returns them.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            Rows in the units of X; a frame where one was fitted, or under `set_output`.
        """
        return self._given_back(self._inference.decode(self._codes_to_use(Z)), Z)

    def sample(
        self, n_samples: int = 1, y: Any = None, random_state: Any = None, *, missing: bool = False
    ) -> tuple[Any, np.ndarray]:
        """Decode styles drawn from the prior in given or drawn clusters.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, at least 1.
        y : int, array-like of shape (n_samples,) or None, default=None
            Cluster of each row, or one for all; None draws them by their shares `cluster_prior_`.
        random_state : int, RandomState instance or None, default=None
            An int gives the same rows at every call; None draws anew.
        missing : bool, default=False
            Whether cells are missing, each column's at the rate seen in `fit`.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            Rows as those of `fit`: a frame where one was fitted, or under `set_output`.
        y : ndarray of shape (n_samples,)
            Their clusters.
        """
        check_is_fitted(self)
        n, generator = len(self.cluster_centers_), local_random_state(random_state)
        styles = self._draw_styles(n_samples, generator)
        if y is None:
            clusters = self._drawn_clusters(len(styles), generator)
        else:
            clusters = class_positions(y, np.arange(n), len(styles))
        heads = one_hot(clusters, n, styles.dtype) @ self.cluster_centers_.astype(styles.dtype)
        return self._sampled(self._inference.decode(styles + heads), missing, generator), clusters

    def _drawn_clusters(self, n_samples: int, generator: np.random.RandomState) -> np.ndarray:
        shares = self.cluster_prior_
        if (shares == shares[0]).all():
            return generator.randint(len(shares), size=n_samples)
        return generator.choice(len(shares), size=n_samples, p=shares)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # ClusterMixin speaks for clusterers whose transform makes distances in double precision.
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
