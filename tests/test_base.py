"""What the classifier, the clusterer and the conditional autoencoder owe to their base."""

import copy
import functools
import importlib
import inspect
import io
import pickle
import pkgutil
import re

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from torch import nn

import sklearn_aae
from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    AdversarialTextAutoencoder,
    ConditionalAdversarialAutoencoder,
    _estimators,
)
from sklearn_aae._compat import StrOptions

CLASSES = [
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
]

for_all = pytest.mark.parametrize("cls", CLASSES)


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs(60, n_features=4, centers=3, random_state=0)
    y.flags.writeable = X.flags.writeable = False
    return X, y


def make(cls, **parameters):
    few = {"n_components": 2, "max_iter": 3, "random_state": 0}
    if cls is AdversarialAutoencoderClusterer:
        few["n_clusters"] = 3
    return cls(**{**few, **parameters})


def fit(cls, data, **parameters):
    return make(cls, **parameters).fit(*data)


@pytest.fixture(scope="module")
def fitted(data):
    """Function that gives a fitted model of a class, which no test may change."""
    return functools.cache(lambda cls: fit(cls, data))


def samples(model, *args):
    drawn = model.sample(*args)
    return drawn[0] if isinstance(drawn, tuple) else drawn


def outputs(model, X):
    """Everything that the model says of rows."""
    arrays = [model.transform(X), samples(model, len(X), 1, 0)]
    arrays.append(model.inverse_transform(model.transform(X)))
    if isinstance(model, ConditionalAdversarialAutoencoder):
        return [*arrays, model.translate(X, 2)]
    return [*arrays, model.predict_proba(X), model.predict(X), model.reconstruct(X)]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        assert_array_equal(a, b)


# One seed.


@for_all
def test_refit_is_bit_identical_and_another_seed_is_not(cls, data, fitted):
    first, again = fitted(cls), fit(cls, data)
    assert_same(outputs(first, data[0]), outputs(again, data[0]))
    assert not np.allclose(
        fit(cls, data, random_state=1).transform(data[0]), outputs(first, data[0])[0]
    )


@for_all
@pytest.mark.each_choice
@pytest.mark.filterwarnings("ignore:All rows are in one:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("random_state", [0, None])
def test_global_generators_are_untouched(cls, data, random_state):
    def state():
        _, key, position, *_ = np.random.get_state()  # noqa: NPY002  # what is tested
        return key.tolist(), position, torch.get_rng_state().tolist()

    before = state()
    outputs(fit(cls, data, random_state=random_state), data[0])
    assert state() == before


@for_all
def test_samples_repeat_with_a_seed_and_draw_anew_without(cls, fitted):
    model = fitted(cls)
    assert_array_equal(samples(model, 5, 0, 1), samples(model, 5, 0, 1))
    assert not np.allclose(samples(model, 5, 0, 1), samples(model, 5, 0, 2))
    assert not np.allclose(samples(model, 5, 0), samples(model, 5, 0))


# Nothing is written where nothing is to be learned.


@for_all
def test_fit_writes_to_no_parameter_and_use_writes_nothing(cls, data):
    model = make(cls)
    before = copy.deepcopy(model.get_params())
    model.fit(*data)
    assert model.get_params() == before
    learned = {n: v for n, v in vars(model).items() if n not in before}
    assert all(name.endswith("_") or name.startswith("_") for name in learned)
    state = pickle.dumps(model)
    outputs(model, data[0])
    assert pickle.dumps(model) == state


@for_all
def test_a_clone_is_unfitted_and_fits_alike(cls, data, fitted):
    model = fitted(cls)
    copied = clone(model)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        copied.transform(data[0])
    assert_same(outputs(model, data[0]), outputs(copied.fit(*data), data[0]))


def by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


@for_all
@pytest.mark.each_choice
@pytest.mark.parametrize(
    "copy_of", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), by_joblib]
)
def test_a_copy_gives_the_same_bits_and_trains_on_alike(cls, data, copy_of):
    model = fit(cls, data, warm_start=True)
    copied = copy_of(model)
    assert_same(outputs(model, data[0]), outputs(copied, data[0]))
    assert_same(outputs(model.fit(*data), data[0]), outputs(copied.fit(*data), data[0]))


