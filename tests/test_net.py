"""The skorch net: batches, the step, and what skorch promises to callbacks."""

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_blobs
from skorch.callbacks import Callback, EarlyStopping, EpochScoring
from torch import nn

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae._rows import batches
from sklearn_aae._rows.batches import BatchIterator, Rows
from sklearn_aae._training.pickling import freeze, thaw
from sklearn_aae.modules import Autoencoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def X():  # noqa: N802  # the matrix
    return make_blobs(120, n_features=5, centers=3, random_state=0)[0]


# Rows and batches.


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_batches_are_standardised_rows(X, dtype, order):
    X = np.asarray(X, dtype=dtype, order=order)
    center, scale = X.mean(axis=0), X.std(axis=0)
    rows = Rows(X, center, scale, device=CPU, targets={"y": np.arange(len(X))})
    x, targets = rows[torch.tensor([5, 3, 99])]
    assert x.dtype == torch.float32
    assert_allclose(x, ((X - center) / scale)[[5, 3, 99]], rtol=2e-5, atol=1e-6)
    assert targets["y"].tolist() == [5, 3, 99]


def test_rows_share_memory_with_x_and_never_write_to_it(X):
    X = X.copy()
    X.flags.writeable = False
    before = X.copy()
    rows = Rows(X, np.ones(5), np.ones(5), device=CPU)
    assert rows._X is X
    rows[torch.arange(10)]
    assert_array_equal(X, before)


def test_far_columns_keep_their_precision(X):
    shifted = X + 1e9
    rows = Rows(shifted, shifted.mean(axis=0), shifted.std(axis=0), device=CPU)
    expected = Rows(X, X.mean(axis=0), X.std(axis=0), device=CPU)
    everything = torch.arange(len(X))
    assert_allclose(rows[everything][0], expected[everything][0], atol=1e-6)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("knee", [np.inf, 1.0])
def test_rows_that_are_kept_and_rows_that_are_not_give_the_same_bits(X, dtype, knee, monkeypatch):
    X = X.astype(dtype)
    options = {"device": CPU, "knee": knee, "selected": np.arange(3, 90)}
    targets = {"y": np.arange(len(X))}
    kept = Rows(X, X.mean(axis=0), X.std(axis=0), targets=targets, **options)
    monkeypatch.setattr(batches, "_BYTES_ON_CPU", 0)
    made = Rows(X, X.mean(axis=0), X.std(axis=0), targets=targets, **options)
    assert kept._kept is not None
    assert made._kept is None
    positions = torch.tensor([50, 0, 86, 0])
    for a, b in zip(kept[positions], made[positions], strict=True):
        a, b = (v["y"] if isinstance(v, dict) else v for v in (a, b))
        assert torch.equal(a, b)


def test_rows_are_standardised_once(X, monkeypatch):
    seen = []
    monkeypatch.setattr(batches, "squashed", lambda x, knee: seen.append(len(x)) or x)
    AdversarialAutoencoder(max_iter=3, random_state=0).fit(X)
    assert sum(seen) == 108  # of 120 rows, 12 are held out


def test_selected_rows_are_the_data_set(X):
    rows = Rows(X, np.zeros(5), np.ones(5), device=CPU, selected=np.array([7, 9]))
    assert len(rows) == 2
    assert_allclose(rows[torch.tensor([1])][0], X[[9]], rtol=1e-6)


@pytest.mark.parametrize(("n", "batch_size"), [(10, 3), (10, 10), (10, 100), (9, 8), (1, 4)])
def test_an_epoch_has_every_row_once_in_batches_of_nearly_equal_size(n, batch_size):
    rows = Rows(np.arange(n, dtype=float)[:, None], np.zeros(1), np.ones(1), device=CPU)
    iterator = BatchIterator(rows, batch_size, torch.Generator().manual_seed(0))
    batches = [x.squeeze(1) for x, _ in iterator]
    assert len(batches) == len(iterator)
    assert sorted(torch.cat(batches).tolist()) == list(range(n))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= batch_size


def test_order_changes_between_epochs_and_repeats_with_the_seed():
    rows = Rows(np.arange(50.0)[:, None], np.zeros(1), np.ones(1), device=CPU)

    def two_epochs():
        iterator = BatchIterator(rows, 50, torch.Generator().manual_seed(3))
        return [next(iter(iterator))[0].squeeze(1).tolist() for _ in range(2)]

    first, second = two_epochs()
    assert first != second
    assert two_epochs() == [first, second]


