"""Check the priors against closed forms, scipy's densities and their own samples."""

import copy
import math
import numbers
import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from sklearn_aae import priors
from sklearn_aae.priors import (
    PRIORS,
    Categorical,
    Empirical,
    Joint,
    MixtureOfGaussians,
    Normal,
    Prior,
    SwissRoll,
    Uniform,
    bind_prior,
    draw,
    has_classes,
    straight_path,
)

ROWS = np.random.default_rng(0).normal(size=(40, 2)) + np.array([0, 4])

ALL = [
    Normal(scale=0.7, n_components=2),
    Uniform(low=-2, high=1, n_components=2),
    MixtureOfGaussians(n_classes=5, n_components=2),
    SwissRoll(n_classes=3, n_components=2),
    Categorical(n_classes=2),
    Categorical(n_classes=2, probabilities=[0.2, 0.8]),
    Joint(Normal(n_components=1), Uniform(n_components=1), n_components=2),
    Empirical(ROWS, n_components=2),
    Empirical(GaussianMixture(2, random_state=0).fit(ROWS), n_components=2),
    Empirical(KernelDensity(bandwidth=0.5).fit(ROWS), n_components=2),
]

CLASSES = [cls for cls in map(vars(priors).get, priors.__all__) if isinstance(cls, type)]

DENSITIES = [prior for prior in ALL if hasattr(prior, "log_prob")]

with_all_priors = pytest.mark.parametrize("prior", ALL, ids=lambda p: type(p).__name__)
with_all_densities = pytest.mark.parametrize("prior", DENSITIES, ids=lambda p: type(p).__name__)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# Every prior ----------------------------------------------------------------------------------


def test_every_prior_is_tried():
    assert {type(prior) for prior in ALL} == set(CLASSES) - {Prior}


@with_all_priors
def test_samples_are_finite_float32_codes_of_the_width(prior):
    z = prior.sample(50, seeded())
    assert z.shape == (50, 2)
    assert z.dtype == torch.float32
    assert torch.isfinite(z).all()


@with_all_priors
def test_samples_follow_the_generator_and_nothing_else(prior):
    first = prior.sample(20, seeded(3))
    torch.rand(7)
    np.random.seed(5)  # noqa: NPY002  # the legacy generator is what must not matter
    assert torch.equal(prior.sample(20, seeded(3)), first)
    assert not torch.equal(prior.sample(20, seeded(4)), first)


@with_all_priors
def test_consecutive_samples_differ(prior):
    generator = seeded()
    assert not torch.equal(prior.sample(20, generator), prior.sample(20, generator))


@with_all_priors
def test_sampling_leaves_the_global_generators_as_found(prior):
    torch_before = torch.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002
    prior.sample(20, seeded())
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


@with_all_priors
def test_bound_copy_draws_the_same_and_the_prior_keeps_its_parameters(prior):
    unbound = clone(prior)
    unbound.n_components = None
    bound = bind_prior(unbound, 2)
    assert bound is not unbound
    assert bound.n_components == 2
    assert unbound.n_components is None
    assert torch.equal(bound.sample(9, seeded()), prior.sample(9, seeded()))


@pytest.mark.parametrize(
    ("prior", "available"),
    [
        (Normal(), True),
        (Uniform(), True),
        (MixtureOfGaussians(), True),
        (SwissRoll(), False),
        (Categorical(), False),
        (Empirical(ROWS), False),
        (Empirical(GaussianMixture()), True),
        (Empirical(KernelDensity()), True),
    ],
    ids=repr,
)
def test_log_prob_exists_where_there_is_a_density(prior, available):
    assert hasattr(prior, "log_prob") is available


@with_all_priors
def test_a_class_with_full_support_has_a_density(prior):
    assert hasattr(prior, "log_prob") or type(prior).has_full_support is not True


@with_all_densities
def test_full_support_means_a_finite_log_prob_far_out(prior):
    far = torch.full((1, 2), 100.0)
    assert bool(torch.isfinite(prior.log_prob(far)).all()) is prior.has_full_support


