"""A saved model is the model; nothing else loads, and nothing is executed."""

import copy
import json
import os
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from fuzz_persistence import put_together, run, take_apart
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.mixture import GaussianMixture
from skorch.callbacks import Callback
from torch import nn

import sklearn_aae
from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
    load,
    priors,
    save,
)
from sklearn_aae._files.archive import FORMAT_VERSION
from sklearn_aae.modules import MultilayerPerceptron
from sklearn_aae.persistence import InvalidModelFileError, schema
from sklearn_aae.persistence.text import CHECKS

DATA = Path(__file__).parent / "data"
# Methods that take rows.
METHODS = {
    AdversarialAutoencoder: [
        *("transform", "reconstruct", "score_samples", "decision_function", "predict"),
        *("feature_scores", "p_values"),
    ],
    AdversarialAutoencoderClassifier: [
        *("transform", "reconstruct", "predict_proba", "predict_log_proba", "predict"),
    ],
    AdversarialAutoencoderClusterer: ["transform", "reconstruct", "predict_proba", "predict"],
    ConditionalAdversarialAutoencoder: ["transform"],
}


@pytest.fixture(scope="module", name="X")
def data():
    return load_iris().data[::3]


@pytest.fixture(scope="module", name="y")
def labels():
    return load_iris().target[::3]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def small(kind=AdversarialAutoencoder, **parameters):
    return kind(
        **{
            "n_components": 2,
            "hidden_layer_sizes": (8,),
            "max_iter": 2,
            "random_state": 0,
            **parameters,
        }
    )


@pytest.fixture(scope="module")
def fitted(X):
    return small().fit(X)


def answers(model, X):
    """What all methods of a fitted estimator return, by name."""
    names = [
        name
        for name in METHODS[type(model)]
        if name != "p_values" or model._held_out_scores is not None
    ]
    by_name = {name: getattr(model, name)(X) for name in names}
    Z = np.asarray(by_name["transform"])
    by_name["inverse_transform"] = model.inverse_transform(Z)
    known = getattr(model, "classes_", None)
    if isinstance(model, ConditionalAdversarialAutoencoder):
        by_name["reconstruct"] = model.reconstruct(X, known[np.arange(len(X)) % len(known)])
        by_name["translate"] = model.translate(X, known[1])
    elif isinstance(model, AdversarialAutoencoder):
        by_name["interpolate"] = model.interpolate(X[:2], X[2:4], 3)
    if known is not None:
        by_name["inverse_transform of a class"] = model.inverse_transform(Z, known[0])
    for seed in (0, 1):
        given = {"y": known[1]} if isinstance(model, ConditionalAdversarialAutoencoder) else {}
        sample = model.sample(4, random_state=seed, **given)
        parts = sample if isinstance(sample, tuple) else (sample,)
        by_name.update({f"sample {seed}, {i}": part for i, part in enumerate(parts)})
    return by_name


def assert_same_answers(a, b, X):
    ours, others = answers(a, X), answers(b, X)
    assert ours.keys() == others.keys()
    for name, value in ours.items():
        assert type(value) is type(others[name]), name
        assert_same_bits(np.asarray(value), np.asarray(others[name]))


def assert_same_bits(a, b):
    assert (a.dtype, a.shape) == (b.dtype, b.shape)
    # The bytes of an array of objects are addresses.
    assert a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes()


def assert_same_parameters(a, b):
    ours, others = a.get_params(), b.get_params()
    assert ours.keys() == others.keys()
    for name, value in ours.items():
        other = others[name]
        assert type(value) is type(other), name
        if isinstance(value, np.ndarray):
            assert_array_equal(value, other)
        elif isinstance(value, partial):
            assert (value.func, value.keywords) == (other.func, other.keywords)
        elif isinstance(value, np.random.RandomState | priors.Prior | nn.Module):
            assert repr(value).split(" at ")[0] == repr(other).split(" at ")[0]
        else:
            assert value == other, name


VARIANTS = {
    "default": {},
    "auto widths": {"n_components": "auto", "hidden_layer_sizes": "auto"},
    "NumPy scalars": {"n_components": np.int64(2), "lr": np.float32(0.01), "noise": 0},
    "list of widths": {"hidden_layer_sizes": [8, np.int32(4)]},
    "array of widths": {"hidden_layer_sizes": np.array([8, 4]), "activation": "gelu"},
    "gaussian posterior": {"posterior": "gaussian"},
    "implicit posterior": {"posterior": "implicit"},
    "laplace": {"likelihood": "laplace", "adversarial_loss": "hinge"},
    "poisson": {"likelihood": "poisson", "score_method": "reconstruction"},
    "bernoulli": {"likelihood": "bernoulli", "standardize": False},
    "wasserstein": {"adversarial_loss": "wasserstein", "instance_noise": 0.1},
    "no game": {"adversarial_weight": 0},
    "images": {"image_shape": (1, 2, 2), "score_method": "discriminator"},
    "images, implicit": {"image_shape": [1, 2, 2], "posterior": "implicit"},
    "uniform": {"prior": "uniform"},
    "uniform object": {"prior": priors.Uniform(-2, 2.0)},
    "ring": {"prior": "mixture_of_gaussians", "score_method": "prior"},
    "ring with labels": {"prior": priors.MixtureOfGaussians(3), "contamination": 0.1},
    "roll with labels": {"prior": priors.SwissRoll(3)},
    "categories": {"n_components": 3, "prior": priors.Categorical(3, (0.2, 0.5, 0.3))},
    "array": {"prior": priors.Empirical(np.random.default_rng(0).normal(size=(20, 2)))},
    "early stopping": {"early_stopping": True, "max_iter": 5, "n_iter_no_change": 1},
    "weight decay": {"weight_decay": 0.01, "optimizer": torch.optim.AdamW},
    "momentum": {"optimizer": partial(torch.optim.SGD, momentum=0.9)},
    "other optimiser": {"optimizer": torch.optim.Adafactor},
    "random state": {"random_state": np.random.RandomState(0)},
    "device": {"device": torch.device("cpu")},
    "network of ours": {"encoder": MultilayerPerceptron, "max_iter": np.int64(1)},
    "networks of ours": {
        "encoder": MultilayerPerceptron(4, 2, (3,), "tanh"),
        "decoder": MultilayerPerceptron(2, 4),
        "discriminator": MultilayerPerceptron(2, 1, (4,)),
    },
}


