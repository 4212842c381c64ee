"""Monitors, early stopping, decay and progress."""

import itertools
import math

import numpy as np
import pytest
import torch

from sklearn_aae._learned.match import told_apart
from sklearn_aae._training.net import TrainingStopped
from sklearn_aae._training.terms import Classification
from sklearn_aae.callbacks import EarlyStopping, LearningRateDecay, PriorMatch, Progress
from sklearn_aae.callbacks.held_out_labels import HeldOutLabels
from sklearn_aae.priors import Empirical, MixtureOfGaussians, Normal, draw


class FakeNet:
    """Just what a callback reads of a net."""

    def __init__(self):
        self.module_ = torch.nn.Linear(1, 1, bias=False)
        self.discriminators_ = torch.nn.ModuleDict()
        self.history = History()
        self.progress_ = 0.0


class History(list):
    def record(self, name, value):
        self[-1][name] = value


def run_epochs(stopping, losses, matches=None):
    """Feed epochs to early stopping; the weight of the module is the number of the epoch."""
    net = FakeNet()
    stopping.on_train_begin(net)
    stopped = None
    for epoch, loss in enumerate(losses, start=1):
        net.history.append({"epoch": epoch, "valid_loss": loss})
        if matches is not None:
            net.history[-1]["prior_match"] = matches[epoch - 1]
        torch.nn.init.constant_(net.module_.weight, epoch)
        net.progress_ = epoch / len(losses)
        try:
            stopping.on_epoch_end(net)
        except TrainingStopped:
            stopped = epoch
            break
    stopping.on_train_end(net)
    return net.module_.weight.item(), stopped


def test_early_stopping_goes_back_to_the_best_epoch():
    stopping = EarlyStopping(n_iter_no_change=3, tol=0.0, monitor=None)
    weight, stopped = run_epochs(stopping, [5, 4, 3, 3.5, 3.2, 3.1, 1])
    assert (weight, stopped) == (3, 6)
    assert stopping.best_epoch_ == 3


def test_small_improvements_do_not_keep_the_training_going_but_are_kept():
    stopping = EarlyStopping(n_iter_no_change=2, tol=0.5, monitor=None)
    weight, stopped = run_epochs(stopping, [5, 4.9, 4.8, 4.7])
    assert (weight, stopped) == (3, 3)


def test_early_stopping_counts_the_match_beyond_its_null_level():
    monitor = PriorMatch(Normal(n_components=1))
    monitor.null_ = 0.1
    stopping = EarlyStopping(n_iter_no_change=9, tol=0.0, monitor=monitor)
    # Below the null level a smaller distance is luck and counts nothing.
    weight, _ = run_epochs(stopping, [1.0, 1.0, 0.9, 1.05], [0.9, 0.05, 0.5, 0.0])
    assert weight == 2


def test_epochs_before_the_last_term_begins_neither_end_the_training_nor_are_gone_back_to():
    stopping = EarlyStopping(n_iter_no_change=2, tol=0.0, monitor=None, start=0.6)
    assert run_epochs(stopping, [1, 2, 3, 3, 3, 9, 8, 8, 8, 7]) == (7, 9)
    assert run_epochs(stopping, [1, 2, 3]) == (2, None)


def test_early_stopping_counts_held_out_labels():
    classification = Classification(weight=1.0)
    monitor = HeldOutLabels(classification, n_classes=4)
    net = FakeNet()
    net.history.append({"epoch": 1, "valid_loss": 0.5})
    monitor.on_epoch_begin(net)
    q = torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25], [0.1, 0.6, 0.2, 0.1]])
    for part in (slice(0, 2), slice(2, 3)):
        batch = (None, {"y": torch.tensor([0, -1, 2])[part]})
        monitor.on_batch_end(net, batch=batch, training=False, categories=q[part])
    monitor.on_batch_end(net, batch=None, training=True)
    monitor.on_epoch_end(net)
    expected = -(math.log(0.7) + math.log(0.2)) / 2
    assert net.history[-1]["valid_classification_loss"] == pytest.approx(expected)
    stopping = EarlyStopping(n_iter_no_change=2, tol=0.0, monitor=None, labels=monitor)
    stopping.on_train_begin(net)
    stopping.on_epoch_end(net)
    # One is what equal probabilities cost, in every part.
    assert stopping.best_criterion_ == pytest.approx(0.5 + expected / math.log(4))


@pytest.mark.parametrize("k", [1, pytest.param(2, marks=pytest.mark.thorough), 16])
def test_codes_of_the_prior_are_at_the_null_level(k):
    monitor = PriorMatch(Normal(n_components=k))
    codes = torch.randn((1000, k), generator=torch.Generator().manual_seed(5))
    distance = monitor.measure(codes)
    assert distance < 2 * monitor.null_quantile_
    assert monitor.null_ < monitor.null_quantile_ < 0.2
    assert monitor.measure(codes + 1) > 5 * monitor.null_


