"""Check the adversarial losses against their formulas and computations by hand."""

import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose
from scipy import stats
from torch import nn

from sklearn_aae._training.critics import (
    ADVERSARIAL_LOSSES,
    Critic,
    sliced_wasserstein_distance,
    weighted_mean,
)
from sklearn_aae.modules import MultilayerPerceptron
from sklearn_aae.priors import Categorical, MixtureOfGaussians, Normal, SwissRoll

LOGITS = torch.linspace(-4, 4, 9, dtype=torch.float64)

with_all_losses = pytest.mark.parametrize("loss", sorted(ADVERSARIAL_LOSSES))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def linear(weight, bias=0.0):
    """Discriminator with logit weight @ z + bias: its gradient is the weight, everywhere."""
    layer = nn.Linear(len(weight), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weight]))
        layer.bias.fill_(bias)
    return layer


def codes(n=6, k=2, seed=1):
    return torch.randn((n, k), generator=seeded(seed)) + 0.5


# The losses by name ---------------------------------------------------------------------------


def sigmoid(logit):
    return 1 / (1 + np.exp(-logit))


FORMULAS = {
    "non_saturating": (
        lambda logit: -np.log(sigmoid(logit)),
        lambda logit: -np.log(1 - sigmoid(logit)),
        lambda logit: -np.log(sigmoid(logit)),
    ),
    "least_squares": (
        lambda logit: (logit - 1) ** 2 / 2,
        lambda logit: logit**2 / 2,
        lambda logit: (logit - 1) ** 2 / 2,
    ),
    "hinge": (
        lambda logit: np.maximum(0, 1 - logit),
        lambda logit: np.maximum(0, 1 + logit),
        lambda logit: -logit,
    ),
    "wasserstein": (lambda logit: -logit, lambda logit: logit, lambda logit: -logit),
}


def test_every_loss_has_a_formula_here():
    assert set(ADVERSARIAL_LOSSES) == set(FORMULAS)


@pytest.mark.parametrize("loss", sorted(FORMULAS))
def test_losses_are_their_formulas(loss):
    terms, logits = ADVERSARIAL_LOSSES[loss], LOGITS.numpy()
    on_prior, on_codes, fooling = FORMULAS[loss]
    assert_allclose(terms.on_prior(LOGITS), on_prior(logits))
    assert_allclose(terms.on_codes(LOGITS), on_codes(logits))
    assert_allclose(terms.fooling(LOGITS), fooling(logits))


def test_non_saturating_loss_is_the_binary_cross_entropy_and_finite_far_out():
    terms = ADVERSARIAL_LOSSES["non_saturating"]
    logit = torch.tensor([-1000.0, -2.0, 0.0, 1000.0], dtype=torch.float64)
    one, zero = torch.ones_like(logit), torch.zeros_like(logit)
    cross_entropy = F.binary_cross_entropy_with_logits
    assert_allclose(terms.on_prior(logit), cross_entropy(logit, one, reduction="none"))
    assert_allclose(terms.on_codes(logit), cross_entropy(logit, zero, reduction="none"))
    assert torch.isfinite(terms.fooling(logit)).all()


@with_all_losses
def test_losses_push_the_prior_up_and_codes_down_near_the_boundary(loss):
    terms = ADVERSARIAL_LOSSES[loss]
    for term, sign in ((terms.on_prior, -1), (terms.on_codes, 1), (terms.fooling, -1)):
        logit = torch.tensor([-0.5, 0.5]).requires_grad_()
        (gradient,) = torch.autograd.grad(term(logit).sum(), logit)
        # Least squares is at rest where a code already has its target 0: look above it.
        assert gradient[1] * sign > 0
        assert gradient[0] * sign > 0 or (loss, sign) == ("least_squares", 1)


@with_all_losses
def test_the_border_is_the_best_output_where_both_are_as_likely(loss):
    terms = ADVERSARIAL_LOSSES[loss]
    logit = torch.linspace(-8, 8, 1601, dtype=torch.float64)
    both = terms.on_prior(logit) + terms.on_codes(logit)
    best = logit[both < both.min() + 1e-9]  # a stretch, of some
    assert (best[0] + best[-1]).item() / 2 == pytest.approx(terms.border)


# Discriminator --------------------------------------------------------------------------------


