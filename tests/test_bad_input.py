"""Bad input gets an error that names what is wrong, and leaves the estimator as it was."""

import copy
import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from torch import nn

from sklearn_aae import AdversarialAutoencoder, AdversarialAutoencoderClassifier
from sklearn_aae.priors import Categorical, MixtureOfGaussians, SwissRoll, Uniform

X = np.random.default_rng(0).normal(size=(40, 4))


def with_value(value):
    Y = X.copy()
    Y[3, 2] = value
    return Y


DATES = np.datetime64("2024-01-01") + np.arange(80).reshape(40, 2)


class ReturnsNaN(nn.Module):
    def forward(self, x):
        return torch.full((len(x), 2), torch.nan)


class WrongWidth:
    def sample(self, n_samples, generator):
        return torch.zeros(n_samples, 5)


class Exploding(nn.Linear):
    """Fine on the row it is tried on, NaN from the first training step on."""

    def forward(self, x):
        return super().forward(x) * (torch.nan if self.training else 1.0)


BAD_PARAMETERS = [
    ({"n_components": 0}, ["n_components", "Got 0"]),
    ({"n_components": 2.5}, ["n_components", "Got 2.5"]),
    ({"hidden_layer_sizes": (10, 0)}, ["hidden_layer_sizes", "positive ints", "(10, 0)"]),
    ({"hidden_layer_sizes": (2.5,)}, ["hidden_layer_sizes", "(2.5,)"]),
    ({"activation": "sigmoidal"}, ["activation", "'relu'", "Got 'sigmoidal'"]),
    ({"max_iter": 0}, ["max_iter", "Got 0"]),
    ({"batch_size": 0}, ["batch_size", "Got 0"]),
    ({"contamination": 0.7}, ["contamination", "Got 0.7"]),
    ({"contamination": 0.0}, ["contamination", "Got 0.0"]),
    ({"lr": 0}, ["lr", "Got 0"]),
    ({"noise": -1}, ["noise", "Got -1"]),
    ({"noise": 1e300}, ["noise", "1e+38", "Got 1e+300"]),
    ({"lr": 1e39}, ["lr", "1e+38", "Got 1e+39"]),
    ({"optimizer": torch.optim.LBFGS}, ["optimizer", "LBFGS", "closure", "torch.optim.Adam"]),
    ({"optimizer": torch.optim.SparseAdam}, ["optimizer", "SparseAdam", "dense gradients"]),
    ({"optimizer": torch.optim.Muon}, ["optimizer", "Muon", "2D parameters"]),
    ({"optimizer": dict}, ["optimizer=<class 'dict'>", "torch.optim.Adam"]),
    ({"validation_fraction": 1.0}, ["validation_fraction", "Got 1.0"]),
    ({"score_method": "energy"}, ["score_method", "'reconstruction'", "Got 'energy'"]),
    ({"device": "warp"}, ["device='warp'", '"auto"']),
    ({"device": "meta"}, ["device='meta'", '"auto"']),
    ({"callbacks": [nn.ReLU()]}, ["callbacks", "skorch", "got ReLU()"]),
    ({"callbacks": [("name", 1)]}, ["callbacks", "skorch", "got ('name', 1)"]),
    ({"encoder": dict}, ["encoder=<class 'dict'>", "in_features", "got 2"]),
    ({"prior": "gauss"}, ["prior", "'normal'", "Got 'gauss'"]),
    ({"prior": WrongWidth()}, ["sample(2, generator)", "(2, 2)", "got (2, 5)"]),
    ({"prior": SwissRoll(), "n_components": 3}, ["SwissRoll", "n_components=2", "got 3"]),
    ({"prior": MixtureOfGaussians(), "n_components": 1}, ["MixtureOfGaussians", ">= 2", "got 1"]),
    ({"prior": Categorical(3)}, ["Categorical", "n_classes=3", "n_components=2"]),
    ({"prior": Uniform(1, 0)}, ["low=1", "high=0"]),
    ({"prior": "uniform", "score_method": "prior"}, ["score_method", "Uniform", "normal"]),
    (
        {"adversarial_weight": 0, "score_method": "discriminator"},
        ["score_method", "adversarial_weight=0"],
    ),
    ({"image_shape": (1, 3, 3)}, ["image_shape=(1, 3, 3)", "9 values", "n_features=4"]),
    ({"image_shape": (2, 2)}, ["image_shape", "(channels, height, width)", "(2, 2)"]),
    ({"likelihood": "bernoulli"}, ["bernoulli", "[0, 1]", "MinMaxScaler"]),
    ({"likelihood": "poisson"}, ["poisson", "counts", "not negative"]),
    ({"likelihood": "cauchy"}, ["likelihood", "'laplace'", "Got 'cauchy'"]),
    ({"encoder": nn.Linear(4, 3)}, ["encoder", "(1, 2)", "got (1, 3)"]),
    ({"encoder": nn.Linear(5, 2)}, ["encoder", "(1, 4)", "first layer"]),
    ({"encoder": nn.Linear(4, 2), "posterior": "gaussian"}, ["encoder", "2 * n_components"]),
    ({"decoder": nn.Linear(2, 7)}, ["decoder", "n_features", "got (1, 7)"]),
    ({"discriminator": nn.Linear(3, 1)}, ["discriminator", "(1, 2)"]),
    ({"discriminator": nn.Linear(2, 2)}, ["discriminator", "got (1, 2)"]),
    ({"encoder": ReturnsNaN()}, ["encoder", "NaN"]),
    ({"early_stopping": True, "validation_fraction": 0.99}, ["validation_fraction=0.99", "X_val"]),
]