@pytest.mark.parametrize("scale", [pytest.param(0.1, marks=pytest.mark.thorough), 10.0])
def test_the_distance_has_no_units(scale):
    monitor = PriorMatch(Normal(scale, n_components=2))
    codes = torch.randn((500, 2), generator=torch.Generator().manual_seed(5))
    reference = PriorMatch(Normal(n_components=2)).measure(2 * codes)
    assert monitor.measure(2 * scale * codes) == pytest.approx(reference, rel=1e-4)


def test_distance_from_a_prior_of_zeros_only_is_in_absolute_units():
    monitor = PriorMatch(Empirical(np.zeros((1, 2)), n_components=2))
    assert monitor.measure(torch.zeros(10, 2)) == 0
    near, far = monitor.measure(torch.ones(10, 2)), monitor.measure(2 * torch.ones(10, 2))
    assert far == pytest.approx(2 * near)
    assert monitor.null_ == 0


def test_decay_starts_in_the_second_half_and_falls_to_a_hundredth():
    decay = LearningRateDecay(n_epochs=10)
    factors = [decay.factor(p) for p in np.linspace(0, 1, 101)]
    assert factors[:51] == [1.0] * 51
    assert all(a > b for a, b in itertools.pairwise(factors[50:]))
    assert math.isclose(factors[-1], 0.01)
    assert decay.factor(0.75) == pytest.approx(0.505)


def test_progress_in_a_log_is_about_ten_lines(capsys):
    net, progress = FakeNet(), Progress(n_epochs=100)
    progress.on_train_begin(net)
    for epoch in range(1, 101):
        net.history.append({"epoch": epoch, "reconstruction_loss": 1 / epoch})
        progress.on_epoch_end(net)
    progress.on_train_end(net)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11
    assert lines[0] == "epoch 1/100: reconstruction_loss=1.0000"
    assert lines[-1] == "epoch 100/100: reconstruction_loss=0.0100"


def test_progress_counts_the_epochs_of_its_own_fit(capsys):
    net, progress = FakeNet(), Progress(n_epochs=2)
    net.history.extend({"epoch": epoch} for epoch in (1, 2, 3))
    progress.on_train_begin(net)
    for epoch in (4, 5):
        net.history.append({"epoch": epoch, "reconstruction_loss": 0.5})
        progress.on_epoch_end(net)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]


def test_progress_in_a_terminal_is_a_bar(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    net, progress = FakeNet(), Progress(n_epochs=3)
    progress.on_train_begin(net)
    for epoch in range(1, 4):
        net.history.append({"epoch": epoch, "reconstruction_loss": 0.5})
        progress.on_epoch_end(net)
    progress.on_train_end(net)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "3/3" in printed.err
    assert "reconstruction_loss=0.5000" in printed.err


@pytest.mark.parametrize(
    ("k", "n"),
    [
        (2, 180),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in [(4, 300), (8, 1000), (16, 500)]
        ),
    ],
)
def test_true_samples_of_the_prior_exceed_the_quantile_in_one_case_of_20(k, n):
    prior = Normal(n_components=k)
    generator = torch.Generator().manual_seed(99)
    monitor = PriorMatch(prior)
    distances = [monitor.measure(draw(prior, n, generator)) for _ in range(400)]
    assert 0.03 <= np.mean(np.array(distances) > monitor.null_quantile_) <= 0.07


def test_codes_that_come_sorted_are_compared_as_if_they_were_not():
    prior = Normal(n_components=2)
    codes = draw(prior, 5000, torch.Generator().manual_seed(1))
    monitor = PriorMatch(prior)
    distance = monitor.measure(codes[codes[:, 0].argsort()])
    assert distance < 1.5 * monitor.null_quantile_
    assert monitor.measure(codes[codes[:, 0].argsort()][:1000]) > 5 * monitor.null_quantile_


def test_petals_turned_by_half_a_step_are_told_apart_by_the_classifier():
    prior = MixtureOfGaussians(n_classes=10, n_components=2)
    codes = draw(prior, 1000, torch.Generator().manual_seed(7))
    cosine, sine = math.cos(math.pi / 10), math.sin(math.pi / 10)
    auroc, quantile = told_apart(codes @ torch.tensor([[cosine, -sine], [sine, cosine]]), prior)
    assert auroc > 0.85
    assert quantile < 0.55
    assert told_apart(codes, prior)[0] < 0.55


def test_too_few_codes_tell_nothing():
    prior = Normal(n_components=2)
    assert told_apart(torch.full((19, 2), 9.0), prior) == (0.5, 1.0)