@with_all_losses
def test_discriminator_loss_is_the_sum_of_the_two_means(loss):
    critic = Critic("prior", Normal(n_components=2), 1.0, loss=loss)
    network, z = linear([0.7, -1.2], 0.3), codes()
    real = Normal(n_components=2).sample(6, seeded())
    on_prior, on_codes, _ = FORMULAS[loss]
    expected = np.mean(on_prior(network(real).detach().numpy())) + np.mean(
        on_codes(network(z).detach().numpy())
    )
    losses = critic.discriminator_loss(network, z, seeded())
    assert set(losses) == {"discriminator", "accuracy"}
    assert losses["discriminator"].shape == ()
    assert_allclose(losses["discriminator"].item(), expected, rtol=1e-6)


def test_discriminator_loss_is_two_log_two_where_it_cannot_tell():
    critic = Critic("prior", Normal(n_components=2), 1.0)
    losses = critic.discriminator_loss(linear([0.0, 0.0]), codes(), seeded())
    assert_allclose(losses["discriminator"].item(), 2 * math.log(2), rtol=1e-6)
    assert losses["accuracy"].item() == 0.5


@pytest.mark.parametrize(
    ("bias", "expected", "loss"),
    [
        *((0.0, 0.75, "non_saturating"), (9.0, 0.5, "hinge"), (-9.0, 0.5, "wasserstein")),
        # Targets are 1 for the prior and 0 for codes: the border lies between them.
        *((0.5, 0.75, "least_squares"), (1.4, 0.75, "least_squares"), (-0.6, 0.5, "least_squares")),
    ],
)
def test_accuracy_is_the_share_of_logits_on_the_right_side(bias, expected, loss):
    class Half:
        def sample(self, n_samples, generator):
            return torch.tensor([[1.0], [1.0], [-1.0], [1.0]])

    z = torch.tensor([[-1.0], [-1.0], [1.0], [-1.0]])
    critic = Critic("prior", Half(), 1.0, loss=loss)
    losses = critic.discriminator_loss(linear([1.0], bias), z, seeded())
    assert losses["accuracy"].item() == expected


def test_weights_apply_to_the_rows_of_codes_only():
    critic = Critic("prior", Normal(n_components=2), 1.0)
    network, z = linear([0.7, -1.2]), codes()
    weight = torch.tensor([2.0, 0, 1, 1, 0.5, 1.5])
    real = Normal(n_components=2).sample(6, seeded())
    on_prior = F.softplus(-network(real)).mean()
    on_codes = (F.softplus(network(z)).squeeze(1) * weight).sum() / 6
    losses = critic.discriminator_loss(network, z, seeded(), weight=weight)
    assert_allclose(losses["discriminator"].item(), (on_prior + on_codes).item(), rtol=1e-6)


@pytest.mark.parametrize("gradient_penalty", [0.0, 10.0])
@pytest.mark.parametrize("instance_noise", [0.0, 0.3])
def test_codes_receive_no_gradient_and_the_discriminator_does(gradient_penalty, instance_noise):
    critic = Critic(
        "prior",
        Normal(n_components=2),
        1.0,
        gradient_penalty=gradient_penalty,
        instance_noise=instance_noise,
    )
    network = MultilayerPerceptron(2, 1, (8,), "tanh", seeded())
    z = codes().requires_grad_()
    losses = critic.discriminator_loss(network, z, seeded())
    (losses["discriminator"] + losses.get("penalty", 0)).backward()
    assert z.grad is None
    assert not losses["accuracy"].requires_grad
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())


def test_discriminator_descends_towards_telling_the_two_apart():
    critic = Critic("prior", Normal(scale=0.5, n_components=2), 1.0)
    network, z, generator = linear([0.0, 0.0]), codes(64) + 3, seeded()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    for _ in range(50):
        losses = critic.discriminator_loss(network, z, generator)
        optimizer.zero_grad()
        losses["discriminator"].backward()
        optimizer.step()
    assert losses["accuracy"].item() > 0.95
    assert losses["discriminator"].item() < math.log(2)


