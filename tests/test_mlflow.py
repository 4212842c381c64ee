"""mlflow logs and loads fitted estimators in its default format."""

import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_iris

from sklearn_aae import AdversarialAutoencoder

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore"),  # those of mlflow and what it needs
]


@pytest.mark.parametrize("by", ["save_model", "log_model"])
def test_a_model_comes_back_with_the_same_bits(tmp_path, by):
    # Too large to be a dependency of the tests.
    reason = "needs mlflow: pip install mlflow-skinny sqlalchemy alembic"
    pytest.importorskip("mlflow", reason=reason)
    import mlflow.sklearn

    X = load_iris().data
    model = AdversarialAutoencoder(max_iter=2, random_state=0).fit(X)
    types = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    if by == "save_model":
        mlflow.sklearn.save_model(model, tmp_path / "model", skops_trusted_types=types)
        where = str(tmp_path / "model")
    else:
        mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
        experiment = mlflow.create_experiment("iris", str(tmp_path / "artifacts"))
        with mlflow.start_run(experiment_id=experiment):
            where = mlflow.sklearn.log_model(
                model, name="model", skops_trusted_types=types
            ).model_uri
    loaded = mlflow.sklearn.load_model(where)
    assert np.array_equal(loaded.score_samples(X), model.score_samples(X))