@pytest.mark.parametrize(
    "prior",
    [
        Normal(scale=0.6),
        Uniform(low=-1.5, high=2.5),
        MixtureOfGaussians(n_classes=3, radial_scale=0.4, tangential_scale=0.2),
        Empirical(KernelDensity(bandwidth=0.5).fit(ROWS)),
    ],
    ids=lambda p: type(p).__name__,
)
def test_density_integrates_to_one(prior):
    step = 0.05
    axis = torch.arange(-5, 9, step, dtype=torch.float64) + step / 2
    z = torch.cartesian_prod(axis, axis)
    assert_allclose(prior.log_prob(z).exp().sum().item() * step**2, 1, rtol=1e-3)


@with_all_densities
@pytest.mark.parametrize("high", [0.5, 9.0])
def test_as_many_draws_are_in_a_box_as_the_density_says(prior, high):
    low, step = -5, 0.05
    axis = torch.arange(low, high - step / 2, step, dtype=torch.float64) + step / 2
    mass = prior.log_prob(torch.cartesian_prod(axis, axis)).exp().sum().item() * step**2
    z = prior.sample(10_000, seeded())
    share = ((z > low) & (z < high)).all(dim=1).double().mean().item()
    assert mass == pytest.approx(share, abs=0.02)  # four standard deviations


# Normal and uniform ---------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.3, 1, 2.5])
def test_normal_log_prob_agrees_with_scipy(scale):
    z = np.random.default_rng(0).normal(size=(20, 3))
    expected = stats.multivariate_normal(np.zeros(3), scale**2 * np.eye(3)).logpdf(z)
    assert_allclose(Normal(scale).log_prob(torch.from_numpy(z)), expected)


def test_normal_samples_follow_the_law():
    z = Normal(scale=0.7, n_components=3).sample(2000, seeded()).numpy()
    for column in z.T:
        assert stats.kstest(column, stats.norm(scale=0.7).cdf).pvalue > 0.01
    assert_allclose(np.cov(z.T), 0.49 * np.eye(3), atol=0.05)


def test_uniform_log_prob_agrees_with_scipy():
    z = np.random.default_rng(0).uniform(-3, 3, size=(200, 2))
    expected = stats.uniform(-2, 3).logpdf(z).sum(axis=1)
    actual = Uniform(-2, 1).log_prob(torch.from_numpy(z))
    assert np.isinf(expected).any()
    assert np.isfinite(expected).any()
    assert actual.dtype == torch.float64
    assert_allclose(actual, expected, rtol=1e-6)


def test_uniform_has_density_on_the_closed_box():
    corners = torch.tensor([[-2.0, 1.0], [1.0, 1.0]])
    assert torch.isfinite(Uniform(-2, 1).log_prob(corners)).all()


def test_uniform_samples_follow_the_law():
    z = Uniform(-2, 1, n_components=2).sample(2000, seeded()).numpy()
    for column in z.T:
        assert stats.kstest(column, stats.uniform(-2, 3).cdf).pvalue > 0.01
    assert_allclose(np.corrcoef(z.T)[0, 1], 0, atol=0.05)


# Mixture of Gaussians -------------------------------------------------------------------------


def components_of(prior, n_components):
    """Mean and covariance of each component, by rotating the one on the first axis."""
    scales = np.full(n_components, prior.tangential_scale)
    scales[0] = prior.radial_scale
    for k in range(prior.n_classes):
        angle = 2 * np.pi * k / prior.n_classes
        rotation = np.eye(n_components)
        cos, sin = np.cos(angle), np.sin(angle)
        rotation[:2, :2] = [[cos, -sin], [sin, cos]]
        mean = rotation @ np.eye(n_components)[0] * prior.radius
        yield mean, rotation @ np.diag(scales**2) @ rotation.T


@pytest.mark.parametrize("n_components", [2, 4])
def test_mixture_log_prob_agrees_with_scipy(n_components):
    prior = MixtureOfGaussians(5, radius=1.2, radial_scale=0.5, tangential_scale=0.3)
    z = np.random.default_rng(0).normal(size=(30, n_components))
    expected = np.stack(
        [stats.multivariate_normal(*c).logpdf(z) for c in components_of(prior, n_components)],
        axis=1,
    )
    codes = torch.from_numpy(z)
    assert_allclose(prior.component_log_prob(codes), expected, rtol=1e-5)
    mixture = np.log(np.exp(expected).mean(axis=1))
    assert_allclose(prior.log_prob(codes), mixture, rtol=1e-5)


