"""AdversarialAutoencoder: transformer, sampler and outlier detector."""

from __future__ import annotations

import numbers
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from sklearn_aae._compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    _fit_context,
    output_frame,
)
from sklearn_aae._estimators.base import (
    BaseAdversarialAutoencoder,
    check_n_samples,
    local_random_state,
)
from sklearn_aae._estimators.parameters import document_shared_parameters
from sklearn_aae._learned.codes import MAX_CODES, CodeDensity, draw_codes, fit_code_density
from sklearn_aae._learned.density import (
    MAX_REFERENCES,
    NeighborSearch,
    column_contributions,
    fit_density,
    log_density,
)
from sklearn_aae._learned.flow import Transport, fit_flow, whiten
from sklearn_aae._rows.chunks import SelectedRows, in_dtype
from sklearn_aae._rows.scaling import squashed
from sklearn_aae._training.critics import Critic
from sklearn_aae._training.networks import check_component_labels
from sklearn_aae._training.terms import Placement
from sklearn_aae.modules import Autoencoder
from sklearn_aae.priors import Normal, draw, has_classes, straight_path

__all__ = ["AdversarialAutoencoder"]

# A flow is fitted to the codes and to draws from their density, as if these were so many codes more
# for each dimension. Few codes it would learn by heart; many say more than their density does. In
# single trials with 8 components, on digits, pendigits and magic, held-out codes could be told from
# the prior with an AUROC of 0.62, 0.59 and 0.51 after a fit to the codes alone, and of 0.57, 0.55
# and 0.64 after one to draws alone.
_N_PSEUDO_CODES = 600
# Both together: some 200 batches, so that the flow sees each five times.
_N_MAPPED = 50_000
# Noise on draws from a prior before its flow is learned, in their standard deviations: a curve has
# no density, and the thinner it is, the steeper the map. A column that does not vary counts as if
# it varied by this share of the widest.
_THICKNESS = 0.02
_LEAST_SPREAD = 1e-3

# Tukey's fence: the lower quartile less this many interquartile ranges.
_TUKEY = 1.5