NAMES = np.array(["setosa", "versicolor", "Iris ü"])


def few(y):
    return np.where(np.arange(len(y)) % 3, -1, y)


def as_given(y):
    return y


CLASSIFIER = {"kind": AdversarialAutoencoderClassifier}
CLUSTERER = {"kind": AdversarialAutoencoderClusterer, "n_clusters": 3}
CONDITIONAL = {"kind": ConditionalAdversarialAutoencoder}

# With the labels that they get.
SIBLINGS = {
    "few labels": (CLASSIFIER, few),
    "strings": (CLASSIFIER, lambda y: NAMES[y]),
    "objects": (CLASSIFIER, lambda y: NAMES[y].astype(object)),
    "bools": (CLASSIFIER, lambda y: y > 0),
    "-1 and 1": (CLASSIFIER, lambda y: np.where(y > 0, 1, -1)),
    "floats": (CLASSIFIER, lambda y: y.astype(np.float32)),
    "shares": ({**CLASSIFIER, "class_prior": [0.5, 0.3, 0.2], "posterior": "gaussian"}, few),
    "array of shares": ({**CLASSIFIER, "class_prior": np.array([0.5, 0.3, 0.2])}, as_given),
    "one loss less": ({**CLASSIFIER, "virtual_adversarial_weight": 0, "prior": "uniform"}, few),
    "held-out rows": ({**CLASSIFIER, "early_stopping": True, "posterior": "implicit"}, few),
    "images and classes": ({**CLASSIFIER, "image_shape": (1, 2, 2)}, few),
    "clusters": (CLUSTERER, as_given),
    "clusters on a ring": (
        {**CLUSTERER, "prior": priors.MixtureOfGaussians(3), "posterior": "gaussian"},
        as_given,
    ),
    "one cluster": ({**CLUSTERER, "n_clusters": np.int64(1)}, as_given),
    "conditional": (CONDITIONAL, as_given),
    "conditional, strings": ({**CONDITIONAL, "posterior": "implicit"}, lambda y: NAMES[y]),
    "conditional, own networks": (
        {
            **CONDITIONAL,
            "decoder": MultilayerPerceptron(5, 4),
            "discriminator": MultilayerPerceptron,
            "adversarial_loss": "wasserstein",
            "prior": priors.MixtureOfGaussians(np.int64(4)),
        },
        as_given,
    ),
}
MODELS = {**{name: (variant, as_given) for name, variant in VARIANTS.items()}, **SIBLINGS}


# Those whose training has a state of its own; the others differ in what they are.
STATES = {"default", "ring with labels", "early stopping", "momentum", "random state"}
STATES |= {"networks of ours", "few labels", "held-out rows", "clusters", "conditional"}


def test_every_estimator_of_tables_is_tried():
    tried = {parameters.get("kind", AdversarialAutoencoder) for parameters, _ in MODELS.values()}
    assert tried == set(METHODS) == set(schema.MODELS)


@pytest.mark.filterwarnings("ignore:All rows are in one:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", METHODS)
def test_every_learned_attribute_has_a_rule(X, y, kind):
    model = small(kind).fit(X, y)
    checked = {"net_", "n_features_in_", "n_components_", "prior_"}  # by `check_attributes` itself
    rules = schema.COMMON.keys() | schema._LATER.keys() | schema.MODELS[kind].attributes.keys()
    assert vars(model).keys() - model.get_params(deep=False).keys() <= rules | checked


def test_every_estimator_can_be_saved():
    public = [getattr(sklearn_aae, name) for name in sklearn_aae.__all__]
    estimators = {v for v in public if isinstance(v, type) and issubclass(v, BaseEstimator)}
    assert set(CHECKS) == estimators


# Two epochs are too few for clusters.
@pytest.mark.filterwarnings("ignore:All rows are in one:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.each_choice
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("parameters", "labels"), MODELS.values(), ids=MODELS)
def test_a_loaded_model_is_the_model(X, y, path, parameters, labels, dtype):
    X, y = X.astype(dtype), labels(y)
    if parameters.get("likelihood") == "bernoulli":
        X = X / 10
    model = small(**parameters).fit(X, y)
    trained = copy.deepcopy(model)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    save(model, path)
    loaded = load(path)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert_same_answers(model, loaded, X)
    assert_same_answers(model, trained, X)  # saving changed nothing
    assert_same_parameters(model, loaded)
    assert_same_parameters(clone(model), clone(loaded))
    assert vars(model).keys() == vars(loaded).keys()
    assert loaded.history_ == model.history_
    assert loaded.prior_match_ == model.prior_match_
    for name, value in vars(model).items():
        if isinstance(value, np.ndarray):
            assert_same_bits(value, getattr(loaded, name))
    assert_same_answers(model, pickle.loads(pickle.dumps(loaded)), X)
    # A second file has the same bytes: nothing was lost or rounded on the way.
    save(loaded, path.with_name("again"))
    assert path.with_name("again").read_bytes() == path.read_bytes()


@pytest.mark.filterwarnings("ignore:All rows are in one:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("parameters", "labels"),
    [
        pytest.param(*model, id=name, marks=() if name in STATES else pytest.mark.thorough)
        for name, model in MODELS.items()
    ],
)
def test_training_goes_on_as_it_would_have(X, y, path, parameters, labels):
    y = labels(y)
    if parameters.get("likelihood") == "bernoulli":
        X = X / 10
    model = small(warm_start=True, **parameters).fit(X, y)
    save(model, path)
    loaded = load(path)
    for one in (model, loaded):
        if hasattr(one, "partial_fit"):
            one.partial_fit(X[::2], y[::2])
        one.set_params(max_iter=1).fit(X, y)
    assert_same_answers(model, loaded, X)
    assert loaded.n_iter_ == model.n_iter_
    assert loaded.history_ == model.history_


