"""Models in ONNX give the answers of the estimators, and pipelines with them convert."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import skl2onnx
import torch
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
    priors,
)
from sklearn_aae._graphs.labels import storable
from sklearn_aae._graphs.methods import METHODS
from sklearn_aae._learned.flow import Transport
from sklearn_aae.onnx import register_converters, to_onnx

NAMES = np.array(["setosa", "versicolor", "Iris ü"])
RTOL = {np.float32: 1e-4, np.float64: 1e-9}


@pytest.fixture(scope="module", name="X")
def data():
    return load_iris().data


@pytest.fixture(scope="module", name="y")
def labels():
    return load_iris().target


def small(kind=AdversarialAutoencoder, **parameters):
    given = {"n_components": 2, "hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
    return kind(**{**given, **parameters})


def session(model):
    return onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def rows_of(X, dtype, likelihood="gaussian"):
    """Rows of the training set, beyond it, and far beyond it."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(40, X.shape[1])) * X.std(axis=0)
    rows = np.concatenate([X[:40], X[:40] + noise, X[:40] + 1e2 * noise, X[:40] + 1e6 * noise])
    if likelihood == "poisson":
        rows = np.abs(rows)
    return rows.astype(dtype) if likelihood != "bernoulli" else X[:100].astype(dtype)


def assert_agrees(model, X, method, dtype, **options):
    """The graph's answers are the estimator's, of one row and of many, in their dtype."""
    run = session(to_onnx(model, method, dtype=dtype, **options))
    rows = rows_of(X, dtype, model.likelihood)
    n, rng = len(rows), np.random.default_rng(1)
    values = {
        "X": rows,
        # Codes of likely rows: decoded values beyond grow exponentially.
        "Z": rng.normal(size=(n, model.n_components_)).astype(dtype),
        "y": model.classes_[np.arange(n) % len(model.classes_)]
        if hasattr(model, "classes_")
        else None,
    }
    names = [value.name for value in run.get_inputs()]
    given = [values[name] for name in names]
    for rows_used in (slice(None), slice(1)):
        expected = getattr(model, method)(*(v[rows_used] for v in given))
        feed = {
            name: v[rows_used].astype(object) if v.dtype.kind == "U" else v[rows_used]
            for name, v in zip(names, given, strict=True)
        }
        (actual,) = run.run(None, feed)
        assert actual.shape == expected.shape
        if expected.dtype.kind != "f":
            assert actual.tolist() == expected.tolist()
            continue
        assert actual.dtype == expected.dtype
        # Relative to the largest value of a column: others may be near zero by chance.
        scale = np.abs(expected).max(axis=0) if len(expected) > 1 else np.abs(expected)
        assert (np.abs(actual - expected) <= RTOL[dtype] * np.maximum(scale, 1e-3)).all()


def as_given(X, y):
    return X, y


KINDS = {
    "autoencoder": (small(), lambda X, y: (X, None)),
    "classifier": (small(AdversarialAutoencoderClassifier), lambda X, y: (X, NAMES[y])),
    "clusterer": (
        small(AdversarialAutoencoderClusterer, n_clusters=3, posterior="gaussian"),
        as_given,
    ),
    "conditional": (small(ConditionalAdversarialAutoencoder, posterior="implicit"), as_given),
}
# One method of each estimator shows that it works in both precisions.
SHORT = {
    ("autoencoder", "decision_function"),
    ("classifier", "predict"),
    ("clusterer", "transform"),
    ("conditional", "translate"),
}


@pytest.fixture(scope="module")
def fitted(X, y):
    models = {}

    def get(name):
        if name not in models:
            model, given = KINDS[name]
            models[name] = model.fit(*given(X, y))
        return models[name]

    return get


# Three epochs are too few for clusters.
few_epochs = pytest.mark.filterwarnings(
    "ignore:All rows are in one:sklearn.exceptions.ConvergenceWarning"
)


@few_epochs
@pytest.mark.each_choice
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "method"),
    [
        pytest.param(
            name,
            method,
            id=f"{name} {method}",
            marks=[] if (name, method) in SHORT else pytest.mark.thorough,
        )
        for name, (model, _) in KINDS.items()
        for method in METHODS[type(model)]
    ],
)
def test_every_method_gives_the_answers_of_the_estimator(X, fitted, name, method, dtype):
    assert_agrees(fitted(name), X, method, dtype)