def test_losses_follow_the_local_generator_and_leave_the_global_one():
    critic = Critic("prior", Normal(n_components=2), 1.0, gradient_penalty=1, instance_noise=0.5)
    network, z = linear([0.7, -1.2]), codes()
    before = torch.get_rng_state()
    first, same, other = (
        critic.discriminator_loss(network, z, seeded(i))["discriminator"].item() for i in (0, 0, 1)
    )
    fooling = [critic.fooling_loss(network, z, seeded(i)).item() for i in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert first == same != other
    assert fooling[0] == fooling[1] != fooling[2]


# Gradient penalty -----------------------------------------------------------------------------


@pytest.mark.parametrize("instance_noise", [0.0, 1.0])
def test_penalty_of_a_linear_discriminator_is_its_squared_weight(instance_noise):
    critic = Critic(
        "prior",
        Normal(n_components=3),
        1.0,
        gradient_penalty=10.0,
        instance_noise=instance_noise,
    )
    network = linear([1.0, -2.0, 0.5], 3.0)
    losses = critic.discriminator_loss(network, codes(k=3), seeded())
    assert_allclose(losses["penalty"].item(), 10 * 5.25, rtol=1e-6)
    losses["penalty"].backward()
    assert_allclose(network.weight.grad, [[20.0, -40.0, 10.0]], rtol=1e-6)


def test_penalty_agrees_with_the_gradient_of_each_row():
    critic = Critic("prior", Normal(n_components=2), 1.0, gradient_penalty=0.7)
    network, z = MultilayerPerceptron(2, 1, (8,), "tanh", seeded()), codes()
    rows = torch.cat([Normal(n_components=2).sample(6, seeded()), z])
    squares = []
    for row in rows:
        gradient = torch.autograd.functional.jacobian(lambda r: network(r[None])[0, 0], row)
        squares.append(gradient.square().sum().item())
    losses = critic.discriminator_loss(network, z, seeded())
    assert_allclose(losses["penalty"].item(), 0.7 * np.mean(squares), rtol=1e-5)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_penalty_factor_multiplies_the_penalty_and_nothing_else(factor):
    critic = Critic("prior", Normal(n_components=2), 1.0, gradient_penalty=2.0)
    network, z = linear([0.7, -1.2]), codes()
    plain = critic.discriminator_loss(network, z, seeded())
    scaled = critic.discriminator_loss(network, z, seeded(), penalty_factor=factor)
    assert_allclose(scaled["penalty"].item(), factor * plain["penalty"].item(), rtol=1e-6)
    assert scaled["discriminator"].item() == plain["discriminator"].item()


@pytest.mark.parametrize(("gradient_penalty", "factor"), [(0.0, 1.0), (2.0, 0.0)])
def test_no_penalty_is_not_computed(gradient_penalty, factor):
    critic = Critic("prior", Normal(n_components=2), 1.0, gradient_penalty=gradient_penalty)
    losses = critic.discriminator_loss(
        linear([0.7, -1.2]), codes(), seeded(), penalty_factor=factor
    )
    assert "penalty" not in losses


# Fooling --------------------------------------------------------------------------------------


@with_all_losses
@pytest.mark.parametrize("weighted", [False, True])
def test_fooling_loss_is_the_mean_of_its_formula(loss, weighted):
    critic = Critic("prior", Normal(n_components=2), 3.0, loss=loss)
    network, z = linear([0.7, -1.2]), codes()
    weight = torch.tensor([2.0, 0, 1, 1, 0.5, 1.5]) if weighted else None
    rows = FORMULAS[loss][2](network(z).detach().numpy().ravel())
    expected = np.mean(rows if weight is None else rows * weight.numpy())
    actual = critic.fooling_loss(network, z, seeded(), weight=weight)
    assert_allclose(actual.item(), expected, rtol=1e-5)


@with_all_losses
def test_descending_the_fooling_loss_raises_the_logits(loss):
    critic = Critic("prior", Normal(n_components=2), 1.0, loss=loss)
    network = linear([0.7, -1.2])
    z = (codes() - torch.tensor([2.0, -2.0])).requires_grad_()
    assert (network(z) < 1).all()
    (gradient,) = torch.autograd.grad(critic.fooling_loss(network, z, seeded()), z)
    assert (network(z - gradient) > network(z)).all()


# Inputs of the discriminator ------------------------------------------------------------------


def test_label_joins_the_codes_one_hot_with_unlabelled_last():
    critic = Critic("prior", MixtureOfGaussians(3, n_components=2), 1.0, n_classes=4)
    z = codes(5)
    y = torch.tensor([0, 2, -1, 1, -1])
    joined = critic.with_labels(z, y)
    expected = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]]
    assert torch.equal(joined[:, :2], z)
    assert joined.dtype == z.dtype
    assert_allclose(joined[:, 2:], expected)


