"""Mixed precision and compiled networks: what they may change, and what not."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from torch import nn

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
    load,
    save,
)
from sklearn_aae._training.acceleration import autocast, check_precision

OPTIONS = {"n_components": 2, "hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}


@pytest.fixture(scope="module")
def X():  # noqa: N802  # the matrix
    return load_iris().data


def weights(model):
    return [p.detach().numpy() for p in model.net_.module_.parameters()]


# Precision.


def test_bf16_rounds_forward_passes_and_nothing_else():
    layer = nn.Linear(3, 2)
    with autocast("bf16", "cpu"):
        assert layer(torch.ones(1, 3)).dtype == torch.bfloat16
    with autocast("float32", "cpu"):
        assert layer(torch.ones(1, 3)).dtype == torch.float32
    assert layer.weight.dtype == torch.float32


@pytest.mark.parametrize("dtype", ["f4", pytest.param("f8", marks=pytest.mark.thorough)])
def test_bf16_trains_nearly_the_same_model(X, dtype):
    X = X.astype(dtype)
    options = OPTIONS | {"max_iter": 60}
    exact = AdversarialAutoencoder(**options).fit(X)
    rounded = AdversarialAutoencoder(**options, precision="bf16").fit(X)
    assert any((a != b).any() for a, b in zip(weights(exact), weights(rounded), strict=True))
    # bfloat16 has eight bits: 0.4 % of a value.
    losses = [model.history_["reconstruction_loss"][-1] for model in (exact, rounded)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert rounded.transform(X).dtype == rounded.reconstruct(X).dtype == dtype
    assert rounded.score_samples(X).dtype == np.float64
    correlation = np.corrcoef(exact.score_samples(X), rounded.score_samples(X))[0, 1]
    assert correlation > 0.95
    assert all(w.dtype == np.float32 for w in weights(rounded))


@pytest.mark.parametrize("adversarial_loss", ["non_saturating", "wasserstein"])
@pytest.mark.parametrize(
    "estimator",
    [
        AdversarialAutoencoderClassifier,
        AdversarialAutoencoderClusterer,
        ConditionalAdversarialAutoencoder,
    ],
)
def test_every_loss_is_computed_in_float32(X, estimator, adversarial_loss):
    y = np.where(np.arange(len(X)) % 3, load_iris().target, 0)
    model = estimator(precision="bf16", adversarial_loss=adversarial_loss, **OPTIONS)
    model.fit(X, y)
    for name, values in model.history_.items():
        # A number of bfloat16 has no digits beyond the eighth bit.
        rounded = torch.tensor(values).to(torch.bfloat16).double().numpy()
        assert np.isfinite(values).all()
        assert not name.endswith("_loss") or (values != rounded).any() or not any(values), name


def test_a_bad_precision_is_refused_before_any_work(X):
    model = AdversarialAutoencoder(precision="float16")
    with pytest.raises(ValueError, match=r"'precision' parameter .* must be .*'float16'"):
        model.fit(X)
    assert not hasattr(model, "n_features_in_")


def test_a_device_without_bfloat16_is_refused():
    with pytest.raises(ValueError, match='precision="bf16" is not supported by device="meta"'):
        check_precision("bf16", torch.device("meta"))
    check_precision("float32", torch.device("meta"))


# Compilation.


@pytest.fixture
def broken_compiler(monkeypatch):
    def compile_(function, **kwargs):
        def fail(*args):
            raise RuntimeError("no C++ compiler\nat all")

        return fail

    monkeypatch.setattr(torch, "compile", compile_)


@pytest.mark.usefixtures("broken_compiler")
def test_without_a_compiler_the_same_model_is_trained_with_a_warning(X):
    expected = AdversarialAutoencoder(**OPTIONS).fit(X)
    with pytest.warns(UserWarning, match=r"compile=True: .*RuntimeError: no C\+\+ compiler\)"):
        model = AdversarialAutoencoder(**OPTIONS, compile=True).fit(X)
    for a, b in zip(weights(expected), weights(model), strict=True):
        assert_array_equal(a, b)


@pytest.fixture
def counted(monkeypatch):
    """Calls of functions that torch was asked to compile, and runs as they are."""
    calls = []

    def compile_(function, **kwargs):
        def run(*args):
            calls.append(args)
            return function(*args)

        return run

    monkeypatch.setattr(torch, "compile", compile_)
    return calls


def test_training_uses_compiled_networks_and_nothing_else_does(X, counted):
    model = AdversarialAutoencoder(**OPTIONS, compile=True).fit(X)
    n_steps = OPTIONS["max_iter"] * -(-135 // 32)
    # Encoder and decoder, in each step and for two sizes of batches in the trial.
    assert len(counted) == 2 * (n_steps + 2)
    counted.clear()
    model.transform(X)
    model.score_samples(X)
    assert not counted
    for a, b in zip(weights(model), weights(AdversarialAutoencoder(**OPTIONS).fit(X)), strict=True):
        assert_array_equal(a, b)


@pytest.mark.usefixtures("counted")
def test_the_trial_leaves_buffers_and_generators_as_they_are(X):
    def encoder(n_in, n_out):
        return nn.Sequential(nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.Dropout(0.3))

    expected = AdversarialAutoencoder(**OPTIONS, encoder=encoder).fit(X)
    model = AdversarialAutoencoder(**OPTIONS, encoder=encoder, compile=True).fit(X)
    assert_array_equal(expected.transform(X), model.transform(X))


def test_a_compiled_training_ends_in_an_ordinary_model(X, tmp_path):
    expected = AdversarialAutoencoder(**OPTIONS).fit(X)
    with warnings.catch_warnings():
        # Where there is no compiler, the fallback has to hold the same.
        warnings.filterwarnings("ignore", message="compile=True")
        model = AdversarialAutoencoder(**OPTIONS, compile=True).fit(X)
        codes = model.transform(X)
        assert_allclose(codes, expected.transform(X), atol=1e-3)
        save(model, tmp_path / "model.safetensors")
        for other in (
            pickle.loads(pickle.dumps(model)),
            copy.deepcopy(model),
            load(tmp_path / "model.safetensors"),
        ):
            assert_array_equal(other.transform(X), codes)
            assert other.get_params()["compile"] is True
            other.partial_fit(X)