IMAGES = {"image_shape": (1, 2, 2)}
VARIANTS = {
    "images, score": ({**IMAGES}, "score_samples"),
    "images, decoding": ({**IMAGES, "likelihood": "laplace"}, "inverse_transform"),
    "reconstruction of counts": (
        {"score_method": "reconstruction", "likelihood": "poisson"},
        "score_samples",
    ),
    "reconstruction of shares": (
        {"score_method": "reconstruction", "likelihood": "bernoulli"},
        "score_samples",
    ),
    "reconstruction, laplace": (
        {"score_method": "reconstruction", "likelihood": "laplace"},
        "score_samples",
    ),
    "prior": ({"score_method": "prior"}, "score_samples"),
    "mixture": ({"score_method": "prior", "prior": "mixture_of_gaussians"}, "score_samples"),
    "discriminator": (
        {"score_method": "discriminator", "prior": priors.MixtureOfGaussians(3)},
        "score_samples",
    ),
    "means of rows": ({"references": "means"}, "score_samples"),
    "few references": ({"n_references": 20}, "score_samples"),
    "as they are": ({"standardize": False}, "reconstruct"),
    **{
        f"activation {name}": ({"activation": name}, "reconstruct")
        for name in ("leaky_relu", "elu", "gelu", "silu", "tanh")
    },
    "own network": (
        {
            "encoder": nn.Sequential(
                nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Softplus(), nn.Dropout(), nn.Linear(6, 2)
            )
        },
        "transform",
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(
    ("parameters", "method"),
    [
        pytest.param(*case, id=name, marks=[] if name == "mixture" else pytest.mark.thorough)
        for name, case in VARIANTS.items()
    ],
)
def test_variants_give_the_answers_of_the_estimator(X, y, parameters, method, dtype):
    X = X / 10 if parameters.get("likelihood") == "bernoulli" else X
    assert_agrees(small(**parameters).fit(X, y), X, method, dtype)


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("method", ["transform", "inverse_transform", "reconstruct"])
def test_a_flow_is_inside(X, method, dtype):
    model = small(prior="swiss_roll").fit(X)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model.net_.module_.flow = Transport(2, 2, 2).eval()
    assert_agrees(model, X, method, dtype)


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)),
        nn.Conv2d(2, 3, 1, bias=False),
        nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=(1, 0)),
        nn.ConvTranspose2d(2, 3, (2, 3), dilation=(2, 1), bias=False),
    ],
    ids=["strided", "pointwise", "transposed", "transposed, dilated"],
)
@pytest.mark.thorough
def test_convolutions_are_matrix_products_in_double_precision(convolution):
    network = nn.Sequential(nn.Unflatten(1, (2, 5, 6)), convolution, nn.Flatten(), nn.LazyLinear(2))
    network(torch.zeros(1, 60))
    rows = np.random.default_rng(0).normal(size=(50, 60))
    assert_agrees(small(encoder=network).fit(rows), rows, "transform", np.float64)


def test_the_model_says_what_it_is(fitted):
    model = to_onnx(fitted("classifier"), "predict", opset=21)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said["class"] == "AdversarialAutoencoderClassifier"
    assert said["method"] == "predict"
    assert json.loads(said["classes"]) == sorted(NAMES)
    assert model.producer_name == "sklearn-aae"
    assert model.producer_version == said["sklearn_aae_version"]
    assert [(e.domain, e.version) for e in model.opset_import] == [("", 21)]
    (given,), (result,) = session(model).get_inputs(), session(model).get_outputs()
    assert (given.name, given.type, given.shape[1:]) == ("X", "tensor(float)", [4])
    assert (result.name, result.type) == ("label", "tensor(string)")