@for_all
def test_a_file_holds_no_rows(cls):
    rng = np.random.default_rng(0)
    sizes = []
    for n in (60, 1060):
        X, y = rng.normal(size=(n, 4)), np.arange(n) % 3
        model = fit(cls, (X, y), max_iter=1)
        if cls is AdversarialAutoencoderClusterer:
            del model.labels_
        sizes.append(len(pickle.dumps(model)))
    assert sizes[1] - sizes[0] < 1000


# Types and containers.


@for_all
def test_answers_have_the_dtype_of_the_rows(cls, data):
    X, y = data
    for dtype in (np.float32, np.float64):
        model = fit(cls, (X.astype(dtype), y))
        assert samples(model, 3, 1, 0).dtype == dtype
        for other in (np.float32, np.float64):
            Z = model.transform(X.astype(other))
            assert Z.dtype == model.inverse_transform(Z).dtype == other
            if hasattr(model, "predict_proba"):
                assert model.predict_proba(X.astype(other)).dtype == other


@for_all
def test_single_precision_agrees_with_double(cls, data, fitted):
    model = fitted(cls)
    X = data[0]
    assert_allclose(model.transform(X.astype(np.float32)), model.transform(X), atol=1e-4)


@for_all
def test_a_row_gets_the_same_answer_in_any_batch(cls, data, fitted):
    model, X = fitted(cls), data[0]
    whole = outputs(model, X)
    assert_allclose(model.transform(X[:1]), whole[0][:1], atol=1e-9)
    if hasattr(model, "predict_proba"):
        assert_allclose(model.predict_proba(X[7:9]), whole[3][7:9], atol=1e-9)


@for_all
@pytest.mark.each_choice
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_and_names(cls, data, fitted, library):
    frames = pytest.importorskip(library)
    X = (
        frames.DataFrame(data[0], schema=list("abcd"))
        if library == "polars"
        else (frames.DataFrame(data[0], columns=list("abcd")))
    )
    model = make(cls).set_output(transform=library).fit(X, data[1])
    names = [f"{cls.__name__.lower()}{i}" for i in range(2)]
    Z = model.transform(X)
    assert list(Z.columns) == list(model.get_feature_names_out()) == names
    for frame in (model.inverse_transform(Z), samples(model, 3, 1, 0)):
        assert isinstance(frame, frames.DataFrame)
        assert list(frame.columns) == list("abcd")
    if cls is ConditionalAdversarialAutoencoder:
        assert list(model.translate(X, 1).columns) == list("abcd")
    assert_allclose(Z, fitted(cls).transform(data[0]))
    if hasattr(model, "predict"):
        assert isinstance(model.predict(X), np.ndarray)


# Parameters that all share.


# A few epochs of an unusual game may leave all rows in one cluster.
@pytest.mark.filterwarnings("ignore:All rows are in one of:sklearn.exceptions.ConvergenceWarning")
@for_all
@pytest.mark.each_choice
@pytest.mark.parametrize(
    "parameters",
    [
        {"posterior": "gaussian"},
        {"posterior": "implicit"},
        {"prior": "uniform"},
        {"prior": "swiss_roll"},
        {"prior": "mixture_of_gaussians"},
        {"likelihood": "laplace"},
        {"adversarial_loss": "hinge"},
        {"adversarial_loss": "wasserstein"},
        {"adversarial_loss": "least_squares"},
        {"adversarial_weight": 0},
        {"noise": 0},
        {"instance_noise": 0.1},
        {"standardize": False},
        {"image_shape": (1, 2, 2)},
        {"batch_size": 1, "max_iter": 1},
        {"early_stopping": True},
        {"optimizer": torch.optim.SGD},
    ],
    ids=str,
)
def test_every_option_trains(cls, data, parameters):
    X, y = data
    few = y if cls is ConditionalAdversarialAutoencoder else np.where(np.arange(60) % 4, -1, y)
    model = fit(cls, (X, few), **parameters)
    for array in outputs(model, X):
        assert np.isfinite(array).all()
    assert all(np.isfinite(values).all() for values in model.history_.values())


