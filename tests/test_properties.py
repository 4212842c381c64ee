"""Whatever is fitted to whatever, the outcome is a promised one. `fuzz.py` runs more of this."""

import fuzz
import fuzz_rows
import hypothesis
import pytest
from invariants import ViolationError, check_fit, is_documented
from sklearn.exceptions import ConvergenceWarning

from sklearn_aae import AdversarialAutoencoder

# The same cases in every run: what a run finds, the next one finds too. `make fuzz` looks further.
some_cases = hypothesis.settings(
    max_examples=4,
    derandomize=True,
    database=None,
    deadline=None,
    # No search for a smaller case, which takes minutes: cases are small.
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
more_cases = hypothesis.settings(some_cases, max_examples=12)
numbers = pytest.mark.parametrize(
    "cases",
    [
        pytest.param(some_cases, id="some"),
        pytest.param(more_cases, id="more", marks=pytest.mark.thorough),
    ],
)


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr(fuzz.flow, "_N_STEPS", fuzz.FLOW_STEPS)


estimators = pytest.mark.parametrize("estimator", fuzz.ESTIMATORS, ids=lambda cls: cls.__name__)


@numbers
@estimators
def test_ordinary_parameters_fit_any_finite_table_and_keep_the_promises(estimator, cases):
    @cases
    @hypothesis.given(fuzz.ordinary_cases(estimator))
    def check(case):
        case.run()

    check()


@numbers
@estimators
def test_odd_parameters_labels_and_weights_fit_or_are_named_in_an_error(estimator, cases):
    @cases
    @hypothesis.given(fuzz.odd_cases(estimator))
    def check(case):
        case.run()

    check()


@pytest.mark.thorough  # each kind of rows has a file of tests
@numbers
@pytest.mark.parametrize("kind", fuzz_rows.KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:Sending large graph:UserWarning")
def test_rows_that_are_no_plain_numbers_are_fitted_and_keep_the_promises(kind, cases):
    @cases
    @hypothesis.given(kind())
    def check(case):
        case.run()

    check()


@estimators
def test_every_parameter_is_varied(estimator):
    assert set(fuzz.parameter_names(estimator)) <= {*fuzz.ORDINARY, *fuzz.EXTREME}


# The checks themselves see what they are for.

X = fuzz.Table().build()


class ChangesItsInput(AdversarialAutoencoder):
    def fit(self, X, y=None, sample_weight=None):
        X[0, 0] = 5.0
        return super().fit(X)


class ChangesAParameter(AdversarialAutoencoder):
    def fit(self, X, y=None, sample_weight=None):
        self.max_iter = 1
        return super().fit(X)


class DrawsFromTheGlobalGenerator(AdversarialAutoencoder):
    def fit(self, X, y=None, sample_weight=None):
        fuzz.torch.rand(1)
        return super().fit(X)


class ForgetsItsSeed(AdversarialAutoencoder):
    def fit(self, X, y=None, sample_weight=None):
        self.random_state, seed = None, self.random_state
        super().fit(X)
        self.random_state = seed
        return self


class DependsOnTheBatch(AdversarialAutoencoder):
    def transform(self, X):
        return super().transform(X) * len(X)


class ReturnsInfinity(AdversarialAutoencoder):
    def score_samples(self, X):
        return super().score_samples(X) * fuzz.np.inf


class RaisesWithoutAName(AdversarialAutoencoder):
    def fit(self, X, y=None, sample_weight=None):
        raise ValueError("something is wrong")


class LeavesHalfAFit(AdversarialAutoencoder):
    def fit(self, X, y=None, sample_weight=None):
        self.prior_ = "normal"
        raise ValueError("prior is wrong")


class WarnsOfRounding(AdversarialAutoencoder):
    def fit(self, X, y=None, sample_weight=None):
        fuzz.warnings.warn("overflow in X", RuntimeWarning, stacklevel=2)
        return super().fit(X)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (ChangesItsInput, "fit changed its input"),
        (ChangesAParameter, "fit changed a parameter"),
        (DrawsFromTheGlobalGenerator, "fit changed a global generator"),
        (ForgetsItsSeed, "a second fit has other weights"),
        (DependsOnTheBatch, "transform of a row differs alone"),
        (ReturnsInfinity, "score_samples holds NaN or infinity"),
        (RaisesWithoutAName, "ValueError: something is wrong"),
        (LeavesHalfAFit, "a fit that failed left {'prior_'}"),
        (WarnsOfRounding, "warning RuntimeWarning"),
    ],
)
def test_a_broken_promise_is_seen(estimator, message):
    model = estimator(hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    with pytest.raises(ViolationError, match=message):
        check_fit(model, X.copy())


def test_a_message_has_to_name_a_parameter_or_an_array():
    model = AdversarialAutoencoder()
    assert is_documented(ValueError("lr must be positive"), model)
    assert is_documented(TypeError("X is sparse"), model)
    assert is_documented(ConvergenceWarning("Raise max_iter."), model)
    assert not is_documented(ValueError("singular matrix"), model)
    assert not is_documented(RuntimeError("lr must be positive"), model)