BAD_DATA = [
    (with_value(np.inf), ["infinity", "Replace"]),
    (with_value(np.inf) / [1, 1, 1, np.nan], ["infinity"]),
    (with_value(1e308), ["overflow", "1e+308"]),
    (X[:0], ["0 sample"]),
    (X[:, :0], ["0 feature"]),
    (X[0], ["1D"]),
    (X[:1], ["1 sample"]),
    ([["a", "b"], ["c", "d"]], ["could not convert", "'a'"]),
    (X + 1j, ["Complex", "complex128", "X.imag"]),
    (DATES, ["X holds dates", "datetime64[D]", "data frame"]),
    (DATES - DATES[0], ["X holds durations", "timedelta64[D]"]),
    (DATES.astype(object), ["X: float()", "datetime.date", "data frame"]),
    ([[1, 2], [3]], ["X: ", "same number of columns"]),
]


def assert_message(error, parts):
    missing = [part for part in parts if part not in str(error.value)]
    assert not missing, f"{missing} not in: {error.value}"


@pytest.fixture(scope="module")
def fitted_once():
    return AdversarialAutoencoder(n_components=2, max_iter=1, random_state=0).fit(X)


@pytest.fixture
def fitted(fitted_once):
    return copy.deepcopy(fitted_once)


@pytest.mark.parametrize(("parameters", "parts"), BAD_PARAMETERS)
def test_bad_parameters(parameters, parts, fitted):
    before = dict(vars(fitted)), fitted.transform(X)
    model = AdversarialAutoencoder(**{"n_components": 2, "max_iter": 1, **parameters})
    with pytest.raises((ValueError, TypeError)) as error:
        model.fit(X)
    assert_message(error, parts)
    assert set(vars(model)) == set(model.get_params(deep=False))
    # A fitted estimator keeps its fit.
    fitted.set_params(**parameters)
    with pytest.raises((ValueError, TypeError)):
        fitted.fit(X)
    learned = {k: v for k, v in vars(fitted).items() if k not in fitted.get_params(deep=False)}
    assert learned == {k: v for k, v in before[0].items() if k in learned}
    if "n_components" not in parameters:
        assert_array_equal(fitted.transform(X), before[1])


@pytest.mark.parametrize(("data", "parts"), BAD_DATA)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_training_data(data, parts, method):
    model = AdversarialAutoencoder(max_iter=1, random_state=0)
    with pytest.raises((ValueError, TypeError)) as error:
        getattr(model, method)(data)
    assert_message(error, parts)
    assert set(vars(model)) == set(model.get_params())


@pytest.mark.parametrize(
    "method", ["transform", "reconstruct", "score_samples", "decision_function", "predict", "score"]
)
@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (X[:, :3], ["3 features", "expecting 4"]),
        (X[0], ["1D"]),
        (with_value(np.inf), ["infinity"]),
    ],
)
def test_bad_data_for_use(method, data, parts, fitted):
    with pytest.raises((ValueError, TypeError)) as error:
        getattr(fitted, method)(data)
    assert_message(error, parts)