def test_mixture_log_prob_of_a_class_is_its_component_and_of_minus_one_the_mixture():
    prior = MixtureOfGaussians(4)
    z = Normal(n_components=3).sample(6, seeded()).double()
    y = torch.tensor([0, 3, -1, 2, -1, 1])
    actual = prior.log_prob(z, y)
    components, mixture = prior.component_log_prob(z), prior.log_prob(z)
    for i, label in enumerate(y.tolist()):
        assert actual[i] == (mixture[i] if label < 0 else components[i, label])


@pytest.mark.parametrize("n_components", [2, 4])
def test_mixture_samples_of_a_class_have_its_moments(n_components):
    prior = MixtureOfGaussians(5, tangential_scale=0.3, n_components=n_components)
    for k, (mean, covariance) in enumerate(components_of(prior, n_components)):
        z = prior.sample(4000, seeded(k), torch.full((4000,), k)).numpy()
        assert_allclose(z.mean(axis=0), mean, atol=0.03)
        assert_allclose(np.cov(z.T), covariance, atol=0.02)


def test_most_likely_component_is_the_drawn_class():
    prior = MixtureOfGaussians(10, radial_scale=0.1, n_components=2)
    y = torch.arange(10).repeat(30)
    z = prior.sample(300, seeded(), y)
    assert (prior.component_log_prob(z).argmax(dim=1) == y).float().mean() > 0.99


def test_mixture_without_labels_draws_every_class_equally_often():
    prior = MixtureOfGaussians(4, radial_scale=0.1, n_components=2)
    unlabelled = torch.full((2000,), -1)
    for y in (None, unlabelled):
        k = prior.component_log_prob(prior.sample(2000, seeded(), y)).argmax(dim=1)
        counts = torch.bincount(k, minlength=4).numpy()
        assert stats.chisquare(counts).pvalue > 0.01


def test_mixture_with_one_class_is_one_ellipse():
    prior = MixtureOfGaussians(1, radius=2, radial_scale=0.5, tangential_scale=0.5)
    z = torch.tensor([[2.0, 0.0], [1.0, -1.0]])
    expected = Normal(0.5).log_prob(z - torch.tensor([[2.0, 0.0]]))
    assert_allclose(prior.log_prob(z), expected, rtol=1e-6)


# Swiss roll -----------------------------------------------------------------------------------


def test_swiss_roll_squared_radius_is_uniform_and_the_angle_follows_the_radius():
    prior = SwissRoll(scale=3, n_turns=2, n_components=2)
    z = prior.sample(2000, seeded()).double()
    share = z.norm(dim=1) / 3
    assert stats.kstest(share.square().numpy(), stats.uniform.cdf).pvalue > 0.01
    angle = 2 * math.pi * 2 * share
    on_curve = 3 * share[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)
    assert_allclose(z, on_curve, atol=1e-4)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_swiss_roll_class_owns_its_stretch(n_classes):
    prior = SwissRoll(n_classes, scale=2, n_components=2)
    y = torch.arange(n_classes).repeat(100)
    u = (prior.sample(len(y), seeded(), y).norm(dim=1) / 2).square() * n_classes
    assert (u >= y - 1e-5).all()
    assert (u <= y + 1 + 1e-5).all()
    assert stats.kstest((u - y).numpy(), stats.uniform.cdf).pvalue > 0.01


def test_swiss_roll_is_the_same_curve_with_and_without_classes():
    z = SwissRoll(4, n_components=2).sample(2000, seeded(), torch.full((2000,), -1))
    share = (z.norm(dim=1) / 3).square()
    assert stats.kstest(share.numpy(), stats.uniform.cdf).pvalue > 0.01


# Categorical ----------------------------------------------------------------------------------