@for_all
def test_own_networks(cls, data):
    widths = {}

    def remember(name):
        def build(n_in, n_out):
            widths[name] = n_in, n_out
            return nn.Linear(n_in, n_out)

        return build

    fit(cls, data, **{name: remember(name) for name in ("encoder", "decoder", "discriminator")})
    expected = {
        AdversarialAutoencoderClassifier: {"encoder": (4, 5), "decoder": (5, 4)},
        AdversarialAutoencoderClusterer: {"encoder": (4, 5), "decoder": (2, 4)},
        ConditionalAdversarialAutoencoder: {"encoder": (4, 2), "decoder": (5, 4)},
    }[cls]
    # The discriminator of styles; where these have to be free of the class, it is told it.
    n_seen = 2 if cls is AdversarialAutoencoderClusterer else 5
    assert widths == {**expected, "discriminator": (n_seen, 1)}


def test_an_encoder_without_room_for_the_classes(data):
    with pytest.raises(ValueError, match=r"n_components \+ n_classes\) = \(1, 5\), got \(1, 2\)"):
        fit(AdversarialAutoencoderClassifier, data, encoder=nn.Linear(4, 2))


@for_all
def test_fits_continue_with_warm_start_and_start_anew_without(cls, data, fitted):
    model = copy.deepcopy(fitted(cls)).set_params(warm_start=True)
    first = model.transform(data[0])
    assert model.fit(*data).n_iter_ == 6
    assert not np.allclose(model.transform(data[0]), first)
    model.set_params(warm_start=False)
    assert model.fit(*data).n_iter_ == 3
    assert_array_equal(model.transform(data[0]), first)


@pytest.mark.filterwarnings("ignore:All rows are in one:sklearn.exceptions.ConvergenceWarning")
@for_all
def test_early_stopping_stops(cls, data):
    model = fit(cls, data, early_stopping=True, max_iter=60, n_iter_no_change=2, tol=1.0)
    assert model.n_iter_ < 10
    assert "valid_loss" in model.history_


@for_all
def test_held_out_rows_are_for_early_stopping_only(cls, fitted):
    assert "valid_loss" not in fitted(cls).history_


@for_all
def test_rows_of_weight_zero_do_not_train(cls, data):
    # Rows of weight zero are in the batches, but move no weight: what they hold does not matter
    # within the range of the others.
    X, y = data
    weight = np.r_[np.zeros(10), np.ones(50)]
    X = np.r_[X[10:20], X[10:]]
    other = np.r_[X[20:30], X[10:]]
    plain = {"noise": 0, "adversarial_weight": 0, "batch_size": 60, "gradient_penalty": 0}
    if cls is AdversarialAutoencoderClassifier:
        plain |= {"virtual_adversarial_weight": 0, "category_weight": 0}
        few = np.r_[np.full(10, -1), y[10:]]
    else:
        few = y
    fitted = [
        make(cls, **plain).fit(rows, few, sample_weight=weight).transform(X[10:])
        for rows in (X, other)
    ]
    unweighted = [make(cls, **plain).fit(rows, few).transform(X[10:]) for rows in (X, other)]
    assert not np.allclose(*unweighted, atol=1e-5)
    if cls is not AdversarialAutoencoderClusterer:  # its critic of clusters compares draws
        assert_allclose(*fitted, atol=1e-5)


@for_all
@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(60), "zero"),
        (np.ones(3), r"sample_weight.shape == \(3,\)"),
        (-np.ones(60), "Negative values"),
    ],
)
def test_bad_weights_leave_the_estimator_as_it_was(cls, data, fitted, weight, message):
    model = fitted(cls)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit(*data, sample_weight=weight)
    assert vars(model) == before


@for_all
def test_codes_of_the_wrong_width(cls, fitted):
    with pytest.raises(ValueError, match=r"Z has 3 columns.*n_components_=2"):
        fitted(cls).inverse_transform(np.zeros((5, 3)))


@for_all
@pytest.mark.parametrize("n_samples", [0, 2.5])
def test_number_of_samples(cls, fitted, n_samples):
    with pytest.raises(ValueError, match=f"int of at least 1, got {n_samples}"):
        fitted(cls).sample(n_samples, y=0)


@for_all
@pytest.mark.parametrize("method", ["transform", "inverse_transform", "sample"])
def test_unfitted(cls, method):
    arguments = () if method == "sample" else (np.zeros((3, 2)),)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(cls(), method)(*arguments)


