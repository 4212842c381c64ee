"""AdversarialAutoencoder: what must hold for every fitted model."""

import copy
import gc
import pickle
import re
import weakref

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, InconsistentVersionWarning, NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklearn_aae import AdversarialAutoencoder, Chunks, priors
from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.likelihoods import LIKELIHOODS
from sklearn_aae._training.critics import ADVERSARIAL_LOSSES
from sklearn_aae.priors import Normal, Uniform

METHODS = ["transform", "reconstruct", "score_samples", "decision_function", "predict"]


@pytest.fixture(name="X")
def rows(blobs):
    return blobs


@pytest.fixture
def fitted(fitted_on_blobs):
    return fitted_on_blobs


@pytest.fixture
def trained(fitted_on_digits):
    return fitted_on_digits


def outputs(model, X):
    return {name: getattr(model, name)(X) for name in METHODS}


def assert_same_outputs(a, b):
    for name in METHODS:
        assert_array_equal(a[name], b[name], err_msg=name)


# Quality.


def test_reconstructs_better_than_pca_of_equal_size(trained, digits):
    _, held_out = digits
    pca = PCA(trained.n_components_).fit(digits[0])
    linear = pca.inverse_transform(pca.transform(held_out))
    ours = trained.reconstruct(held_out)
    assert np.mean((ours - held_out) ** 2) < np.mean((linear - held_out) ** 2)


def test_codes_of_held_out_rows_follow_the_normal_prior(trained, digits):
    codes = trained.transform(digits[1])
    assert_allclose(codes.mean(axis=0), 0, atol=0.25)
    assert_allclose(codes.std(axis=0), 1, atol=0.25)


def test_without_critic_codes_do_not_follow_the_prior(digits):
    model = AdversarialAutoencoder(adversarial_weight=0, max_iter=30, random_state=0)
    codes = model.fit(digits[0]).transform(digits[1])
    assert np.abs(codes.std(axis=0) - 1).max() > 0.25


def test_denoises(trained, digits):
    clean = digits[1]
    noisy = clean + np.random.default_rng(0).normal(scale=4, size=clean.shape)
    denoised = trained.reconstruct(noisy)
    assert np.mean((denoised - clean) ** 2) < 0.5 * np.mean((noisy - clean) ** 2)


def test_samples_resemble_the_data(trained, digits):
    samples = trained.sample(500, random_state=0)
    distance = np.abs(samples.mean(axis=0) - digits[0].mean(axis=0)).mean()
    assert distance < 0.1 * digits[0].std()
    assert_allclose(samples.std(), digits[0].std(), rtol=0.15)


def test_scores_tell_noise_from_digits(trained, digits):
    noise = np.random.default_rng(0).permuted(digits[1], axis=1)
    scores = trained.score_samples(np.r_[digits[1], noise])
    is_inlier = np.r_[np.ones(len(digits[1])), np.zeros(len(noise))]
    assert roc_auc_score(is_inlier, scores) > 0.95


# Randomness and state.


def test_refit_is_bit_identical(X, fitted):
    again = clone(fitted).fit(X)
    assert_same_outputs(outputs(fitted, X), outputs(again, X))
    assert again.history_ == fitted.history_


def test_different_seeds_give_different_models(X, fitted):
    other = clone(fitted).set_params(random_state=1).fit(X)
    assert not np.allclose(other.transform(X), fitted.transform(X))


def test_random_state_instance_advances(X):
    model = AdversarialAutoencoder(max_iter=1, random_state=np.random.RandomState(0))
    first, second = model.fit(X).transform(X), model.fit(X).transform(X)
    assert not np.array_equal(first, second)


def dropout_encoder(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 8), nn.Dropout(0.5), nn.Linear(8, n_out))


@pytest.mark.parametrize("random_state", [0, None])
@pytest.mark.parametrize("encoder", [None, dropout_encoder], ids=["built", "with_dropout"])
def test_global_generators_are_untouched(X, encoder, random_state):
    def state():
        _, key, position, *_ = np.random.get_state()  # noqa: NPY002  # what is tested
        return key.tolist(), position, torch.get_rng_state().tolist()

    before = state()
    model = AdversarialAutoencoder(max_iter=2, encoder=encoder, random_state=random_state).fit(X)
    outputs(model, X)
    model.sample(3)
    model.sample(3, random_state=0)
    assert state() == before


