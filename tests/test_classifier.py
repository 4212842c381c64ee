"""AdversarialAutoencoderClassifier: few labels, many rows, and rows of a chosen class."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, make_blobs, make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from skorch.callbacks import Callback

from sklearn_aae import AdversarialAutoencoderClassifier
from sklearn_aae._rows.experts import graph_expert
from sklearn_aae._training import guides
from sklearn_aae._training.plan import Data, hold_out
from sklearn_aae.priors import Normal

X, Y = make_blobs(90, n_features=4, centers=3, random_state=0)
FEW = np.where(np.arange(90) % 9 == 0, Y, -1)


def make(**parameters):
    few = {"n_components": 2, "max_iter": 3, "random_state": 0}
    return AdversarialAutoencoderClassifier(**{**few, **parameters})


@pytest.fixture(scope="module")
def fitted():
    return make(max_iter=30).fit(X, FEW)


# A class moves rows along the first two columns, a style of one dimension along the others: a code
# of one component has no room for the class.
CORNERS = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
STYLE = np.random.default_rng(0).normal(size=240)
CLASS = np.arange(240) % 3
STYLED = np.c_[CORNERS[CLASS], np.outer(STYLE, [1.0, -1.0, 0.5])]


@pytest.fixture(scope="module")
def styled():
    few = np.where(np.arange(240) % 10 == 0, CLASS, -1)
    return make(n_components=1, max_iter=30).fit(STYLED, few)


def classes_of(rows):
    return np.linalg.norm(rows[:, None, :2] - CORNERS, axis=2).argmin(axis=1)


# What it is for.


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(n_class=5, return_X_y=True)
    X = X.astype(np.float32)
    rng = np.random.default_rng(0)
    few = np.full(len(y), -1)
    for k in range(5):
        few[rng.choice(np.flatnonzero(y == k), 3, replace=False)] = k
    model = AdversarialAutoencoderClassifier(max_iter=15, random_state=0).fit(X, few)
    return X, y, few, model


def test_three_labels_of_each_class_beat_logistic_regression(digits):
    X, y, few, model = digits
    labelled = few >= 0
    alone = LogisticRegression(max_iter=2000).fit(X[labelled] / 16, few[labelled])
    score = model.score(X[~labelled], y[~labelled])
    assert score > 0.85
    assert score > alone.score(X[~labelled] / 16, y[~labelled]) + 0.05


# Predictions.


def test_predictions_agree_with_each_other(fitted):
    p = fitted.predict_proba(X)
    assert p.shape == (90, 3)
    assert_allclose(p.sum(axis=1), 1)
    assert_allclose(np.exp(fitted.predict_log_proba(X)), p, rtol=1e-9, atol=1e-300)
    assert_array_equal(fitted.predict(X), fitted.classes_[p.argmax(axis=1)])
    assert fitted.score(X, Y) == accuracy_score(Y, fitted.predict(X)) > 0.95


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logarithms_are_finite_however_certain_the_class(fitted, dtype):
    log_p = fitted.predict_log_proba((1e6 * X).astype(dtype))
    assert np.isfinite(log_p).all()
    assert log_p.dtype == dtype


@pytest.mark.parametrize(
    "names",
    [
        np.array(["rose", "lily", "daisy"]),
        np.array(["rose", "lily", "daisy"], dtype=object),
        np.array([7, -3, 100]),
        np.array([0.0, 2.0, 1.0]),
        np.array([False, True, True]),
        np.array([-1, 1, 1]),
    ],
    ids=str,
)
def test_labels_of_any_kind_where_all_rows_have_one(names):
    y = names[Y]
    model = make(max_iter=12, lr=3e-3).fit(X, y)
    assert_array_equal(model.classes_, np.unique(names))
    predicted = model.predict(X)
    assert predicted.dtype == y.dtype
    assert (predicted == y).mean() > 0.9
    label = y[0]
    assert_array_equal(model.sample(2, y=label)[1], [label] * 2)


def test_names_of_the_classes_do_not_matter():
    y = np.array(["a", "b", "c"])[Y]
    assert_array_equal(make().fit(X, y).predict_proba(X), make().fit(X, Y).predict_proba(X))


def test_all_rows_labelled_need_no_further_draws():
    brought = set()

    class Look(Callback):
        def on_batch_begin(self, net, batch=None, **kwargs):
            brought.update(batch[1])

    make(callbacks=[Look()]).fit(X, Y)
    assert brought == {"y"}


# Classes and styles to rows.


def test_rows_are_sampled_of_one_class_of_given_ones_or_of_drawn_ones(styled):
    drawn, y = styled.sample(4, y=2, random_state=0)
    assert drawn.shape == (4, 5)
    assert_array_equal(y, [2, 2, 2, 2])
    _, y = styled.sample(3, y=[0, 2, 1], random_state=0)
    assert_array_equal(y, [0, 2, 1])
    drawn, y = styled.sample(2000, random_state=0)
    assert_allclose(np.bincount(y) / 2000, styled.class_prior_, atol=0.04)
    assert (classes_of(drawn) == y).mean() > 0.95
    # The styles of a seed are the same whatever the class.
    assert_array_equal(styled.sample(2000, y=y, random_state=0)[0], drawn)


def test_rows_are_drawn_by_the_shares_of_the_classes():
    model = make(class_prior=[0.7, 0.0, 0.3]).fit(X, FEW)
    _, y = model.sample(2000, random_state=0)
    assert_allclose(np.bincount(y, minlength=3) / 2000, [0.7, 0, 0.3], atol=0.04)


def test_decoding_with_a_class_puts_rows_into_it_and_keeps_their_style(styled):
    Z = styled.transform(STYLED)
    for k in range(3):
        decoded = styled.inverse_transform(Z, k)
        assert_array_equal(decoded, styled.inverse_transform(Z, np.full(240, k)))
        assert (classes_of(decoded) == k).mean() > 0.95
        assert np.corrcoef(decoded[:, 2], STYLE)[0, 1] > 0.7


def test_decoding_with_the_predicted_class_is_the_reconstruction_where_it_is_certain(styled):
    decoded = styled.inverse_transform(styled.transform(STYLED), styled.predict(STYLED))
    p = styled.predict_proba(STYLED).max(axis=1)
    error = np.abs(decoded - styled.reconstruct(STYLED)).max(axis=1)
    assert (error <= 20 * (1 - p) + 1e-6).all()
    assert (p > 0.99).mean() > 0.5


def test_decoding_without_a_class_is_decoding_the_shares(fitted):
    Z = fitted.transform(X)
    shares = np.tile(fitted.class_prior_, (90, 1))
    assert_array_equal(fitted.inverse_transform(Z), fitted._inference.decode(np.c_[Z, shares]))


# Shares.


@pytest.mark.parametrize(
    ("class_prior", "y", "expected"),
    [
        ("uniform", FEW, [1 / 3, 1 / 3, 1 / 3]),
        ("auto", np.minimum(Y, 1), [1 / 3, 2 / 3]),
        ("uniform", np.minimum(Y, 1), [1 / 2, 1 / 2]),
        ("empirical", np.where(np.arange(90) < 9, np.minimum(Y, 1), -1), None),
        ([0.2, 0.3, 0.5], FEW, [0.2, 0.3, 0.5]),
    ],
)
def test_class_prior(class_prior, y, expected):
    if expected is None:
        expected = np.bincount(y[y >= 0]) / (y >= 0).sum()
    model = make(class_prior=class_prior).fit(X, y)
    assert_allclose(model.class_prior_, expected)
    assert_allclose(model.net_.game.critics[1].prior.probabilities, expected)


@pytest.mark.parametrize("propagation_weight", [0, 1])
def test_shares_are_found_out_though_labels_are_drawn_class_by_class(propagation_weight):
    rare, y = make_blobs([360, 40], 4, centers=[[0] * 4, [3] * 4], random_state=0)
    few = np.full(400, -1)
    for k in (0, 1):
        few[np.flatnonzero(y == k)[:8]] = k
    model = make(max_iter=10, propagation_weight=propagation_weight).fit(rare, few)
    assert_allclose(model.class_prior_, [0.9, 0.1], atol=0.06)
    assert_allclose(model.net_.game.critics[1].prior.probabilities, model.class_prior_)
    # Probabilities hold for these shares; classes are predicted as for those of the labels.
    p = model.predict_proba(rare)
    assert_allclose(p.mean(axis=0), [0.9, 0.1], atol=0.06)
    assert_allclose(model.class_weight_ * model.class_prior_, 0.5)
    assert_array_equal(model.predict(rare), (p * model.class_weight_).argmax(axis=1))


def test_where_all_rows_are_labelled_the_most_probable_class_is_predicted(fitted):
    model = make().fit(X, np.minimum(Y, 1))
    assert_array_equal(model.class_weight_, [1, 1])
    assert_array_equal(model.predict(X), model.predict_proba(X).argmax(axis=1))


def test_shares_steer_what_is_predicted_where_labels_say_little():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(200, 4))
    y = np.full(200, -1)
    y[:2] = 0, 1
    shares = {}
    for p in (0.2, 0.8):
        model = make(class_prior=[p, 1 - p], max_iter=10).fit(noise, y)
        shares[p] = model.predict_proba(noise)[:, 0].mean()
    assert shares[0.8] > shares[0.2] + 0.2


OVERLAPPING, RARE = make_blobs([270, 30], 4, centers=[[0] * 4, [1] * 4], random_state=0)


def test_weights_of_classes_move_what_is_predicted_and_not_the_probabilities():
    recall, means = {}, {}
    for weight in (None, "balanced", {1: 100}):
        model = make(max_iter=20, class_weight=weight).fit(OVERLAPPING, RARE)
        p = model.predict_proba(OVERLAPPING)
        means[str(weight)] = p[:, 1].mean()
        recall[str(weight)] = (model.predict(OVERLAPPING)[RARE == 1] == 1).mean()
        assert_allclose(model.class_prior_, [0.9, 0.1])
        assert_array_equal(model.predict(OVERLAPPING), (p * model.class_weight_).argmax(axis=1))
        ratio = model.class_weight_[1] / model.class_weight_[0]
        assert_allclose(ratio, {"None": 1, "balanced": 9}.get(str(weight), 100))
    assert recall["None"] < recall["balanced"] <= recall["{1: 100}"]
    assert_allclose(means["balanced"], 0.1, atol=0.05)


def test_weights_of_classes_that_are_equal_change_nothing():
    p = make().fit(X, FEW).predict_proba(X)
    even = make(class_weight={0: 1, 1: 1}).fit(X, FEW)
    assert_allclose(even.predict_proba(X), p, atol=1e-5)


def test_weights_count_for_the_shares():
    weight = np.where(Y == 0, 3.0, 1.0)
    assert_allclose(make().fit(X, Y, sample_weight=weight).class_prior_, [0.6, 0.2, 0.2])


# Terms and history.


def test_history_names_every_loss():
    names = set(make().fit(X, FEW).history_)
    assert {
        "reconstruction_loss",
        "generator_loss",
        "discriminator_loss",
        "categories_generator_loss",
        "categories_discriminator_loss",
        "classification_loss",
        "propagation_loss",
        "virtual_adversarial_loss",
    } <= names


def test_parts_of_weight_zero_are_left_out():
    model = make(category_weight=0, virtual_adversarial_weight=0).fit(X, FEW)
    assert not any("categories" in n or "virtual" in n for n in model.history_)


def test_the_class_is_steadier_near_a_row_with_the_virtual_adversarial_term():
    rng = np.random.default_rng(0)
    change = {}
    for weight in (0, 10):
        model = make(virtual_adversarial_weight=weight, max_iter=60).fit(X, FEW)
        moved = X + 0.1 * X.std() * rng.normal(size=X.shape)
        change[weight] = np.abs(model.predict_proba(moved) - model.predict_proba(X)).mean()
    assert change[10] < change[0]


# Labels that spread.


def two_moons(**parameters):
    """Share of two interlocked half circles that is told apart by one label in each."""
    rows, moon = make_moons(200, noise=0.05, random_state=0)
    few = np.full(200, -1)
    few[[np.flatnonzero(moon == k)[0] for k in (0, 1)]] = [0, 1]
    steps = {"max_iter": 50, "lr": 5e-3, "virtual_adversarial_weight": 0}
    model = make(**steps, **parameters).fit(rows, few)
    return (model.predict(rows) == moon).mean()


def test_a_label_in_each_of_two_moons_is_enough():
    assert two_moons() > 0.95
    assert two_moons(propagation_weight=0) < 0.9


@pytest.mark.parametrize(
    ("parameters", "y"), [({"propagation_weight": 0}, FEW), ({}, Y)], ids=["weight 0", "all"]
)
def test_neighbours_are_looked_for_only_where_labels_spread(parameters, y, monkeypatch):
    def search(*_):
        raise AssertionError("looked for")

    monkeypatch.setattr(guides, "nearest_rows", search)
    assert "propagation_loss" not in make(**parameters).fit(X, y).history_
    with pytest.raises(AssertionError, match="looked for"):
        make().fit(X, FEW)


def test_spread_labels_that_are_believed_guide_until_the_virtual_adversarial_term_starts():
    # No label can be left out to be checked.
    one_each = np.full(90, -1)
    one_each[[np.flatnonzero(k == Y)[0] for k in range(3)]] = range(3)
    history = make(max_iter=10).fit(X, one_each).history_
    spread, virtual = (
        np.array(history[f"{n}_loss"]) for n in ("propagation", "virtual_adversarial")
    )
    assert_array_equal(spread > 0, np.arange(10) < 3)
    assert_array_equal(virtual > 0, np.arange(10) >= 3)
    alone = make(max_iter=10, virtual_adversarial_weight=0).fit(X, one_each).history_
    assert min(alone["propagation_loss"]) > 0


def test_what_needs_neighbours_counts_as_much_as_they_tell(monkeypatch):
    def told(share):
        monkeypatch.setattr(guides, "pooled", lambda models, graph, _: (models[0], share))
        model = make(max_iter=10).fit(X, FEW)
        _, categories = model.net_.game.critics
        classification, guidance, virtual = model.net_.terms
        return categories.weight, virtual.weight, guidance.rest, classification.trust

    assert_allclose(told(0.25), [0.25 * 0.3, 0.25 * 0.3, 0.75, 0.25])
    assert_allclose(told(1.0), [0.3, 0.3, 0, 1])


def test_what_needs_neighbours_that_tell_nothing_is_left_out(monkeypatch):
    monkeypatch.setattr(guides, "pooled", lambda models, graph, _: (models[0], 0.004))
    history = make().fit(X, FEW).history_
    assert not any("categories" in name or "virtual" in name for name in history)
    assert "propagation_loss" in history


@pytest.mark.thorough
def test_noisy_labels_of_linear_classes_are_not_learned_by_heart():
    behind = []
    for seed in (3, 6):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(2000, 8))
        y = (1.5 * rows.sum(axis=1) / np.sqrt(8) + rng.logistic(size=2000) > 0).astype(int)
        few = np.full(300, -1)
        for k in (0, 1):
            few[np.flatnonzero(y[:300] == k)[:40]] = k
        # Nothing but the guide keeps this training from learning the labels.
        model = make(n_components="auto", max_iter=60, batch_size=64, lr=1e-2, noise=0)
        model.fit(rows[:300], few)
        linear = LogisticRegression().fit(rows[:300][few >= 0], few[few >= 0])
        new = rows[300:], y[300:]
        behind.append(linear.score(*new) - model.score(*new))
        assert model.score(rows[:300][few >= 0], few[few >= 0]) < 0.9
    assert np.mean(behind) < 0.02


def test_labels_spread_over_rows_that_count(monkeypatch):
    seen = []

    def spread(graph, known):
        seen.append((graph, known))
        return graph_expert(graph, known)

    monkeypatch.setattr(guides, "graph_expert", spread)
    weight = np.where(np.arange(90) % 4 == 1, 0.0, 2.0)
    make(early_stopping=True).fit(X, FEW, sample_weight=weight)
    ((graph, (labels, _, weights, _)),) = seen
    assert graph.shape == (len(labels), len(labels)) == (len(weights), len(weights))
    assert len(labels) < 90  # those held out are left out
    assert_array_equal(graph.sum(axis=1) == 0, weights == 0)
    assert_array_equal(np.bincount(labels[labels >= 0]), np.bincount(FEW[FEW >= 0]))


# Continued and stopped fits.


def test_warm_start_knows_the_classes_of_the_first_fit():
    model = make(warm_start=True).fit(X, Y)
    two = Y < 2
    model.fit(X[two], Y[two])
    assert_array_equal(model.classes_, [0, 1, 2])
    assert_allclose(model.class_prior_, [0.5, 0.5, 0])
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"not seen: \[3\]. Known classes: \[0, 1, 2\]"):
        model.fit(X, np.where(Y == 2, 3, Y))
    assert vars(model) == before


def test_early_stopping_holds_out_no_scarce_label():
    data, rng = Data(X, FEW, None, None), np.random.RandomState(0)
    parts = make(early_stopping=True)._parts(data, Normal(), 2, None)
    training, held_out = hold_out(data, parts, 0.5, rng, required=True)
    assert len(held_out) == 45
    assert (FEW[held_out] == -1).all()
    assert_array_equal(np.sort(np.r_[training, held_out]), np.arange(90))


def test_early_stopping_waits_for_the_virtual_adversarial_term():
    # No improvement is large enough: it would stop at once.
    parameters = {"early_stopping": True, "n_iter_no_change": 1, "tol": 10.0, "max_iter": 20}
    few, without = (
        make(**parameters, virtual_adversarial_weight=weight).fit(X, FEW) for weight in (1.0, 0.0)
    )
    assert without.n_iter_ == 2
    assert few.history_["virtual_adversarial_loss"][few.n_iter_ - 1] > 0
    assert few.n_iter_ < 12


def test_early_stopping_watches_held_out_labels():
    model = make(early_stopping=True, max_iter=8, n_iter_no_change=8, random_state=0).fit(X, Y)
    labels = np.array(model.history_["valid_classification_loss"])
    rest = np.array(model.history_["early_stopping_criterion"]) - labels / np.log(3)
    assert (rest >= model.history_["valid_loss"]).all()
    assert labels[-1] < labels[0]
    # Where none is held out, there is nothing to watch.
    unlabelled = make(early_stopping=True).fit(X, FEW)
    assert "valid_classification_loss" not in unlabelled.history_


@pytest.mark.thorough
def test_early_stopping_costs_no_accuracy():
    images, digits = load_digits(return_X_y=True)
    accuracy = {True: [], False: []}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        training, test = np.split(rng.permutation(len(images)), [1347])
        labels = np.full(len(training), -1)
        for digit in range(10):
            labels[rng.choice(np.flatnonzero(digits[training] == digit), 5, replace=False)] = digit
        for early_stopping, scores in accuracy.items():
            model = AdversarialAutoencoderClassifier(
                early_stopping=early_stopping, random_state=seed
            ).fit(images[training], labels)
            scores.append(model.score(images[test], digits[test]))
    assert np.mean(accuracy[True]) > np.mean(accuracy[False]) - 0.005


@pytest.mark.parametrize("n_unlabelled", [0, 1, 8, 10])
def test_early_stopping_with_few_unlabelled_rows(n_unlabelled):
    y = Y.copy()
    y[:n_unlabelled] = -1
    model = make(early_stopping=True).fit(X, y)
    assert np.isfinite(model.history_["valid_loss"]).all()


# Bad labels.


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (np.full(90, -1), "no label: all 90 rows are -1"),
        (np.full(90, 5), "only one class: 5"),
        (np.where(FEW == 0, 0, -1), "only one class: 0"),
        (np.array(["a", "b", "-1"])[Y], "-1 among labels that are not numbers, of dtype <U2"),
        (Y[:40], "inconsistent numbers of samples: [90, 40]"),
        (np.where(Y == 0, np.nan, Y), "y contains NaN"),
        (X[:, 0], "Unknown label type: continuous"),
        (np.c_[Y, Y], "1d array, got an array of shape (90, 2)"),
    ],
)
def test_bad_labels_leave_the_estimator_as_it_was(fitted, y, message):
    before = dict(vars(fitted))
    with pytest.raises(ValueError, match=re.escape(message)):
        fitted.fit(X, y)
    assert vars(fitted) == before
    unfitted = make()
    with pytest.raises(ValueError, match=re.escape(message)):
        unfitted.fit(X, y)
    assert set(vars(unfitted)) == set(unfitted.get_params())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"class_prior": [0.5, 0.5]}, "class_prior must be 3 non-negative .*got .0.5, 0.5."),
        ({"class_weight": {7: 1}}, "class_weight=.7: 1. has weights of labels .*: .7.. Classes"),
        ({"class_weight": {0: -1}}, "class_weight must have non-negative numbers"),
        ({"class_weight": "even"}, "class_weight.*Got 'even'"),
        ({"class_prior": "even"}, "class_prior.*Got 'even'"),
        ({"classification_weight": 0}, "classification_weight.*Got 0"),
        ({"category_weight": -1}, "category_weight.*Got -1"),
        ({"virtual_adversarial_radius": 0}, "virtual_adversarial_radius.*Got 0"),
        ({"propagation_weight": -1}, "propagation_weight.*Got -1"),
        ({"n_neighbors": 0}, "n_neighbors.*Got 0"),
        ({"virtual_adversarial_weight": -2}, "virtual_adversarial_weight.*Got -2"),
    ],
)
def test_bad_parameters(parameters, message):
    model = make(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(X, FEW)
    assert set(vars(model)) == set(model.get_params())


def test_labels_that_weigh_nothing():
    with pytest.raises(ValueError, match="all 10 labelled rows have weight zero"):
        make().fit(X, FEW, sample_weight=(FEW < 0).astype(float))


def test_unseen_classes_in_use(fitted):
    message = re.escape("not seen: [7]. Known classes: [0, 1, 2]")
    with pytest.raises(ValueError, match=message):
        fitted.sample(2, y=7)
    with pytest.raises(ValueError, match=message):
        fitted.inverse_transform(np.zeros((2, 2)), [0, 7])
    with pytest.raises(ValueError, match=re.escape("(n_samples,) = (2,), got (3,)")):
        fitted.sample(2, y=[0, 1, 2])


# Beside scikit-learn.


def test_in_a_pipeline_and_a_search():
    pipeline = make_pipeline(StandardScaler(), make(max_iter=10))
    search = GridSearchCV(
        pipeline, {"adversarialautoencoderclassifier__lr": [1e-6, 1e-3]}, cv=2
    ).fit(X, Y)
    assert search.best_params_ == {"adversarialautoencoderclassifier__lr": 1e-3}
    assert search.score(X, Y) > 0.9


def test_probabilities_can_be_calibrated():
    calibrated = CalibratedClassifierCV(make(max_iter=10), cv=2).fit(X, Y)
    assert calibrated.score(X, Y) > 0.9
    assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


def test_reads_labels_as_scikit_learns_semi_supervised_classifiers_do():
    for model in (
        make(max_iter=30),
        SelfTrainingClassifier(LogisticRegression()),
        LabelSpreading(kernel="knn"),
    ):
        model.fit(X, FEW)
        assert_array_equal(model.classes_, [0, 1, 2])
        assert model.score(X, Y) > 0.95
    both = SelfTrainingClassifier(make(max_iter=5), max_iter=1).fit(X, FEW)
    assert both.predict(X).shape == (90,)


@pytest.mark.thorough  # a smaller table, above, in the short run
def test_samples_are_of_the_class_asked_for():
    # With room for the class in the style, nothing but the critic that sees both keeps it out.
    digits, y = load_digits(return_X_y=True)
    model = AdversarialAutoencoderClassifier(n_components=8, max_iter=100, random_state=0)
    model.fit(digits, np.where(np.arange(len(y)) % 10, -1, y))
    asked = np.arange(300) % 10
    judge = LogisticRegression(max_iter=1000).fit(digits / 16, y)
    assert (
        judge.predict(model.sample(300, y=asked, random_state=0)[0] / 16) == asked
    ).mean() > 0.85