@pytest.mark.parametrize(
    ("weight", "parts"),
    [
        (np.r_[-1.0, np.ones(39)], ["Negative values", "sample_weight"]),
        (np.zeros(40), ["zero", "weights"]),
        (np.ones(3), ["sample_weight.shape", "(3,)"]),
        (["a"] * 40, ["sample_weight: could not convert", "'a'"]),
    ],
)
def test_bad_weights(weight, parts):
    with pytest.raises(ValueError) as error:  # noqa: PT011  # the message is checked in parts
        AdversarialAutoencoder(max_iter=1).fit(X, sample_weight=weight)
    assert_message(error, parts)


def test_held_out_rows_are_named():
    with pytest.raises(ValueError, match=r"X_val: X has 3 features, .* expecting 4"):
        AdversarialAutoencoder(max_iter=1).fit(X, X_val=X[:, :3])


def test_labels_of_several_types():
    y = np.array(["a", None] * 20, dtype=object)
    with pytest.raises(TypeError, match=r"y holds labels of several types, .*: NoneType, str"):
        AdversarialAutoencoderClassifier(max_iter=1).fit(X, y)


def test_gpu_without_a_gpu():
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ValueError, match=r"device='cuda' asks for a GPU.*device=\"auto\""):
        AdversarialAutoencoder(device="cuda").fit(X)


def test_codes_of_the_wrong_width(fitted):
    with pytest.raises(ValueError, match=r"Z has 3 columns.*n_components_=2"):
        fitted.inverse_transform(np.zeros((5, 3)))


@pytest.mark.parametrize("n_samples", [0, -1, 2.5])
def test_number_of_samples(fitted, n_samples):
    with pytest.raises(
        ValueError, match=f"n_samples must be an int of at least 1, got {n_samples}"
    ):
        fitted.sample(n_samples)


def test_interpolation_arguments(fitted):
    with pytest.raises(ValueError, match="same number of rows, got 2 and 3"):
        fitted.interpolate(X[:2], X[:3])
    with pytest.raises(ValueError, match="n_steps must be an int of at least 2, got 1"):
        fitted.interpolate(X[:2], X[:2], n_steps=1)


@pytest.mark.parametrize("method", ["transform", "predict", "sample", "interpolate", "reconstruct"])
def test_unfitted(method):
    arguments = {"sample": (), "interpolate": (X, X)}.get(method, (X,))
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(AdversarialAutoencoder(), method)(*arguments)


@pytest.mark.parametrize(
    ("y", "parts"),
    [
        (np.full(40, 7), ["no component for: [7]", "0 to 2"]),
        (np.full(40, -2), ["no component for: [-2]"]),
        (np.full(40, "a"), ["no component for", "LabelEncoder"]),
        (np.zeros(3, dtype=int), ["(40,)", "(3,)"]),
    ],
)
def test_labels_without_a_component(y, parts):
    model = AdversarialAutoencoder(n_components=2, prior=MixtureOfGaussians(n_classes=3))
    with pytest.raises(ValueError) as error:  # noqa: PT011  # the message is checked in parts
        model.fit(X, y)
    assert_message(error, parts)


def test_a_loss_that_becomes_nan_says_which_when_and_what_to_lower():
    model = AdversarialAutoencoder(n_components=2, encoder=Exploding(4, 2), max_iter=5)
    message = r"loss became nan in epoch 1: .* Lower lr \(now 0.001\) or discriminator_lr"
    with pytest.raises(ValueError, match=message):
        model.fit(X)
    assert set(vars(model)) == set(model.get_params())


def test_divergence_in_partial_fit_keeps_the_last_good_weights(fitted):
    codes, n_iter = fitted.transform(X), fitted.n_iter_
    fitted.set_params(lr=1e30)
    fitted.set_params(batch_size=4)
    with pytest.raises(ValueError, match=re.escape("Lower lr (now 1e+30)")):
        fitted.partial_fit(X)
    assert fitted.n_iter_ == n_iter
    assert_array_equal(fitted.transform(X), codes)


def test_a_factory_that_returns_no_module():
    model = AdversarialAutoencoder(encoder=lambda n_in, n_out: "network")
    with pytest.raises(TypeError, match=r"encoder=.*must return a torch.nn.Module.*got str"):
        model.fit(X)