def test_dropout_of_a_users_network_is_reproducible(X):
    model = AdversarialAutoencoder(max_iter=2, encoder=dropout_encoder, random_state=0)
    first = model.fit(X).transform(X)
    torch.rand(3)
    assert_array_equal(model.fit(X).transform(X), first)


def test_prediction_writes_nothing(X, fitted):
    before = joblib.hash(vars(fitted))
    outputs(fitted, X)
    fitted.inverse_transform(fitted.transform(X))
    fitted.sample(2, random_state=0)
    fitted.interpolate(X[:2], X[2:4])
    assert joblib.hash(vars(fitted)) == before


def test_fit_does_not_change_parameters(X):
    model = AdversarialAutoencoder(max_iter=1, prior=Normal(2.0), random_state=0)
    before = joblib.hash(model.get_params())
    model.fit(X)
    assert joblib.hash(model.get_params()) == before


def test_nothing_on_the_model_holds_the_data():
    class Data(np.ndarray):
        """Takes weak references."""

    X = np.random.default_rng(0).normal(size=(40, 3)).view(Data)
    reference = weakref.ref(X)
    model = AdversarialAutoencoder(max_iter=2, early_stopping=True, random_state=0)
    model.fit(X, sample_weight=np.ones(40))
    del X
    gc.collect()
    assert reference() is None


def test_the_size_of_the_state_is_bounded():
    # References and codes are as many as asked for; held-out scores are one number each.
    rng = np.random.default_rng(0)
    model = AdversarialAutoencoder(max_iter=1, n_references=100, batch_size=200, random_state=0)
    small, large = (
        len(pickle.dumps(model.fit(rng.normal(size=(n, 3)).astype("f4")))) for n in (2000, 6000)
    )
    assert large < small + 8 * 400 + 10_000


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("dtype", "rtol", "atol"), [("f8", 1e-9, 1e-9), ("f4", 1e-3, 1e-4)])
def test_a_row_gets_the_same_answer_in_any_batch(X, fitted, method, dtype, rtol, atol, monkeypatch):
    X = X.astype(dtype)
    function = getattr(fitted, method)
    whole = function(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert_allclose(function(X[order]), whole[order], rtol=rtol, atol=atol)
    one_by_one = np.concatenate([function(X[i : i + 1]) for i in range(20)])
    assert_allclose(one_by_one, whole[:20], rtol=rtol, atol=atol)
    monkeypatch.setattr("sklearn_aae._rows.chunks._VALUES_PER_CHUNK", 500)
    assert_allclose(function(X), whole, rtol=rtol, atol=atol)


def test_float32_and_float64_agree(X, fitted):
    X32 = X.astype(np.float32)
    assert fitted.transform(X32).dtype == np.float32
    assert fitted.reconstruct(X32).dtype == np.float32
    assert fitted.score_samples(X32).dtype == np.float64
    assert_allclose(fitted.transform(X32), fitted.transform(X), atol=1e-4)


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_gives_the_same_bits_and_trains_on_alike(X, fitted, copy_of):
    other = copy_of(fitted)
    assert_same_outputs(outputs(fitted, X), outputs(other, X))
    assert_array_equal(other.sample(5, random_state=3), fitted.sample(5, random_state=3))
    mine, others = copy.deepcopy(fitted).partial_fit(X), other.partial_fit(X)
    assert_same_outputs(outputs(mine, X), outputs(others, X))


def test_joblib_with_memory_map(X, fitted, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert_same_outputs(outputs(fitted, X), outputs(loaded, X))
    loaded.partial_fit(X)


def test_state_holds_arrays_and_no_live_tensors(fitted):
    tensors = []

    class Pickler(pickle._Pickler):
        def save(self, obj, *args, **kwargs):
            if isinstance(obj, torch.Tensor) and obj.numel() > 0:
                tensors.append(obj.shape)
            return super().save(obj, *args, **kwargs)

    import io

    Pickler(io.BytesIO()).dump(fitted)
    assert tensors == []


def test_state_of_another_version_warns(fitted, monkeypatch):
    state = pickle.dumps(fitted)
    monkeypatch.setattr("sklearn_aae._estimators.trained._VERSION", "99.0")
    with pytest.warns(InconsistentVersionWarning, match=re.escape("99.0")):
        pickle.loads(state)


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_fitted_grid_search_can_be_copied(X, n_jobs):
    search = GridSearchCV(
        AdversarialAutoencoder(random_state=0), {"max_iter": [1, 2]}, cv=2, n_jobs=n_jobs
    ).fit(X)
    for other in (copy.deepcopy(search), pickle.loads(pickle.dumps(search))):
        assert_array_equal(other.predict(X), search.predict(X))


# Scaling.


@pytest.mark.parametrize(("factor", "shift"), [(1e6, 0), (1, 1e3), (1e-6, 0), (1e6, 1e3)])
def test_the_units_of_a_column_do_not_matter(X, fitted, factor, shift):
    Y = X.copy()
    Y[:, 2] = factor * X[:, 2] + shift
    other = clone(fitted).fit(Y)
    assert_allclose(other.transform(Y), fitted.transform(X), atol=2e-3)
    assert_allclose(other.score_samples(Y), fitted.score_samples(X), atol=2e-2)
    expected = fitted.reconstruct(X)
    expected[:, 2] = factor * expected[:, 2] + shift
    atol = 2e-3 * np.abs(Y).max(axis=0)
    assert (np.abs(other.reconstruct(Y) - expected) < atol).all()


def test_odd_columns_are_fine():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 5))
    X[:, 0] = 3.0
    X[:, 1] = 1e6 + 1e-9 * X[:, 1]
    X[0, 2] = 1e9
    X[:, 3] = rng.integers(0, 3, 100)
    model = AdversarialAutoencoder(max_iter=30, random_state=0).fit(X)
    for name, values in outputs(model, X).items():
        assert np.isfinite(values).all(), name
    assert_allclose(model.reconstruct(X)[:, 0], 3.0, atol=0.2)
    assert model.predict(X)[0] == -1