def test_a_model_of_partial_fit_alone_comes_back(X, path):
    model = small().partial_fit(X)
    save(model, path)
    assert_same_answers(model, load(path), X)
    with pytest.raises(ValueError, match="held none"):
        load(path).p_values(X)


@pytest.mark.parametrize("container", ["pandas", "polars", None])
def test_names_and_containers_come_back(X, path, container):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("polars")
    frame = pandas.DataFrame(X, columns=["a", "b", "é", "d"])
    model = small().set_output(transform=container).fit(frame)
    save(model, path)
    loaded = load(path)
    assert_array_equal(loaded.feature_names_in_, model.feature_names_in_)
    assert loaded.feature_names_in_.dtype == object
    ours, others = model.reconstruct(frame), loaded.reconstruct(frame)
    assert type(ours) is type(others)
    assert_array_equal(np.asarray(ours), np.asarray(others))
    with pytest.raises(ValueError, match="feature names"):
        loaded.transform(frame.rename(columns={"a": "b", "b": "a"}))


def test_requests_for_metadata_come_back(X, path):
    with sklearn.config_context(enable_metadata_routing=True):
        model = (
            small()
            .set_fit_request(sample_weight=True)
            .set_partial_fit_request(sample_weight="weight")
        )
        model.fit(X)
    save(model, path)
    loaded = load(path)
    assert str(loaded.get_metadata_routing()) == str(model.get_metadata_routing())


def test_what_is_fitted_is_stored_and_not_what_the_parameters_say_now(X, path):
    model = small().fit(X)
    model.set_params(n_components=3, hidden_layer_sizes=(5,), posterior="gaussian", prior="uniform")
    save(model, path)
    loaded = load(path)
    assert_same_answers(model, loaded, X)
    assert loaded.n_components == 3
    assert loaded.fit(X).transform(X).shape == (50, 3)


def test_further_attributes_come_back(X, path):
    model = small().fit(X)
    model.classes_ = np.array(["setosa", "virginica"])
    model.labels_ = np.arange(50)
    save(model, path)
    loaded = load(path)
    assert_array_equal(loaded.classes_, model.classes_)
    assert loaded.classes_.dtype == model.classes_.dtype
    assert_array_equal(loaded.labels_, model.labels_)


def test_the_file_is_as_small_as_what_it_holds(fitted, path):
    save(fitted, path)
    assert path.stat().st_size < 1.1 * len(pickle.dumps(fitted))


# Networks of the user.


class Encoder(nn.Module):
    """With batch statistics, dropout, a frozen layer, a mask and tied weights."""

    def __init__(self, width=4):
        super().__init__()
        self.first = nn.Linear(4, width)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.5)
        self.second = nn.Linear(width, width)
        self.third = nn.Linear(width, width)
        self.third.weight = self.second.weight
        self.last = nn.Linear(width, 2)
        self.first.requires_grad_(False)
        self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    def forward(self, x):
        x = self.drop(self.norm(self.first(x)))
        return self.last(self.third(self.second(x).relu()))


def decoder(in_features, out_features):
    return nn.Sequential(nn.Linear(in_features, 6), nn.ELU(), nn.Linear(6, out_features))


def encoder(in_features, out_features):
    return nn.Sequential(nn.Linear(in_features, out_features), nn.BatchNorm1d(out_features))


def own_networks():
    return {"encoder": Encoder(), "decoder": decoder, "discriminator": nn.Linear(2, 1)}


def test_own_networks_are_passed_again(X, path):
    model = small(**own_networks()).fit(X)
    save(model, path)
    before = torch.get_rng_state()
    again = own_networks()
    again["encoder"].requires_grad_(True)
    untouched = copy.deepcopy(again["encoder"].state_dict())
    state = torch.get_rng_state()
    loaded = load(path, **again)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(state, before)
    assert_same_answers(model, loaded, X)
    assert loaded.decoder is decoder
    assert loaded.encoder is again["encoder"]
    for name, value in again["encoder"].state_dict().items():
        assert torch.equal(value, untouched[name])
    assert not loaded.encoder_.first.weight.requires_grad
    assert loaded.encoder_.third.weight is loaded.encoder_.second.weight
    assert not loaded.encoder_.training
    model.partial_fit(X)
    loaded.partial_fit(X)
    assert_same_answers(model, loaded, X)
    pickle.loads(pickle.dumps(loaded))
    clone(loaded).fit(X)


@pytest.mark.filterwarnings("ignore:All rows are in one:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [CLASSIFIER, CLUSTERER, CONDITIONAL])
def test_own_networks_get_the_widths_that_the_classes_ask_for(X, y, path, kind):
    own = {"encoder": encoder, "decoder": decoder, "discriminator": nn.Linear}
    model = small(**kind, **own, warm_start=True).fit(X, y)
    save(model, path)
    loaded = load(path, **own)
    assert_same_answers(model, loaded, X)
    model.fit(X, y)
    loaded.fit(X, y)
    assert_same_answers(model, loaded, X)


def test_heads_that_are_held_fixed_stay_fixed(X, path):
    model = small(**{**CLUSTERER, "max_iter": 20}).fit(X)
    model.net_.module_.heads.requires_grad_(False)
    model.net_.initialize_optimizer()
    save(model, path)
    assert not load(path).net_.module_.heads.requires_grad


def test_networks_that_are_missing_or_too_many_are_named(X, path, fitted):
    save(small(**own_networks()).fit(X), path)
    with pytest.raises(ValueError, match="as decoder=, encoder= of load"):
        load(path, discriminator=nn.Linear(2, 1))
    save(fitted, path)
    with pytest.raises(ValueError, match=r"decoder=Linear.* is not needed"):
        load(path, decoder=nn.Linear(2, 4))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (
            Encoder(width=5),
            r"'first\.weight' is \(\(4, 4\), torch\.float32\) in the file and \(\(5",
        ),
        (nn.Linear(4, 2), "differ in name"),
        (lambda n_in, n_out: 1 / 0, "out_features=2: .*division by zero"),
        (lambda n_in, n_out: 1, r"must return a torch\.nn\.Module"),
        (lambda n_in: 1, "takes 1 positional argument"),
    ],
)
def test_networks_that_do_not_fit_the_file_are_refused(X, path, wrong, match):
    save(small(encoder=Encoder()).fit(X), path)
    with pytest.raises(InvalidModelFileError, match=f"(?s)model.safetensors.*{match}"):
        load(path, encoder=wrong)


