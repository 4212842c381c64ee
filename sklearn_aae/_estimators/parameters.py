"""The parameters that all estimators share: what they mean, which values they take."""

from __future__ import annotations

import inspect
import numbers
import re
from typing import Any, TypeVar

import torch
from sklearn.base import BaseEstimator

from sklearn_aae._compat import HasMethods, Interval, StrOptions
from sklearn_aae._rows.likelihoods import LIKELIHOODS
from sklearn_aae._training.acceleration import PRECISIONS
from sklearn_aae._training.critics import ADVERSARIAL_LOSSES
from sklearn_aae.modules import ACTIVATIONS
from sklearn_aae.priors import PRIORS

# What enters the training has to be a number in float32, also when it is doubled.
NON_NEGATIVE = Interval(numbers.Real, 0, 1e38, closed="both")
POSITIVE = Interval(numbers.Real, 0, 1e38, closed="right")

CONSTRAINTS: dict[str, list[Any]] = {
    "n_components": [StrOptions({"auto"}), Interval(numbers.Integral, 1, None, closed="left")],
    "hidden_layer_sizes": [StrOptions({"auto"}), "array-like"],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "encoder": [None, callable],
    "decoder": [None, callable],
    "discriminator": [None, callable],
    "image_shape": [None, "array-like"],
    "posterior": [StrOptions({"deterministic", "gaussian", "implicit"})],
    "prior": [StrOptions(set(PRIORS)), HasMethods("sample")],
    "likelihood": [StrOptions(set(LIKELIHOODS))],
    "categorical_features": [None, StrOptions({"from_dtype"}), "array-like"],
    "adversarial_weight": [NON_NEGATIVE],
    "adversarial_loss": [StrOptions(set(ADVERSARIAL_LOSSES))],
    "gradient_penalty": [NON_NEGATIVE],
    "instance_noise": [NON_NEGATIVE],
    "noise": [NON_NEGATIVE],
    "standardize": ["boolean"],
    "lr": [POSITIVE],
    "discriminator_lr": [None, POSITIVE],
    "weight_decay": [NON_NEGATIVE],
    "optimizer": [callable],
    "batch_size": [StrOptions({"auto"}), Interval(numbers.Integral, 1, None, closed="left")],
    "max_iter": [StrOptions({"auto"}), Interval(numbers.Integral, 1, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(numbers.Real, 0, 1, closed="neither")],
    "n_iter_no_change": [StrOptions({"auto"}), Interval(numbers.Integral, 1, None, closed="left")],
    "tol": [Interval(numbers.Real, 0, None, closed="left")],
    "warm_start": ["boolean"],
    "callbacks": [None, "array-like"],
    "device": [str, torch.device],
    "precision": [StrOptions(set(PRECISIONS))],
    "compile": ["boolean"],
    "verbose": ["verbose"],
    "random_state": ["random_state"],
}

_PARAMETERS = """
n_components : int or "auto", default="auto"
    Width of the code. "auto" is about the square root of n_features, from 2 to 16, and less
    than the number of columns that are not constant, where possible.

hidden_layer_sizes : tuple of int or "auto", default="auto"
    Widths of the encoder's hidden layers; the decoder mirrors them. "auto": about twice
    n_features, from 64 to 256, and half of that.

activation : {"relu", "leaky_relu", "elu", "gelu", "silu", "tanh"}, default="relu"
    Activation of the hidden layers of encoder and decoder.

encoder, decoder, discriminator : nn.Module, callable or None, default=None
    Networks of your own: an instance, which is copied and never trained in place, or a
    callable ``(in_features, out_features) -> nn.Module``. None: built for the data. They work
    on standardised rows; checked on one row before training.

image_shape : tuple of three int or None, default=None
    (channels, height, width) of images in the rows of X, which stay flattened. The built
    networks then start and end with convolutions.

posterior : {"deterministic", "gaussian", "implicit"}, default="deterministic"
    q(z|x): one code for each row, a normal distribution around it, or a network of row and
    noise (Makhzani et al., 2015, section 2.1). `transform` is deterministic for all three.

prior : {"normal", "uniform", "mixture_of_gaussians", "swiss_roll"} or object, \
        default="normal"
    What the codes are matched to: a name, an object of `sklearn_aae.priors`, or any object
    with ``sample(n_samples, generator)``. Its parameters can be searched, as `prior__scale` of
    "normal". With a prior that has classes, such as
    ``MixtureOfGaussians(n_classes=10)``, `AdversarialAutoencoder.fit` places the rows of class
    k, given in `y` as ints from 0, on component k; rows with `y` of -1 are free.

likelihood : {"gaussian", "laplace", "bernoulli", "poisson"}, default="gaussian"
    What the decoder's output means: squared or absolute error in standardised units,
    probabilities for X in [0, 1], or rates of counts. Of the numbers of a table; booleans and
    categories have probabilities.

categorical_features : "from_dtype", None or array-like of bool, int or str, default="from_dtype"
    Which columns are categories. "from_dtype": those of a data frame that are of a categorical
    type, or strings; None: none; else a mask, positions from 0, or names. Booleans, dates and
    durations are known by their type.

adversarial_weight : float, default=0.2
    Weight of the match with the prior against the reconstruction loss, which is the share of
    deviance left unexplained: neither depends on the units or the number of columns. 0 gives
    a plain autoencoder.

adversarial_loss : {"non_saturating", "least_squares", "hinge", "wasserstein"}, \
        default="non_saturating"
    Losses of discriminator and encoder.

gradient_penalty : float, default=0.1
    Weight of the zero-centred penalty on the discriminator's gradient, on codes and prior
    (Mescheder et al., 2018).

instance_noise : float, default=0.0
    Standard deviation of noise on the discriminator's input.

noise : float, default=0.3
    Standard deviation of the noise added to the encoder's input in training, in standardised
    units: the autoencoder learns to remove it.

standardize : bool, default=True
    Centre and scale the columns inside the estimator, so that codes, scores and reconstructions
    do not depend on the units of X: to unit variance, values beyond five units growing
    logarithmically; or by their range, if most columns have the same one, as pixels do.

lr : float, default=1e-3
    Learning rate of encoder and decoder, decayed over the second half of the training.

discriminator_lr : float or None, default=None
    Learning rate of the discriminator; None: twice `lr`.

weight_decay : float, default=0.0
    Weight decay, passed to the optimiser.

optimizer : class, default=torch.optim.Adam
    Optimiser class of torch.

batch_size : int or "auto", default="auto"
    Rows in a step; "auto": an eighth of the rows, from 32 to 256.

max_iter : int or "auto", default="auto"
    Number of epochs; "auto" turns a budget of gradient steps into epochs. In
    `AdversarialAutoencoder` it is 100 steps for the square root of n_features, but not more than
    2,500 steps or 60 epochs, not fewer than 300 steps, and from 4 to 600 epochs: brief training
    keeps outliers out of the model, and more epochs give better codes and reconstructions. In the
    other estimators it is 3,000 steps, from 4 to 300 epochs. Where four passes over all rows would
    be more steps than that, an epoch is a part of one.

early_stopping : bool, default=False
    Stop when the reconstruction of held-out rows and the match of their codes with the prior
    get no better, and go back to the best weights. In `AdversarialAutoencoderClassifier` also their
    labels, where they have any; where they have none, not before the virtual adversarial term has
    begun, after 30 % of the epochs.

validation_fraction : float, default=0.1
    Share of rows that are not trained on, in (0, 1): for `early_stopping`, `p_values` and
    `prior_match_`. At most 10,000 rows; none of fewer than 20 unless `early_stopping` asks for
    them; none with `X_val`, which takes their place, and in `partial_fit`.

n_iter_no_change : int or "auto", default="auto"
    Epochs without improvement after which to stop; "auto" is a tenth of `max_iter`, 1 at least.
    Only with `early_stopping`.

tol : float, default=1e-4
    Improvement that counts. Only with `early_stopping`.

warm_start : bool, default=False
    Whether `fit` goes on from the last fit's networks and scaling.

callbacks : list of skorch callbacks or None, default=None
    Run besides the estimator's own, with the net `net_`.

device : str or torch.device, default="auto"
    Where to train; "auto": a GPU if there is one.

precision : {"float32", "bf16"}, default="float32"
    "bf16" computes the networks in training in bfloat16, by torch's autocast, where the device
    supports it: faster for wide layers, slower for narrow ones on a CPU. Weights, losses, codes and
    scores stay as they are.

compile : bool, default=False
    Train with encoder and decoder compiled by `torch.compile`, which takes seconds to a minute, and
    writes to its own cache on disk. Where it cannot, a warning says so, and the training goes on
    without. The fitted networks are not compiled.

verbose : int, default=0
    1 shows the progress of training.

random_state : int, RandomState instance or None, default=None
    Seed of weights, noise, batches and draws. An int gives the same model at every fit, to the
    bit, on one machine with the same versions, device and number of threads. Global random
    generators are neither used nor changed.
"""

_Class = TypeVar("_Class", bound=type)


def document_shared_parameters(cls: _Class) -> _Class:
    """Put the shared parameters into a class's docstring, at the mark ``{shared_parameters}``.

    Those that the class has, and does not describe itself. Defaults that are numbers may differ
    between classes, and are those of the class's signature.
    """
    doc = inspect.cleandoc(cls.__doc__ or "")
    signature = inspect.signature(cls).parameters
    entries = re.findall(r"^(\w+(?:, \w+)*) : ", doc, flags=re.MULTILINE)
    described = {name for entry in entries for name in entry.split(", ")}
    parameters = "\n\n".join(
        entry
        for entry in _PARAMETERS.strip().split("\n\n")
        if set(entry[: entry.index(" : ")].split(", ")) <= signature.keys() - described
    )
    for name, parameter in signature.items():
        if type(parameter.default) in (int, float):
            pattern = rf"^({name} : .*default=)\S+$"
            replacement = rf"\g<1>{parameter.default!r}"
            parameters = re.sub(pattern, replacement, parameters, flags=re.MULTILINE)
    cls.__doc__ = doc.replace("{shared_parameters}", parameters)
    return cls


def store_parameters(estimator: BaseEstimator, arguments: dict[str, Any]) -> None:
    """Store the arguments of a constructor, its ``locals()``, untouched.

    scikit-learn reads parameters off an explicit signature, which editors and type checkers need
    too; what it need not have is their names once more, as assignments.
    """
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)
