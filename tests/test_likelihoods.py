"""Check the likelihoods against torch's and scipy's distributions and each other."""

import io
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import optimize, stats
from torch import distributions

from sklearn_aae._rows.likelihoods import LIKELIHOODS, Bernoulli, Gaussian, make_likelihood

NAMES = sorted(LIKELIHOODS)

with_all_names = pytest.mark.parametrize("name", NAMES)


def data(name, n_rows=12):
    """Data in the likelihood's domain, and outputs near them."""
    rng = np.random.default_rng(0)
    X = {
        "gaussian": rng.normal(3, 2, size=(n_rows, 3)),
        "laplace": rng.normal(-5, 0.5, size=(n_rows, 3)),
        "bernoulli": rng.uniform(size=(n_rows, 3)),
        "poisson": rng.poisson([0.5, 3, 40], size=(n_rows, 3)).astype(float),
    }[name]
    return X, torch.from_numpy(rng.normal(size=X.shape))


def standardized(name, X, center=None, scale=None):
    """Likelihood for the data with this standardisation, and the standardised rows."""
    center = X.mean(axis=0) if center is None else center
    scale = X.std(axis=0) if scale is None else scale
    likelihood = make_likelihood(name, center, scale, X.mean(axis=0))
    return likelihood, torch.from_numpy((X - center) / scale)


def perfect_output(name, X, likelihood):
    """Output whose mean is X, from the definitions of the four families."""
    if name == "bernoulli":
        return torch.from_numpy(np.log(X) - np.log1p(-X))
    if name == "poisson":
        return torch.from_numpy(np.log(X) - np.log(likelihood.baseline.numpy()))
    return torch.from_numpy((X - likelihood.center.numpy()) / likelihood.scale.numpy())


# Deviance -------------------------------------------------------------------------------------


@with_all_names
def test_deviance_is_zero_at_a_perfect_fit_and_the_mean_is_the_data(name):
    X, _ = data(name)
    X = X + 1 if name == "poisson" else X
    likelihood, x = standardized(name, X)
    output = perfect_output(name, X, likelihood)
    assert_allclose(likelihood.mean(output), X, rtol=1e-12)
    assert_allclose(likelihood.deviance(output, x), np.zeros_like(X), atol=1e-12)


@with_all_names
def test_deviance_is_positive_off_a_perfect_fit(name):
    X, _ = data(name)
    X = X + 1 if name == "poisson" else X
    likelihood, x = standardized(name, X)
    for shift in (-1.0, -0.01, 0.01, 1.0):
        output = perfect_output(name, X, likelihood) + shift
        assert (likelihood.deviance(output, x) > 0).all()


@pytest.mark.parametrize(
    ("name", "X", "output"), [("bernoulli", 0, -30), ("bernoulli", 1, 30), ("poisson", 0, -30)]
)
def test_deviance_vanishes_towards_the_ends_of_the_domain(name, X, output):
    likelihood = make_likelihood(name, [0.3], [2], [0.5])
    x = torch.tensor([[(X - 0.3) / 2]], dtype=torch.float64)
    actual = likelihood.deviance(torch.tensor([[output]], dtype=torch.float64), x)
    assert_allclose(actual, [[0]], atol=1e-12)
    assert_allclose(likelihood.mean(torch.tensor([[float(output)]])), [[X]], atol=1e-12)


@with_all_names
def test_deviance_gradient_is_minus_that_of_log_prob_but_for_the_gaussian_factor_two(name):
    X, output = data(name)
    likelihood, x = standardized(name, X)
    output.requires_grad_()
    (of_deviance,) = torch.autograd.grad(likelihood.deviance(output, x).sum(), output)
    (of_log_prob,) = torch.autograd.grad(likelihood.log_prob(output, x).sum(), output)
    factor = 2 if name == "gaussian" else 1
    assert (of_deviance != 0).all()
    assert_allclose(of_deviance, -factor * of_log_prob, rtol=1e-9, atol=1e-12)


@with_all_names
def test_deviance_gradient_agrees_with_finite_differences(name):
    X, output = data(name, n_rows=3)
    likelihood, x = standardized(name, X)
    output.requires_grad_()
    assert torch.autograd.gradcheck(lambda o: likelihood.deviance(o, x), output)


@with_all_names
def test_deviance_is_the_drop_in_log_prob_from_a_perfect_fit(name):
    X, output = data(name)
    X = X + 1 if name == "poisson" else X
    likelihood, x = standardized(name, X)
    best = likelihood.log_prob(perfect_output(name, X, likelihood), x)
    drop = best - likelihood.log_prob(output, x)
    factor = 2 if name == "gaussian" else 1
    assert_allclose(likelihood.deviance(output, x), factor * drop, atol=1e-9)