@pytest.mark.parametrize(("n_classes", "y"), [(0, None), (0, torch.zeros(6, dtype=int)), (4, None)])
def test_without_classes_or_labels_the_codes_stay_alone(n_classes, y):
    critic = Critic("prior", Normal(n_components=2), 1.0, n_classes=n_classes)
    z = codes()
    assert torch.equal(critic.inputs(z, y, seeded()), z)


def test_instance_noise_is_normal_and_spares_the_label():
    critic = Critic("prior", SwissRoll(2), 1.0, instance_noise=0.3, n_classes=3)
    z, y = torch.ones((3000, 2)), torch.zeros(3000, dtype=int)
    seen = critic.inputs(z, y, seeded())
    noise = (seen[:, :2] - z).flatten().numpy()
    assert stats.kstest(noise, stats.norm(scale=0.3).cdf).pvalue > 0.01
    assert torch.equal(seen[:, 2:], F.one_hot(y, 3).float())
    assert torch.equal(z, torch.ones((3000, 2)))


def test_without_instance_noise_no_number_is_drawn():
    generator = seeded()
    Critic("prior", Normal(n_components=2), 1.0).inputs(codes(), None, generator)
    assert torch.equal(generator.get_state(), seeded().get_state())


@pytest.mark.parametrize("instance_noise", [0.0, 0.5])
def test_prior_and_codes_are_seen_with_the_same_labels_and_the_same_noise_level(instance_noise):
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(x.detach())
            return x[:, :1]

    y = torch.tensor([0, 1, 2, -1]).repeat(500)
    critic = Critic("prior", Categorical(3), 1.0, instance_noise=instance_noise, n_classes=4)
    z = torch.zeros((2000, 3))
    critic.discriminator_loss(Spy(), z, seeded(), y=y)
    real, fake = seen[0].chunk(2)
    assert torch.equal(real[:, 3:], fake[:, 3:])
    assert torch.equal(fake[:, 3:].argmax(dim=1), torch.where(y < 0, 3, y))
    if instance_noise == 0:
        assert torch.equal(fake[:, :3], z)
        labelled = y >= 0
        assert torch.equal(real[labelled, :3].argmax(dim=1), y[labelled])
    else:
        assert_allclose(fake[:, :3].std().item(), instance_noise, rtol=0.05)
        noise = real[:, :3] - F.one_hot(real[:, :3].argmax(dim=1), 3)
        assert noise.std() > 0.8 * instance_noise


def test_labels_are_ignored_by_a_critic_without_classes():
    critic = Critic("prior", Normal(n_components=2), 1.0)
    network, z, y = linear([0.7, -1.2]), codes(), torch.zeros(6, dtype=int)
    with_y = critic.discriminator_loss(network, z, seeded(), y=y)
    without = critic.discriminator_loss(network, z, seeded())
    assert with_y["discriminator"].item() == without["discriminator"].item()
    assert critic.fooling_loss(network, z, seeded(), y=y) == critic.fooling_loss(
        network, z, seeded()
    )


def test_fooling_loss_sees_the_label():
    critic = Critic("prior", MixtureOfGaussians(2, n_components=2), 1.0, n_classes=3)
    network = linear([0.0, 0.0, 1.0, 2.0, 3.0])
    for y, logit in ((0, 1.0), (1, 2.0), (-1, 3.0)):
        actual = critic.fooling_loss(network, codes(), seeded(), y=torch.full((6,), y))
        assert_allclose(actual.item(), math.log1p(math.exp(-logit)), rtol=1e-6)


# Means and distances --------------------------------------------------------------------------


def test_weighted_mean_is_the_mean_where_weights_are_one():
    values = codes()[:, 0]
    assert torch.equal(weighted_mean(values, None), values.mean())
    assert torch.equal(weighted_mean(values, torch.ones(6)), values.mean())


def directions(k, n=200):
    return F.normalize(torch.randn((k, n), generator=seeded(9), dtype=torch.float64), dim=0)


def test_sliced_wasserstein_distance_is_zero_on_equal_samples_in_any_order():
    a = codes(20, 3).double()
    shuffled = a[torch.randperm(20, generator=seeded())]
    assert_allclose(sliced_wasserstein_distance(a, shuffled, directions(3)).item(), 0, atol=1e-12)


