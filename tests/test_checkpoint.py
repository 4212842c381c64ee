"""Checkpoints: a training that is killed and started again is the one that never was."""

import json
import os
import re
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EpochScoring
from torch import nn

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
)
from sklearn_aae._files.atomic import load_state, save_state, write_atomically
from sklearn_aae.callbacks import Checkpoint
from sklearn_aae.priors import Normal

HERE = Path(__file__).parent


class Killed(BaseException):
    """Ends a fit like a crash would, and can be caught here."""


class KilledAt(Callback):
    """Raises at the end of an epoch, after the checkpoint of the epoch before."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise Killed


@pytest.fixture(scope="module")
def X():  # noqa: N802  # the matrix
    return make_blobs(120, n_features=5, centers=3, random_state=0)[0]


def estimator(directory, *further, every=1, **parameters):
    return AdversarialAutoencoder(
        callbacks=[*further, Checkpoint(directory, every=every)],
        # Three steps in an epoch, of which the game does not treat all alike.
        **{"max_iter": 8, "batch_size": 36, "random_state": 0, **parameters},
    )


def kill(model, X, epoch, **fit_parameters):
    victim = clone(model)
    victim.callbacks.append(KilledAt(epoch))
    with pytest.raises(Killed):
        victim.fit(X, **fit_parameters)


def resumed(model):
    return model.callbacks[-1].n_epochs_resumed_


def assert_same_fit(a, b, X):
    for name in ("module_", "discriminators_"):
        expected = getattr(b.net_, name).state_dict()
        for key, value in getattr(a.net_, name).state_dict().items():
            assert torch.equal(value, expected[key]), key
    assert a.history_ == b.history_
    assert a.n_iter_ == b.n_iter_
    assert_array_equal(a.transform(X), b.transform(X))
    assert_array_equal(a.score_samples(X), b.score_samples(X))


def dropout_encoder(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 8), nn.Dropout(0.5), nn.Linear(8, n_out))


# Resuming.


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"early_stopping": True, "n_iter_no_change": 6, "tol": 0.1, "max_iter": 30},
        {"encoder": dropout_encoder, "posterior": "implicit"},
        {"optimizer": torch.optim.SGD, "posterior": "gaussian"},
        {"adversarial_weight": 0},
    ],
    ids=["defaults", "early_stopping", "dropout", "sgd", "no_game"],
)
def test_a_resumed_fit_equals_one_that_was_never_killed(X, tmp_path, parameters):
    model = estimator(tmp_path, **parameters)
    whole = clone(model).set_params(callbacks=None).fit(X)
    kill(model, X, epoch=4)
    assert_same_fit(model.fit(X), whole, X)
    assert resumed(model) == 3


@pytest.mark.parametrize(
    "model",
    [
        AdversarialAutoencoderClassifier(),
        AdversarialAutoencoderClusterer(n_clusters=3),
        ConditionalAdversarialAutoencoder(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_draws_of_labelled_rows_and_neighbours_go_on_too(model, X, tmp_path):
    y = np.arange(len(X)) % 3
    if isinstance(model, AdversarialAutoencoderClassifier):
        y[::2] = -1
    model.set_params(n_components=2, max_iter=6, random_state=0, batch_size=20)
    whole = clone(model).fit(X, y)
    model.set_params(callbacks=[Checkpoint(tmp_path / "run", every=1)])
    kill(model, X, epoch=4, y=y)
    model.fit(X, y)
    assert resumed(model) == 3
    assert model.history_ == whole.history_
    for key, value in model.net_.module_.state_dict().items():
        assert torch.equal(value, whole.net_.module_.state_dict()[key]), key


def test_the_best_weights_of_early_stopping_survive(X, tmp_path):
    model = estimator(tmp_path, max_iter=300, early_stopping=True, n_iter_no_change=5, tol=0.0)
    whole = clone(model).set_params(callbacks=None).fit(X)
    best_epoch = dict(whole.net_.callbacks_)["EarlyStopping"].best_epoch_
    last_checkpoint = whole.n_iter_ - 2
    assert best_epoch <= last_checkpoint
    kill(model, X, epoch=last_checkpoint + 1)
    assert_same_fit(model.fit(X), whole, X)
    assert resumed(model) == last_checkpoint


def test_weights_labels_and_held_out_rows_are_part_of_the_training(X, tmp_path):
    model, given = estimator(tmp_path), {"sample_weight": np.arange(120) + 1.0, "X_val": X[:20]}
    whole = clone(model).set_params(callbacks=None).fit(X, **given)
    kill(model, X, 5, **given)
    assert_same_fit(model.fit(X, **given), whole, X)
    assert resumed(model) == 4


@pytest.mark.parametrize(("every", "epochs"), [(1, 6), (2, 6), (3, 6), (5, 5), (20, 0)])
def test_every_is_the_number_of_epochs_between_checkpoints(X, tmp_path, every, epochs):
    model = estimator(tmp_path, every=every)
    kill(model, X, epoch=7)
    assert resumed(model.fit(X)) == epochs


def test_a_fit_that_is_done_leaves_no_file_and_the_next_starts_afresh(X, tmp_path):
    model = estimator(tmp_path).fit(X)
    assert list(tmp_path.iterdir()) == []
    assert resumed(model.fit(X)) == 0
    assert model.n_iter_ == 8


def test_ctrl_c_keeps_the_checkpoint_to_go_on_from(X, tmp_path):
    class CtrlC(Callback):
        def __init__(self, epoch):
            self.epoch = epoch

        def on_batch_begin(self, net, **kwargs):
            if len(net.history) == self.epoch:
                raise KeyboardInterrupt

    model = estimator(tmp_path)
    whole = clone(model).set_params(callbacks=None).fit(X)
    with pytest.warns(match="interrupted after 3 of 8 epochs"):
        estimator(tmp_path, CtrlC(4)).fit(X)
    assert_same_fit(model.fit(X), whole, X)
    assert resumed(model) == 3


def test_a_warm_start_is_resumed_from_the_same_fit(X, tmp_path):
    first = estimator(tmp_path, warm_start=True).fit(X)
    import copy

    again, whole = copy.deepcopy(first), copy.deepcopy(first).fit(X)
    again.callbacks.append(KilledAt(8 + 4))
    with pytest.raises(Killed):
        again.fit(X)
    again.callbacks.pop()
    assert_same_fit(again.fit(X), whole, X)
    assert resumed(again) == 3
    assert again.n_iter_ == 16


def test_diverging_after_resuming_goes_back_to_the_same_weights(X, tmp_path):
    class Spoils(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if len(net.history) == 7:
                net.module_.n_bad = 1
                for p in net.module_.parameters():
                    p.data.fill_(torch.nan)

    whole = estimator(tmp_path, Spoils())
    with pytest.warns(match="weights of epoch 6"):
        whole.fit(X)
    model = estimator(tmp_path, Spoils())
    kill(model, X, epoch=5)
    with pytest.warns(match="weights of epoch 6"):
        model.fit(X)
    assert resumed(model) == 4
    assert_same_fit(model, whole, X)


def test_other_data_or_parameters_start_afresh(X, tmp_path):
    model = estimator(tmp_path)
    kill(model, X, epoch=4)
    changed = X.copy()
    changed[77, 3] += 1e-9
    for parameters, data in [
        ({}, changed),
        ({"lr": 2e-3}, X),
        ({"max_iter": 9}, X),
        ({"random_state": 1}, X),
        ({"noise": 0.2}, X),
        ({"adversarial_weight": 0.3}, X),
        ({"prior": Normal(2.0)}, X),
        ({"early_stopping": True}, X),
        ({"optimizer": torch.optim.AdamW}, X),
        ({"activation": "tanh"}, X),
    ]:
        assert resumed(clone(model).set_params(**parameters).fit(data)) == 0, parameters
    assert resumed(model.fit(X)) == 3


def test_what_does_not_touch_the_training_does_not_matter(X, tmp_path, capsys):
    model = estimator(tmp_path)
    kill(model, X, epoch=4)
    model.set_params(verbose=1, contamination=0.1, score_method="reconstruction").fit(X)
    assert resumed(model) == 3
    assert "epoch 8/8" in capsys.readouterr().out


def test_fits_of_a_grid_search_share_a_directory(X, tmp_path):
    grid = {"n_components": [1, 2]}
    with joblib.parallel_backend("threading", n_jobs=2):
        search = GridSearchCV(estimator(tmp_path, max_iter=4), grid, cv=2).fit(X)
    plain = GridSearchCV(AdversarialAutoencoder(max_iter=4, random_state=0), grid, cv=2).fit(X)
    assert_array_equal(search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"])
    assert list(tmp_path.iterdir()) == []


def test_other_callbacks_take_part_through_get_state_and_set_state(X, tmp_path):
    class Counter(Callback):
        def on_train_begin(self, net, X=None, y=None, **kwargs):
            self.n_epochs_ = 0

        def on_epoch_end(self, net, **kwargs):
            self.n_epochs_ += 1

        def get_state(self, net):
            return {"n_epochs": self.n_epochs_}

        def set_state(self, net, state):
            self.n_epochs_ = state["n_epochs"]

    model = estimator(tmp_path, Counter())
    kill(model, X, epoch=6)
    assert model.fit(X).callbacks[0].n_epochs_ == 8


def test_what_other_callbacks_record_is_in_the_history(X, tmp_path):
    def spread(net, X, y):
        return float(net.forward(X).std())

    scoring = EpochScoring(spread, on_train=True, use_caching=False, name="spread")
    model = estimator(tmp_path, ("spread", scoring))
    whole = clone(model).fit(X)
    kill(model, X, epoch=5)
    assert_same_fit(model.fit(X), whole, X)
    best = [row["train_loss_best"] for row in whole.net_.history]
    assert [row["train_loss_best"] for row in model.net_.history] == best


def test_global_generators_are_untouched(X, tmp_path):
    model = estimator(tmp_path)
    kill(model, X, epoch=4)
    torch.rand(3)
    before = torch.get_rng_state()
    model.fit(X)
    assert torch.equal(torch.get_rng_state(), before)


# Kills.


# The one trial is killed while it writes, which does not depend on the speed of the machine.
@pytest.mark.parametrize(("n", "seed"), [(1, 57), pytest.param(4, 1, marks=pytest.mark.thorough)])
def test_fits_that_are_killed_at_any_moment_end_with_the_same_bits(n, seed):
    script = [sys.executable, HERE / "kill_and_resume.py", "--trials", f"{n}", "--seed", f"{seed}"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"{n}/{n} equal to the bit"), done.stdout + done.stderr
    assert int(re.search(r"(\d+) kills", done.stdout)[1]) > 0


# Files.


def test_a_checkpoint_holds_no_pickle_and_is_small(X, tmp_path):
    model = estimator(tmp_path, early_stopping=True)
    kill(model, X, epoch=4)
    (path,) = tmp_path.iterdir()
    with zipfile.ZipFile(path) as file:
        assert {Path(name).suffix for name in file.namelist()} == {".npy"}
    with np.load(path, allow_pickle=False) as arrays:
        json.loads(str(arrays["values"]))
    size = path.stat().st_size
    fitted = model.fit(X)
    n_bytes = sum(
        value.nbytes
        for module in (fitted.net_.module_, fitted.net_.discriminators_)
        for value in module.state_dict().values()
    )
    # Weights, two moments of Adam, and the best weights of early stopping; generators, history.
    assert 4 * n_bytes < size < 4 * n_bytes + 100_000


def test_states_come_back_as_they_were(tmp_path):
    state = {
        "a": np.arange(3, dtype=np.float32),
        "b": {"": np.array(1.5), "x/y": [None, True, 1, 0.1, float("inf"), "text"]},
        "c": [{}, [], np.zeros((0, 2), dtype=np.uint8)],
        "d": np.float64(0.1),
    }
    save_state(tmp_path / "state.npz", state)
    loaded = load_state(tmp_path / "state.npz")
    assert_array_equal(loaded["a"], state["a"])
    assert loaded["a"].dtype == np.float32
    assert loaded["b"][""] == 1.5
    assert loaded["b"]["x/y"] == state["b"]["x/y"]
    assert loaded["c"][2].shape == (0, 2)
    assert type(loaded["d"]) is float


def test_a_failure_in_writing_keeps_the_old_file_and_leaves_no_other(tmp_path):
    path = tmp_path / "file"

    def fails(file):
        file.write(b"new")
        raise OSError("no more")

    write_atomically(path, lambda file: file.write(b"old"))
    with pytest.raises(OSError, match="no more"):
        write_atomically(path, fails)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([object()]), 1j])
def test_what_needs_pickle_is_refused_by_name(tmp_path, value):
    with pytest.raises(TypeError, match=r"state/a/b.*pickle"):
        save_state(tmp_path / "state.npz", {"a": {"b": value}})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "other"])
def test_a_damaged_checkpoint_is_an_error_that_names_the_file(X, tmp_path, damage):
    model = estimator(tmp_path)
    kill(model, X, epoch=4)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    path.write_bytes(
        {"truncated": content[:1000], "empty": b"", "other": b"text"}.get(damage, content)
    )
    with pytest.raises(ValueError, match=r"training-\w+\.npz cannot be read.*Delete it"):
        model.fit(X)
    assert not hasattr(model, "net_")


class DiskFull(Callback):
    """From the second checkpoint on, no file may grow beyond 10 kB."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))


