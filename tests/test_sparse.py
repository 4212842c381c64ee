"""Sparse rows: the same answers as for the dense array, one batch at a time."""

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
)

_RNG = np.random.default_rng(0)
X = scipy.sparse.csr_array(_RNG.random((150, 40)) * (_RNG.random((150, 40)) < 0.1))
Y = np.arange(150) % 2


def odd(array):
    """The same rows with explicit zeros, and indices out of order."""
    rows = array.tocoo()
    data, (row, column) = np.r_[rows.data, 0.0, 0.0], rows.coords
    row, column = np.r_[row, 3, 5], np.r_[column, 7, 1]
    order = np.lexsort((-column, row))
    counts = np.bincount(row, minlength=array.shape[0])
    indptr = np.r_[0, counts.cumsum()]
    made = scipy.sparse.csr_array((data[order], column[order], indptr), shape=array.shape)
    assert not made.has_sorted_indices
    return made


@pytest.mark.parametrize(
    "cls",
    [
        AdversarialAutoencoder,
        AdversarialAutoencoderClassifier,
        AdversarialAutoencoderClusterer,
        ConditionalAdversarialAutoencoder,
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_estimator_answers_as_for_the_dense_array(cls):
    options = {"n_clusters": 2} if cls is AdversarialAutoencoderClusterer else {}
    dense, sparse = (
        cls(max_iter=2, random_state=0, **options).fit(rows, Y) for rows in (X.toarray(), X)
    )
    assert sparse.history_ == dense.history_
    for method in ("transform", "score_samples", "feature_scores", "predict_proba", "predict"):
        if hasattr(cls, method):
            expected = getattr(dense, method)(X.toarray())
            assert_allclose(getattr(sparse, method)(X), expected, rtol=1e-10, atol=1e-12)
    if cls is not ConditionalAdversarialAutoencoder:
        assert_allclose(sparse.reconstruct(X), dense.reconstruct(X.toarray()), atol=1e-12)


@pytest.mark.parametrize("form", [scipy.sparse.csc_array, scipy.sparse.csr_matrix, odd])
def test_forms_of_a_sparse_array(form):
    model = AdversarialAutoencoder(max_iter=2, random_state=0).fit(X)
    other = AdversarialAutoencoder(max_iter=2, random_state=0).fit(form(X), X_val=None)
    assert other.history_ == model.history_
    assert_array_equal(other.score_samples(form(X)), model.score_samples(X))


def test_sparse_rows_held_out_and_later():
    model = AdversarialAutoencoder(max_iter=2, early_stopping=True, random_state=0)
    assert len(model.fit(X, X_val=X[:30]).p_values(X)) == 150
    model.partial_fit(X)
    assert_array_equal(model.impute(X).toarray(), X.toarray())


def test_a_sparse_array_with_nan():
    rows = X.copy()
    rows.data[3] = np.nan
    with pytest.raises(ValueError, match="X is sparse and holds NaN"):
        AdversarialAutoencoder().fit(rows)