@pytest.mark.parametrize("value", [0.1, 1e12, -3e30])
def test_where_nothing_varies_the_loss_has_the_unit_one(value):
    # A mean that differs from equal values by rounding must not become the unit.
    X = np.full((22, 3), value)
    X[0, 0] = np.nextafter(value, 0)
    weight = np.random.default_rng(0).random(22)
    model = AdversarialAutoencoder(hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    model.fit(X, sample_weight=weight)
    assert model.net_.null_deviance == 1
    assert model.history_["reconstruction_loss"][0] < 10


def test_without_standardize_the_networks_see_raw_values(X):
    model = AdversarialAutoencoder(max_iter=2, standardize=False, random_state=0).fit(X)
    x = torch.tensor(X[:5])
    with torch.no_grad():
        expected = copy.deepcopy(model.encoder_).double()(x).numpy()
    assert_allclose(model.transform(X[:5]), expected)


# Outliers.


@pytest.mark.parametrize("contamination", [0.05, 0.1, 0.5])
def test_contamination_is_exact_on_the_training_data(X, contamination):
    model = AdversarialAutoencoder(max_iter=2, contamination=contamination, random_state=0)
    assert (model.fit_predict(X) == -1).sum() == contamination * len(X)


def test_contamination_sets_the_offset_and_nothing_else(X, fitted):
    other = clone(fitted).set_params(contamination=0.2).fit(X)
    assert_array_equal(other.score_samples(X), fitted.score_samples(X))
    assert other.offset_ != fitted.offset_


def test_auto_contamination_is_tukeys_fence(X, fitted):
    lower, upper = np.quantile(fitted.score_samples(X), [0.25, 0.75])
    assert fitted.offset_ == pytest.approx(lower - 1.5 * (upper - lower))


def test_rows_of_weight_zero_do_not_set_the_offset(X):
    far = np.r_[X, X[:20] + 50]
    weight = np.r_[np.ones(len(X)), np.zeros(20)]
    model = AdversarialAutoencoder(max_iter=5, contamination=0.1, random_state=0)
    model.fit(far, sample_weight=weight)
    assert (model.predict(far[: len(X)]) == -1).sum() == pytest.approx(0.1 * len(X), abs=1)


@pytest.mark.parametrize("method", ["reconstruction", "prior", "discriminator"])
def test_score_is_the_mean_score(X, method):
    model = AdversarialAutoencoder(max_iter=2, score_method=method, random_state=0).fit(X)
    assert model.score(X) == pytest.approx(model.score_samples(X).mean())
    assert isinstance(model.score(X), float)


def test_score_is_a_mean_over_rows(X, fitted):
    one_by_one = [fitted.score(row[None]) for row in X[:20]]
    assert fitted.score(X[:20]) == pytest.approx(np.mean(one_by_one))
    assert isinstance(fitted.score(X), float)


def test_reconstruction_score_is_the_log_density_of_standardized_residuals(X, fitted):
    from scipy.stats import norm

    model = clone(fitted).set_params(score_method="reconstruction").fit(X)
    residual = (X - model.reconstruct(X)) / model._columns.scale
    assert_allclose(model.score_samples(X), norm.logpdf(residual).sum(axis=1))


def test_prior_score_is_the_log_density_of_the_code(X, fitted):
    from scipy.stats import norm

    model = clone(fitted).set_params(score_method="prior").fit(X)
    assert_allclose(model.score_samples(X), norm.logpdf(model.transform(X)).sum(axis=1))


def test_discriminator_score_is_its_logit(X, fitted):
    model = clone(fitted).set_params(score_method="discriminator").fit(X)
    z = torch.tensor(model.transform(X))
    with torch.no_grad():
        logit = copy.deepcopy(model.discriminator_).double()(z).squeeze(1).numpy()
    assert_allclose(model.score_samples(X), logit)


# Sampling and paths.


def test_sample_repeats_with_a_seed_and_draws_anew_without(fitted):
    assert_array_equal(fitted.sample(4, random_state=0), fitted.sample(4, random_state=0))
    assert not np.array_equal(fitted.sample(4), fitted.sample(4))
    assert fitted.sample(4, random_state=0).dtype == np.float64


def test_inverse_transform_of_codes_is_the_reconstruction(X, fitted):
    assert_allclose(fitted.inverse_transform(fitted.transform(X)), fitted.reconstruct(X))


def test_interpolation_starts_and_ends_at_reconstructions(X, fitted):
    path = fitted.interpolate(X[:3], X[3:6], n_steps=5)
    assert path.shape == (3, 5, X.shape[1])
    assert_allclose(path[:, 0], fitted.reconstruct(X[:3]), atol=1e-9)
    assert_allclose(path[:, -1], fitted.reconstruct(X[3:6]), atol=1e-9)


def test_interpolation_is_straight_for_a_box_and_spherical_for_a_normal_prior():
    t = np.linspace(0, 1, 5)
    start, end = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert_allclose(np.linalg.norm(Normal().path(start, end, t), axis=2), 1)
    assert_allclose(Uniform().path(start, end, t)[0, :, 0], 1 - t)


# Names and containers.


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(X, library):
    module = pytest.importorskip(library)
    names = list("abcdef")
    frame = module.DataFrame(dict(zip(names, X.T, strict=True)))
    model = AdversarialAutoencoder(n_components=2, max_iter=1, random_state=0)
    model.set_output(transform=library).fit(frame)
    codes = model.transform(frame)
    assert isinstance(codes, module.DataFrame)
    expected = ["adversarialautoencoder0", "adversarialautoencoder1"]
    assert list(codes.columns) == expected == list(model.get_feature_names_out())
    for rows in (model.inverse_transform(codes), model.reconstruct(frame), model.sample(3)):
        assert isinstance(rows, module.DataFrame)
        assert list(rows.columns) == names


def test_reconstruct_keeps_the_index_of_a_frame(X):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, index=np.arange(100, 100 + len(X)))
    frame.columns = [f"c{i}" for i in range(X.shape[1])]
    model = AdversarialAutoencoder(max_iter=1, random_state=0).set_output(transform="pandas")
    assert model.fit(frame).reconstruct(frame).index.equals(frame.index)


