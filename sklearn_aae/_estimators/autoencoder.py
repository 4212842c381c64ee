"""AdversarialAutoencoder: transformer, sampler and outlier detector."""

from __future__ import annotations

import numbers
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from sklearn_aae._compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    _fit_context,
)
from sklearn_aae._estimators.fitting import fit_estimator, local_random_state
from sklearn_aae._estimators.outliers import ScoringAdversarialAutoencoder
from sklearn_aae._estimators.parameters import (
    CONSTRAINTS,
    document_shared_parameters,
    store_parameters,
)
from sklearn_aae._estimators.trained import check_n_samples, check_n_steps, check_same_number
from sklearn_aae._learned.codes import draw_codes
from sklearn_aae._learned.flow import Transport
from sklearn_aae._learned.references import fit_codes, fit_rows, resolve_keeping
from sklearn_aae._learned.transport import fit_transport
from sklearn_aae._rows.inference import Inference
from sklearn_aae._rows.labels import check_component_labels
from sklearn_aae._training.net import AdversarialNet
from sklearn_aae._training.plan import Data, Parts, Plan
from sklearn_aae._training.terms import Placement
from sklearn_aae.priors import has_classes, straight_path


@document_shared_parameters
class AdversarialAutoencoder(CallbackSupportMixin, ScoringAdversarialAutoencoder):
    """Autoencoder whose codes follow a distribution of your choice.

    An encoder compresses rows to a few numbers, a decoder restores them, and a discriminator makes
    the codes follow `prior`, so that the decoder can be sampled from and unusual rows stand out
    [1]_. A transformer, a denoiser (`reconstruct`), a sampler (`sample`) and an outlier detector
    (`score_samples`, `predict`) in one.

    "Adversarial" refers to the game between encoder and discriminator, not to attacks on models.

    Parameters
    ----------
    {shared_parameters}

    score_method : {"log_likelihood", "reconstruction", "prior", "discriminator"}, \
            default="log_likelihood"
        What `score_samples` returns: a log density of a row, from its nearest neighbours among
        the decodings and residuals of training rows and from the centre of the whole table, which
        training rows have as if they were new; the log-likelihood of a row given its
        reconstruction; the log density of its code under the prior; or the discriminator's logit
        for its code.

    normalizing_flow : bool, default=False
        Whether an invertible map follows the encoder, learned once the networks are, that takes
        codes to the prior: a normalising flow [3]_ to a normal distribution, and where the prior
        is another, the inverse of a second one. The decoder sees what the inverse makes of codes:
        they match the prior far better, and reconstructions stay as they are. A lower
        `adversarial_weight`, such as 0.05, then costs less in reconstruction. Takes no labels.

    sampler : {"density", "prior"}, default="density"
        Where `sample` takes codes from: a density of the codes of training rows, learned after the
        networks [2]_, or the prior. Codes match the prior roughly, so that it also has draws in
        places that no row was encoded to, where the decoder was not trained. May be changed after
        `fit`.

    contamination : "auto" or float, default="auto"
        Share of outliers in the training data, in (0, 0.5], which sets `offset_` and nothing else.
        "auto": rows below Tukey's fence, the lower quartile of the training scores less 1.5
        interquartile ranges.

    references : {"rows", "means"}, default="rows"
        What of the training rows the model keeps, to compare others with: a sample of them as they
        are, or means of groups of at least 5 like rows (of all, where there are fewer), 20 on
        average, so that no single row can be read from the model.

    n_references : int or "auto", default="auto"
        How many references at most, and a tenth of how many codes. "auto" is 2,000, and of rows of
        more than 200 columns as many as hold 400,000 values, and up to 20,000 codes. Fewer make
        scores faster and files smaller, and cost some of the ranking: the guide on deploying says
        how much.

    Attributes
    ----------
    n_components_ : int
        Width of the code.
    n_iter_ : int
        Number of epochs run, over all fits where they continue each other.
    history_ : dict of str to list of float
        Losses by name, one value for each epoch. With `early_stopping` or `X_val` also the
        reconstruction loss and prior match of held-out rows; NaN for epochs that held none out.
    offset_ : float
        ``decision_function = score_samples - offset_``.
    prior_ : object
        The prior, bound to the width of the code.
    prior_match_ : dict
        "distance": sliced Wasserstein distance of held-out codes from a sample of the prior, in
        units of its root mean square; "null" and "null_quantile": mean and 95 % quantile of what
        other samples of the prior have. "auroc": how well a small gradient boosting classifier
        tells the codes from the sample, cross-validated, 0.5 for chance or fewer than 20 codes;
        "auroc_quantile": the 95 % quantile of chance. Of at most 1,000 codes, taken evenly.
    encoder_, decoder_, discriminator_ : nn.Module
        Networks in eval mode. With `normalizing_flow`, codes before the map are what `encoder_`
        returns, `decoder_` takes and `discriminator_` was first trained on.
    net_ : AdversarialNet
        The skorch net.
    n_features_in_ : int
        Number of columns seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of columns seen in `fit`, if all were strings.

    See Also
    --------
    sklearn.decomposition.PCA : Linear, and exact in no time.
    sklearn.ensemble.IsolationForest : Outlier detection with trees.

    Notes
    -----
    The density keeps up to 2,000 training rows as references, as nearest-neighbour methods do, and
    that of codes up to 20,000 codes: whoever has the model can read them. `references` and
    `n_references` make them means, or fewer. After `partial_fit` they are those of the last chunk.

    Draws with ``sampler="density"`` come from a mixture of normal distributions, one for the
    neighbourhood of each code [4]_: they are new, but not far from training rows.

    With `normalizing_flow`, the map is fitted to the codes and to draws from such a mixture, which
    count as 600 codes more for each dimension: of few codes alone, it would learn each by heart.
    It takes 1,000 steps, each as long as several of the training, and 1,000 more in a first fit
    where the prior is not normal. Fits that continue each other train through it and fit it
    further, by 1,000 steps each time, `partial_fit` to the codes of its chunk.

    `partial_fit` and `warm_start` keep the scaling of the first call, to which the weights are
    tied.

    A fitted estimator may be used by several threads at once. With ``n_jobs``, joblib's processes
    share the processor's cores, torch's threads included. Its backend "multiprocessing" forks the
    process and hangs where torch has run on more than one thread before, as OpenMP's threads do not
    survive a fork: use "loky", its default, or call ``torch.set_num_threads(1)`` first.

    References
    ----------
    .. [1] Makhzani, Shlens, Jaitly, Goodfellow and Frey (2015), "Adversarial autoencoders",
       https://arxiv.org/abs/1511.05644
    .. [2] Ghosh, Sajjadi, Vergari, Black and Schölkopf (2020), "From variational to deterministic
       autoencoders", https://arxiv.org/abs/1903.12436
    .. [3] Durkan, Bekasov, Murray and Papamakarios (2019), "Neural spline flows",
       https://arxiv.org/abs/1906.04032
    .. [4] Vincent and Bengio (2003), "Manifold Parzen windows", Advances in Neural Information
       Processing Systems 15

    Mescheder, Geiger and Nowozin (2018), "Which training methods for GANs do actually converge?",
    https://arxiv.org/abs/1801.04406

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_aae import AdversarialAutoencoder
    >>> X = load_iris().data
    >>> model = AdversarialAutoencoder(n_components=2, max_iter=50, random_state=0).fit(X)
    >>> model.transform(X).shape
    (150, 2)
    >>> model.sample(3, random_state=0).shape
    (3, 4)
    """

    _takes_chunks: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "score_method": [
            StrOptions({"log_likelihood", "reconstruction", "prior", "discriminator"})
        ],
        "normalizing_flow": ["boolean"],
        "sampler": [StrOptions({"density", "prior"})],
        "contamination": [StrOptions({"auto"}), Interval(numbers.Real, 0, 0.5, closed="right")],
        "references": [StrOptions({"rows", "means"})],
        "n_references": [StrOptions({"auto"}), Interval(numbers.Integral, 1, None, closed="left")],
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
        score_method: str = "log_likelihood",
        normalizing_flow: bool = False,
        sampler: str = "density",
        contamination: float | str = "auto",
        references: str = "rows",
        n_references: int | str = "auto",
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
        self, X: Any, y: Any = None, sample_weight: Any = None, *, X_val: Any = None
    ) -> AdversarialAutoencoder:
        """Train the networks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            At least two rows, finite.
        y : array-like of shape (n_samples,) or None, default=None
            Components of a prior with classes, ints from 0, -1 for unlabelled; ignored with
            other priors.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in all losses, non-negative and not all zero.
        X_val : array-like of shape (n_val, n_features), default=None
            Held-out rows, instead of a share of X.

        Returns
        -------
        self : AdversarialAutoencoder
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or array is out of its range, a network does not fit the data, or the
            training diverges at once. The estimator is then as it was before the call.
        MemoryError
            If the memory does not suffice. The estimator is as before.

        Warns
        -----
        ConvergenceWarning
            If the training diverged later (the estimator then has the last good weights), was
            interrupted, or ended badly: with a collapsed code, dead dimensions, or a discriminator
            that won. Says which parameter to change.
        """
        continued = self.warm_start and hasattr(self, "net_")
        fit_estimator(self, X, y, sample_weight, X_val, continued=continued)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> AdversarialAutoencoder:
        """Train for one pass over X, from where the last call ended.

        The scaling is that of the first call, which should see a representative chunk; `offset_`
        is that of the last. `early_stopping` and the decay of the learning rate do not apply.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            At least two rows, finite.
        y : array-like of shape (n_samples,) or None, default=None
            As in `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        self : AdversarialAutoencoder
            Fitted estimator.
        """
        continued = hasattr(self, "net_")
        fit_estimator(self, X, y, sample_weight, continued=continued, single_pass=True)
        return self

    def _parts(
        self, data: Data, prior: Any, n_components: int, net: AdversarialNet | None
    ) -> Parts:
        self._check_score_method(prior)
        if net is None:
            used = data.y is not None and has_classes(prior)
        else:
            used = net.game.critics[0].n_classes > 0  # the networks were built for labels
        if used and self.normalizing_flow:
            raise ValueError(
                "normalizing_flow=True maps codes to the prior whatever their labels, got y with "
                f"prior={prior!r}, which has classes. Set normalizing_flow=False, or leave y out."
            )
        labels = check_component_labels(data.y, len(data.X), prior.n_classes) if used else None
        weight = float(self.adversarial_weight)
        placed = used and weight > 0 and hasattr(prior, "component_log_prob")
        # One more class stands for unlabelled rows.
        n_classes = int(prior.n_classes) + 1 if used else 0
        return Parts(
            critics=(replace(self._style_critic(prior, n_components), n_classes=n_classes),),
            terms=(Placement(weight, prior),) if placed else (),
            labels=labels,
            thorough=False,  # a network that trains on learns the outliers too
        )

    def _learn(
        self,
        plan: Plan,
        data: Data,
        net: AdversarialNet,
        inference: Inference,
        random_state: np.random.RandomState,
    ) -> dict[str, Any]:
        net.module_.flow = self._transport(plan, data, net, inference)
        learned = super()._learn(plan, data, net, inference, random_state)
        keeping = resolve_keeping(self.references, self.n_references, inference.n_features)
        density, trained = fit_rows(plan, data, inference, random_state, keeping)
        code_density = fit_codes(plan, data, inference, random_state, keeping)
        scored = self._learn_scores(plan, data, net, inference, density, trained, random_state)
        return learned | {"_density": density, "_code_density": code_density} | scored

    def _transport(
        self, plan: Plan, data: Data, net: AdversarialNet, inference: Inference
    ) -> Transport | None:
        """The map from codes to the prior, where one is asked for."""
        transport, net.module_.flow = net.module_.flow, None
        if not self.normalizing_flow:
            return None
        # Draws of its own: everything else is as without a flow.
        random_state = np.random.RandomState(net.seed)
        return fit_transport(
            transport,
            fit_codes(plan, data, inference, random_state),
            plan.prior,
            net.seed,
            net.device,
            random_state=random_state,
            verbose=bool(self.verbose),
        )

    def inverse_transform(self, Z: Any) -> Any:
        """Decode codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)
            Codes.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            Rows in the units of X; a frame where one was fitted, or under `set_output`.
        """
        return self._given_back(self._inference.decode(self._codes_to_use(Z)), Z)

    def sample(self, n_samples: int = 1, random_state: Any = None, *, missing: bool = False) -> Any:
        """Decode codes, drawn as `sampler` says.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, at least 1.
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
        generator = local_random_state(random_state)
        if self.sampler == "prior":
            z = self._draw_styles(n_samples, generator)
        else:
            check_n_samples(n_samples)
            z = draw_codes(self._code_density, int(n_samples), generator)
            z = z.astype(self._columns.dtype)
        return self._sampled(self._inference.decode(z), missing, generator)

    def interpolate(self, X_from: Any, X_to: Any, n_steps: int = 10) -> Any:
        """Decode codes on the way from one row to another.

        The way is straight; where the prior is normal it follows the sphere, since a straight one
        would pass through the thinly populated centre (White, 2016).

        Parameters
        ----------
        X_from, X_to : array-like of shape (n_samples, n_features)
            Start and end rows, as many of one as of the other.
        n_steps : int, default=10
            Points on each way, at least 2, both ends included.

        Returns
        -------
        X : ndarray of shape (n_samples, n_steps, n_features), or list of n_samples tables
            In the units of X; the first and last steps are the reconstructions of the ends. A list
            where the columns are those of a table, each of whose ways is one.
        """
        check_is_fitted(self)
        check_n_steps(n_steps)
        start, end = self._rows_to_use(X_from), self._rows_to_use(X_to)
        check_same_number(len(start), len(end), "rows")
        dtype = np.result_type(start.dtype, end.dtype)
        inference = self._inference
        z_from, z_to = (inference.encode(_in_dtype(x, dtype)) for x in (start, end))
        t = np.linspace(0, 1, int(n_steps), dtype=dtype)
        z_from, z_to = z_from.astype(dtype, copy=False), z_to.astype(dtype, copy=False)
        z = getattr(self.prior_, "path", straight_path)(z_from, z_to, t)
        decoded = inference.decode(z.reshape(-1, self.n_components_))
        if self._learned_table is None:
            return decoded.reshape(len(start), len(t), self.n_features_in_)
        ways = decoded.reshape(len(start), len(t), -1)
        return [self._given_back(way, None) for way in ways]


def _in_dtype(rows: Any, dtype: np.dtype) -> Any:
    """Rows in a dtype of arrays; of a table they have one already, and sparse ones keep theirs."""
    return rows.astype(dtype, copy=False) if isinstance(rows, np.ndarray) else rows