# Labelled rows that every batch brings.


def labelled_epochs(n, labelled, batch_size, n_epochs=1, seed=0):
    """Numbers of the labelled rows in each batch of some epochs."""
    rows = Rows(
        np.arange(float(n))[:, None],
        np.zeros(1),
        np.ones(1),
        device=CPU,
        targets={"y": np.arange(n)},
        labelled=None if labelled is None else np.asarray(labelled),
    )
    iterator = BatchIterator(rows, batch_size, torch.Generator().manual_seed(seed))
    batches = [targets for _ in range(n_epochs) for _, targets in iterator]
    for targets in batches:
        x, own = targets.get("labelled", (torch.zeros(0, 1), {"y": torch.zeros(0)}))
        assert x.squeeze(1).tolist() == own["y"].tolist()
    return [
        targets["labelled"][1]["y"].tolist() if "labelled" in targets else None
        for targets in batches
    ]


@pytest.mark.parametrize(
    ("n_labelled", "batch_size", "n_drawn"),
    [(5, 20, 5), (5, 18, 5), (30, 20, 5), (30, 21, 6), (1, 1, 1)],
)
def test_a_batch_brings_labelled_rows_for_a_quarter_of_its_size_or_all(
    n_labelled, batch_size, n_drawn
):
    batches = labelled_epochs(100, range(n_labelled), batch_size)
    assert {len(batch) for batch in batches} == {n_drawn}
    assert all(set(batch) <= set(range(n_labelled)) for batch in batches)


@pytest.mark.parametrize("n_labelled", [3, 7, 30])
def test_in_an_epoch_every_labelled_row_is_drawn_as_often_as_any_other_within_one(n_labelled):
    labelled = 2 * np.arange(n_labelled)
    drawn = np.concatenate(labelled_epochs(200, labelled, 20))
    values, counts = np.unique(drawn, return_counts=True)
    assert_array_equal(values, labelled)
    assert counts.max() - counts.min() <= 1


def test_labelled_draws_repeat_with_the_seed_and_differ_between_epochs():
    first = labelled_epochs(60, range(20), 20, n_epochs=2)
    assert first == labelled_epochs(60, range(20), 20, n_epochs=2)
    assert first[:3] != first[3:]
    assert first != labelled_epochs(60, range(20), 20, n_epochs=2, seed=1)


def test_no_labelled_rows_are_drawn_where_none_are_named_or_nothing_is_trained():
    assert labelled_epochs(20, None, 10) == [None, None]
    rows = Rows(np.zeros((9, 1)), np.zeros(1), np.ones(1), device=CPU, labelled=np.arange(3))
    assert all("labelled" not in targets for _, targets in BatchIterator(rows, 3))


def test_positions_of_labelled_rows_are_those_in_the_selection(X):
    rows = Rows(
        X,
        np.zeros(5),
        np.ones(5),
        device=CPU,
        selected=np.array([50, 7, 9]),
        labelled=np.array([0, 2]),
    )
    _, targets = next(iter(BatchIterator(rows, 8, torch.Generator())))
    assert_allclose(np.sort(targets["labelled"][0], axis=0), np.sort(X[[50, 9]], axis=0), rtol=1e-6)


# The step.


class ConstantTerm:
    name, weight = "constant", 3.0

    def __call__(self, net, batch):
        self.batch = batch
        return net.module_.encoder[0].weight.sum() * 0 + 2.0


def test_a_term_joins_the_loss_with_its_weight_and_the_history_without(X):
    model = AdversarialAutoencoder(adversarial_weight=0, batch_size=120, max_iter=1, random_state=0)
    model.fit(X)
    net, term = model.net_, ConstantTerm()
    columns = model._columns
    batch = next(iter(BatchIterator(Rows(X, columns.center, columns.scale, device=CPU), 120)))
    net.terms = (term,)
    step = net.train_step(batch)
    losses = step["losses"]
    assert losses["constant_loss"] == 2
    assert step["loss"].item() == pytest.approx(losses["reconstruction_loss"].item() + 6)
    assert term.batch.n_corrupted == 60
    assert torch.equal(term.batch.x, batch[0])
    assert term.batch.codes.shape == (120, model.n_components_)


