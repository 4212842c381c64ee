"""scikit-learn's own checks, for every estimator."""

import numpy as np
import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
)
from sklearn_aae.persistence.schema import MODELS

_WEIGHTS = (
    "A weight of 2 and a repeated row make different batches and noise: equal in expectation, not "
    "to the bit."
)
EXPECTED_FAILED_CHECKS = {
    "check_sample_weight_equivalence_on_dense_data": _WEIGHTS,
    "check_sample_weight_equivalence_on_sparse_data": _WEIGHTS,
}
# Of what has predict_proba, these ask for the tags of classifiers.
_TAGS = "The check reads a tag that clusterers do not have."
EXPECTED_FAILED_CHECKS_OF_CLUSTERERS = EXPECTED_FAILED_CHECKS | {
    "check_estimator_sparse_array": _TAGS,
    "check_estimator_sparse_matrix": _TAGS,
}


def expected_failed_checks(estimator):
    if isinstance(estimator, AdversarialAutoencoderClusterer):
        return EXPECTED_FAILED_CHECKS_OF_CLUSTERERS
    return EXPECTED_FAILED_CHECKS


# Checked with few epochs, which is about speed: what is checked does not depend on their number.
ESTIMATORS = [
    AdversarialAutoencoder(max_iter=2),
    AdversarialAutoencoderClassifier(max_iter=5),
    # Enough steps to leave no check with all rows in one cluster, which it warns of. With a seed:
    # checks of a few random rows, of which some draws are one cluster, do not set one.
    AdversarialAutoencoderClusterer(n_clusters=3, max_iter=20, lr=2e-2, random_state=0),
    ConditionalAdversarialAutoencoder(max_iter=2),
]

# The last has every default, as users have.
FURTHER_ESTIMATORS = [
    AdversarialAutoencoder(max_iter=5, early_stopping=True, posterior="gaussian"),
    AdversarialAutoencoder(max_iter=5, score_method="prior", likelihood="laplace"),
    AdversarialAutoencoder(max_iter=5, adversarial_weight=0, posterior="implicit"),
    AdversarialAutoencoderClusterer(n_clusters=3, max_iter=100, lr=5e-3, random_state=0),
    AdversarialAutoencoder(),
]

KINDS = {
    AdversarialAutoencoder: "outlier_detector",
    AdversarialAutoencoderClassifier: "classifier",
    AdversarialAutoencoderClusterer: "clusterer",
    ConditionalAdversarialAutoencoder: None,
}
MIXINS = {
    "outlier_detector": ["OutlierMixin"],
    "classifier": ["ClassifierMixin"],
    "clusterer": ["ClusterMixin"],
}
NEED_LABELS = {AdversarialAutoencoderClassifier, ConditionalAdversarialAutoencoder}


def test_every_estimator_of_tables_is_checked():
    assert {type(estimator) for estimator in ESTIMATORS} == set(KINDS) == set(MODELS)


@parametrize_with_checks(
    ESTIMATORS,
    expected_failed_checks=expected_failed_checks,  # strict: pyproject.toml
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.thorough
# Of longer trainings on the few rows that checks of scikit-learn 1.7 have.
@pytest.mark.filterwarnings("ignore:The codes do not follow the prior")
@parametrize_with_checks(FURTHER_ESTIMATORS, expected_failed_checks=expected_failed_checks)
def test_scikit_learn_checks_with_further_parameters(estimator, check):
    check(estimator)


# Checks that scikit-learn runs on its own estimators only.
FURTHER_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]


# Some of them fit on a frame and transform an array, or the other way round, which scikit-learn
# warns of.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning")
@pytest.mark.filterwarnings("ignore:All rows are in one:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.each_choice
@pytest.mark.parametrize("name", FURTHER_CHECKS)
@pytest.mark.parametrize("cls", KINDS)
def test_further_scikit_learn_checks(cls, name):
    check = getattr(estimator_checks, name)
    check(cls.__name__, cls(max_iter=2, random_state=0))


@pytest.mark.parametrize(("cls", "kind"), KINDS.items())
def test_no_check_is_silenced_by_a_tag(cls, kind):
    tags = cls().__sklearn_tags__()
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert not tags._skip_test
    assert tags.estimator_type == kind
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]
    assert tags.target_tags.required is (cls in NEED_LABELS)
    assert tags.input_tags.allow_nan
    assert tags.input_tags.sparse
    assert tags.input_tags.categorical
    assert not tags.input_tags.string  # text is a category in a frame, or where it is named


@pytest.mark.parametrize(("cls", "kind"), KINDS.items())
def test_mixins_come_in_scikit_learns_order(cls, kind):
    names = [base.__name__ for base in cls.__mro__]
    order = [
        "CallbackSupportMixin",
        *MIXINS.get(kind, []),
        "ClassNamePrefixFeaturesOutMixin",
        "TransformerMixin",
        "BaseEstimator",
    ]
    positions = [names.index(name) for name in order]
    assert positions == sorted(positions)


def test_weights_equal_repetition_in_expectation():
    # What the expected failure above is about, with a tolerance of training noise instead of
    # rounding: rows of weight 3 count like rows that occur three times.
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(-3, 1, (60, 4)), rng.normal(3, 1, (60, 4))]
    weight = np.r_[np.full(60, 3), np.ones(60)]
    model = AdversarialAutoencoder(n_components=1, max_iter=60, random_state=0)
    weighted = model.fit(X, sample_weight=weight).history_["reconstruction_loss"][-1]
    repeated = model.fit(X.repeat(weight.astype(int), axis=0))
    assert weighted == pytest.approx(repeated.history_["reconstruction_loss"][-1], rel=0.1)