# Training.


@pytest.mark.parametrize("likelihood", sorted(LIKELIHOODS))
def test_every_likelihood_learns(likelihood):
    rng = np.random.default_rng(0)
    rate = rng.uniform(size=(200, 1)) * np.linspace(0.2, 1, 8)
    X = rng.poisson(20 * rate).astype(float)
    X = np.minimum(X / 20, 1) if likelihood == "bernoulli" else X
    model = AdversarialAutoencoder(
        n_components=1, likelihood=likelihood, max_iter=40, random_state=0
    ).fit(X)
    losses = model.history_["reconstruction_loss"]
    assert losses[-1] < 0.7
    assert losses[0] > losses[-1]
    assert np.corrcoef(model.reconstruct(X).ravel(), X.ravel())[0, 1] > 0.8
    assert np.isfinite(model.score_samples(X)).all()


@pytest.mark.parametrize("posterior", ["deterministic", "gaussian", "implicit"])
def test_every_posterior_learns_and_encodes_deterministically(X, posterior):
    model = AdversarialAutoencoder(
        n_components=2, posterior=posterior, max_iter=20, random_state=0
    ).fit(X)
    assert model.history_["reconstruction_loss"][-1] < 0.5
    assert_array_equal(model.transform(X), model.transform(X))
    assert model.transform(X).shape == (len(X), 2)


