"""Files of skops: the same model, of types that are named, and no others."""

import numpy as np
import pytest
import skops.io
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops.io.exceptions import UntrustedTypesFoundException
from test_persistence import MODELS, assert_same_answers, assert_same_parameters, small
from torch import nn

from sklearn_aae import AdversarialAutoencoder

# Of each of the others there is one like it among these.
SHORT = {"default", "networks of ours", "ring with labels", "few labels", "clusters", "conditional"}
NAMESPACES = ("sklearn_aae", "skorch", "torch")


@pytest.fixture(scope="module", name="X")
def data():
    return load_iris().data[::3]


@pytest.fixture(scope="module", name="y")
def labels():
    return load_iris().target[::3]


def types_of(file):
    return skops.io.get_untrusted_types(data=file)


# Two epochs are too few for clusters.
@pytest.mark.filterwarnings("ignore:All rows are in one:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("parameters", "labels"),
    [
        pytest.param(*model, id=name, marks=[] if name in SHORT else pytest.mark.thorough)
        for name, model in MODELS.items()
    ],
)
def test_a_model_comes_back_from_types_of_ours_and_of_torch(X, y, parameters, labels):
    X, y = X / 10 if parameters.get("likelihood") == "bernoulli" else X, labels(y)
    model = small(**parameters).fit(X, y)
    file = skops.io.dumps(model)
    named = types_of(file)
    # What a user puts in is named, too.
    own = {"functools.partial"} if "partial" in repr(parameters.get("optimizer")) else set()
    assert {name.split(".")[0] for name in set(named) - own} <= set(NAMESPACES)
    loaded = skops.io.loads(file, trusted=named)
    assert_same_answers(model, loaded, X)
    assert_same_parameters(model, loaded)
    assert vars(model).keys() == vars(loaded).keys()
    assert_same_answers(loaded.fit(X, y), model.fit(X, y), X)


@pytest.mark.parametrize("parameters", [{"normalizing_flow": True}, {"optimizer": torch.optim.SGD}])
def test_training_goes_on_from_a_file(X, parameters, brief_flow):
    model = small(warm_start=True, **parameters).fit(X)
    file = skops.io.dumps(model)
    loaded = skops.io.loads(file, trusted=types_of(file))
    assert_same_answers(loaded.fit(X), model.fit(X), X)


@pytest.fixture
def brief_flow(monkeypatch):
    monkeypatch.setattr("sklearn_aae._learned.flow._N_STEPS", 5)


class Doubled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return 2 * self.layer(x)


@pytest.mark.parametrize("encoder", [nn.Linear(4, 2), Doubled()], ids=["of torch", "own"])
def test_a_users_network_is_named_by_its_type(X, encoder):
    model = small(encoder=encoder).fit(X)
    file = skops.io.dumps(model)
    foreign = [name for name in types_of(file) if not name.startswith(NAMESPACES)]
    assert foreign == ([f"{__name__}.Doubled"] if isinstance(encoder, Doubled) else [])
    loaded = skops.io.loads(file, trusted=types_of(file))
    assert_same_answers(model, loaded, X)
    assert torch.equal(next(loaded.encoder.parameters()), next(encoder.parameters()))


def test_nothing_is_built_of_types_that_are_not_trusted(X):
    file = skops.io.dumps(small().fit(X))
    with pytest.raises(UntrustedTypesFoundException, match="AdversarialAutoencoder"):
        skops.io.loads(file)


def test_pipelines_come_back(X, y):
    pipeline = make_pipeline(
        StandardScaler(),
        AdversarialAutoencoder(n_components=2, max_iter=2, random_state=0),
        LogisticRegression(),
    ).fit(X, y)
    file = skops.io.dumps(pipeline)
    loaded = skops.io.loads(file, trusted=types_of(file))
    assert np.array_equal(loaded.predict_proba(X), pipeline.predict_proba(X))