# Log-likelihood and mean ----------------------------------------------------------------------


def test_gaussian_log_prob_is_the_standard_normals_in_standardised_units():
    X, output = data("gaussian")
    likelihood, x = standardized("gaussian", X)
    expected = stats.norm(output.numpy()).logpdf(x.numpy())
    assert_allclose(likelihood.log_prob(output, x), expected)


def test_laplace_log_prob_is_the_unit_laplaces_in_standardised_units():
    X, output = data("laplace")
    likelihood, x = standardized("laplace", X)
    expected = stats.laplace(output.numpy()).logpdf(x.numpy())
    assert_allclose(likelihood.log_prob(output, x), expected)


def test_bernoulli_log_prob_agrees_with_torch_on_zeros_and_ones():
    X = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1]], dtype=float)
    _, output = data("bernoulli", n_rows=3)
    likelihood, x = standardized("bernoulli", X, scale=np.ones(3))
    expected = distributions.Bernoulli(logits=output).log_prob(torch.from_numpy(X))
    assert_allclose(likelihood.log_prob(output, x), expected, rtol=1e-12)
    assert_allclose(likelihood.mean(output), distributions.Bernoulli(logits=output).mean)


def test_bernoulli_deviance_of_a_probability_is_the_divergence_from_it():
    X, output = data("bernoulli")
    likelihood, x = standardized("bernoulli", X)
    expected = distributions.kl_divergence(
        distributions.Bernoulli(probs=torch.from_numpy(X)), distributions.Bernoulli(logits=output)
    )
    assert_allclose(likelihood.deviance(output, x), expected, rtol=1e-9, atol=1e-12)


def test_poisson_log_prob_agrees_with_scipy():
    X, output = data("poisson")
    likelihood, x = standardized("poisson", X)
    rate = X.mean(axis=0) * output.exp().numpy()
    assert_allclose(likelihood.log_prob(output, x), stats.poisson(rate).logpmf(X), atol=1e-9)
    assert_allclose(likelihood.mean(output), rate)


def test_poisson_probabilities_sum_to_one():
    counts = np.arange(200.0)[:, None]
    likelihood, x = standardized("poisson", counts, center=5.0, scale=3.0)
    log_prob = likelihood.log_prob(torch.full_like(x, -1.5), x)
    assert_allclose(log_prob.exp().sum().item(), 1)


def test_poisson_column_of_zeros_has_finite_loss_and_mean():
    likelihood = make_likelihood("poisson", [0], [1], [0])
    output = torch.tensor([[-1.0], [0.0], [2.0]], dtype=torch.float64)
    x = torch.zeros((3, 1), dtype=torch.float64)
    assert_allclose(likelihood.mean(output), output.exp())
    assert_allclose(likelihood.deviance(output, x), output.exp())
    assert_allclose(likelihood.log_prob(output, x), -output.exp())


# Standardisation ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bernoulli", "poisson"])
def test_logits_and_log_rates_do_not_depend_on_how_the_data_was_standardised(name):
    X, output = data(name)
    plain, raw = standardized(name, X, center=np.zeros(3), scale=np.ones(3))
    other, x = standardized(name, X, center=np.array([0.1, -2, 7]), scale=np.array([3, 0.2, 11]))
    assert_allclose(other.deviance(output, x), plain.deviance(output, raw), atol=1e-9)
    assert_allclose(other.log_prob(output, x), plain.log_prob(output, raw), atol=1e-9)
    assert_allclose(other.mean(output), plain.mean(output))
    assert_allclose(other.constant_output(), plain.constant_output())


@pytest.mark.parametrize("name", ["gaussian", "laplace"])
def test_location_follows_the_standardisation(name):
    X, output = data(name)
    center, scale = np.array([0.1, -2, 7]), np.array([3, 0.2, 11])
    likelihood, x = standardized(name, X, center, scale)
    assert_allclose(likelihood.mean(output), center + scale * output.numpy())
    assert_allclose(likelihood.mean(x), X)


@with_all_names
@pytest.mark.parametrize("standardize", [True, False])
def test_constant_output_predicts_the_column_means(name, standardize):
    X, _ = data(name)
    center, scale = (None, None) if standardize else (np.array([0.1, -2, 7]), np.full(3, 2.5))
    likelihood, _ = standardized(name, X, center, scale)
    assert_allclose(likelihood.mean(likelihood.constant_output()), X.mean(axis=0))


