"""AdversarialTextAutoencoder: strings as codes, and codes as strings."""

from __future__ import annotations

import numbers
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from sklearn_aae._compat import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
)
from sklearn_aae._estimators.fitting import fit_estimator, local_random_state
from sklearn_aae._estimators.parameters import (
    CONSTRAINTS,
    document_shared_parameters,
    store_parameters,
)
from sklearn_aae._estimators.strings import StringAutoencoder
from sklearn_aae._estimators.trained import (
    check_n_samples,
    check_n_steps,
    check_same_number,
)
from sklearn_aae._learned.codes import draw_codes
from sklearn_aae.priors import straight_path

_AT_LEAST_ONE = Interval(numbers.Integral, 1, None, closed="left")
# Parameters that have the same values in all estimators.
_SHARED = (
    *("encoder", "decoder", "discriminator", "prior", "adversarial_weight", "adversarial_loss"),
    *("gradient_penalty", "instance_noise", "lr", "discriminator_lr", "weight_decay", "optimizer"),
    *("batch_size", "max_iter", "early_stopping", "validation_fraction", "n_iter_no_change", "tol"),
    *("warm_start", "callbacks", "device", "precision", "verbose", "random_state"),
)


@document_shared_parameters
class AdversarialTextAutoencoder(CallbackSupportMixin, StringAutoencoder):
    """Autoencoder of strings whose codes match a prior.

    An encoder network makes a code of a string, a decoder network says it again, token by token,
    and a discriminator compares the codes with draws from `prior` [1]_. In training, the encoder
    sees half of the strings without some of their tokens: what the code then has to know is what
    similar strings share, so that codes can be averaged, moved and sampled [2]_.

    X is an iterable of str, as for `TfidfVectorizer`: a list, an array, or a column of pandas,
    polars or pyarrow. It is for short strings: sentences, names, log lines, queries.

    Parameters
    ----------
    n_components : int, default=128
        Width of the code; that of Shen et al. (2020).

    analyzer : {"word", "char", "bpe"}, callable or Tokenizer, default="word"
        How a string is cut into tokens. "word": words and marks of punctuation, which start with
        ``##`` where no space is before them, so that a string is put together as it was, up to
        runs of spaces; "char": characters; "bpe": pieces of words by byte-pair encoding, learned
        from X by the package ``tokenizers`` (extra `text`). A callable takes a string and returns a
        list of tokens, which a space joins; a fitted Tokenizer of that package does both itself.

    lowercase : bool, default=True
        Whether strings are made lower case first. They then come back in lower case.

    max_features : int or None, default=10000
        Most tokens to know, by their frequency; None for all. For "bpe" also the number of pieces
        to learn.

    min_df : int or float, default=1
        Strings that a token has to be in to be known: a number, or a share in [0, 1]. Unknown ones
        are all read as one token, which is never said.

    max_length : int, default=128
        Most tokens of a string. Longer strings are cut, with a warning.

    embedding_size : int, default=128
        Width of the embeddings of tokens, which encoder and decoder share, and which score the next
        token.

    hidden_size : int, default=256
        Width of the decoder's state, and of both directions of the encoder's together.

    encoder, decoder : nn.Module, callable or None, default=None
        Networks of your own: an instance, which is copied and never trained in place, or a
        callable ``(in_features, out_features) -> nn.Module``. An encoder is built for (number of
        tokens, width of the code) and takes tokens, ints (n, length), with zeros after the end of
        shorter rows. A decoder is built for (width of the code, number of tokens) and takes codes
        and the tokens so far, 1 first, and returns the logits of the next one after each of them,
        (n, length, number of tokens). Checked on one string before training.

    discriminator : nn.Module, callable or None, default=None
        As elsewhere: from codes to one logit.

    posterior : {"deterministic", "gaussian"}, default="deterministic"
        q(z|x): one code for each string, or a normal distribution around it. `transform` is
        deterministic for both.

    adversarial_weight : float, default=0.2
        Weight of the match with the prior against the reconstruction loss, which is the share of
        surprise left of what the frequencies of tokens leave. 0 gives a plain autoencoder.

    noise : float, default=0.3
        Share of tokens dropped from the encoder's input in training, in [0, 1].

    max_iter : int or "auto", default="auto"
        Number of epochs; "auto" is 10,000 gradient steps, from 4 to 300 epochs.

    validation_fraction : float, default=0.1
        Share of strings that are not trained on, in (0, 1): for `early_stopping`, `offset_`,
        `code_information_` and `prior_match_`. At most 10,000; none of fewer than 20 unless
        `early_stopping` asks for them; none with `X_val`, which takes their place, and in
        `partial_fit`.

    {shared_parameters}

    score_method : {"per_token", "log_likelihood", "prior"}, default="per_token"
        What `score_samples` means: log-likelihood of the string given its code, in nats, for each
        token and the end, or of all of them, which long strings have less of; or the log density
        of its code under the prior.

    sampler : {"density", "prior"}, default="density"
        What `sample` draws codes from: a density of the codes of training strings, or the prior.

    contamination : float or "auto", default="auto"
        Share of outliers in (0, 0.5] that sets `offset_`; "auto" is Tukey's fence: the lower
        quartile of the scores less one and a half interquartile ranges.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        Known tokens and their positions, in alphabetical order.
    n_components_ : int
        Width of the code.
    n_iter_ : int
        Number of epochs run, over all fits where they continue each other.
    history_ : dict of str to list of float
        Losses by name, one value for each epoch. "reconstruction_loss" is 1 where nothing but the
        frequencies of tokens is known.
    offset_ : float
        ``decision_function = score_samples - offset_``.
    code_information_ : float
        Nats of log-likelihood that strings lose on average where they are given the code of
        another string: what the decoder takes from the code. Of at most 1,000 held-out strings.
    prior_ : object
        The prior, bound to the width of the code.
    prior_match_ : dict
        How far codes are from the prior, as in `AdversarialAutoencoder`.
    encoder_, decoder_, discriminator_ : nn.Module
        Networks in eval mode.
    net_ : AdversarialNet
        The skorch net.

    See Also
    --------
    sklearn.feature_extraction.text.TfidfVectorizer : With `TruncatedSVD`, linear codes of the words
        of a text, without their order.

    Notes
    -----
    Scores, and the density that `sampler` draws from, come from rows: up to 20,000 codes of
    training strings are kept, and the vocabulary.

    A softmax over many tokens is most of the work. In training it is over the tokens of a batch and
    a draw of 500 others, which stands for all others.

    References
    ----------
    .. [1] Makhzani, Shlens, Jaitly, Goodfellow and Frey (2015), "Adversarial autoencoders",
       https://arxiv.org/abs/1511.05644
    .. [2] Shen, Mueller, Barzilay and Jaakkola (2020), "Educating text autoencoders: latent
       representation guidance via denoising", https://arxiv.org/abs/1905.12777

    Examples
    --------
    >>> from sklearn_aae import AdversarialTextAutoencoder
    >>> X = [f"{size} {color} {thing}" for size in ("big", "small") for color in ("red", "blue")
    ...      for thing in ("box", "ball", "lamp")]
    >>> model = AdversarialTextAutoencoder(n_components=4, max_iter=20, random_state=0).fit(X)
    >>> model.transform(X).shape
    (12, 4)
    >>> model.inverse_transform(model.transform(X)).shape
    (12,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **{name: CONSTRAINTS[name] for name in _SHARED},
        "n_components": [_AT_LEAST_ONE],
        "analyzer": [
            StrOptions({"word", "char", "bpe"}),
            callable,
            HasMethods(["encode_batch", "to_str"]),
        ],
        "lowercase": ["boolean"],
        "max_features": [None, _AT_LEAST_ONE],
        "min_df": [_AT_LEAST_ONE, Interval(numbers.Real, 0, 1, closed="both")],
        "max_length": [_AT_LEAST_ONE],
        "embedding_size": [_AT_LEAST_ONE],
        "hidden_size": [_AT_LEAST_ONE],
        "posterior": [StrOptions({"deterministic", "gaussian"})],
        "noise": [Interval(numbers.Real, 0, 1, closed="both")],
        "score_method": [StrOptions({"per_token", "log_likelihood", "prior"})],
        "sampler": [StrOptions({"density", "prior"})],
        "contamination": [StrOptions({"auto"}), Interval(numbers.Real, 0, 0.5, closed="right")],
    }

    def __init__(
        self,
        n_components: int = 128,
        *,
        analyzer: Any = "word",
        lowercase: bool = True,
        max_features: int | None = 10_000,
        min_df: float = 1,
        max_length: int = 128,
        embedding_size: int = 128,
        hidden_size: int = 256,
        encoder: Any = None,
        decoder: Any = None,
        discriminator: Any = None,
        posterior: str = "deterministic",
        prior: Any = "normal",
        adversarial_weight: float = 0.2,
        adversarial_loss: str = "non_saturating",
        gradient_penalty: float = 0.1,
        instance_noise: float = 0.0,
        noise: float = 0.3,
        lr: float = 2e-3,
        discriminator_lr: float | None = None,
        weight_decay: float = 0.0,
        optimizer: Any = torch.optim.Adam,
        batch_size: int | str = 64,
        max_iter: int | str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | str = "auto",
        tol: float = 1e-4,
        warm_start: bool = False,
        score_method: str = "per_token",
        sampler: str = "density",
        contamination: float | str = "auto",
        callbacks: Any = None,
        device: Any = "auto",
        precision: str = "float32",
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        store_parameters(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, X_val: Any = None
    ) -> AdversarialTextAutoencoder:
        """Learn the vocabulary and train the networks.

        Parameters
        ----------
        X : iterable of str of shape (n_samples,)
            At least two strings. Empty ones are strings, too.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the strings in all losses, non-negative and not all zero.
        X_val : iterable of str of shape (n_val,), default=None
            Held-out strings, instead of a share of X.

        Returns
        -------
        self : AdversarialTextAutoencoder
            Fitted estimator.

        Raises
        ------
        TypeError
            If X is a single string, or holds what are no strings.
        ValueError
            If a parameter is out of its range, strings are missing, no token is left, a network
            does not fit, or the training diverges at once. The estimator is then as it was before.

        Warns
        -----
        ConvergenceWarning
            If the training diverged later, was interrupted, or ended badly: with a collapsed code,
            a discriminator that won, or a decoder that does without the code. Says which parameter
            to change.
        UserWarning
            If strings are longer than `max_length` and are cut; says how many.
        """
        continued = self.warm_start and hasattr(self, "net_")
        fit_estimator(self, X, y, sample_weight, X_val, continued=continued)
        self._warn_of_an_ignored_code()
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: Any = None
    ) -> AdversarialTextAutoencoder:
        """Train for one pass over X, from where the last call ended.

        The vocabulary is that of the first call, which should see a representative chunk; `offset_`
        is that of the last. `early_stopping` and the decay of the learning rate do not apply.

        Parameters
        ----------
        X : iterable of str of shape (n_samples,)
            At least two strings.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.

        Returns
        -------
        self : AdversarialTextAutoencoder
            Fitted estimator.
        """
        continued = hasattr(self, "net_")
        fit_estimator(self, X, y, sample_weight, continued=continued, single_pass=True)
        self._warn_of_an_ignored_code()
        return self

    # Use.

    def transform(self, X: Any) -> Any:
        """Encode strings.

        Parameters
        ----------
        X : iterable of str of shape (n_samples,)
            Strings.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components_)
            Codes, deterministic for every posterior, in float64.
        """
        return self._inference.encode(self._rows_to_use(X))

    def inverse_transform(self, Z: Any) -> np.ndarray:
        """Decode codes: the most probable token at each place.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)
            Codes.

        Returns
        -------
        X : ndarray of str, of dtype object and shape (n_samples,)
            Strings, none with more tokens than the longest of `fit`.
        """
        codes = self._codes_to_use(Z)
        return self._tokens.strings(self._inference.decode(codes))

    def reconstruct(self, X: Any) -> np.ndarray:
        """Encode and decode: strings as far as the code has room for them.

        Parameters
        ----------
        X : iterable of str of shape (n_samples,)
            Strings.

        Returns
        -------
        X_reconstructed : ndarray of str, of dtype object and shape (n_samples,)
            Strings.
        """
        rows = self._rows_to_use(X)
        return self._tokens.strings(self._inference.reconstruct(rows))

    def sample(
        self, n_samples: int = 1, random_state: Any = None, *, temperature: float = 0.0
    ) -> np.ndarray:
        """Decode codes, drawn as `sampler` says.

        Parameters
        ----------
        n_samples : int, default=1
            Number of strings, at least 1.
        random_state : int, RandomState instance or None, default=None
            An int gives the same strings at every call; None draws anew.
        temperature : float, default=0.0
            0: the most probable token at each place. Else tokens are drawn, with probabilities to
            the power of 1 / temperature: 1 for those of the model, less for likelier ones.

        Returns
        -------
        X : ndarray of str, of dtype object and shape (n_samples,)
            Strings.
        """
        check_is_fitted(self)
        check_n_samples(n_samples)
        is_number = isinstance(temperature, numbers.Real) and not isinstance(temperature, bool)
        if not (is_number and 0 <= temperature < np.inf):
            raise ValueError(
                f"temperature must be a number of at least 0, got {temperature!r}. 0 takes the "
                "most probable token at each place, 1 draws from the model."
            )
        generator = local_random_state(random_state)
        if self.sampler == "prior":
            z = self._draw_styles(n_samples, generator)
        else:
            z = draw_codes(self._code_density, int(n_samples), generator)
        seed = int(generator.randint(2**31 - 1))
        return self._tokens.strings(self._inference.drawn(z, float(temperature), seed))

    def interpolate(self, X_from: Any, X_to: Any, n_steps: int = 10) -> np.ndarray:
        """Decode codes on the way from one string to another.

        The way is straight; where the prior is normal it follows the sphere, since a straight one
        would pass through the thinly populated centre (White, 2016).

        Parameters
        ----------
        X_from, X_to : iterable of str of shape (n_samples,)
            Start and end strings, as many of one as of the other.
        n_steps : int, default=10
            Points on each way, at least 2, both ends included.

        Returns
        -------
        X : ndarray of str, of dtype object and shape (n_samples, n_steps)
            The first and last are the reconstructions of the ends.
        """
        check_is_fitted(self)
        check_n_steps(n_steps)
        start, end = self._rows_to_use(X_from, "X_from"), self._rows_to_use(X_to, "X_to")
        check_same_number(len(start), len(end), "strings")
        inference = self._inference
        t = np.linspace(0, 1, int(n_steps))
        path = getattr(self.prior_, "path", straight_path)
        z = path(inference.encode(start), inference.encode(end), t)
        decoded = inference.decode(z.reshape(-1, self.n_components_))
        return self._tokens.strings(decoded).reshape(len(start), len(t))