# What cannot be saved.


class NoCallback(Callback):
    pass


class OwnPrior:
    def sample(self, n_samples, generator):
        return torch.randn((n_samples, 2), generator=generator)


class OwnOptimizer(torch.optim.SGD):
    pass


class OwnEstimator(AdversarialAutoencoder):
    pass


def with_callback(X):
    callback = pytest.importorskip("sklearn.callback")
    return small().fit(X).set_callbacks(callback.ProgressBar())


def with_attribute(name, value):
    def change(X):
        model = small().fit(X)
        setattr(model, name, value)
        return model

    return change


def with_nan(X):
    model = small().fit(X)
    with torch.no_grad():
        next(model.encoder_.parameters())[0] = np.nan
    return model


GaussianSource = priors.Empirical(
    GaussianMixture(2).fit(np.random.default_rng(0).normal(size=(20, 2)))
)

UNSAVABLE = {
    "not fitted": (lambda X: small(), NotFittedError, "not fitted"),
    "another estimator": (lambda X: PCA(2).fit(X), TypeError, "got PCA"),
    "a subclass": (lambda X: OwnEstimator(max_iter=1).fit(X), TypeError, "got OwnEstimator"),
    "a class": (lambda X: AdversarialAutoencoder, TypeError, "save takes a fitted estimator"),
    "callbacks": (
        lambda X: small(callbacks=[NoCallback()]).fit(X),
        TypeError,
        r"parameters\.callbacks\[0\]: test_persistence\.NoCallback .*callbacks=None",
    ),
    "callbacks of scikit-learn": (
        with_callback,
        TypeError,
        r"set_callbacks\(\[.*ProgressBar",
    ),
    "a prior": (
        lambda X: small(prior=OwnPrior()).fit(X),
        TypeError,
        r"parameters\.prior: test_persistence\.OwnPrior .*Empirical",
    ),
    "a fitted source": (
        lambda X: small(prior=GaussianSource).fit(X),
        TypeError,
        r"parameters\.prior\.source: .*GaussianMixture .*Empirical",
    ),
    "an optimiser": (
        lambda X: small(optimizer=OwnOptimizer).fit(X),
        TypeError,
        r"parameters\.optimizer: test_persistence\.OwnOptimizer",
    ),
    "a function": (
        with_attribute("note_", lambda: 0),
        TypeError,
        r"attributes\.note_: test_persistence\..*<lambda>",
    ),
    "a hidden method": (with_attribute("predict", 1), ValueError, "cannot have 'predict'"),
    "an impossible parameter": (
        lambda X: small().fit(X).set_params(lr=-1),
        ValueError,
        "'lr' parameter",
    ),
    "NaN": (with_nan, ValueError, r"net_\.module\.encoder: '0\.weight' holds NaN"),
}


@pytest.mark.parametrize(("make", "error", "match"), UNSAVABLE.values(), ids=UNSAVABLE)
def test_what_cannot_be_saved_is_named_and_nothing_is_written(X, path, make, error, match):
    path.write_bytes(b"before")
    with pytest.raises(error, match=f"(?s){match}"):
        save(make(X), path)
    assert path.read_bytes() == b"before"
    assert os.listdir(path.parent) == [path.name]


# Versions.


def changed(path, change):
    """Apply a change to a saved model and put the checksum right; a text is a new document."""
    header, document, buffer = take_apart(path.read_bytes())
    new = change(document)
    path.write_bytes(put_together(header, new if isinstance(new, str) else document, buffer))


def test_a_file_of_another_version_warns(X, fitted, path):
    save(fitted, path)
    changed(path, lambda document: document["versions"].update({"sklearn-aae": "99.0"}))
    with pytest.warns(InconsistentVersionWarning, match=r"99\.0") as record:
        loaded = load(path)
    assert record[0].filename == __file__
    assert_same_answers(fitted, loaded, X)


def test_a_file_of_other_dependencies_loads(fitted, path):
    save(fitted, path)
    changed(path, lambda document: document["versions"].update({"torch": "99.0"}))
    load(path)


def test_a_device_that_is_not_here_warns(X, fitted, path):
    save(fitted, path)
    changed(path, lambda document: document["net"].update(device="cuda:77"))
    with pytest.warns(UserWarning, match="trained on cuda:77, .* on cpu") as record:
        loaded = load(path)
    assert record[0].filename == __file__
    assert_same_answers(fitted, loaded, X)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("iris", as_given),
        ("iris-classifier", few),
        ("iris-clusterer", as_given),
        ("iris-conditional", lambda y: np.array(["setosa", "versicolor", "virginica"])[y]),
    ],
)
@pytest.mark.parametrize("version", range(1, FORMAT_VERSION))
def test_files_of_earlier_formats_are_read(X, y, version, name, labels):
    file = DATA / f"{name}-format-{version}"
    with pytest.warns(InconsistentVersionWarning):  # an earlier release wrote them
        loaded = load(file.with_suffix(".safetensors"))
    recorded = json.loads(file.with_suffix(".json").read_text())
    X = X.astype(np.float32)
    rows = X[:5].astype(float)
    given = {"y": "setosa"} if name == "iris-conditional" else {}
    sample = loaded.sample(3, random_state=0, **given)
    ours = sample[0] if isinstance(sample, tuple) else sample
    assert_allclose(ours, recorded.pop("sample"), rtol=1e-4, atol=1e-5)
    for method, values in recorded.items():
        assert_allclose(getattr(loaded, method)(rows), values, rtol=1e-4, atol=1e-5, err_msg=method)
    loaded.set_params(warm_start=True, max_iter=1).fit(X, labels(y))