@pytest.mark.parametrize("shift", [-2.5, 0.3])
def test_sliced_wasserstein_distance_is_the_shift_in_one_dimension(shift):
    a = codes(20, 1).double()
    for direction in (1.0, -1.0):
        one = torch.tensor([[direction]], dtype=torch.float64)
        assert_allclose(sliced_wasserstein_distance(a, a + shift, one).item(), abs(shift))


def test_sliced_wasserstein_distance_agrees_with_scipy_on_each_projection():
    a, b, u = codes(30, 3).double(), 2 * codes(30, 3, seed=4).double(), directions(3, 5)
    expected = [
        stats.wasserstein_distance(p, q)
        for p, q in zip((a @ u).T.numpy(), (b @ u).T.numpy(), strict=True)
    ]
    assert_allclose(sliced_wasserstein_distance(a, b, u).item(), np.mean(expected))


def test_sliced_wasserstein_distance_is_symmetric_and_scales_with_the_unit():
    a, b, u = codes(20, 3).double(), codes(20, 3, seed=4).double(), directions(3)
    distance = sliced_wasserstein_distance(a, b, u).item()
    assert distance > 0
    assert_allclose(sliced_wasserstein_distance(b, a, u).item(), distance)
    assert_allclose(sliced_wasserstein_distance(3 * a, 3 * b, u).item(), 3 * distance)


# A part of the codes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "n_classes", "width"), [(None, 0, 7), (None, 3, 10), ((0, 2), 3, 5), ((2, 7), 0, 5)]
)
def test_the_discriminator_is_as_wide_as_the_part_and_the_label(columns, n_classes, width):
    critic = Critic("part", Normal(), 1.0, n_classes=n_classes, columns=columns)
    assert critic.n_inputs(7) == width


def test_the_part_is_a_range_of_columns():
    z = codes(4, 5)
    assert torch.equal(Critic("all", Normal(), 1.0).part(z), z)
    assert torch.equal(Critic("style", Normal(), 1.0, columns=(0, 2)).part(z), z[:, :2])
    assert torch.equal(Critic("classes", Normal(), 1.0, columns=(2, 5)).part(z), z[:, 2:])


@pytest.mark.parametrize("prior_sees_labels", [True, False])
def test_a_prior_with_classes_follows_labels_only_where_it_sees_them(prior_sees_labels):
    n_classes, seen = 4, []
    critic = Critic(
        "prior",
        Categorical(n_classes, n_components=n_classes),
        1.0,
        n_classes=n_classes,
        prior_sees_labels=prior_sees_labels,
    )

    class Spy(nn.Linear):
        def forward(self, x):
            seen.append(x.detach())
            return super().forward(x)

    y = torch.arange(400) % n_classes
    critic.discriminator_loss(Spy(2 * n_classes, 1), torch.zeros(400, n_classes), seeded(), y=y)
    drawn, label = seen[0][:400, :n_classes].argmax(dim=1), seen[0][:400, n_classes:].argmax(dim=1)
    assert torch.equal(label, y)
    agreement = (drawn == y).float().mean().item()
    assert agreement == pytest.approx(1 if prior_sees_labels else 1 / n_classes, abs=0.08)


def test_the_penalty_is_of_codes_and_not_of_their_labels():
    critic = Critic("prior", MixtureOfGaussians(n_classes=2, n_components=2), 1.0, n_classes=3)
    critic = dataclasses.replace(critic, gradient_penalty=1.0)
    y = torch.zeros(6, dtype=torch.long)
    losses = critic.discriminator_loss(linear([0.0, 0.0, 3.0, 1.0, 2.0]), codes(), seeded(), y=y)
    assert losses["penalty"].item() == 0
    losses = critic.discriminator_loss(linear([2.0, 1.0, 3.0, 1.0, 2.0]), codes(), seeded(), y=y)
    assert losses["penalty"].item() == pytest.approx(5.0)


def test_rows_of_weight_zero_are_not_in_the_penalty():
    critic = Critic("prior", Normal(n_components=2), 1.0, gradient_penalty=1.0)
    network = MultilayerPerceptron(2, 1, (8,), generator=seeded())
    z, weight = codes(), torch.tensor([2.0, 2.0, 2.0, 0.0, 0.0, 0.0])
    far = torch.cat([z[:3], z[3:] + 100])
    penalties = [
        critic.discriminator_loss(network, rows, seeded(), weight=weight)["penalty"].item()
        for rows in (z, far)
    ]
    assert penalties[0] == pytest.approx(penalties[1], rel=1e-6)