@pytest.mark.parametrize("name", ["gaussian", "bernoulli", "poisson"])
def test_column_means_are_the_constant_of_least_deviance(name):
    X, _ = data(name)
    likelihood, x = standardized(name, X)
    constant = likelihood.constant_output()
    for j in range(3):

        def deviance(value, j=j):
            output = constant.clone()
            output[j] = value
            return likelihood.deviance(output.expand_as(x), x).sum().item()

        best = optimize.minimize_scalar(deviance, bracket=(-1, 1)).x
        assert_allclose(constant[j].item(), best, atol=1e-5)


@pytest.mark.parametrize(("mean", "bound"), [(0.0, 1e-6), (1.0, 1 - 1e-6)])
def test_bernoulli_constant_output_stays_finite_for_constant_pixels(mean, bound):
    likelihood = make_likelihood("bernoulli", [mean], [1], [mean])
    constant = likelihood.constant_output()
    assert torch.isfinite(constant).all()
    assert_allclose(likelihood.mean(constant), [bound], rtol=1e-6)


def test_bernoulli_forgives_rounding_at_the_ends_of_the_interval():
    likelihood = make_likelihood("bernoulli", [0], [1], [0.5])
    x = torch.tensor([[-1e-7], [1 + 1e-7]], dtype=torch.float64)
    output = torch.tensor([[-2.0], [2.0]], dtype=torch.float64)
    actual = likelihood.deviance(output, x)
    assert_allclose(actual, likelihood.deviance(output, x.clamp(0, 1)))
    assert torch.isfinite(actual).all()


# Domain ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "minimum", "maximum"),
    [
        ("gaussian", -1e9, 1e9),
        ("laplace", -1e9, 1e9),
        ("bernoulli", 0, 1),
        ("poisson", 0, 1e9),
    ],
)
def test_data_in_the_domain_is_accepted(name, minimum, maximum):
    assert LIKELIHOODS[name].check_domain(minimum, maximum) is None


@pytest.mark.parametrize(
    ("name", "minimum", "maximum", "message"),
    [
        ("bernoulli", -0.25, 1, "must lie in [0, 1], got values from -0.25 to 1."),
        ("bernoulli", 0, 255, "must lie in [0, 1], got values from 0 to 255."),
        ("poisson", -0.5, 3, "are not negative, got a minimum of -0.5."),
    ],
)
def test_data_outside_the_domain_is_named_with_a_way_out(name, minimum, maximum, message):
    problem = LIKELIHOODS[name].check_domain(minimum, maximum)
    assert message in problem
    assert '"gaussian"' in problem


# Copies ---------------------------------------------------------------------------------------


def test_a_likelihood_is_made_in_float64():
    likelihood = make_likelihood("gaussian", np.zeros(2, dtype=np.float32), np.ones(2, int), [1, 2])
    for field in (likelihood.center, likelihood.scale, likelihood.baseline):
        assert field.dtype == torch.float64
        assert field.device.type == "cpu"


def test_a_likelihood_does_not_share_memory_with_its_arrays():
    center = np.zeros(2)
    likelihood = make_likelihood("gaussian", center, np.ones(2), np.zeros(2))
    center += 1
    assert torch.equal(likelihood.center, torch.zeros(2, dtype=torch.float64))


@with_all_names
def test_precision_changes_on_a_copy(name):
    X, output = data(name)
    likelihood, x = standardized(name, X)
    single = likelihood.to("cpu", torch.float32)
    assert type(single) is type(likelihood)
    assert likelihood.center.dtype == torch.float64
    actual = single.deviance(output.float(), x.float())
    assert actual.dtype == torch.float32
    assert_allclose(actual, likelihood.deviance(output, x), rtol=1e-4, atol=1e-4)


@with_all_names
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pickle_gives_back_equal_tensors(name, dtype):
    X, _ = data(name)
    likelihood = standardized(name, X)[0].to("cpu", dtype)
    loaded = pickle.loads(pickle.dumps(likelihood))
    assert type(loaded) is type(likelihood)
    for field in ("center", "scale", "baseline"):
        assert getattr(loaded, field).dtype == dtype
        assert torch.equal(getattr(loaded, field), getattr(likelihood, field))


def test_pickle_holds_arrays_and_no_tensors():
    class NoTorch(pickle.Unpickler):
        def find_class(self, module, name):
            assert not module.startswith("torch")
            return super().find_class(module, name)

    likelihood = make_likelihood("gaussian", [0], [1], [0])
    loaded = NoTorch(io.BytesIO(pickle.dumps(likelihood))).load()
    assert isinstance(loaded, Gaussian)


def test_names_are_those_of_the_classes():
    assert {name: cls.name for name, cls in LIKELIHOODS.items()} == {n: n for n in NAMES}
    assert isinstance(make_likelihood("bernoulli", [0], [1], [0.5]), Bernoulli)
