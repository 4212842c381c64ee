"""The further terms of the objective against closed forms and brute force."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.metrics import log_loss
from torch import nn

from sklearn_aae import _estimators
from sklearn_aae._training import terms
from sklearn_aae._training.terms import (
    Agreement,
    Balance,
    Batch,
    Certainty,
    Classification,
    Guidance,
    Separation,
    VirtualAdversarial,
    cross_entropy,
)
from sklearn_aae.modules import CategoricalAutoencoder


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class ZeroStyle(nn.Linear):
    """One column of style, zero, and linear logits."""

    def forward(self, x):
        return torch.cat([x.new_zeros(len(x), 1), super().forward(x)], dim=1)


def linear_net(weight, bias=None):
    """What the terms use of a net: a softmax classifier with logits weight @ x + bias."""
    encoder = ZeroStyle(weight.shape[1], len(weight))
    with torch.no_grad():
        encoder.weight.copy_(weight)
        encoder.bias.copy_(torch.zeros(len(weight)) if bias is None else bias)
    autoencoder = CategoricalAutoencoder(encoder, nn.Identity(), 1, n_classes=len(weight))
    return SimpleNamespace(
        module_=autoencoder, progress_=1.0, generator_=seeded(5), corrupted=lambda x, n_rows: x
    )


def batch_of(net, x, n_corrupted=0, **targets):
    return Batch(x, net.module_.encode(x), targets, n_corrupted)


def test_every_term_is_part_of_an_estimator():
    named = {
        cls.__name__
        for cls in vars(terms).values()
        if isinstance(cls, type) and "weight" in cls.__annotations__
    }
    sources = [file.read_text() for file in Path(_estimators.__file__).parent.glob("*.py")]
    assert named
    for name in named:
        assert any(f"{name}(" in source for source in sources), name


# Cross-entropy.


def test_cross_entropy_agrees_with_torch_and_scikit_learn():
    logits = torch.randn((8, 3), generator=seeded(), dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 2, 1, 0, 0, 1])
    q = logits.softmax(dim=1)
    values = cross_entropy(F.one_hot(y, 3).double(), q)
    assert_allclose(values, F.cross_entropy(logits, y, reduction="none"))
    assert_allclose(values.mean(), log_loss(y, q.numpy()))


def test_cross_entropy_of_p_and_itself_is_the_entropy_and_the_least():
    p, q = torch.rand((2, 50, 4), generator=seeded(), dtype=torch.float64)
    p, q = p / p.sum(dim=1, keepdim=True), q / q.sum(dim=1, keepdim=True)
    assert_allclose(cross_entropy(p, p), torch.distributions.Categorical(p).entropy())
    assert (cross_entropy(p, q) >= cross_entropy(p, p)).all()


def test_cross_entropy_is_finite_where_a_probability_is_zero():
    p, q = torch.eye(2), torch.eye(2).flip(0)
    assert_allclose(cross_entropy(p, p), 0)
    assert torch.isfinite(cross_entropy(p, q)).all()
    assert (cross_entropy(p, q) > 80).all()


@pytest.mark.parametrize("gap", [1.0, 50.0, 120.0, 1e4])
@pytest.mark.parametrize("ratio", [None, np.array([0.01, 3.0, 1.0])])
def test_cross_entropy_of_codes_has_the_gradient_of_the_logits_however_far_apart(gap, ratio):
    y = torch.tensor([0, 2])
    logits = gap * torch.tensor([[0.0, 1.0, 0.0], [0.5, 1.0, 0.0]])
    logits, expected = (logits.clone().requires_grad_() for _ in range(2))
    autoencoder = CategoricalAutoencoder(nn.Identity(), nn.Identity(), 1, n_classes=3)
    codes = autoencoder.encode(torch.cat([torch.zeros(2, 1), logits], dim=1))
    Classification(1.0, ratio).of_rows(codes[:, 1:], y).sum().backward()
    shift = 0.0 if ratio is None else torch.as_tensor(ratio).log().float()
    F.cross_entropy(expected + shift, y, reduction="sum").backward()
    assert_allclose(logits.grad, expected.grad, atol=1e-5)
    assert_allclose(codes[:, 1:].sum(dim=1).detach(), 1, rtol=1e-6)


# Classification.


WEIGHT = torch.tensor([[1.0, -2.0], [0.5, 1.0], [-1.0, 0.3]])
ROWS = torch.randn((6, 2), generator=seeded(1))
CLASSES = torch.tensor([0, 1, 2, 2, 1, 0])


@pytest.mark.parametrize("weight", [None, torch.tensor([0.0, 2.0, 1.0, 1.0, 0.5, 1.5])])
def test_classification_is_the_cross_entropy_of_the_logits(weight):
    net = linear_net(WEIGHT)
    targets = {"y": CLASSES} | ({} if weight is None else {"sample_weight": weight})
    each = F.cross_entropy(ROWS @ WEIGHT.T, CLASSES, reduction="none")
    expected = (each if weight is None else each * weight).mean()
    value = Classification(1.0)(net, batch_of(net, ROWS, **targets))
    assert_allclose(value.item(), expected.item(), rtol=1e-5)


def test_labelled_rows_that_come_with_the_batch_are_the_ones_that_count():
    net = linear_net(WEIGHT)
    labelled = (ROWS[:3], {"y": CLASSES[:3]})
    batch = batch_of(net, ROWS, y=torch.full((6,), -1), labelled=labelled)
    expected = F.cross_entropy(ROWS[:3] @ WEIGHT.T, CLASSES[:3])
    assert_allclose(Classification(1.0)(net, batch).item(), expected.item(), rtol=1e-5)


def test_labelled_rows_get_noise_like_all_others():
    net = linear_net(WEIGHT)
    net.corrupted = lambda x, n_rows: torch.cat([x[:n_rows] + 1, x[n_rows:]])
    batch = batch_of(net, ROWS, labelled=(ROWS[:3], {"y": CLASSES[:3]}))
    expected = F.cross_entropy((ROWS[:3] + 1) @ WEIGHT.T, CLASSES[:3])
    assert_allclose(Classification(1.0)(net, batch).item(), expected.item(), rtol=1e-5)


@pytest.mark.parametrize("trust", [0.0, 0.3, 1.0])
def test_labels_that_are_one_draw_of_many_are_mixed_with_what_the_guide_says(trust):
    net, guide = linear_net(WEIGHT), torch.softmax(ROWS @ torch.ones(2, 3), dim=1)
    hard, soft = (
        F.cross_entropy(ROWS[:3] @ WEIGHT.T, target) for target in (CLASSES[:3], guide[:3])
    )
    labelled = (ROWS[:3], {"y": CLASSES[:3], "guide": guide[:3]})
    value = Classification(1.0, trust=trust)(net, batch_of(net, ROWS, labelled=labelled))
    assert_allclose(value.item(), (trust * hard + (1 - trust) * soft).item(), rtol=1e-5)


# Virtual adversarial step.


def divergence(net, x, r):
    p, q = (net.module_.encode(rows)[:, 1:].detach() for rows in (x, x + r))
    return (p * (p.log() - q.log())).sum(dim=1)


def spread(x):
    return (x - x.mean(dim=0)).square().sum(dim=1).mean().sqrt()


def test_two_linear_classes_change_most_along_the_difference_of_their_weights():
    # The curvature of the divergence has rank one: a step of the power method is exact up to sign.
    w = torch.tensor([[1.0, 2.0, -1.0], [-0.5, 0.0, 0.5]])
    net = linear_net(w)
    x = torch.randn((1, 3), generator=seeded(2)).expand(40, 3) + 0.0
    x = torch.cat([x, torch.randn((40, 3), generator=seeded(3))])
    batch = batch_of(net, x)
    value = VirtualAdversarial(1.0, 0.2)(net, batch)
    r = 0.2 * spread(x) * F.normalize(w[0] - w[1], dim=0)
    candidates = torch.stack([divergence(net, x, r), divergence(net, x, -r)])
    assert candidates.min(dim=0).values.mean() <= value <= candidates.max(dim=0).values.mean()
    # Small steps look alike in both directions.
    small = VirtualAdversarial(1.0, 0.01)(net, batch_of(net, x))
    assert_allclose(small.item(), divergence(net, x, r / 20).mean().item(), rtol=0.02)


def test_three_linear_classes_change_more_than_in_most_and_less_than_in_the_worst_direction():
    net = linear_net(2 * WEIGHT)
    angles = torch.linspace(0, 2 * math.pi, 361)[:-1]
    unit = torch.stack([angles.cos(), angles.sin()], dim=1)
    x = torch.randn((200, 2), generator=seeded(4))
    length = 0.2 * spread(x)
    every = torch.stack([divergence(net, x, length * u) for u in unit])
    value = VirtualAdversarial(1.0, 0.2)(net, batch_of(net, x)).item()
    worst, average = every.max(dim=0).values.mean().item(), every.mean().item()
    assert 1.2 * average < value <= worst * (1 + 1e-5)


@pytest.mark.parametrize("shift", [0.0, 500.0])
def test_the_step_does_not_depend_on_where_rows_lie(shift):
    w = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    x = torch.randn((64, 2), generator=seeded(3)) + shift
    net = linear_net(w, -w @ torch.full((2,), shift))
    here = linear_net(w)
    expected = VirtualAdversarial(1.0, 0.2)(here, batch_of(here, x - shift)).item()
    value = VirtualAdversarial(1.0, 0.2)(net, batch_of(net, x)).item()
    assert value == pytest.approx(expected, rel=1e-2)


class Steps(ZeroStyle):
    """Remembers what it encodes."""

    def forward(self, x):
        self.seen = x.detach()
        return super().forward(x)


@pytest.mark.parametrize("gap", [0.0, 30.0, 60.0, 1000.0])
def test_the_step_is_never_longer_than_its_radius(gap):
    # With a gap of 60 the gradient is about 1e-26, whose square is 0 in float32.
    net = linear_net(torch.tensor([[1.0, 2.0], [-1.0, 0.0]]), torch.tensor([gap, 0.0]))
    net.module_.encoder.__class__ = Steps
    x = torch.randn((16, 2), generator=seeded(6))
    value = VirtualAdversarial(1.0, 0.2)(net, batch_of(net, x))
    lengths = (net.module_.encoder.seen - x).norm(dim=1)
    assert torch.isfinite(value)
    assert (lengths <= 0.2 * spread(x) * (1 + 1e-4)).all()
    if gap <= 60:
        assert_allclose(lengths, (0.2 * spread(x)).expand(16), rtol=1e-4)


def test_the_gradient_reaches_the_neighbour_and_not_the_row_itself():
    net = linear_net(WEIGHT)
    batch = batch_of(net, ROWS)
    batch.codes.retain_grad()
    value = VirtualAdversarial(1.0, 0.2)(net, batch)
    assert value > 0
    value.backward()
    assert batch.codes.grad is None
    assert net.module_.encoder.weight.grad.abs().max() > 0


def test_only_rows_without_noise_are_stepped_from_and_weights_apply_to_them():
    net = linear_net(torch.tensor([[1.0, 2.0], [0.0, 0.0]]))
    weight = torch.tensor([9.0, 9.0, 0.0, 0.0, 2.0, 2.0])
    term = VirtualAdversarial(1.0, 1e-2)
    value = term(net, batch_of(net, ROWS, 2, sample_weight=weight)).item()
    r = 1e-2 * spread(ROWS) * F.normalize(torch.tensor([1.0, 2.0]), dim=0)
    each = divergence(net, ROWS, r)
    expected = (each * weight)[2:].mean().item()
    assert value == pytest.approx(expected, rel=0.05)


def test_the_step_repeats_with_the_generator_and_leaves_the_global_one():
    nets = linear_net(WEIGHT), linear_net(WEIGHT)
    before = torch.get_rng_state()
    first, second = (VirtualAdversarial(1.0, 0.2)(net, batch_of(net, ROWS)) for net in nets)
    assert first.item() == second.item()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_step_may_leave_the_training_range():
    # All values lie on the border of the range, and the class gets likelier towards the outside.
    net = linear_net(torch.tensor([[1.0, 2.0], [-1.0, 0.0]]))
    net.module_.extend_range(ROWS.amin(dim=0), ROWS.amax(dim=0))
    inside = VirtualAdversarial(1.0, 0.2)(net, batch_of(net, ROWS))
    net = linear_net(torch.tensor([[1.0, 2.0], [-1.0, 0.0]]))
    assert inside == VirtualAdversarial(1.0, 0.2)(net, batch_of(net, ROWS))


# Agreement of neighbours, certainty and balance.


def test_agreement_is_the_cross_entropy_each_way_and_moves_both_rows():
    net = linear_net(WEIGHT)
    neighbor = ROWS.flip(0)
    value = Agreement(1.0)(net, batch_of(net, ROWS, neighbor=neighbor))
    p, q = (net.module_.encode(x)[:, 1:] for x in (ROWS, neighbor))
    expected = torch.special.entr(p).sum(1) + (p * (p / q).log()).sum(1)
    expected = expected + torch.special.entr(q).sum(1) + (q * (q / p).log()).sum(1)
    assert_allclose(value.item(), expected.mean().item(), rtol=1e-5)
    # As probabilities of the other row are targets, the gradient is that of two classifiers.
    value.backward()
    gradient = net.module_.encoder.weight.grad.clone()
    net.module_.zero_grad()
    logits = [F.linear(x, net.module_.encoder.weight) for x in (ROWS, neighbor)]
    (F.cross_entropy(logits[0], q.detach()) + F.cross_entropy(logits[1], p.detach())).backward()
    assert_allclose(gradient, net.module_.encoder.weight.grad, atol=1e-6)


def test_agreement_of_a_single_row_is_nothing():
    net = linear_net(WEIGHT)
    assert Agreement(1.0)(net, batch_of(net, ROWS)) == 0


def test_certainty_is_the_entropy_of_the_rows_without_noise():
    net = linear_net(WEIGHT)
    batch = batch_of(net, ROWS, 2)
    expected = torch.special.entr(batch.codes[2:, 1:]).sum(dim=1).mean()
    assert_allclose(Certainty(1.0)(net, batch).item(), expected.item(), rtol=1e-6)


def test_balance_is_the_divergence_of_the_shares_from_those_wanted():
    net = linear_net(WEIGHT)
    batch = batch_of(net, ROWS, 2)
    shares = batch.codes[2:, 1:].mean(dim=0).detach().numpy()
    expected = stats.entropy(shares, np.full(len(shares), 1 / len(shares)))
    assert_allclose(Balance(1.0)(net, batch).item(), expected, rtol=1e-5)
    wanted = np.arange(1, len(shares) + 1) / np.arange(1, len(shares) + 1).sum()
    value = Balance(1.0, wanted)(net, batch)
    assert_allclose(value.item(), stats.entropy(shares, wanted), rtol=1e-5)
    certain = linear_net(1e4 * WEIGHT)
    value = Balance(1.0)(certain, batch_of(certain, ROWS[:1]))
    value.backward()
    assert_allclose(value.item(), math.log(len(WEIGHT)), rtol=1e-5)
    assert torch.isfinite(certain.module_.encoder.weight.grad).all()


@pytest.mark.parametrize("term", [Agreement, Certainty, Balance])
def test_rows_of_weight_zero_do_not_count(term):
    net = linear_net(WEIGHT)
    weight = torch.tensor([0.0, 2.0, 0.0, 2.0, 2.0, 0.0])
    kept = weight > 0
    neighbor = ROWS.flip(0)
    value = term(1.0)(net, batch_of(net, ROWS, neighbor=neighbor, sample_weight=weight))
    alone = term(1.0)(net, batch_of(net, ROWS[kept], neighbor=neighbor[kept]))
    assert_allclose(value.item(), alone.item(), rtol=1e-5)


@pytest.mark.parametrize("term", [Agreement, Certainty, Balance])
def test_a_batch_that_weighs_nothing_moves_nothing(term):
    net = linear_net(WEIGHT)
    nothing = torch.zeros(len(ROWS))
    value = term(1.0)(net, batch_of(net, ROWS, neighbor=ROWS.flip(0), sample_weight=nothing))
    value.backward()
    assert (net.module_.encoder.weight.grad == 0).all()


# Separation.


def heads(values):
    return SimpleNamespace(module_=SimpleNamespace(heads=torch.tensor(values, requires_grad=True)))


@pytest.mark.parametrize("gap", [0.5, 1.0, 2.9, 3.0, 10.0])
def test_separation_of_two_heads_is_the_squared_shortfall(gap):
    net = heads([[1.0, 1.0], [1.0 + gap * 0.6, 1.0 + gap * 0.8]])
    value = Separation(1.0, 3.0)(net, None)
    assert value.item() == pytest.approx(max(0, 1 - gap / 3) ** 2, abs=1e-6)
    value.backward()
    push = net.module_.heads.grad
    assert_allclose(push[0], -push[1], atol=1e-7)
    assert bool((push == 0).all()) is (gap >= 3)
    if gap < 3:  # descending moves the second head further out
        assert (push[1] < 0).all()


def test_separation_is_the_mean_over_pairs():
    # Distances 1, 2 and 1, of 3.
    value = Separation(1.0, 3.0)(heads([[0.0], [1.0], [2.0]]), None)
    assert value.item() == pytest.approx((4 / 9 + 1 / 9 + 4 / 9) / 3)


def test_heads_that_coincide_have_a_finite_gradient():
    net = heads([[1.0, 2.0], [1.0, 2.0], [4.0, 0.0]])
    value = Separation(1.0, 3.0)(net, None)
    value.backward()
    assert torch.isfinite(net.module_.heads.grad).all()
    assert np.isfinite(value.item())


def guidance(net, guide, **targets):
    return Guidance(1.0, "guidance")(net, batch_of(net, ROWS, guide=guide, **targets))


def test_guidance_by_certain_classes_is_their_cross_entropy():
    net = linear_net(WEIGHT)
    y = torch.arange(len(ROWS)) % 3
    logits = F.linear(ROWS, net.module_.encoder.weight)
    value = guidance(net, F.one_hot(y, 3).to(ROWS.dtype))
    assert_allclose(value.item(), F.cross_entropy(logits, y).item(), rtol=1e-6)


def test_guidance_counts_rows_by_how_sure_their_classes_are():
    net = linear_net(WEIGHT)
    n = len(ROWS)
    guide = torch.eye(3)[torch.arange(n) % 3].to(ROWS.dtype)
    guide[0] = 1 / 3  # anything
    guide[1] = 0  # nothing arrived
    guide[2] = torch.tensor([0.5, 0.5, 0])
    q = net.module_.encode(ROWS)[:, 1:]
    each = cross_entropy(guide, q)
    each[0] = 0
    each[2] *= 1 - math.log(2) / math.log(3)
    assert_allclose(guidance(net, guide).item(), each.sum().item() / n, rtol=1e-6)
    weight = torch.zeros(n)
    weight[3] = n
    assert_allclose(guidance(net, guide, sample_weight=weight).item(), each[3].item(), rtol=1e-6)


def test_guidance_ends_where_it_is_told_to_and_needs_a_guide():
    net = linear_net(WEIGHT)
    batch = batch_of(net, ROWS, guide=torch.eye(3)[torch.zeros(len(ROWS), dtype=int)])
    net.progress_ = 0.5
    assert Guidance(1.0, "guidance", stop=0.5)(net, batch) == 0
    assert Guidance(1.0, "guidance", stop=0.51)(net, batch) > 0
    assert Guidance(1.0, "guidance")(net, batch_of(net, ROWS)) == 0


def test_of_guidance_a_rest_may_stay():
    net = linear_net(WEIGHT)
    batch = batch_of(net, ROWS, guide=torch.eye(3)[torch.zeros(len(ROWS), dtype=int)])
    net.progress_ = 0.4
    before = Guidance(1.0, "guidance", stop=0.5, rest=0.3)(net, batch)
    net.progress_ = 0.5
    after = Guidance(1.0, "guidance", stop=0.5, rest=0.3)(net, batch)
    assert_allclose(after.item(), 0.3 * before.item(), rtol=1e-6)


def test_a_class_of_twice_the_weight_counts_twice():
    net = linear_net(WEIGHT)
    y = torch.arange(len(ROWS)) % 3
    each = F.cross_entropy(F.linear(ROWS, net.module_.encoder.weight), y, reduction="none")
    factor = np.array([2.0, 1.0, 0.0])
    value = Classification(1.0, class_weight=factor)(net, batch_of(net, ROWS, y=y))
    assert_allclose(value.item(), (each * torch.tensor(factor)[y]).mean().item(), rtol=1e-6)


def test_rows_that_are_unsure_count_by_the_rest():
    net = linear_net(WEIGHT)
    unsure = torch.full((len(ROWS), 3), 1 / 3, dtype=ROWS.dtype)
    batch = batch_of(net, ROWS, guide=unsure)
    q = net.module_.encode(ROWS)[:, 1:]
    value = Guidance(1.0, "guidance", rest=0.3)(net, batch)
    assert_allclose(value.item(), 0.3 * cross_entropy(unsure, q).mean().item(), rtol=1e-5)


def test_labels_and_guide_are_compared_where_their_shares_hold():
    net, ratio = linear_net(WEIGHT), np.array([0.5, 1.0, 4.0])
    y = torch.arange(len(ROWS)) % 3
    # Shares are added to the logits.
    moved = F.linear(ROWS, net.module_.encoder.weight) + torch.tensor(np.log(ratio))
    expected = F.cross_entropy(moved, y).item()
    value = Guidance(1.0, "guidance", ratio=ratio)(
        net, batch_of(net, ROWS, guide=F.one_hot(y, 3).to(ROWS.dtype))
    )
    assert_allclose(value.item(), expected, rtol=1e-6)
    value = Classification(1.0, ratio)(net, batch_of(net, ROWS, y=y))
    assert_allclose(value.item(), expected, rtol=1e-6)


def test_the_virtual_adversarial_term_waits_for_the_classes():
    net = linear_net(WEIGHT)
    term = VirtualAdversarial(1.0, 0.2)
    assert term(net, batch_of(net, ROWS)) > 0
    net.progress_ = 0.29
    assert term(net, batch_of(net, ROWS)) == 0