@pytest.mark.parametrize("probabilities", [None, [0.25, 0.25, 0.5], np.array([0, 0.1, 0.9])])
def test_categorical_draws_one_hot_rows_with_the_probabilities(probabilities):
    z = Categorical(3, probabilities).sample(4000, seeded())
    assert set(z.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(z.sum(dim=1), torch.ones(4000))
    expected = np.full(3, 1 / 3) if probabilities is None else probabilities
    assert_allclose(z.mean(dim=0), expected, atol=0.03)


@pytest.mark.parametrize("probabilities", [None, [0, 0, 1]])
def test_categorical_labels_fix_the_category_and_minus_one_draws_it(probabilities):
    y = torch.tensor([0, 1, 2, -1, 0])
    k = Categorical(3, probabilities).sample(5, seeded(), y).argmax(dim=1)
    assert_array_equal(k[y >= 0], y[y >= 0])
    if probabilities is not None:
        assert k[3] == 2


# Empirical ------------------------------------------------------------------------------------


def test_empirical_rows_are_drawn_with_replacement_and_equally_often():
    rows = np.eye(4)
    z = Empirical(rows, 4).sample(2000, seeded())
    assert stats.chisquare(z.sum(dim=0).numpy()).pvalue > 0.01
    assert torch.equal(z.sum(dim=1), torch.ones(2000))


@pytest.mark.parametrize("source", [ROWS.tolist(), torch.from_numpy(ROWS), ROWS.astype(np.float32)])
def test_empirical_takes_array_likes(source):
    expected = Empirical(ROWS, 2).sample(5, seeded())
    assert torch.equal(Empirical(source, 2).sample(5, seeded()), expected)


@pytest.mark.parametrize("random_state", [None, 7, np.random.RandomState(3)])
def test_empirical_leaves_a_gaussian_mixture_as_found(random_state):
    mixture = GaussianMixture(2, random_state=random_state).fit(ROWS)
    state = random_state.get_state()[1].copy() if hasattr(random_state, "get_state") else None
    before = copy.deepcopy(mixture)
    prior = bind_prior(Empirical(mixture), 2)
    prior.sample(30, seeded())
    prior.log_prob(torch.zeros(3, 2))
    assert mixture.random_state is random_state
    assert mixture.get_params().keys() == before.get_params().keys()
    assert vars(mixture).keys() == vars(before).keys()
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_"):
        assert_array_equal(getattr(mixture, name), getattr(before, name))
    if state is not None:
        assert_array_equal(random_state.get_state()[1], state)


def test_empirical_gaussian_mixture_has_its_law():
    mixture = GaussianMixture(2, random_state=0).fit(ROWS)
    z = Empirical(mixture, 2).sample(4000, seeded()).numpy()
    # A fit by expectation maximisation keeps the mean, and the covariance but for its floor.
    assert_allclose(z.mean(axis=0), ROWS.mean(axis=0), atol=0.08)
    assert_allclose(np.cov(z.T), np.cov(ROWS.T, bias=True), atol=0.1)


def test_empirical_kernel_density_has_its_law():
    z = Empirical(KernelDensity(bandwidth=0.5).fit(ROWS), 2).sample(4000, seeded()).numpy()
    assert_allclose(z.mean(axis=0), ROWS.mean(axis=0), atol=0.08)
    expected = np.cov(ROWS.T, bias=True) + 0.25 * np.eye(2)
    assert_allclose(np.cov(z.T), expected, atol=0.12)


@pytest.mark.parametrize(
    "source", [GaussianMixture(2, random_state=0).fit(ROWS), KernelDensity().fit(ROWS)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_empirical_log_prob_is_the_sources_score_samples(source, dtype):
    z = torch.randn((5, 2), generator=seeded(), dtype=dtype).requires_grad_()
    actual = Empirical(source, 2).log_prob(z)
    assert actual.dtype == dtype
    assert_allclose(actual, source.score_samples(z.detach().numpy()), rtol=1e-6)


def test_clone_of_an_empirical_prior_keeps_the_fitted_source():
    source = KernelDensity().fit(ROWS)
    assert clone(Empirical(source, 2)).source is source


# Paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", [Normal(), Uniform()], ids=repr)
def test_paths_start_at_the_start_and_end_at_the_end(prior):
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, 4, 3)).astype(np.float32)
    path = prior.path(start, end, np.linspace(0, 1, 5))
    assert path.shape == (4, 5, 3)
    assert_allclose(path[:, 0], start, atol=1e-6)
    assert_allclose(path[:, -1], end, atol=1e-6)


@pytest.mark.parametrize("off", [0.0, 1e-9, 1e-5, 1e-3])
def test_normal_path_between_opposite_codes_stays_between_their_lengths(off):
    start, end = np.array([[3.0, 0.0]]), np.array([[-1.0, off]])
    path = Normal().path(start, end, np.linspace(0, 1, 9))
    assert np.linalg.norm(path, axis=2).max() <= 3 + 1e-9
    assert_allclose(path[0, [0, -1]], [start[0], end[0]], atol=1e-9)


def test_normal_path_keeps_the_radius_and_turns_evenly():
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, 4, 3))
    start *= 2 / np.linalg.norm(start, axis=1, keepdims=True)
    end *= 2 / np.linalg.norm(end, axis=1, keepdims=True)
    path = Normal().path(start, end, np.linspace(0, 1, 6))
    assert_allclose(np.linalg.norm(path, axis=2), 2)
    cosines = np.sum(path[:, 1:] * path[:, :-1], axis=2) / 4
    assert_allclose(cosines, np.repeat(cosines[:, :1], 5, axis=1))