# Hostile files.


def coded_array(document, *place):
    """The name of an array in a document."""
    for key in place:
        document = document[key]
    return document["name"]


def set_at(*place, value):
    def change(document):
        *parent, key = place
        for step in parent:
            document = document[step]
        document[key] = value

    return change


def exchanged_in_code_density(first, second):
    def change(document):
        fields = document["attributes"]["_code_density"]["fields"]
        fields[first], fields[second] = fields[second], fields[first]

    return change


def in_state(document, change):
    """Apply a change to the state of the first parameter in the optimiser."""
    state = dict(document["net"]["optimizer_state"]["items"])["state"]
    change(dict(state["items"][0][1]["items"]))


ENCODER = ("net", "module", "arguments", "encoder")
LIKELIHOOD = ("attributes", "_columns", "fields", "likelihood")
CENTER = (*LIKELIHOOD, "fields", "center", "value")
CRITIC = ("net", "critics", "items", 0, "fields")
ARRAY = {"type": "array", "name": "0", "by_columns": False}
BOMB = {"type": "objects", "shape": [10**11], "items": []}

HOSTILE = {
    "no section": lambda d: d.pop("net"),
    "another section": lambda d: d.update(more=1),
    "no object": lambda d: "[]",
    "class of a module": set_at("class", value="os.system"),
    "class of another estimator": set_at("class", value="BaseEstimator"),
    "class is a list": set_at("class", value=["AdversarialAutoencoder"]),
    "versions": set_at("versions", value={"sklearn-aae": 1}),
    "passed to nobody": set_at("passed", value=["os"]),
    "a parameter that is passed": set_at("parameters", "encoder", value={"type": "passed"}),
    "unknown parameter": set_at("parameters", "x", value=1),
    "missing parameter": lambda d: d["parameters"].pop("lr"),
    "parameter out of range": set_at("parameters", "lr", value=-1.0),
    "parameter of another type": set_at("parameters", "lr", value="1"),
    "callbacks": set_at("parameters", "callbacks", value=["x"]),
    "encoder": set_at("parameters", "encoder", value={"type": "class", "name": "torch.optim.SGD"}),
    "optimizer": set_at(
        "parameters",
        "optimizer",
        value={"type": "class", "name": "sklearn_aae.modules.MultilayerPerceptron"},
    ),
    "a method": set_at("attributes", "predict", value=1),
    "a property": set_at("attributes", "encoder_", value=1),
    "a special name": set_at("attributes", "__class__", value=1),
    "a parameter as attribute": set_at("attributes", "lr", value=1.0),
    "a path as attribute": set_at("attributes", "../x", value=1),
    "a long name": set_at("attributes", "a" * 10**6, value=[0] * 1000),
    "net as attribute": set_at("attributes", "net_", value=1),
    "setting of scikit-learn": set_at("attributes", "_metadata_request", value=1),
    "missing attribute": lambda d: d["attributes"].update(note_=d["attributes"].pop("_columns")),
    "missing density": lambda d: d["attributes"].update(note_=d["attributes"].pop("_density")),
    "columns": set_at("attributes", "n_features_in_", value=10**12),
    "no columns": set_at("attributes", "n_features_in_", value=0),
    "width": set_at("attributes", "n_components_", value=10**12),
    "bool as width": set_at("attributes", "n_components_", value=True),
    "scale": set_at(*LIKELIHOOD, "fields", "scale", value=1.0),
    "scale of other columns": lambda d: d["attributes"]["_columns"]["fields"]["likelihood"][
        "fields"
    ].update(scale=d["net"]["module"]["weights"]["lower"]),
    "knee": set_at(*LIKELIHOOD, "fields", "knee", value=-1.0),
    "dtype": set_at(
        "attributes", "_columns", "fields", "dtype", value={"type": "dtype", "name": "int8"}
    ),
    "likelihood": set_at(*LIKELIHOOD, value=None),
    "names": set_at("attributes", "feature_names_in_", value=BOMB),
    "prior is none": set_at("attributes", "prior_", value="normal"),
    "wide prior": set_at("attributes", "prior_", "fields", "n_components", value=10**9),
    "prior out of range": set_at("attributes", "prior_", "fields", "scale", value=-1.0),
    "many classes": set_at(
        "attributes",
        "prior_",
        value={
            "type": "object",
            "class": "MixtureOfGaussians",
            "fields": {
                **{"n_classes": 10**10, "radius": 1.4, "radial_scale": 0.5},
                **{"tangential_scale": 0.1, "n_components": 2},
            },
        },
    ),
    "history": set_at("attributes", "history_", value={"type": "dict", "items": [["a", "b"]]}),
    "offset": set_at("attributes", "offset_", value="0"),
    "neighbours": set_at("attributes", "_density", "fields", "n_neighbors", value=10**6),
    "weight of residuals": set_at(
        "attributes", "_density", "fields", "residual_scale", value=1e308
    ),
    "no neighbours": set_at("attributes", "_density", "fields", "n_neighbors", value=0),
    "missing codes": lambda d: d["attributes"].update(note_=d["attributes"].pop("_code_density")),
    "density of rows for codes": lambda d: d["attributes"].update(
        _code_density=d["attributes"]["_density"]
    ),
    "weights for codes": exchanged_in_code_density("codes", "weights"),
    "stretch for weights": exchanged_in_code_density("weights", "stretch"),
    "unknown network": set_at(*ENCODER, "class", value="Sequential"),
    "wide network": set_at(*ENCODER, "arguments", "in_features", value=2**40),
    "widths beyond 64 bits": set_at(*ENCODER, "arguments", "in_features", value=2**70),
    "many layers": set_at(
        *ENCODER,
        "arguments",
        "hidden_layer_sizes",
        value={"type": "tuple", "items": [1] * 10**5},
    ),
    "activation": set_at(*ENCODER, "arguments", "activation", value="os.system"),
    "missing weight": lambda d: d["net"]["module"]["arguments"]["encoder"]["weights"].popitem(),
    "weight of another": set_at(*ENCODER, "weights", "0.bias", value=ARRAY),
    "frozen": set_at(*ENCODER, "frozen", value=["x"]),
    "custom network": set_at(
        *ENCODER,
        value={
            **{"type": "network", "role": "encoder", "in_features": 4, "out_features": 2},
            **{"weights": {}, "frozen": []},
        },
    ),
    "encoder as decoder": lambda d: d["net"]["module"]["arguments"].update(
        decoder=d["net"]["module"]["arguments"]["encoder"]
    ),
    "posterior": set_at("net", "module", "arguments", "posterior", value="x"),
    "network of a sibling": set_at("net", "module", "class", value="CategoricalAutoencoder"),
    "classes that are not": set_at("net", "module", "arguments", "n_classes", value=3),
    "no critics": set_at("net", "critics", value={"type": "tuple", "items": []}),
    "loss": set_at("net", "critics", "items", 0, "fields", "loss", value="x"),
    "labels": set_at("net", "critics", "items", 0, "fields", "n_classes", value=10**9),
    "labels for a prior without": set_at(*CRITIC, "n_classes", value=2),
    "another critic": set_at(*CRITIC, "name", value="categories"),
    "columns beyond the code": set_at(*CRITIC, "columns", "items", 1, value=10**9),
    "columns that are no ints": set_at(*CRITIC, "columns", "items", 0, value=False),
    "all columns": set_at(*CRITIC, "columns", value=None),
    "no discriminators": set_at("net", "discriminators", value={"type": "dict", "items": []}),
    "learning rate": set_at("net", "lr", value={"type": "float", "value": "nan"}),
    "null deviance": set_at("net", "null_deviance", value=0.0),
    "seed": set_at("net", "seed", value=-1),
    "seed beyond 64 bits": set_at("net", "seed", value=2**80),
    "batches": set_at("net", "batch_size", value=0),
    "device of no memory": set_at("net", "device", value="metal"),
    "optimiser": set_at("net", "optimizer", value={"type": "class", "name": "torch.optim.LBFGS"}),
    "options": set_at(
        "net", "optimizer_options", value={"type": "dict", "items": [["foreach", True]]}
    ),
    "rows of history": set_at("net", "history", value=[[1]]),
    "generator": set_at("net", "generator", value=1),
    "moments used twice": lambda d: in_state(d, lambda s: s["exp_avg"].update(s["step"])),
    "moments are none": lambda d: in_state(
        d, lambda s: (s["exp_avg"].clear(), s["exp_avg"].update(type="tuple", items=[]))
    ),
    "container": set_at("output", value="os"),
    "requests": set_at("requests", value={"fit": {"x": True}}),
    "request of no method": set_at("requests", value={"__class__": {"x": True}}),
    "requests are no object": set_at("requests", value=[1]),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_document_that_lies_is_refused_with_a_right_checksum(fitted, path, change):
    save(fitted, path)
    changed(path, lambda document: None)
    load(path)  # the change is all that is wrong
    changed(path, change)
    with pytest.raises(InvalidModelFileError, match=r"model\.safetensors"):
        load(path)


# And of the siblings.

CATEGORIES = ("net", "critics", "items", 1, "fields")


def taken(*place, source):
    """Put the value of one place in another, and keep what was there in an attribute more."""

    def change(document):
        value = document
        for key in source:
            value = value[key]
        replace(*place, value=value)(document)

    return change


def replace(*place, value):
    """As `set_at`, but no array is left that belongs to nothing."""

    def change(document):
        *parent, key = place
        holder = document
        for step in parent:
            holder = holder[step]
        document["attributes"]["note_"] = holder[key]
        holder[key] = value

    return change


def renamed(name):
    return lambda d: d["attributes"].update(note_=d["attributes"].pop(name))


def listed(*classes):
    return {"type": "objects", "shape": [len(classes)], "items": [*classes]}


MODULE = ("net", "module")
CLASS_MATCH = "classes_ are no 3 sorted classes"
CRITIC_MATCH = r"net_\.critics hold impossible values"

HOSTILE_SIBLINGS = {
    "no classes": (CONDITIONAL, renamed("classes_"), r"missing: \['classes_'\]"),
    "no shares": (CONDITIONAL, renamed("class_prior_"), r"missing: \['class_prior_'\]"),
    **{
        name: (CONDITIONAL, replace("attributes", "classes_", value=value), CLASS_MATCH)
        for name, value in {
            "classes are a list": ["a", "b", "c"],
            "two classes of three": listed("a", "b"),
            "repeated classes": listed("a", "a", "b"),
            "classes out of order": listed("c", "b", "a"),
            "classes that are lists": listed([0], [1], [2]),
            "classes that are none": listed(None, None, None),
        }.items()
    },
    "classes of any kind": (
        CONDITIONAL,
        replace("attributes", "classes_", value=listed(0, "1", 2)),
        "not supported between",
    ),
    "classes in a square": (
        CONDITIONAL,
        replace("attributes", "classes_", value={**listed("a", "b", "c"), "shape": [3, 1]}),
        CLASS_MATCH,
    ),
    "shares are classes": (
        CONDITIONAL,
        taken("attributes", "class_prior_", source=("attributes", "classes_")),
        "class_prior_ are no 3 shares",
    ),
    "shares of columns": (
        CONDITIONAL,
        taken("attributes", "class_prior_", source=CENTER),
        "class_prior_ are no 3 shares",
    ),
    "shares are a number": (
        CLASSIFIER,
        replace("attributes", "class_prior_", value=1.0),
        "class_prior_ are no 3 shares",
    ),
    "classes are a number": (CLASSIFIER, replace("attributes", "classes_", value=3), CLASS_MATCH),
    **{
        f"{name}, {kind['kind'].__name__}": (kind, set_at(*MODULE, *place, value=value), match)
        for kind in (CLASSIFIER, CONDITIONAL)
        for name, place, value, match in [
            ("another structure", ("class",), "Autoencoder", r"is no C\w+Autoencoder"),
            ("fewer classes", ("arguments", "n_classes"), 2, "classes_ are no 2 sorted"),
            ("many classes", ("arguments", "n_classes"), 10**12, "no n_classes"),
            ("bool as number", ("arguments", "n_classes"), True, "no n_classes"),
        ]
    },
    "one critic of two": (
        CLASSIFIER,
        lambda d: d["attributes"].update(note_=d["net"]["critics"]["items"].pop()),
        r"net_\.critics are not those of this class",
    ),
    "critics in another order": (
        CLASSIFIER,
        lambda d: d["net"]["critics"]["items"].reverse(),
        CRITIC_MATCH,
    ),
    "columns of the style": (
        CLASSIFIER,
        taken(*CATEGORIES, "columns", source=(*CRITIC, "columns")),
        CRITIC_MATCH,
    ),
    "categories beyond the classes": (
        CLASSIFIER,
        set_at(*CATEGORIES, "columns", "items", 1, value=10**9),
        CRITIC_MATCH,
    ),
    "prior of the style": (
        CLASSIFIER,
        taken(*CATEGORIES, "prior", source=(*CRITIC, "prior")),
        "prior_ is no prior of this width",
    ),
    "labels for the style": (CLASSIFIER, set_at(*CRITIC, "n_classes", value=3), CRITIC_MATCH),
    "no labels for the style": (CONDITIONAL, set_at(*CRITIC, "n_classes", value=0), CRITIC_MATCH),
    "one label more": (CONDITIONAL, set_at(*CRITIC, "n_classes", value=4), CRITIC_MATCH),
    "weights of other heads": (
        CLASSIFIER,
        set_at(*MODULE, "class", value="EmbeddingAutoencoder"),
        r"net_\.module has other weights",
    ),
    "categories with heads": (
        CLUSTERER,
        set_at(*MODULE, "class", value="CategoricalAutoencoder"),
        r"net_\.module has other weights",
    ),
    "no heads": (
        CLUSTERER,
        lambda d: d["attributes"].update(note_=d["net"]["module"]["weights"].pop("heads")),
        r"net_\.module has other weights",
    ),
    "frozen range": (
        CLUSTERER,
        set_at(*MODULE, "frozen", value=["lower"]),
        "freezes what it does not have",
    ),
    "heads of fewer clusters": (
        CLUSTERER,
        set_at(*MODULE, "arguments", "n_classes", value=2),
        r"'heads' is \(\(3, 2\), torch\.float32\) in the file and \(\(2, 2\)",
    ),
    **{
        f"no {name}": (CLUSTERER, renamed(name), rf"missing: \['{name}'\]")
        for name in ("cluster_centers_", "cluster_sizes_", "labels_")
    },
    **{
        f"{name} are {source}": (
            CLUSTERER,
            taken("attributes", name, source=("attributes", source)),
            match,
        )
        for name, source, match in [
            ("cluster_centers_", "history_", "cluster_centers_ are not the heads"),
            ("labels_", "cluster_sizes_", "labels_ are no clusters from 0 to 2"),
            ("labels_", "cluster_centers_", "labels_ are no clusters from 0 to 2"),
            ("cluster_sizes_", "labels_", "cluster_sizes_ are not those of labels_"),
            ("cluster_sizes_", "history_", "cluster_sizes_ are not those of labels_"),
        ]
    },
    "centers by columns": (
        CLUSTERER,
        set_at("attributes", "cluster_centers_", "by_columns", value=True),
        "cluster_centers_ are not the heads",
    ),
    "a method": (CLASSIFIER, set_at("attributes", "predict_proba", value=1), "cannot have"),
    "parameter of a sibling": (
        CLUSTERER,
        set_at("parameters", "class_prior", value="auto"),
        "parameters has missing or unknown keys",
    ),
    "class of a sibling": (
        CLASSIFIER,
        set_at("class", value="ConditionalAdversarialAutoencoder"),
        "parameters has missing or unknown keys",
    ),
}


@pytest.fixture(scope="module")
def siblings(X, y, tmp_path_factory):
    """Bytes of a saved model of each class."""
    path = tmp_path_factory.mktemp("siblings") / "model.safetensors"
    data = {}
    for kind in (CLASSIFIER, CLUSTERER, CONDITIONAL):
        # Enough epochs for clusters of different sizes, none of them empty.
        labels = NAMES[y].astype(object) if kind is CONDITIONAL else y
        save(small(**{**kind, "max_iter": 60}).fit(X, labels), path)
        data[kind["kind"]] = path.read_bytes()
    return data


@pytest.mark.parametrize(
    ("kind", "change", "match"), HOSTILE_SIBLINGS.values(), ids=HOSTILE_SIBLINGS
)
def test_a_sibling_that_lies_is_refused_with_a_right_checksum(siblings, path, kind, change, match):
    path.write_bytes(siblings[kind["kind"]])
    load(path)  # the change is all that is wrong
    changed(path, change)
    with pytest.raises(InvalidModelFileError, match=rf"model\.safetensors.*{match}"):
        load(path)


@pytest.mark.parametrize(
    ("kind", "place", "values", "match"),
    [
        (CLASSIFIER, ("attributes", "classes_"), 7, "classes_ are no 3 sorted"),
        (CLASSIFIER, ("attributes", "class_prior_"), -1.0, "class_prior_ are no 3"),
        (CLASSIFIER, ("attributes", "class_prior_"), np.nan, "class_prior_ are no 3"),
        (CONDITIONAL, ("attributes", "class_prior_"), 0.9, "class_prior_ are no 3"),
        (CLUSTERER, ("attributes", "cluster_centers_"), 0.0, "are not the heads"),
        (CLUSTERER, ("attributes", "cluster_centers_"), np.nan, "are not the heads"),
        (CLUSTERER, ("attributes", "cluster_sizes_"), 49, "cluster_sizes_ are not those"),
        (CLUSTERER, ("attributes", "labels_"), -1, "no clusters from 0 to 2"),
        (CLUSTERER, ("attributes", "labels_"), 2**40, "no clusters from 0 to 2"),
        (CLUSTERER, ("net", "module", "weights", "heads"), np.inf, "'heads' is a weight that"),
    ],
)
def test_values_that_no_sibling_has_are_refused(siblings, path, kind, place, values, match):
    path.write_bytes(siblings[kind["kind"]])
    path.write_bytes(odd_values(None, *place, value=values)(path.read_bytes()))
    with pytest.raises(InvalidModelFileError, match=match):
        load(path)


def test_moments_of_another_shape_are_refused(fitted, path):
    # A fused kernel would write beyond the end of the smaller one.
    save(fitted, path)

    def swap(document):
        state = dict(document["net"]["optimizer_state"]["items"])["state"]["items"]
        weight, bias = (dict(entries["items"])["exp_avg"] for _, entries in state[:2])
        weight["name"], bias["name"] = bias["name"], weight["name"]

    changed(path, swap)
    with pytest.raises(InvalidModelFileError, match="optimizer_state does not fit the weights"):
        load(path)


def test_a_code_wider_than_the_networks_is_refused_before_anything_is_drawn(fitted, path):
    save(fitted, path)

    def widen(document):
        document["attributes"]["n_components_"] = 10**9
        document["attributes"]["prior_"]["fields"]["n_components"] = 10**9

    changed(path, widen)
    with pytest.raises(InvalidModelFileError, match="n_components_ is not the width"):
        load(path)


DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "U8": "u1"}


