"""AdversarialAutoencoderClassifier: classes from few labels and many rows without."""

from __future__ import annotations

import math
import numbers
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from sklearn_aae._compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    _fit_context,
)
from sklearn_aae._estimators.fitting import fit_estimator, local_random_state
from sklearn_aae._estimators.labelled import LabelledAdversarialAutoencoder
from sklearn_aae._estimators.parameters import (
    CONSTRAINTS,
    NON_NEGATIVE,
    POSITIVE,
    document_shared_parameters,
    store_parameters,
)
from sklearn_aae._rows.labels import (
    class_probabilities,
    class_weights,
    labelled_shares,
    share_ratio,
)
from sklearn_aae._training.guides import Evidence, Propagation
from sklearn_aae._training.net import AdversarialNet
from sklearn_aae._training.plan import Data, Parts
from sklearn_aae._training.terms import Classification, Guidance, VirtualAdversarial
from sklearn_aae.modules import CategoricalAutoencoder
from sklearn_aae.priors import Categorical, Joint


@document_shared_parameters
class AdversarialAutoencoderClassifier(
    CallbackSupportMixin, ClassifierMixin, LabelledAdversarialAutoencoder
):
    """Classifier that learns from labelled and unlabelled rows, and generates rows of a class.

    The encoder splits a row into its class and its style; the decoder needs both to restore it.
    One discriminator matches the style with `prior`, whatever the class, another makes the class
    probabilities look like one-hot vectors, and the cross-entropy on labelled rows says which class
    is which [1]_. Labels that have spread to neighbours guide the start; then a term keeps the
    class of a row the same in its neighbourhood [2]_. Labels that are left out in turn decide how
    far neighbours are asked, or models of the labelled rows instead: a linear one, and the kernel
    machine that a wide network is [6]_.

    Rows with ``y = -1`` are unlabelled, as in `sklearn.semi_supervised`.

    Parameters
    ----------
    {shared_parameters}

    class_prior : {"auto", "uniform", "empirical"} or array-like of shape (n_classes,), \
            default="auto"
        Share of the classes among all rows, for which the class probabilities hold, in the order
        of `classes_`. "uniform": equal shares; "empirical": those among the labelled rows, by
        weight; "auto": "empirical" where all rows are labelled. Else they are found out from the
        rows without labels [5]_, since the rows that somebody labelled need not have the shares of
        the others: as far as labels that are left out in turn can be told apart, and the shares
        among the labelled rows for the rest.

    class_weight : dict, "balanced" or None, default=None
        How much labelled rows of each class count, in the training and in what `predict` decides,
        besides `sample_weight`: ``{label: weight}``, 1 for classes that are not named; "balanced":
        the classes count alike; None: they count as often as they are labelled. Probabilities hold
        for `class_prior` all the same.

    category_weight : float, default=0.3
        Weight of the match of class probabilities with one-hot vectors; where rows have no label,
        times how much neighbours tell.

    classification_weight : float, default=1.0
        Weight of the cross-entropy on labelled rows, in nats: with their labels or, where others
        have none, as far as neighbours do not tell, with what all labels together say of them.

    propagation_weight : float, default=1.0
        Weight of the cross-entropy, in nats, with what is known of each row before the training:
        labels that have spread from labelled rows to their neighbours, to the neighbours of these
        and so on [3]_, [4]_, and models of the labelled rows, each as far as it predicts labels
        that are left out in turn. It guides the training until the virtual adversarial term
        starts, and from then on where neighbours do not tell. With 0, or where all rows are
        labelled, nobody looks for neighbours.

    n_neighbors : int, default=10
        Nearest training rows that count as neighbours of a row, at most half as many as a class
        has on average. Of wide rows the first 50 principal components are compared; of more than
        60,000 rows, each is compared with a sample of them.

    virtual_adversarial_weight : float, default=0.3
        Weight of the change of the class probabilities, in nats, on a step from each row in its
        worst direction, after the first 30 % of the training; where rows have no label, times how
        much neighbours tell. 0 leaves it out, which saves about a third of the time.

    virtual_adversarial_radius : float, default=0.2
        Length of that step, as a share of the root mean square distance of rows from their mean,
        after scaling.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes seen in `fit`, sorted.
    class_prior_ : ndarray of shape (n_classes,)
        Their shares among all rows, given or found out, for which `predict_proba` holds.
    class_weight_ : ndarray of shape (n_classes,)
        What probabilities are multiplied by in `predict`: the shares of the classes among labelled
        rows, weighted by `class_weight`, over `class_prior_`; 1 where they are the same.
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
        Networks in eval mode. The encoder returns style and logits of the classes side by side.
    net_ : AdversarialNet
        The skorch net.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of columns seen in `fit`, if all were strings.

    See Also
    --------
    sklearn.semi_supervised.LabelSpreading : Labels spread over a graph of neighbours.
    sklearn.semi_supervised.SelfTrainingClassifier : Any classifier, fed with its own predictions.

    Notes
    -----
    Labels are often drawn class by class, so that rare classes have as many as others. `predict`
    then treats them alike, as classifiers that see the labelled rows alone do, and `predict_proba`
    tells how likely they are among all rows: the most probable class is
    ``classes_[predict_proba(X).argmax(axis=1)]``.

    Where y holds -1 and 1 and nothing else, these are two classes in their usual coding.

    Labels that are not numbers can be used where all rows are labelled. Otherwise encode them first
    (`sklearn.preprocessing.LabelEncoder` on the labelled rows) and mark the other rows with -1.

    References
    ----------
    .. [1] Makhzani, Shlens, Jaitly, Goodfellow and Frey (2015), "Adversarial autoencoders",
       section 4, https://arxiv.org/abs/1511.05644
    .. [2] Miyato, Maeda, Koyama and Ishii (2019), "Virtual adversarial training",
       https://arxiv.org/abs/1704.03976
    .. [3] Zhou, Bousquet, Lal, Weston and Schölkopf (2004), "Learning with local and global
       consistency", https://papers.nips.cc/paper/2506
    .. [4] Iscen, Tolias, Avrithis and Chum (2019), "Label propagation for deep semi-supervised
       learning", https://arxiv.org/abs/1904.04717
    .. [5] Saerens, Latinne and Decaestecker (2002), "Adjusting the outputs of a classifier to new a
       priori probabilities", https://doi.org/10.1162/089976602753284446
    .. [6] Jacot, Gabriel and Hongler (2018), "Neural tangent kernel: convergence and generalization
       in neural networks", https://arxiv.org/abs/1806.07572

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoderClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> few = np.where(np.arange(150) % 10 == 0, y, -1)  # five labels for each class
    >>> model = AdversarialAutoencoderClassifier(n_components=2, max_iter=40, random_state=0)
    >>> bool(model.fit(X, few).score(X, y) > 0.8)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "class_prior": [StrOptions({"auto", "uniform", "empirical"}), "array-like"],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "category_weight": [NON_NEGATIVE],
        "classification_weight": [POSITIVE],
        "propagation_weight": [NON_NEGATIVE],
        "n_neighbors": [Interval(numbers.Integral, 1, None, closed="left")],
        "virtual_adversarial_weight": [NON_NEGATIVE],
        "virtual_adversarial_radius": [POSITIVE],
    }

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
        lr: float = 2e-3,
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
        class_prior: Any = "auto",
        class_weight: Any = None,
        category_weight: float = 0.3,
        classification_weight: float = 1.0,
        propagation_weight: float = 1.0,
        n_neighbors: int = 10,
        virtual_adversarial_weight: float = 0.3,
        virtual_adversarial_radius: float = 0.2,
        callbacks: Any = None,
        device: Any = "auto",
        precision: str = "float32",
        compile: bool = False,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        store_parameters(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> AdversarialAutoencoderClassifier:
        """Train on labelled and unlabelled rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            At least two rows, finite.
        y : array-like of shape (n_samples,)
            Class of each row; -1 for unlabelled. At least two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in all losses, non-negative and not all zero.

        Returns
        -------
        self : AdversarialAutoencoderClassifier
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
        classes, labels = self._encoded(data, net is not None, allow_unlabelled=True)
        k, n_classes = n_components, len(classes)
        labelled = labelled_shares(labels, n_classes, data.sample_weight)
        complete = bool((labels >= 0).all())
        shares = class_probabilities(self.class_prior, n_classes, labelled, all_labelled=complete)
        # What is not known yet, the guide finds out.
        evidence = Evidence(labelled if shares is None else shares, labelled, 1.0)
        # The style has to be the same for all classes, or the decoder would read the class there
        # and not listen to what it is told: of sampled digits, 56 % were of the class asked for.
        width = k + n_classes
        both = Joint(prior, Categorical(n_classes, n_components=n_classes), n_components=width)
        style = replace(self._style_critic(prior, k), prior=both, columns=(0, width))
        categories = self._category_critic(both.second, k, float(self.category_weight))
        parts = Parts(
            critics=(style, categories),
            structure=CategoricalAutoencoder,
            n_classes=n_classes,
            labels=labels,
            semi_supervised=True,
            holds_out=self.early_stopping,
            attributes={"classes_": classes},
        )
        spreads = self.propagation_weight > 0
        if not complete and (spreads or shares is None):
            parts = replace(parts, guide=Propagation(self.n_neighbors, n_classes, shares, spreads))
        return self._informed(parts, evidence)

    def _informed(self, parts: Parts, evidence: Evidence) -> Parts:
        """Parts that hold to the shares of the classes, and ask neighbours as far as they know."""
        n, shares = parts.n_classes, evidence.class_prior
        prior = Categorical(n, probabilities=shares, n_components=n)
        style, categories = parts.critics
        both = Joint(style.prior.first, prior, n_components=style.prior.n_components)
        weight = float(self.category_weight) * evidence.neighbors
        ratio = share_ratio(evidence.labelled_shares, shares)
        empirical = evidence.labelled_shares
        weights = class_weights(self.class_weight, parts.attributes["classes_"], empirical)
        decisive = ratio
        if weights is not None:
            weights = weights / (weights @ empirical)  # mean 1 over the labelled rows
            decisive = share_ratio(empirical * weights, shares)
        classification = Classification(
            float(self.classification_weight), decisive, weights, evidence.neighbors
        )
        return replace(
            parts,
            critics=(replace(style, prior=both), replace(categories, prior=prior, weight=weight)),
            terms=(classification, *self._terms_without_labels(parts, evidence.neighbors, ratio)),
            attributes={
                **parts.attributes,
                "class_prior_": shares,
                "class_weight_": np.ones(n) if decisive is None else decisive,
            },
        )

    def _terms_without_labels(
        self, parts: Parts, neighbors: float, ratio: np.ndarray | None
    ) -> tuple[Any, ...]:
        """What the losses ask of rows whether they have a label or not."""
        terms: list[Any] = []
        weight = float(self.virtual_adversarial_weight)
        if getattr(parts.guide, "spreads", False):
            # The virtual adversarial term then corrects what has spread to wrong rows.
            stop = VirtualAdversarial.START if weight > 0 else math.inf
            strength, rest = float(self.propagation_weight), 1 - neighbors
            terms.append(Guidance(strength, "propagation", stop, rest, ratio))
        if weight * neighbors > 0:
            radius = float(self.virtual_adversarial_radius)
            terms.append(VirtualAdversarial(weight * neighbors, radius))
        return tuple(terms)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, for classes of the shares `class_prior_`; rows have sum 1.
        """
        X = self._rows_to_use(X)
        return self._inference.categories(X)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        p = self.predict_proba(X)
        return np.log(p.clip(np.finfo(p.dtype).tiny))

    def predict(self, X: Any) -> np.ndarray:
        """Class of each row, most probable where the classes weigh as they do in the labels.

        The class of the largest ``class_weight_ * predict_proba(X)``: classes count as often as
        they were labelled, which may be more often than they are among all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels from `classes_`.
        """
        p = self.predict_proba(X)
        return self.classes_[(p * self.class_weight_.astype(p.dtype)).argmax(axis=1)]

    def sample(
        self, n_samples: int = 1, y: Any = None, random_state: Any = None, *, missing: bool = False
    ) -> tuple[Any, np.ndarray]:
        """Decode styles drawn from the prior as rows of given or drawn classes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, at least 1.
        y : label, array-like of shape (n_samples,) or None, default=None
            Class of each row, or one for all; None draws them from `class_prior_`.
        random_state : int, RandomState instance or None, default=None
            An int gives the same rows at every call; None draws anew.
        missing : bool, default=False
            Whether cells are missing, each column's at the rate seen in `fit`.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            Rows as those of `fit`: a frame where one was fitted, or under `set_output`.
        y : ndarray of shape (n_samples,)
            Their classes.
        """
        check_is_fitted(self)
        generator = local_random_state(random_state)
        styles = self._draw_styles(n_samples, generator)
        if y is None:
            n_classes = len(self.classes_)
            positions = generator.choice(n_classes, size=len(styles), p=self.class_prior_)
            y = self.classes_[positions]
        classes = self._one_hot(y, styles)
        drawn = self.classes_[classes.argmax(axis=1)]
        return self._sampled(self._decode_styles(styles, classes), missing, generator), drawn