@for_all
def test_callbacks_see_a_fitted_estimator(cls, data):
    pytest.importorskip("sklearn.callback")

    class Look:
        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            if context.task_name == "epoch":
                self.seen = fitted_estimator.transform(X)
                if hasattr(fitted_estimator, "predict"):
                    fitted_estimator.predict(X)

    look = Look()
    model = make(cls, max_iter=1).set_callbacks(look).fit(*data)
    assert_allclose(look.seen, model.transform(data[0]))


class TwoPoints:
    """A prior with classes that writes down which it was asked for."""

    n_classes = 2

    def __init__(self):
        self.asked = []

    def sample(self, n_samples, generator, y=None):
        self.asked.append(y)
        return torch.randn((n_samples, 2), generator=generator)


@for_all
def test_no_class_has_styles_of_its_own(cls, data):
    model = fit(cls, data, prior=TwoPoints())
    samples(model, 3, 1, 0)
    assert len(model.prior_.asked) > 3
    assert all(y is None for y in model.prior_.asked)


# Documentation.


def documented_defaults(cls):
    parameters = inspect.getdoc(cls).split("Parameters\n")[1].split("Attributes\n")[0]
    joined = re.sub(r"\\\n\s*", "", parameters)
    for names, default in re.findall(r"^(\w[\w, ]*) : .*default=(.+)$", joined, re.MULTILINE):
        for name in names.split(", "):
            yield name, default


DOCUMENTED = [AdversarialAutoencoder, AdversarialTextAutoencoder, *CLASSES]


def test_every_estimator_is_public_and_tried():
    found = set()
    for file in pkgutil.iter_modules(_estimators.__path__):
        module = importlib.import_module(f"{_estimators.__name__}.{file.name}")
        found |= {
            cls
            for cls in vars(module).values()
            if isinstance(cls, type) and issubclass(cls, BaseEstimator)
            # What estimators inherit from has no parameters.
            if cls.__module__ == module.__name__ and cls.__init__ is not object.__init__
        }
    assert found == set(DOCUMENTED)
    assert found <= {getattr(sklearn_aae, name) for name in sklearn_aae.__all__}


@pytest.mark.parametrize("cls", DOCUMENTED)
def test_documented_defaults_are_the_defaults(cls):
    signature = inspect.signature(cls).parameters
    documented = list(documented_defaults(cls))
    assert sorted(name for name, _ in documented) == sorted(signature)
    for name, text in documented:
        assert eval(text, {"torch": torch}) == signature[name].default, name


@pytest.mark.parametrize("cls", DOCUMENTED)
def test_documented_choices_are_those_that_are_valid(cls):
    parameters = inspect.getdoc(cls).split("Parameters\n")[1].split("Attributes\n")[0]
    documented = {
        name: set(re.findall(r'"(\w+)"', choices))
        for name, choices in re.findall(r"^(\w+) : {(.*?)}", parameters, re.MULTILINE | re.DOTALL)
    }
    valid = {
        name: set(constraint.options)
        for name, constraints in cls._parameter_constraints.items()
        for constraint in constraints
        if isinstance(constraint, StrOptions)
    }
    # A single name, "auto", goes without braces.
    assert documented == {name: options for name, options in valid.items() if len(options) > 1}


@pytest.mark.parametrize("cls", CLASSES)
def test_documented_attributes_are_there_and_others_are_private(cls, data):
    attributes = inspect.getdoc(cls).split("Attributes\n")[1].split("\n\n")[0]
    documented = {
        name
        for names in re.findall(r"^(\w[\w, ]*) : ", attributes, re.MULTILINE)
        for name in names.split(", ")
    }
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(data[0], columns=list("abcd"))
    model = fit(cls, (X, data[1]))
    assert all(hasattr(model, name) for name in documented)
    learned = {n for n in vars(model) if n.endswith("_") and not n.startswith("_")}
    assert learned <= documented


@pytest.mark.parametrize("cls", DOCUMENTED)
def test_no_mark_is_left_in_the_docstring_and_it_has_an_example(cls):
    doc = inspect.getdoc(cls)
    assert "shared_parameters" not in doc
    assert ">>> model = " in doc