# The only one without a threshold; digits, above, are trained with the default.
FIRST_LOSSES = {"wasserstein"}


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(loss, marks=() if loss in FIRST_LOSSES else pytest.mark.thorough)
        for loss in sorted(ADVERSARIAL_LOSSES)
    ],
)
def test_every_adversarial_loss_pulls_codes_to_the_prior(X, loss):
    model = AdversarialAutoencoder(
        n_components=2, adversarial_loss=loss, adversarial_weight=1, max_iter=200, random_state=0
    )
    codes = model.fit(X).transform(X)
    assert_allclose(codes.std(axis=0), 1, atol=0.35)
    assert_allclose(codes.mean(axis=0), 0, atol=0.35)


@pytest.mark.parametrize("n_features", [pytest.param(4, marks=pytest.mark.thorough), 400])
def test_the_effect_of_adversarial_weight_does_not_depend_on_the_number_of_columns(n_features):
    # Two informative directions, repeated over all columns: the same data in other widths.
    rng = np.random.default_rng(0)
    latent = rng.uniform(-1, 1, size=(200, 2))
    X = latent @ np.tile(rng.normal(size=(2, 4)), n_features // 4)
    model = AdversarialAutoencoder(n_components=2, max_iter=100, random_state=0)
    codes = model.fit(X).transform(X)
    assert_allclose(codes.std(axis=0), 1, atol=0.25)


def test_image_shape_builds_convolutions(digits):
    X = digits[0][:200]
    model = AdversarialAutoencoder(
        image_shape=(1, 8, 8), hidden_layer_sizes=(32,), max_iter=15, lr=3e-3, random_state=0
    ).fit(X)
    assert any(isinstance(m, nn.Conv2d) for m in model.encoder_.modules())
    assert any(isinstance(m, nn.ConvTranspose2d) for m in model.decoder_.modules())
    assert model.reconstruct(X).shape == X.shape
    assert model.history_["reconstruction_loss"][-1] < 0.8


@pytest.mark.parametrize("max_iter", [1, 3])
def test_max_iter_counts_epochs(X, max_iter):
    model = AdversarialAutoencoder(max_iter=max_iter, random_state=0).fit(X)
    assert model.n_iter_ == max_iter
    assert {len(values) for values in model.history_.values()} == {max_iter}


def test_fewer_rows_than_a_batch_train(X):
    model = AdversarialAutoencoder(batch_size=1000, max_iter=5, random_state=0).fit(X[:3])
    assert model.n_iter_ == 5
    assert np.isfinite(model.transform(X)).all()


def test_partial_fit_continues(X):
    model = AdversarialAutoencoder(lr=3e-3, random_state=0)
    losses = [model.partial_fit(X).history_["reconstruction_loss"][-1] for _ in range(5)]
    assert model.n_iter_ == 5
    assert losses[-1] < 0.8 * losses[0]
    assert model.history_["reconstruction_loss"] == losses


def test_warm_start_continues_and_cold_start_does_not(X):
    model = AdversarialAutoencoder(max_iter=10, warm_start=True, random_state=0).fit(X)
    first = model.history_["reconstruction_loss"][-1]
    model.fit(X)
    assert model.n_iter_ == 20
    assert model.history_["reconstruction_loss"][-1] < first
    model.set_params(warm_start=False).fit(X)
    assert model.n_iter_ == 10


def test_training_options_may_change_between_warm_starts(X):
    model = AdversarialAutoencoder(max_iter=2, warm_start=True, random_state=0).fit(X)
    codes = model.transform(X)
    model.set_params(lr=1e-12, discriminator_lr=1e-12).fit(X)
    assert_allclose(model.transform(X), codes, atol=1e-4)


@pytest.mark.parametrize("rows", [np.asarray, lambda X: Chunks(np.array_split(X, 7))])
def test_many_rows_are_trained_on_in_part_where_the_budget_is_spent(rows):
    many = np.random.default_rng(0).normal(size=(20_000, 2))
    model = AdversarialAutoencoder(batch_size=8, hidden_layer_sizes=(4,), random_state=0).fit(
        rows(many), X_val=many[:50]
    )
    assert model.n_iter_ == 4
    assert model.net_.game.n_steps_ == 300
    assert model.partial_fit(many[:80]).net_.game.n_steps_ == 310
    asked = model.set_params(max_iter=1, batch_size=200).fit(rows(many), X_val=many[:50])
    assert asked.net_.game.n_steps_ == 100


def test_early_stopping_stops_and_restores_the_best_weights(X):
    model = AdversarialAutoencoder(
        max_iter=400, early_stopping=True, n_iter_no_change=3, tol=0.05, random_state=0
    ).fit(X)
    criterion = model.history_["early_stopping_criterion"]
    assert model.n_iter_ < 400
    # Retrained for exactly the best number of epochs, the schedule being a function of max_iter,
    # the held-out loss is the lowest one of the history.
    stopping = dict(model.net_.callbacks_)["EarlyStopping"]
    assert stopping.best_criterion_ == min(criterion)
    assert criterion.index(min(criterion)) + 1 == stopping.best_epoch_


def test_x_val_is_what_early_stopping_watches(X):
    model = AdversarialAutoencoder(max_iter=3, early_stopping=True, random_state=0)
    near = model.fit(X, X_val=X[:50]).history_["valid_loss"][0]
    far = model.fit(X, X_val=X[:50] + 30).history_["valid_loss"][0]
    assert far > 10 * near


def test_x_val_without_early_stopping_is_recorded(X):
    model = AdversarialAutoencoder(max_iter=3, random_state=0).fit(X, X_val=X[:50])
    assert len(model.history_["valid_loss"]) == len(model.history_["prior_match"]) == 3


def test_history_names(fitted):
    assert set(fitted.history_) == {
        "reconstruction_loss",
        "generator_loss",
        "discriminator_loss",
        "discriminator_accuracy",
        "gradient_norm",
        "train_loss",
    }
    assert all(type(v) is float for values in fitted.history_.values() for v in values)


def test_verbose_prints_lines_where_there_is_no_terminal(X, capsys):
    AdversarialAutoencoder(max_iter=3, verbose=1, random_state=0).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert re.match(r"epoch 3/3: reconstruction_loss=\d", lines[-1])


def test_quiet_by_default(X, capfd):
    AdversarialAutoencoder(max_iter=2, random_state=0).fit(X)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop])