def test_to_onnx_changes_nothing(fitted):
    model = fitted("autoencoder")
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (to_onnx(model, "transform").SerializeToString() for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_labels_that_fit_has_not_seen_give_nan(fitted):
    run = session(to_onnx(fitted("conditional"), "inverse_transform"))
    Z = np.zeros((2, 2), dtype=np.float32)
    (rows,) = run.run(None, {"Z": Z, "y": np.array([0, 7])})
    assert np.isfinite(rows[0]).all()
    assert np.isnan(rows[1]).all()


# Pipelines.


def converted(pipeline, X, **options):
    register_converters()
    return session(skl2onnx.to_onnx(pipeline, X[:1], **options))


def test_a_pipeline_with_codes_in_the_middle_converts(X, y):
    pipeline = make_pipeline(StandardScaler(), small(), LogisticRegression()).fit(X, y)
    X = X.astype(np.float32)
    run = converted(pipeline, X, options={"zipmap": False})
    label, p = run.run(None, {"X": X})
    np.testing.assert_allclose(p, pipeline.predict_proba(X), atol=1e-4)
    assert np.mean(label == pipeline.predict(X)) > 0.99


@pytest.mark.thorough
def test_the_pipeline_of_the_readme_converts():
    readme = Path(__file__).parents[1] / "README.md"
    (code,) = (
        block.split("```")[0]
        for block in readme.read_text().split("```python\n")
        if "make_pipeline(" in block.split("```")[0]
    )
    names = {}
    exec(code, names)
    X = names["X_test"].astype(np.float32)
    label, p = converted(names["classifier"], X, options={"zipmap": False}).run(None, {"X": X})
    np.testing.assert_allclose(p, names["classifier"].predict_proba(X), atol=1e-4)
    assert np.mean(label == names["classifier"].predict(X)) > 0.99


@pytest.mark.thorough
def test_a_pipeline_in_double_precision_converts(X, y):
    pipeline = make_pipeline(StandardScaler(), small()).fit(X, y)
    (Z,) = converted(pipeline, X).run(None, {"X": X})
    np.testing.assert_allclose(Z, pipeline.transform(X), rtol=1e-9, atol=1e-12)


@pytest.mark.thorough
def test_a_column_transformer_converts(X, y):
    columns = make_column_transformer((small(), [0, 1, 2, 3]), ("passthrough", [3]))
    pipeline = make_pipeline(columns, LogisticRegression()).fit(X, y)
    X = X.astype(np.float32)
    _, p = converted(pipeline, X, options={"zipmap": False}).run(None, {"X": X})
    np.testing.assert_allclose(p, pipeline.predict_proba(X), atol=1e-4)


@pytest.mark.thorough
@pytest.mark.parametrize("method", ["score_samples", "decision_function", "predict"])
def test_a_pipeline_ends_in_an_outlier_detector(X, method):
    pipeline = make_pipeline(StandardScaler(), small()).fit(X)
    options = {AdversarialAutoencoder: {"method": method}}
    X = X.astype(np.float32)
    (result,) = converted(pipeline, X, options=options).run(None, {"X": X})
    np.testing.assert_allclose(result, getattr(pipeline, method)(X), rtol=1e-4, atol=1e-4)


@pytest.mark.thorough
@few_epochs
@pytest.mark.parametrize("name", ["classifier", "clusterer"])
def test_labels_and_probabilities_come_from_the_end_of_a_pipeline(X, y, fitted, name):
    model, given = KINDS[name]
    pipeline = make_pipeline(StandardScaler(), model).fit(*given(X, y))
    X = X.astype(np.float32)
    options = {id(pipeline.steps[-1][1]): {"zipmap": False}} if name == "classifier" else None
    label, p = converted(pipeline, X, options=options).run(None, {"X": X})
    np.testing.assert_allclose(p, pipeline.predict_proba(X), atol=1e-4)
    assert np.mean(label == pipeline.predict(X)) > 0.98


@pytest.mark.thorough
def test_styles_of_a_conditional_come_from_the_middle_of_a_pipeline(X, y):
    model = small(ConditionalAdversarialAutoencoder)
    pipeline = make_pipeline(model, LogisticRegression()).fit(X, y)
    X = X.astype(np.float32)
    _, p = converted(pipeline, X, options={"zipmap": False}).run(None, {"X": X})
    np.testing.assert_allclose(p, pipeline.predict_proba(X), atol=1e-4)


def test_a_method_that_takes_more_than_rows_is_no_step(X, y):
    pipeline = make_pipeline(StandardScaler(), small()).fit(X, y)
    options = {AdversarialAutoencoder: {"method": "inverse_transform"}}
    with pytest.raises(ValueError, match=r"method='inverse_transform'.*Use one of \['decision"):
        converted(pipeline, X.astype(np.float32), options=options)


# Bad input.


def test_what_cannot_be_asked_for_is_named(fitted):
    model = fitted("autoencoder")
    with pytest.raises(NotFittedError, match="not fitted"):
        to_onnx(small(), "transform")
    with pytest.raises(TypeError, match=r"got Pipeline\. .*register_converters"):
        to_onnx(make_pipeline(model))
    with pytest.raises(ValueError, match=r"method='sample' is none .*'transform'"):
        to_onnx(model, "sample")
    with pytest.raises(ValueError, match=r"method='score_samples' is none that .*Classifier has"):
        to_onnx(fitted("classifier"))
    for dtype in (np.float16, int, "X"):
        with pytest.raises(ValueError, match=r"dtype=.* must be numpy\.float32 or numpy\.float64"):
            to_onnx(model, dtype=dtype)
    for opset in (9, 17, 1000, 18.0, True):
        with pytest.raises(ValueError, match=f"opset={opset} must be an int from 18"):
            to_onnx(model, opset=opset)


class Halting(nn.Linear):
    """Its result depends on values in a way that no graph has."""

    def forward(self, x):
        n = int(x.abs().sum()) % 2
        return super().forward(x) * (n + 1)


class OneBatch(nn.Linear):
    """It takes as many rows as it was first given."""

    def forward(self, x):
        y = super().forward(x)
        return torch.cat([y[i : i + 1] for i in range(len(x))])


@pytest.mark.parametrize("network", [Halting, pytest.param(OneBatch, marks=pytest.mark.thorough)])
def test_a_network_that_cannot_be_exported_is_named(X, network):
    model = small(decoder=network(2, 4)).fit(X)
    with pytest.raises(ValueError, match=f"decoder={network.__name__}: torch cannot export"):
        to_onnx(model, "reconstruct")


def test_labels_that_no_graph_has_are_named():
    with pytest.raises(ValueError, match=r"classes_=\[b'a', b'b'\] are neither"):
        storable(np.array([b"a", b"b"], dtype=object))


def test_strings_need_an_opset_that_compares_them(X, y):
    model = small(ConditionalAdversarialAutoencoder).fit(X, NAMES[y])
    with pytest.raises(ValueError, match="opset=18 does not compare strings"):
        to_onnx(model, "translate", opset=18)


def test_a_missing_extra_comes_with_the_command(fitted, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for use in (register_converters, lambda: to_onnx(fitted("autoencoder"))):
        with pytest.raises(ImportError, match=r'pip install "sklearn-aae\[onnx\]"'):
            use()