# In a process of its own, which takes seconds; an error while writing, below, is one in this.
@pytest.mark.thorough
def test_a_full_disk_is_an_error_that_keeps_the_last_checkpoint(X, tmp_path):
    code = f"""
import signal, sys
sys.path.insert(0, {str(HERE)!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from test_checkpoint import DiskFull, estimator, make_blobs
X = make_blobs(120, n_features=5, centers=3, random_state=0)[0]
estimator({str(tmp_path)!r}, DiskFull()).fit(X)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(
        r"OSError:.*Checkpoint cannot write to directory=.*File too large", done.stderr
    )
    assert len(list(tmp_path.iterdir())) == 1
    model = estimator(tmp_path, DiskFull())
    model.callbacks[0].on_epoch_begin = lambda net, **kwargs: None
    assert resumed(model.fit(X)) == 1


def test_a_directory_that_cannot_be_written_is_an_error_before_training(X, tmp_path):
    (tmp_path / "file").write_text("")
    model = estimator(tmp_path / "file" / "checkpoints", KilledAt(1))
    with pytest.raises(OSError, match=r"directory='.*checkpoints': Not a directory.*fit again"):
        model.fit(X)
    assert not hasattr(model, "net_")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory_is_an_error_before_training(X, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match=r"directory='.*': Permission denied"):
        estimator(tmp_path, KilledAt(1)).fit(X)


def test_an_error_while_writing_keeps_the_last_checkpoint(X, tmp_path, monkeypatch):
    model = estimator(tmp_path)
    original, calls = os.fsync, []

    def fails_later(handle):
        calls.append(handle)
        if len(calls) > 4:  # two of each checkpoint: the file and its directory
            raise OSError(28, "No space left on device")
        original(handle)

    monkeypatch.setattr("os.fsync", fails_later)
    with pytest.raises(OSError, match="No space left on device"):
        model.fit(X)
    assert not hasattr(model, "net_")
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    assert resumed(model.fit(X)) == 2


# What cannot work.


def test_without_a_seed_there_is_nothing_to_resume(X, tmp_path):
    with pytest.raises(ValueError, match=r"Checkpoint needs random_state.*random_state=None"):
        estimator(tmp_path, random_state=None).fit(X)


def test_a_single_pass_has_nothing_to_resume(X, tmp_path):
    with pytest.raises(ValueError, match=r"partial_fit makes a single pass"):
        estimator(tmp_path).partial_fit(X)


@pytest.mark.parametrize("every", [0, 1.5, "1"])
def test_every_is_a_positive_int(X, tmp_path, every):
    with pytest.raises(ValueError, match=re.escape("every must be an int of at least 1")):
        estimator(tmp_path, every=every).fit(X)