def test_other_optimizers(X, optimizer):
    model = AdversarialAutoencoder(optimizer=optimizer, max_iter=5, weight_decay=1e-3, lr=1e-2)
    model.set_params(random_state=0).fit(X)
    assert isinstance(model.net_.optimizer_, optimizer)
    assert model.net_.optimizer_.param_groups[0]["weight_decay"] == 1e-3
    assert model.history_["reconstruction_loss"][-1] < model.history_["reconstruction_loss"][0]


# Networks of the user.


def linear(n_in, n_out):
    return nn.Linear(n_in, n_out)


def test_own_networks_by_callable(X):
    model = AdversarialAutoencoder(
        n_components=2, encoder=linear, decoder=linear, discriminator=linear, max_iter=2
    ).fit(X)
    assert isinstance(model.encoder_, nn.Linear)
    assert model.decoder_.out_features == X.shape[1]
    assert model.discriminator_.out_features == 1
    assert not model.encoder_.training


def test_an_instance_is_copied_and_not_trained(X):
    encoder = nn.Linear(X.shape[1], 2)
    before = copy.deepcopy(encoder.state_dict())
    model = AdversarialAutoencoder(n_components=2, encoder=encoder, max_iter=3, random_state=0)
    model.fit(X)
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    assert not torch.equal(model.encoder_.weight, encoder.weight)