def odd_values(document, *place, value, dtype="F64"):
    """Overwrite the first value of an array."""

    def change(data):
        header, document, buffer = take_apart(data)
        coded = document
        for key in place:
            coded = coded[key]
        coded = coded.get("value", coded)
        entry = header[coded["name"]]
        start = entry["data_offsets"][0]
        raw = np.array(value, dtype=DTYPES[entry["dtype"]])
        new = buffer[:start] + raw.tobytes() + buffer[start + raw.nbytes :]
        return put_together(header, document, new)

    return change


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "place",
    [
        (*ENCODER, "weights", "0.weight"),
        CENTER,
        (*LIKELIHOOD, "fields", "scale", "value"),
        ("attributes", "_density", "fields", "references"),
        ("attributes", "_code_density", "fields", "codes"),
        ("attributes", "_code_density", "fields", "weights"),
        ("attributes", "_code_density", "fields", "mean"),
        ("attributes", "_code_density", "fields", "stretch"),
        ("attributes", "_held_out_scores"),
        (*LIKELIHOOD, "fields", "baseline", "value"),
        ("net", "module", "weights", "lower"),
    ],
    ids=lambda place: place[-2] if place[-1] == "value" else place[-1],
)
def test_arrays_that_are_not_finite_are_refused(fitted, path, place, value):
    save(fitted, path)
    path.write_bytes(odd_values(None, *place, value=value)(path.read_bytes()))
    with pytest.raises(InvalidModelFileError, match=r"model\.safetensors"):
        load(path)