@pytest.mark.parametrize(
    ("start", "end"),
    [([1.0, 2.0], [2.0, 4.0]), ([1.0, 2.0], [1.0, 2.0]), ([1.0, 0.0], [-1.0, 0.0])],
)
def test_normal_path_is_straight_where_no_plane_is_spanned(start, end):
    start, end, t = np.array([start]), np.array([end]), np.linspace(0, 1, 5)
    assert_allclose(Normal().path(start, end, t), straight_path(start, end, t))


def test_normal_path_from_the_origin_stays_on_the_ray():
    start, end = np.zeros((1, 2)), np.array([[1.0, 2.0]])
    path = Normal().path(start, end, np.linspace(0, 1, 5))[0]
    assert_allclose(path[[0, -1]], [start[0], end[0]])
    assert_allclose(path[:, 1], 2 * path[:, 0])
    assert (np.diff(path[:, 0]) > 0).all()


def test_straight_path_takes_even_steps():
    start, end = np.zeros((1, 2)), np.array([[4.0, -8.0]])
    expected = [[[0, 0], [1, -2], [2, -4], [3, -6], [4, -8]]]
    assert_allclose(straight_path(start, end, np.linspace(0, 1, 5)), expected)
    assert_allclose(Uniform().path(start, end, np.linspace(0, 1, 5)), expected)


# Binding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(PRIORS))
def test_a_name_binds_to_the_prior_with_its_defaults(name):
    bound = bind_prior(name, 2)
    expected = PRIORS[name](n_components=2)
    assert type(bound) is PRIORS[name]
    assert bound.get_params() == expected.get_params()


def test_a_prior_of_ones_own_is_copied_and_drawn_from():
    class Ones:
        def sample(self, n_samples, generator):
            return np.ones((n_samples, 3))

    prior = Ones()
    bound = bind_prior(prior, 3)
    assert bound is not prior
    z = draw(bound, 4, seeded())
    assert torch.equal(z, torch.ones(4, 3))
    assert z.dtype == torch.float32


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        (Normal(), False),
        (SwissRoll(), False),
        (SwissRoll(2), True),
        (MixtureOfGaussians(), True),
        (MixtureOfGaussians(1), False),
        (Empirical(ROWS), False),
        (object(), False),
    ],
)
def test_a_prior_has_classes_from_two_on(prior, expected):
    assert has_classes(prior) is expected


def test_draw_passes_the_labels_on():
    y = torch.tensor([2, 0, 1])
    assert_array_equal(draw(Categorical(3), 3, seeded(), y).argmax(dim=1), y)


