"""Rows and models that several files share, fitted once in each process.

No test changes them, which is checked in the end: rows are read-only, and `copy.deepcopy` gives a
model to train on or to set parameters of.
"""

import re
from collections import defaultdict

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits, make_blobs

from sklearn_aae import AdversarialAutoencoder


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What the short run leaves out, beside the tests that say so themselves."""
    cases = defaultdict(list)
    for item in items:
        # scikit-learn's check of the weights of classes trains for 1,000 epochs, twice; matrices
        # and arrays are read alike where they are sparse.
        if re.search("check_class_weight_classifiers|check_estimator_sparse_matrix", item.name):
            item.add_marker(pytest.mark.thorough)
        elif item.get_closest_marker("each_choice") and not item.get_closest_marker("thorough"):
            cases[item.nodeid.split("[")[0]].append(item)
    for items_of_test in cases.values():
        _keep_each_choice(items_of_test)


def _keep_each_choice(items):
    """Leave as many cases as it takes for each value of each `parametrize` to occur in one.

    They are on the diagonal: the first values of all, the second, and so on, where a shorter list
    of values starts again ("each choice" coverage; Ammann and Offutt, 1994).
    """
    groups = [
        mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
        for mark in items[0].iter_markers("parametrize")
    ]
    cases = [
        [tuple(id(item.callspec.params[name.strip()]) for name in group) for group in groups]
        for item in items
    ]
    values = [list(dict.fromkeys(of_group)) for of_group in zip(*cases, strict=True)]
    diagonal = [[v[step % len(v)] for v in values] for step in range(max(map(len, values)))]
    for item, case in zip(items, cases, strict=True):
        if case not in diagonal:
            item.add_marker(pytest.mark.thorough)


def read_only(rows):
    rows.flags.writeable = False
    return rows


def as_it_was(model):
    """The model, for a fixture; when all tests are done it has to be what it was."""
    before = joblib.hash(vars(model))
    yield model
    assert joblib.hash(vars(model)) == before, "a test changed a model that others share"


@pytest.fixture(scope="session")
def blobs():
    """200 rows of three groups, with six columns."""
    return read_only(make_blobs(200, n_features=6, centers=3, random_state=0)[0])


@pytest.fixture(scope="session")
def fitted_on_blobs(blobs):
    """Ten epochs: for what does not depend on how well a model is trained."""
    yield from as_it_was(AdversarialAutoencoder(max_iter=10, random_state=0).fit(blobs))


@pytest.fixture(scope="session")
def digits():
    """Images of digits: 1,300 to train with and 497 that are held out."""
    data = load_digits().data
    order = np.random.RandomState(0).permutation(len(data))
    return read_only(data[order[:1300]]), read_only(data[order[1300:]])


@pytest.fixture(scope="session")
def fitted_on_digits(digits):
    """With every default: for how good a model is."""
    yield from as_it_was(AdversarialAutoencoder(random_state=0).fit(digits[0]))
