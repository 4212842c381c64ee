"""Trainings that go wrong: divergence, exhausted memory, callbacks that raise."""

import copy
import re
import time
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from skorch.callbacks import Callback

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae._training.state import all_finite, copy_networks, restore_networks
from sklearn_aae.callbacks import LastGoodWeights


@pytest.fixture(scope="module")
def X():  # noqa: N802  # the matrix
    return make_blobs(120, n_features=5, centers=3, random_state=0)[0]


class Spoils(Callback):
    """Multiplies all weights before an epoch, and remembers those of some epochs."""

    def __init__(self, epoch, factor, remembered=()):
        self.epoch = epoch
        self.factor = factor
        self.remembered = remembered
        self.weights = {}

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            for p in net.module_.parameters():
                p.data.mul_(self.factor)

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) in self.remembered:
            self.weights[len(net.history)] = copy_networks(net)


def spoiled(epoch, factor=torch.nan, *, n_steps=1, remembered=(), **parameters):
    # One step for each epoch.
    spoils = Spoils(epoch, factor, remembered)
    return spoils, AdversarialAutoencoder(
        batch_size=120, callbacks=[spoils], random_state=0, **{"max_iter": 9, **parameters}
    )


@pytest.fixture
def copies_each_epoch(monkeypatch):
    monkeypatch.setattr(LastGoodWeights.__init__, "__defaults__", (1,))


def assert_same_networks(net, expected):
    ours = copy_networks(net)
    for name in ("module_", "discriminators_"):
        assert all(torch.equal(ours[name][key], value) for key, value in expected[name].items())
    for name in ("optimizer_", "discriminator_optimizer_"):
        for position, memory in expected[name].items():
            for key, value in memory.items():
                assert torch.equal(ours[name][position][key], value), (name, key)


# Divergence.


@pytest.mark.usefixtures("copies_each_epoch")
def test_a_loss_that_becomes_nan_goes_back_to_the_last_good_epoch(X):
    spoils, model = spoiled(6, remembered=[5])
    message = (
        r"loss became nan in epoch 6: the training diverged\. The estimator is fitted with the "
        r"weights of epoch 5.*Lower lr \(now 0\.001\) or discriminator_lr \(now 0\.002\)"
    )
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        model.fit(X)
    assert {w.filename for w in caught} == {__file__}
    assert_same_networks(model.net_, spoils.weights[5])
    assert model.n_iter_ == 5
    assert np.isfinite(model.score_samples(X)).all()
    # The optimisers are as sound as the weights.
    model.set_params(callbacks=None).partial_fit(X)
    assert np.isfinite(model.history_["reconstruction_loss"]).all()


@pytest.mark.usefixtures("copies_each_epoch")
def test_a_loss_that_ends_far_above_its_lowest_goes_back_as_well(X):
    spoils, model = spoiled(6, 50.0, remembered=[5])
    with pytest.warns(ConvergenceWarning, match=r"reconstruction_loss rose to .* by epoch 9.*h 5,"):
        model.fit(X)
    assert_same_networks(model.net_, spoils.weights[5])
    assert model.n_iter_ == 9