def test_batch_normalisation_of_a_user_is_in_eval_mode_after_fit(X):
    encoder = nn.Sequential(nn.Linear(X.shape[1], 2), nn.BatchNorm1d(2))
    model = AdversarialAutoencoder(n_components=2, encoder=encoder, max_iter=2).fit(X)
    assert_allclose(model.transform(X[:1]), model.transform(X)[:1])


def test_rows_may_be_reversed_views(X):
    model = AdversarialAutoencoder(n_components=2, max_iter=1, random_state=0)
    codes = model.fit(X[::-1].copy()).transform(X)
    model.fit(X[::-1])
    assert_allclose(model.transform(X[::-1])[::-1], codes)
    assert_allclose(model.transform(X[::-1][:1]), codes[-1:])


# Priors.


@pytest.mark.parametrize("prior", [Normal(), "normal"])
def test_prior_parameters_are_reachable(X, prior):
    model = AdversarialAutoencoder(prior=prior, max_iter=1, random_state=0)
    search = GridSearchCV(model, {"prior__scale": [1.0, 5.0]}, cv=2).fit(X)
    assert set(search.cv_results_["param_prior__scale"]) == {1.0, 5.0}
    assert search.best_estimator_.prior_.scale == search.best_params_["prior__scale"]
    assert model.prior is prior


def test_a_named_prior_becomes_an_object_only_where_its_parameters_are_set():
    assert AdversarialAutoencoder().set_params(n_components=3, prior="uniform").prior == "uniform"
    grid = {"prior__n_classes": 4, "prior": "mixture_of_gaussians"}
    assert AdversarialAutoencoder().set_params(**grid).prior.n_classes == 4
    with pytest.raises(ValueError, match="Invalid parameter 'spread'"):
        AdversarialAutoencoder().set_params(prior__spread=3)


def test_any_object_with_sample_is_a_prior(X):
    class Ring:
        def sample(self, n_samples, generator):
            angle = 6.28 * torch.rand(n_samples, generator=generator)
            return torch.stack([angle.cos(), angle.sin()], dim=1)

    model = AdversarialAutoencoder(n_components=2, prior=Ring(), max_iter=2).fit(X)
    assert model.sample(3).shape == (3, X.shape[1])


def share_on_own_component(model, X, y):
    log_density = model.prior_.component_log_prob(torch.tensor(model.transform(X)))
    return (log_density.argmax(dim=1).numpy() == y).mean()


def test_labels_place_rows_on_their_components():
    X, y = make_blobs(400, n_features=5, centers=4, cluster_std=0.5, random_state=0)
    prior = priors.MixtureOfGaussians(n_classes=4)
    labels = np.where(np.arange(len(y)) < 200, y, -1)
    model = AdversarialAutoencoder(n_components=2, prior=prior, random_state=0).fit(X, labels)
    assert share_on_own_component(model, X[200:], y[200:]) > 0.9