@pytest.mark.parametrize(("noise", "n_rows", "n_changed"), [(0.5, 3, 3), (0.5, 0, 0), (0.0, 3, 0)])
def test_noise_goes_to_the_first_rows(X, noise, n_rows, n_changed):
    net = AdversarialAutoencoder(noise=noise, max_iter=1, random_state=0).fit(X).net_
    x = torch.zeros(5, 5)
    changed = (net.corrupted(x, n_rows) != x).any(dim=1)
    assert changed.tolist() == [True] * n_changed + [False] * (len(x) - n_changed)
    if n_changed:
        assert net.corrupted(torch.zeros(9999, 5), 9999).std().item() == pytest.approx(
            0.5, rel=0.02
        )


class Counting(nn.Linear):
    n_calls = 0

    def forward(self, x):
        type(self).n_calls += self.training
        return super().forward(x)


def test_one_encoder_pass_for_each_step(X):
    Counting.n_calls = 0
    model = AdversarialAutoencoder(
        n_components=2, encoder=Counting(5, 2), batch_size=30, max_iter=3, random_state=0
    ).fit(X)
    assert Counting.n_calls == 3 * (120 // 30)
    assert model.n_iter_ == 3


def test_reconstruction_loss_is_one_for_the_column_means(X):
    for likelihood in ("gaussian", "laplace"):
        model = AdversarialAutoencoder(likelihood=likelihood, max_iter=1, random_state=0)
        model.fit(X, X_val=X)  # all rows count for the means
        net = model.net_
        x = torch.tensor((X - model._columns.center) / model._columns.scale, dtype=torch.float32)
        output = net.criterion_.constant_output().expand_as(x)
        assert net.reconstruction_loss(output, x, None).item() == pytest.approx(1, rel=1e-5)


def test_the_autoencoders_step_leaves_the_discriminator_alone_and_the_other_way_round(X):
    class Snapshots(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            # The discriminator took its step, the autoencoder has not yet.
            self.discriminator = copy.deepcopy(net.discriminators_.state_dict())
            self.autoencoder = copy.deepcopy(net.module_.state_dict())
            self.n_gradients = sum(p.grad is not None for _, p in named_parameters)

    seen = Snapshots()
    model = AdversarialAutoencoder(batch_size=120, max_iter=1, callbacks=[seen], random_state=0)
    model.fit(X)
    after = model.net_.discriminators_.state_dict()
    assert all(torch.equal(seen.discriminator[name], after[name]) for name in after)
    changed = model.net_.module_.encoder.state_dict()
    assert any(not torch.equal(seen.autoencoder[f"encoder.{n}"], changed[n]) for n in changed)
    assert seen.n_gradients > 0


def test_without_weight_no_discriminator_is_trained(X):
    class First(Callback):
        def on_train_begin(self, net, **kwargs):
            self.weights = copy.deepcopy(net.discriminators_.state_dict())

    first = First()
    model = AdversarialAutoencoder(adversarial_weight=0, max_iter=2, callbacks=[first])
    model.fit(X)
    after = model.net_.discriminators_.state_dict()
    assert all(torch.equal(first.weights[name], after[name]) for name in after)
    assert "discriminator_loss" not in model.history_


def test_zero_weight_rows_do_not_train(X):
    spoiled = X.copy()
    spoiled[:10] += 1000
    weight = np.r_[np.zeros(10), np.ones(110)]
    model = AdversarialAutoencoder(n_components=2, noise=0, adversarial_weight=0, batch_size=120)
    model.set_params(max_iter=150, random_state=0).fit(spoiled, sample_weight=weight, X_val=X)
    assert model.history_["reconstruction_loss"][-1] < 0.2
    assert_allclose(model._columns.center, X[10:].mean(axis=0))


# What skorch promises to callbacks.


class Recorder(Callback):
    def __init__(self):
        self.calls = []

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.calls.append("train_begin")

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.calls.append("epoch_begin")
        assert len(dataset_train) > 0

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        x, _ = batch
        assert x.shape[1] == 5
        self.calls.append("batch_begin" if training else "valid_begin")

    def on_grad_computed(self, net, named_parameters, **kwargs):
        assert all(p.grad is not None for name, p in named_parameters if name.startswith("enc"))
        self.calls.append("grad_computed")

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        assert kwargs["y_pred"].shape == batch[0].shape
        assert torch.isfinite(kwargs["loss"])
        self.calls.append("batch_end" if training else "valid_end")

    def on_epoch_end(self, net, **kwargs):
        row = net.history[-1]
        assert isinstance(row["train_loss"], float)
        assert all(isinstance(b["train_loss"], float) for b in row["batches"] if "train_loss" in b)
        self.calls.append("epoch_end")

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.calls.append("train_end")


def test_callbacks_are_called_as_skorch_does(X):
    recorder = Recorder()
    AdversarialAutoencoder(batch_size=60, max_iter=2, callbacks=[recorder]).fit(X, X_val=X[:10])
    batch = ["batch_begin", "grad_computed", "batch_end"]
    epoch = ["epoch_begin", *batch, *batch, "valid_begin", "valid_end", "epoch_end"]
    assert recorder.calls == ["train_begin", *epoch, *epoch, "train_end"]


def test_skorchs_own_callbacks_work(X):
    def encoded_spread(net, X, y):
        return float(net.forward(X).std())

    model = AdversarialAutoencoder(
        max_iter=50,
        callbacks=[
            EpochScoring(encoded_spread, on_train=True, use_caching=False, name="spread"),
            EarlyStopping(monitor="train_loss", patience=2, threshold=0.5),
        ],
        random_state=0,
    ).fit(X)
    # skorch's early stopping raises KeyboardInterrupt; that is not a user's Ctrl-C.
    assert model.n_iter_ < 50
    assert len(model.history_["spread"]) == model.n_iter_


def test_the_history_does_not_grow_with_the_number_of_steps(X):
    model = AdversarialAutoencoder(batch_size=10, max_iter=5, random_state=0).fit(X)
    assert [len(row["batches"]) for row in model.net_.history] == [0, 0, 0, 0, 11]


# State.


def test_tied_weights_stay_tied_and_structure_holds_no_numbers():
    layer = nn.Linear(3, 3)
    frozen = freeze(nn.Sequential(layer, nn.BatchNorm1d(3), layer))
    assert len(frozen.arrays) == 2 + 2 + 3
    thawed = thaw(frozen)
    assert thawed[0].weight is thawed[2].weight
    assert torch.equal(thawed[0].weight, layer.weight)
    assert thawed[1].num_batches_tracked.dtype == torch.int64


def test_a_restored_net_has_optimiser_state_and_generators(X):
    net = AdversarialAutoencoder(max_iter=3, random_state=0).fit(X).net_
    other = copy.deepcopy(net)
    for name in ("optimizer_", "discriminator_optimizer_"):
        mine, others = getattr(net, name).state_dict(), getattr(other, name).state_dict()
        assert mine["param_groups"] == others["param_groups"]
        for key, state in mine["state"].items():
            assert all(torch.equal(state[n], others["state"][key][n]) for n in state)
    assert torch.equal(net.generator_.get_state(), other.generator_.get_state())
    assert torch.equal(net.order_generator_.get_state(), other.order_generator_.get_state())


def test_a_step_encodes_its_batch_once_and_all_of_it(X, monkeypatch):
    n_rows = []
    encode = Autoencoder.encode

    def counted(self, x, *args, **kwargs):
        if self.training:
            n_rows.append(len(x))
        return encode(self, x, *args, **kwargs)

    monkeypatch.setattr(Autoencoder, "encode", counted)
    AdversarialAutoencoder(max_iter=3, batch_size=54, random_state=0).fit(X)
    assert n_rows == 6 * [54]  # two batches in each epoch


def test_the_norm_of_the_gradient_is_the_mean_over_every_fourth_step(X):
    norms, sizes = [], []

    class Norm(Callback):
        def on_batch_end(self, net, batch=None, **kwargs):
            gradients = [p.grad for p in net.module_.parameters()]
            squares = torch.stack([g.double().square().sum() for g in gradients])
            norms.append(squares.sum().sqrt().item())
            sizes.append(len(batch[0]))

    model = AdversarialAutoencoder(max_iter=1, batch_size=20, random_state=0, callbacks=[Norm()])
    model.fit(X)
    assert len(norms) == 6
    expected = np.average(norms[::4], weights=sizes[::4])
    assert_allclose(model.history_["gradient_norm"], [expected], rtol=1e-6)


def test_losses_of_steps_are_plain_numbers_on_a_cpu(X):
    kinds = set()

    class Kinds(Callback):
        def on_batch_end(self, net, **kwargs):
            kinds.update(type(value) for value in net.history[-1]["batches"][-1].values())

    AdversarialAutoencoder(max_iter=1, random_state=0, callbacks=[Kinds()]).fit(X)
    # Small tensors that outlive their step leave gaps in memory that the next step cannot use.
    assert kinds == {float, int}