@pytest.mark.parametrize(("field", "value"), [("weights", -0.5), ("weights", 0.5), ("stretch", -1)])
def test_a_density_of_codes_out_of_its_range_is_refused(fitted, path, field, value):
    save(fitted, path)
    place = ("attributes", "_code_density", "fields", field)
    path.write_bytes(odd_values(None, *place, value=value)(path.read_bytes()))
    with pytest.raises(InvalidModelFileError, match="_code_density"):
        load(path)


def test_a_whitening_that_is_no_triangle_is_refused(fitted, path):
    save(fitted, path)
    full = np.ones(fitted._density.whitening.size)
    place = ("attributes", "_density", "fields", "whitening")
    path.write_bytes(odd_values(None, *place, value=full)(path.read_bytes()))
    with pytest.raises(InvalidModelFileError, match="_density"):
        load(path)


def test_a_generator_out_of_its_range_is_refused(fitted, path):
    save(fitted, path)
    change = odd_values(None, "net", "generator", value=[255] * 5056)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InvalidModelFileError, match="generator"):
        load(path)


class Payload:
    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_pickles_do_not_run(fitted, path, tmp_path):
    marker = tmp_path / "ran"
    payload = pickle.dumps(Payload(marker))
    path.write_bytes(payload)
    with pytest.raises(InvalidModelFileError, match="looks like a pickle"):
        load(path)
    save(fitted, path)
    header, document, buffer = take_apart(path.read_bytes())
    name = coded_array(document, *CENTER)
    start, end = header[name]["data_offsets"]
    inside = buffer[:start] + payload[: end - start].ljust(end - start, b".") + buffer[end:]
    path.write_bytes(put_together(header, document, inside))
    load(path)  # numbers like any others
    torch.save(fitted.net_.module_.state_dict(), path)
    with pytest.raises(InvalidModelFileError):
        load(path)
    np.savez(path.with_suffix(".npz"), a=np.array([Payload(marker)], dtype=object))
    with pytest.raises(InvalidModelFileError):
        load(path.with_suffix(".npz"))
    assert not marker.exists()


@pytest.mark.parametrize("n", [10, pytest.param(60, marks=pytest.mark.thorough)])
def test_random_damage_is_refused_or_harmless(tmp_path, n):
    counts, _ = run(n, 0, tmp_path)
    assert sum(counts.values()) == n
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_a_missing_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")