@pytest.mark.thorough
def test_a_thousand_labels_place_held_out_digits_on_the_components_of_their_classes():
    X, y = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(X))
    X, y = X[order], y[order]
    labels = np.where(np.arange(1350) < 1000, y[:1350], -1)
    prior = priors.MixtureOfGaussians(n_classes=10)
    model = AdversarialAutoencoder(n_components=2, prior=prior, random_state=0)
    model.fit(X[:1350], labels)
    assert share_on_own_component(model, X[1350:], y[1350:]) > 0.9
    free = clone(model).fit(X[:1350])  # without labels no component knows its class
    assert share_on_own_component(free, X[1350:], y[1350:]) < 0.5


def test_batches_without_a_label_train_too():
    X, y = make_blobs(400, n_features=5, centers=4, random_state=0)
    labels = np.where(np.arange(400) == 7, y, -1)
    prior = priors.MixtureOfGaussians(n_classes=4)
    model = AdversarialAutoencoder(2, prior=prior, max_iter=3, random_state=0).fit(X, labels)
    assert np.isfinite(model.history_["placement_loss"]).all()


def test_y_is_ignored_by_priors_without_classes(X, fitted):
    other = clone(fitted).fit(X, np.array(["a", "b"] * (len(X) // 2)))
    assert_array_equal(other.transform(X), fitted.transform(X))


# Interrupts.


class Interrupt:
    """A prior that is interrupted at its n-th draw in training."""

    def __init__(self, after):
        self.after = after
        self.n_draws = 0

    def sample(self, n_samples, generator):
        self.n_draws += 1
        if self.n_draws == self.after:
            raise KeyboardInterrupt
        return torch.randn((n_samples, 2), generator=generator)


@pytest.mark.parametrize("after", [3, 30])
def test_interrupt_leaves_a_usable_estimator_and_warns(X, after):
    model = AdversarialAutoencoder(
        n_components=2, prior=Interrupt(after), max_iter=10, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match=r"interrupted after \d of 10 epochs"):
        model.fit(X)
    assert model.n_iter_ < 10
    for values in outputs(model, X).values():
        assert np.isfinite(values).all()


def test_a_callback_that_raises_leaves_the_estimator_unfitted(X):
    from skorch.callbacks import Callback

    class Failing(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise RuntimeError("out of coffee")

    model = AdversarialAutoencoder(max_iter=2, callbacks=[Failing()])
    with pytest.raises(RuntimeError, match="out of coffee"):
        model.fit(X)
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize("factor", [2.0**1020, 2.0**-1070])
def test_the_unit_of_weights_does_not_matter(X, factor):
    # Powers of two, of which the first makes sums overflow and the second squares vanish.
    weight = np.random.default_rng(0).integers(0, 4, size=len(X)).astype(float)
    model = AdversarialAutoencoder(max_iter=1, hidden_layer_sizes=(4,), random_state=0)
    expected = model.fit(X, sample_weight=weight).score_samples(X)
    assert_array_equal(model.fit(X, sample_weight=factor * weight).score_samples(X), expected)


def test_selected_rows_have_the_codes_of_their_copy(X):
    model = AdversarialAutoencoder(2, max_iter=1, random_state=0).fit(X)
    positions = np.array([len(X) - 1, 3, 3, 7])
    encode = model._inference.encode
    assert_array_equal(encode(SelectedRows(X, positions)), encode(X[positions]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_beyond_the_training_range_have_the_codes_of_its_border(X, dtype):
    X = X.astype(dtype)
    model = AdversarialAutoencoder(2, max_iter=1, random_state=0).fit(X)
    far = X[:3] + np.array([[1e3], [-1e3], [1e30]], dtype)
    border = np.where(far > X.mean(axis=0), X.max(axis=0), X.min(axis=0))
    for method in (model.transform, model.reconstruct):
        assert_allclose(method(far), method(border), rtol=1e-5, atol=1e-6)


def test_rows_of_any_layout_have_the_same_codes(X):
    model = AdversarialAutoencoder(2, max_iter=1, random_state=0).fit(X)
    read_only = X.copy()
    read_only.flags.writeable = False
    backwards, by_columns = X[::-1].copy()[::-1], np.asfortranarray(X)
    for rows in (read_only, backwards, by_columns, np.repeat(X, 2, axis=1)[:, ::2]):
        assert_array_equal(model.transform(rows), model.transform(X))
        assert_array_equal(model.score_samples(rows), model.score_samples(X))