@pytest.mark.usefixtures("copies_each_epoch")
def test_weights_that_are_spoiled_in_the_last_step_are_not_kept(X):
    class SpoilsLast(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 4:
                self.weights = copy_networks(net)
            if len(net.history) == 5:
                next(net.discriminators_.parameters()).data[0] = torch.inf

    last = SpoilsLast()
    model = AdversarialAutoencoder(batch_size=120, max_iter=5, callbacks=[last], random_state=0)
    with pytest.warns(ConvergenceWarning, match="weights became infinite or NaN in epoch 5"):
        model.fit(X)
    assert all_finite(model.net_)


@pytest.mark.usefixtures("copies_each_epoch")
def test_early_stoppings_best_weights_go_first(X):
    _, model = spoiled(6, early_stopping=True, remembered=[5])
    with pytest.warns(ConvergenceWarning, match=r"became nan in epoch 6.*weights of epoch (\d)"):
        model.fit(X)
    stopping = dict(model.net_.callbacks_)["EarlyStopping"]
    assert 1 <= stopping.best_epoch_ <= 5
    assert model.prior_match_["distance"] < 2


def test_in_the_first_epoch_nothing_is_to_be_saved(X):
    _, model = spoiled(1)
    with pytest.raises(
        ValueError, match=r"became nan in epoch 1: the training diverged\. Lower lr"
    ):
        model.fit(X)
    with pytest.raises(NotFittedError):
        model.transform(X)


def test_finite_weights_with_infinite_reconstructions_are_a_divergence(X):
    # The loss of the only step is that of the initial weights.
    model = AdversarialAutoencoder(
        optimizer=torch.optim.SGD,
        lr=1e30,
        adversarial_weight=0,
        max_iter=1,
        batch_size=len(X),
        random_state=0,
    )
    with pytest.raises(ValueError, match=r"Reconstructions .* Lower lr \(now 1e\+30\)"):
        model.fit(X)
    assert set(vars(model)) == set(model.get_params(deep=False))


def test_a_warm_start_that_diverges_at_once_keeps_the_last_fit(X):
    _, model = spoiled(10, warm_start=True)
    codes, history = model.fit(X).transform(X), model.history_
    with pytest.raises(ValueError, match="became nan in epoch 10"):
        model.fit(X)
    assert_array_equal(model.transform(X), codes)
    assert model.history_ is history


def test_a_rise_that_passes_is_no_divergence(X):
    _, model = spoiled(40, 2.0, max_iter=300)
    with warnings.catch_warnings():
        # The codes are far off after such a blow.
        warnings.filterwarnings("ignore", "The discriminator won", ConvergenceWarning)
        losses = model.fit(X).history_["reconstruction_loss"]
    assert losses[38] < 1
    assert losses[39] > 100
    assert losses[-1] < 1


def test_copies_are_made_every_so_many_steps_and_let_go(X):
    class Watches(Callback):
        def __init__(self):
            self.kept = []

        def on_epoch_end(self, net, **kwargs):
            self.kept.append(dict(net.callbacks_)["LastGoodWeights"].kept_epoch_)

    watches = Watches()
    model = AdversarialAutoencoder(
        batch_size=6, validation_fraction=0.1, max_iter=8, callbacks=[watches], random_state=0
    ).fit(X)
    # 18 steps in an epoch, 50 from copy to copy.
    assert watches.kept == [1, 1, 1, 4, 4, 4, 7, 7]
    assert dict(model.net_.callbacks_)["LastGoodWeights"]._kept is None


def test_a_copy_is_what_is_put_back(X):
    net = AdversarialAutoencoder(max_iter=3, random_state=0).fit(X).net_
    kept, untouched = copy_networks(net), copy.deepcopy(copy_networks(net))
    for module in (net.module_, net.discriminators_):
        for p in module.parameters():
            p.data.fill_(torch.nan)
    assert not all_finite(net)
    restore_networks(net, kept)
    assert all_finite(net)
    assert_same_networks(net, untouched)


def test_a_copy_costs_less_than_a_fiftieth_of_the_steps_between_two(X):
    model = AdversarialAutoencoder(batch_size=32, max_iter=1, random_state=0).fit(X)

    def seconds(function):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
        return min(times)

    def copies():
        all_finite(model.net_)
        copy_networks(model.net_)

    x = torch.zeros(32, 5)
    step = seconds(lambda: model.net_.train_step((x, {})))
    assert seconds(copies) < 0.02 * 50 * step


# Memory.


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 7.28 TiB"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"
        ),
    ],
)
def test_exhausted_memory_says_what_to_lower_and_keeps_the_estimator(X, error):
    class Hungry(Callback):
        def on_grad_computed(self, net, **kwargs):
            raise error

    model = AdversarialAutoencoder(max_iter=2, random_state=0).fit(X)
    codes = model.transform(X)
    model.set_params(callbacks=[Hungry()], batch_size=50, hidden_layer_sizes=(30, 20))
    message = r"Out of memory in fit.*batch_size \(now 50\).*hidden_layer_sizes \(now \(30, 20\)\)"
    with pytest.raises(MemoryError, match=message) as caught:
        model.fit(X)
    assert caught.value.__cause__ is error
    assert_array_equal(model.transform(X), codes)


def test_networks_too_large_for_any_memory(X):
    model = AdversarialAutoencoder(hidden_layer_sizes=(10**8, 10**8))
    with pytest.raises(MemoryError, match=r"Lower batch_size .*hidden_layer_sizes \(now \(1000"):
        model.fit(X)
    assert not hasattr(model, "net_")


def test_other_errors_of_torch_pass_as_they_are(X):
    class Fails(Callback):
        def on_batch_begin(self, net, **kwargs):
            torch.zeros(2, 3) @ torch.zeros(2, 3)

    with pytest.raises(RuntimeError, match="cannot be multiplied") as caught:
        AdversarialAutoencoder(callbacks=[Fails()]).fit(X)
    assert caught.type is RuntimeError


# Callbacks that raise.

EVENTS = ["train_begin", "epoch_begin", "batch_begin", "grad_computed", "batch_end", "epoch_end"]


@pytest.mark.parametrize("event", [*EVENTS, "train_end"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_callback_that_raises_leaves_the_estimator_as_it_was(X, event, method):
    failing = Callback()
    model = AdversarialAutoencoder(max_iter=2, callbacks=[failing], random_state=0)

    def fail(net, *args, **kwargs):
        raise RuntimeError(f"out of coffee at {event}")

    setattr(failing, f"on_{event}", fail)
    with pytest.raises(RuntimeError, match=re.escape(f"out of coffee at {event}")):
        getattr(model, method)(X)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert set(vars(model)) == set(model.get_params())

    delattr(failing, f"on_{event}")
    before = dict(vars(model.fit(X))), model.transform(X)
    setattr(failing, f"on_{event}", fail)
    with pytest.raises(RuntimeError, match="out of coffee"):
        getattr(model, method)(X)
    assert vars(model) == before[0]
    assert_array_equal(model.transform(X), before[1])