@document_shared_parameters
class AdversarialAutoencoder(CallbackSupportMixin, OutlierMixin, BaseAdversarialAutoencoder):
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
        What `score_samples` returns: the log density of a row, from its nearest neighbours among
        the decodings and residuals of training rows; the log-likelihood of a row given its
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
        "distance": sliced Wasserstein distance of held-out codes from the prior, in units of its
        root mean square; "null" and "null_quantile": mean and 95 % quantile of the distance
        between two samples of the prior of the same size.
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
    that of codes up to 20,000 codes. After `partial_fit` they are those of the last chunk.

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

    _thorough: ClassVar[bool] = False  # a network that trains on learns the outliers too

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseAdversarialAutoencoder._parameter_constraints,
        "score_method": [
            StrOptions({"log_likelihood", "reconstruction", "prior", "discriminator"})
        ],
        "normalizing_flow": ["boolean"],
        "sampler": [StrOptions({"density", "prior"})],
        "contamination": [
            StrOptions({"auto"}),
            Interval(numbers.Real, 0, 0.5, closed="right"),
        ],
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
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        score_method: str = "log_likelihood",
        normalizing_flow: bool = False,
        sampler: str = "density",
        contamination: float | str = "auto",
        callbacks: Any = None,
        device: Any = "auto",
        precision: str = "float32",
        compile: bool = False,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            n_components=n_components,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            encoder=encoder,
            decoder=decoder,
            discriminator=discriminator,
            image_shape=image_shape,
            posterior=posterior,
            prior=prior,
            likelihood=likelihood,
            adversarial_weight=adversarial_weight,
            adversarial_loss=adversarial_loss,
            gradient_penalty=gradient_penalty,
            instance_noise=instance_noise,
            noise=noise,
            standardize=standardize,
            lr=lr,
            discriminator_lr=discriminator_lr,
            weight_decay=weight_decay,
            optimizer=optimizer,
            batch_size=batch_size,
            max_iter=max_iter,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            warm_start=warm_start,
            callbacks=callbacks,
            device=device,
            precision=precision,
            compile=compile,
            verbose=verbose,
            random_state=random_state,
        )
        self.score_method = score_method
        self.normalizing_flow = normalizing_flow
        self.sampler = sampler
        self.contamination = contamination

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
        self._fit(X, y, sample_weight, X_val, continued=continued)
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
        self._fit(X, y, sample_weight, n_epochs=1, continued=hasattr(self, "net_"))
        return self

    def _map_codes(
        self, X: np.ndarray, sample_weight: np.ndarray | None, training: np.ndarray | None
    ) -> None:
        net, k = self.net_, self.n_components_
        autoencoder, device = net.module_, torch.device(net.device)
        if not self.normalizing_flow:
            autoencoder.flow = None  # there may be one of an earlier fit
            return
        # Draws of its own: everything else is as without a flow.
        random_state = np.random.RandomState(net.seed)
        transport, autoencoder.flow = autoencoder.flow, None
        density = self._fit_codes(X, sample_weight, training, random_state)
        n_codes = len(density.codes)
        n_pseudo = k * _N_PSEUDO_CODES
        n_drawn = round(_N_MAPPED * n_pseudo / (n_codes + n_pseudo))
        chosen = random_state.choice(n_codes, _N_MAPPED - n_drawn, p=density.weights)
        drawn = draw_codes(density, n_drawn, random_state)
        sample = np.concatenate([density.codes[chosen], drawn]).astype(np.float32)
        to_map = torch.from_numpy(sample).to(device)
        if transport is None:
            transport = self._transport_to_prior(device)
            whiten(transport.of_codes, to_map)
        batches = torch.Generator(device).manual_seed(net.seed)
        name = "flow of codes" if self.verbose else None
        fit_flow(transport.of_codes, to_map, batches, name)
        autoencoder.flow = transport.eval()

    def _transport_to_prior(self, device: torch.device) -> Transport:
        """A transport that knows the prior and no codes yet."""
        k, prior, seed = self.n_components_, self.prior_, self.net_.seed
        generator = torch.Generator().manual_seed(seed)
        if type(prior) is Normal:
            transport = Transport(k, n_prior_layers=0, generator=generator).to(device)
            transport.of_prior.whitening.div_(prior.scale)
            return transport
        transport = Transport(k, generator=generator).to(device)
        z = draw(prior, _N_MAPPED, generator)
        spread = z.std(dim=0)
        spread = spread.clamp(min=_LEAST_SPREAD * float(spread.max()))
        noise = _THICKNESS * spread * torch.randn(z.shape, generator=generator)
        z = (z + noise).to(device)
        whiten(transport.of_prior, z)
        batches = torch.Generator(device).manual_seed(seed)
        fit_flow(transport.of_prior, z, batches, "flow of the prior" if self.verbose else None)
        return transport

    def _fit_codes(
        self,
        X: np.ndarray,
        sample_weight: np.ndarray | None,
        training: np.ndarray | None,
        random_state: np.random.RandomState,
    ) -> CodeDensity:
        """Density of the codes of training rows."""
        candidates = _rows_that_count(X, sample_weight, training)
        encoded = _at_most(MAX_CODES, candidates, random_state)
        weights = None if sample_weight is None else sample_weight[encoded]
        codes = self._encode(SelectedRows(X, encoded))
        return fit_code_density(codes, weights, random_state)

    def _fit_after_training(
        self,
        X: np.ndarray,
        sample_weight: np.ndarray | None,
        training: np.ndarray | None,
        held_out: np.ndarray | SelectedRows | None,
        random_state: np.random.RandomState,
    ) -> None:
        candidates = _rows_that_count(X, sample_weight, training)
        references = _at_most(MAX_REFERENCES, candidates, random_state)
        self._density = fit_density(*self._decoded_and_residual(X[references]), self.n_components_)
        self._code_density = self._fit_codes(X, sample_weight, training, random_state)
        self.offset_ = self._offset(self._scores(X), sample_weight)
        self._held_out_scores = None if held_out is None else np.sort(self._scores(held_out))

    def _encode_labels(
        self, y: Any, X: np.ndarray, sample_weight: np.ndarray | None, continued: bool
    ) -> np.ndarray | None:
        prior = self.prior_
        if continued:
            used = self.net_.game.critics[0].n_classes > 0  # the networks were built for labels
        else:
            used = y is not None and has_classes(prior)
        if used and self.normalizing_flow:
            raise ValueError(
                "normalizing_flow=True maps codes to the prior whatever their labels, got y with "
                f"prior={prior!r}, which has classes. Set normalizing_flow=False, or leave y out."
            )
        return check_component_labels(y, len(X), prior.n_classes) if used else None

    def _make_critics(self, labels: np.ndarray | None) -> tuple[Critic, ...]:
        # One more class stands for unlabelled rows.
        return (self._style_critic(0 if labels is None else int(self.prior_.n_classes) + 1),)

    def _make_terms(self, labels: np.ndarray | None) -> tuple[Any, ...]:
        weight = float(self.adversarial_weight)
        if labels is None or weight == 0 or not hasattr(self.prior_, "component_log_prob"):
            return ()
        return (Placement(weight, self.prior_),)

    def _check_parameters(self) -> None:
        """What only shows once the prior is bound, before any training."""
        prior = self.prior_
        if self.score_method == "prior" and not (
            hasattr(prior, "log_prob") and getattr(prior, "has_full_support", True)
        ):
            raise ValueError(
                f'score_method="prior" needs a prior with a density that is positive everywhere, '
                f'got prior={prior!r}. Use prior="normal" or "mixture_of_gaussians", or another '
                "score_method."
            )
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

    def _offset(self, scores: np.ndarray, sample_weight: np.ndarray | None) -> float:
        if sample_weight is None:
            how: dict[str, Any] = {}
        else:
            how = {"weights": sample_weight, "method": "inverted_cdf"}
        if isinstance(self.contamination, str):
            lower, upper = np.quantile(scores, [0.25, 0.75], **how)
            return float(lower - _TUKEY * (upper - lower))
        return float(np.quantile(scores, self.contamination, **how))

    def inverse_transform(self, Z: Any) -> Any:
        """Decode codes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)
            Codes.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            Rows in the units of X; a frame with the names of the columns under `set_output`.
        """
        check_is_fitted(self)
        codes = self._validated_codes(Z)
        return output_frame(self, self._decode(codes), Z)

    def _decode(self, codes: np.ndarray) -> np.ndarray:
        # Through the inverse of the flow, which `decoder_` does not have.
        autoencoder = self._autoencoder(codes.dtype)

        def decode(z: Tensor) -> Tensor:
            return self._mean(autoencoder.decode(z))

        return self._in_chunks(decode, codes, self.n_features_in_, torch.tensor)

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Decode codes, drawn as `sampler` says.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows, at least 1.
        random_state : int, RandomState instance or None, default=None
            An int gives the same rows at every call; None draws anew.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            Rows in the units and dtype of the training data; a frame under `set_output`.
        """
        check_is_fitted(self)
        generator = local_random_state(random_state)
        if self.sampler == "prior":
            z = self._draw_styles(n_samples, generator)
        else:
            check_n_samples(n_samples)
            z = draw_codes(self._code_density, int(n_samples), generator).astype(self._dtype)
        return output_frame(self, self._decode(z), None)

    def interpolate(self, X_from: Any, X_to: Any, n_steps: int = 10) -> np.ndarray:
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
        X : ndarray of shape (n_samples, n_steps, n_features)
            In the units of X; the first and last steps are the reconstructions of the ends.
        """
        check_is_fitted(self)
        if not isinstance(n_steps, numbers.Integral) or n_steps < 2:
            raise ValueError(f"n_steps must be an int of at least 2, got {n_steps!r}.")
        start, end = self._validated(X_from), self._validated(X_to)
        if len(start) != len(end):
            raise ValueError(
                f"X_from and X_to must have the same number of rows, got {len(start)} and "
                f"{len(end)}. To start from one row, repeat it."
            )
        dtype = np.result_type(start, end)
        z_from, z_to = (self._encode(x.astype(dtype, copy=False)) for x in (start, end))
        t = np.linspace(0, 1, int(n_steps), dtype=dtype)
        z = getattr(self.prior_, "path", straight_path)(z_from, z_to, t)
        decoded = self._decode(z.reshape(-1, self.n_components_))
        return decoded.reshape(len(start), len(t), self.n_features_in_)

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
        check_is_fitted(self)
        return self._scores(self._validated(X))

    def _scores(self, X: np.ndarray | SelectedRows) -> np.ndarray:
        autoencoder = self._autoencoder(X.dtype)

        if self.score_method == "prior":

            def score(x: Tensor) -> Tensor:
                return self.prior_.log_prob(autoencoder.encode(x).double())

        elif self.score_method == "discriminator":
            critic = self.net_.game.critics[0]
            discriminator = in_dtype(self.discriminator_, X.dtype)

            def score(x: Tensor) -> Tensor:
                z = autoencoder.encode(x)
                unlabelled = torch.full((len(z),), -1, device=z.device)
                return discriminator(critic.with_labels(z, unlabelled)).squeeze(1)

        elif self.score_method == "log_likelihood":
            search = NeighborSearch(self._density, X.dtype)

            def score(x: Tensor) -> Tensor:
                rho_squared = search.mean_squares(*self._split_rows(autoencoder, x))
                return torch.from_numpy(log_density(self._density, rho_squared))

        else:
            likelihood = self._likelihood

            def score(x: Tensor) -> Tensor:
                output = autoencoder(x)
                exact = likelihood.to(x.device, torch.float64)
                return exact.log_prob(output.double(), x.double()).sum(dim=1)

        return self._on_rows(score, X, None)

    def _split_rows(self, autoencoder: Autoencoder, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Decoding and residual of standardised rows x, in standardised units, float64."""
        decoded = self._mean(autoencoder(x)).double()
        exact = self._likelihood.to(x.device, torch.float64)
        decoded = squashed(decoded.sub_(exact.center).div_(exact.scale), exact.knee)
        return decoded.cpu().numpy(), (x.double() - decoded).cpu().numpy()

    def _decoded_and_residual(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Decodings and residuals (n_samples, n_features) of rows in the units of X."""
        autoencoder = self._autoencoder(X.dtype)

        def split(x: Tensor) -> Tensor:
            return torch.from_numpy(np.concatenate(self._split_rows(autoencoder, x), axis=1))

        joined = self._on_rows(split, X, 2 * self.n_features_in_).astype(np.float64)
        return joined[:, : self.n_features_in_], joined[:, self.n_features_in_ :]

    def feature_scores(self, X: Any) -> np.ndarray:
        """What each column adds to the outlyingness of a row, new rows included.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features)
            Non-negative. A row's sum is its mean squared distance rho² to its nearest training
            rows, of which ``score_samples`` with ``score_method="log_likelihood"`` is a falling
            function: ``constant - n_features / 2 * log(rho²)``. The sum is shared out in proportion
            to the mean squared difference from those rows in each column, in standardised units.
        """
        check_is_fitted(self)
        decoded, residual = self._decoded_and_residual(self._validated(X))
        return column_contributions(self._density, decoded, residual)

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
        """Mean of `score_samples`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.
        y : Ignored
            Present for scikit-learn's conventions.

        Returns
        -------
        score : float
            In nats.
        """
        return float(self.score_samples(X).mean())

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


def _rows_that_count(
    X: np.ndarray, sample_weight: np.ndarray | None, training: np.ndarray | None
) -> np.ndarray:
    """Training rows of positive weight."""
    rows = np.arange(len(X)) if training is None else training
    return rows if sample_weight is None else rows[sample_weight[rows] > 0]


def _at_most(n: int, rows: np.ndarray, random_state: np.random.RandomState) -> np.ndarray:
    """The given rows, or n of them drawn without replacement where there are more."""
    return rows if len(rows) <= n else random_state.choice(rows, n, replace=False)