@pytest.mark.parametrize(
    ("prior", "n_components", "message"),
    [
        ("gauss", 2, f"prior='gauss' is unknown. Valid names: {sorted(PRIORS)}; or pass"),
        (Normal(scale=0), 2, "Normal: scale must be a positive number, got 0."),
        (Normal(scale=math.nan), 2, "Normal: scale must be a positive number, got nan."),
        (Normal(scale=math.inf), 2, "Normal: scale must be a positive number, got inf."),
        (Normal(scale="1"), 2, "Normal: scale must be a positive number, got '1'."),
        (Uniform(1, 1), 2, "Uniform: low must be below high, both numbers, got low=1 and high=1."),
        (
            Uniform(math.nan, 1),
            2,
            "Uniform: low must be below high, both numbers, got low=nan and high=1.",
        ),
        (Uniform(-math.inf, 1), 2, "returned NaN or infinity"),
        (
            MixtureOfGaussians(radius=-1),
            2,
            "MixtureOfGaussians: radius must be a positive number, got -1.",
        ),
        (MixtureOfGaussians(radial_scale=0), 2, "radial_scale must be a positive number, got 0."),
        (
            MixtureOfGaussians(tangential_scale=-0.5),
            2,
            "tangential_scale must be a positive number, got -0.5.",
        ),
        (
            MixtureOfGaussians(n_classes=2.5),
            2,
            "MixtureOfGaussians: n_classes must be an int of at least 1, got 2.5.",
        ),
        ("mixture_of_gaussians", 1, "needs n_components >= 2, got 1."),
        (SwissRoll(n_classes=0), 2, "SwissRoll: n_classes must be an int of at least 1, got 0."),
        (SwissRoll(scale=-3), 2, "SwissRoll: scale must be a positive number, got -3."),
        (SwissRoll(n_turns=None), 2, "SwissRoll: n_turns must be a positive number, got None."),
        ("swiss_roll", 3, "SwissRoll is a curve in the plane and needs n_components=2, got 3."),
        (Categorical(3, n_components=2), 3, "n_classes=3, got n_components=2."),
        (Categorical(3), 2, "n_classes=3, got n_components=2."),
        (Categorical(-1), 2, "Categorical: n_classes must be an int of at least 1, got -1."),
        (
            Categorical(2, [0.5, 0.6]),
            2,
            "probabilities must be 2 non-negative numbers with sum 1, got [0.5, 0.6].",
        ),
        (Categorical(2, [1.5, -0.5]), 2, "got [1.5, -0.5]."),
        (Categorical(2, [0.5, 0.25, 0.25]), 2, "got [0.5, 0.25, 0.25]."),
        (Empirical(np.zeros(3)), 3, "object with a method sample, got shape (3,)"),
        (Empirical(np.zeros((0, 2))), 2, "object with a method sample, got shape (0, 2)"),
        (Empirical(None), 2, "object with a method sample, got shape ()"),
        (Empirical(np.full((3, 2), np.nan)), 2, "source holds NaN or infinity"),
        (Empirical(np.eye(3)), 2, "(2, n_components) = (2, 2), got (2, 3)."),
        (Normal(n_components=3), 2, "(2, n_components) = (2, 2), got (2, 3)."),
    ],
)
def test_binding_names_the_parameter_and_the_value(prior, n_components, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        bind_prior(prior, n_components)


@with_all_priors
def test_a_parameter_that_is_not_a_number_is_named(prior):
    for name, value in prior.get_params(deep=False).items():
        if name != "n_components" and isinstance(value, numbers.Real):
            wrong = clone(prior).set_params(**{name: math.nan})
            with pytest.raises(ValueError, match=rf"^{type(prior).__name__}: .*\b{name}\b"):
                bind_prior(wrong, 2)


def test_binding_says_what_sample_has_to_take():
    class Wrong:
        def sample(self, n_samples):
            return torch.zeros(n_samples, 2)

    message = r"sample\(2, generator\) failed: .* The method has to take the number of codes and a"
    with pytest.raises(TypeError, match=message):
        bind_prior(Wrong(), 2)


@pytest.mark.parametrize("prior", [3, None, np.eye(2)])
def test_binding_asks_for_a_method_sample(prior):
    message = re.escape(f"or an object with sample(n_samples, generator), got {prior!r}.")
    with pytest.raises(TypeError, match=message):
        bind_prior(prior, 2)


@pytest.mark.parametrize("prior", [Normal(), Uniform(), MixtureOfGaussians()])
def test_sampling_without_a_width_says_how_to_set_it(prior):
    message = f"{type(prior).__name__}: n_components is not set. Pass n_components"
    with pytest.raises(ValueError, match=message):
        prior.sample(2, seeded())


@pytest.mark.parametrize(
    ("kernel", "full"),
    [("gaussian", True), ("exponential", True), ("tophat", False), ("epanechnikov", False)],
)
def test_a_kernel_that_ends_has_no_full_support(kernel, full):
    source = KernelDensity(kernel=kernel).fit(np.eye(2))
    prior = Empirical(source, n_components=2)
    assert prior.has_full_support is full
    far = prior.log_prob(torch.full((1, 2), 30.0))
    assert bool(torch.isfinite(far).all()) is full
