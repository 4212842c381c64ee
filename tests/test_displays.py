"""Displays draw what the estimator computes, where they are told to, and nothing else."""

import builtins
import re
import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity, NearestNeighbors
from sklearn.pipeline import make_pipeline

from sklearn_aae import AdversarialAutoencoder, displays
from sklearn_aae.displays import (
    LatentSpaceDisplay,
    OutlierScoreDisplay,
    ReconstructionDisplay,
    SampleDisplay,
    TrainingCurveDisplay,
    TraversalDisplay,
)
from sklearn_aae.displays.drawing import montage
from sklearn_aae.displays.prior_contours import prior_draws
from sklearn_aae.priors import Empirical, MixtureOfGaussians, Normal, SwissRoll, Uniform

SHAPE = (8, 8)
NAMES = ["width", "height", "depth", "mass"]


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(n_class=3, return_X_y=True)
    return X[:120], y[:120]


@pytest.fixture(scope="module")
def model(digits):
    return AdversarialAutoencoder(
        n_components=2, max_iter=4, early_stopping=True, random_state=0
    ).fit(digits[0])


@pytest.fixture(scope="module")
def frame():
    values = np.random.default_rng(0).normal(size=(60, 4)) * [1, 10, 100, 1000]
    return pd.DataFrame(values, columns=NAMES)


@pytest.fixture(scope="module")
def table_model(frame):
    return AdversarialAutoencoder(n_components=3, max_iter=3, random_state=0).fit(frame)


@pytest.fixture(autouse=True)
def nothing_is_shown_or_written(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a display must not show or write a figure")

    for owner, name in ((plt, "show"), (plt, "savefig"), (Figure, "show"), (Figure, "savefig")):
        monkeypatch.setattr(owner, name, refuse)
    yield
    plt.close("all")


def calls(model, digits):
    """Every display, from the same estimator, as a function of further arguments."""
    X, y = digits
    outlier_labels = np.where(y == 0, -1, 1)
    return {
        "TrainingCurveDisplay": lambda **k: TrainingCurveDisplay.from_estimator(model, **k),
        "LatentSpaceDisplay": lambda **k: LatentSpaceDisplay.from_estimator(model, X, y, **k),
        "ReconstructionDisplay": lambda **k: ReconstructionDisplay.from_estimator(
            model, X, image_shape=SHAPE, **k
        ),
        "SampleDisplay": lambda **k: SampleDisplay.from_estimator(
            model, X, image_shape=SHAPE, n_samples=9, random_state=0, **k
        ),
        "TraversalDisplay": lambda **k: TraversalDisplay.from_estimator(
            model, image_shape=SHAPE, n_steps=3, **k
        ),
        "OutlierScoreDisplay": lambda **k: OutlierScoreDisplay.from_estimator(
            model, X, outlier_labels, image_shape=SHAPE, **k
        ),
    }


ALL = [name for name in displays.__all__ if name.endswith("Display")]


# What all have in common ----------------------------------------------------------------------


def test_every_display_is_tried(model, digits):
    assert set(calls(model, digits)) == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_new_figure_is_made_and_kept(name, model, digits):
    display = calls(model, digits)[name]()
    assert [plt.figure(number) for number in plt.get_fignums()] == [display.figure_]
    assert display.ax_ in display.figure_.axes
    display.figure_.canvas.draw()  # warnings are errors: no text runs out of room


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("layout", [None, "constrained"])
def test_the_axes_given_are_drawn_on(name, layout, model, digits):
    figure, axes = plt.subplots(1, 2, figsize=(30, 8), layout=layout)
    display = calls(model, digits)[name](ax=axes[0])
    assert display.figure_ is figure
    assert len(plt.get_fignums()) == 1
    figure.canvas.draw()
    assert not axes[1].has_data()
    panels = getattr(display, "axes_", np.array([display.ax_])).ravel()
    if len(panels) == 1:
        assert panels[0] is axes[0]
    else:  # they share the place of the one given
        place = axes[0].get_subplotspec().get_position(figure)
        for panel in panels:
            box = panel.get_subplotspec().get_position(figure)
            assert place.x0 - 1e-9 <= box.x0 <= box.x1 <= place.x1 + 1e-9
        assert not axes[0].axison


@pytest.mark.parametrize(
    ("name", "n_panels"), [("TrainingCurveDisplay", 4), ("OutlierScoreDisplay", 2)]
)
def test_one_axes_for_each_panel(name, n_panels, model, digits):
    _, axes = plt.subplots(1, n_panels)
    display = calls(model, digits)[name](ax=axes)
    assert list(display.axes_.ravel()) == list(axes)
    with pytest.raises(ValueError, match=f"panels, got {n_panels + 1} axes"):
        calls(model, digits)[name](ax=[*axes, axes[0]])


def test_panels_cannot_share_axes_without_a_place_in_a_grid(model):
    ax = plt.figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match="ax has no place in a grid"):
        TrainingCurveDisplay.from_estimator(model, ax=ax)


@pytest.mark.parametrize("name", ALL)
def test_axes_have_labels(name, model, digits):
    display = calls(model, digits)[name]()
    panels = getattr(display, "axes_", np.array([display.ax_])).ravel()
    for panel in panels:
        assert panel.get_title() or (panel.get_xlabel() and panel.get_ylabel())


@pytest.mark.parametrize("name", ALL)
def test_drawing_again_needs_no_estimator(name, model, digits):
    display = calls(model, digits)[name]()
    first = display.ax_
    assert display.plot() is display
    assert display.ax_ is not first


@pytest.mark.parametrize("name", ALL)
def test_an_estimator_that_is_not_fitted_is_refused(name, digits):
    with pytest.raises(NotFittedError):
        calls(AdversarialAutoencoder(), digits)[name]()
    assert not plt.get_fignums()


@pytest.mark.parametrize("name", ALL)
def test_an_estimator_without_what_is_drawn_is_refused(name, digits):
    neighbors = NearestNeighbors().fit(digits[0])  # no rows become codes, and nothing is sampled
    with pytest.raises(TypeError, match=rf"{name}.from_estimator needs .*NearestNeighbors has no "):
        calls(neighbors, digits)[name]()
    assert not plt.get_fignums()


def test_displays_use_public_attributes_only():
    for file in Path(displays.__file__).parent.glob("*.py"):
        assert re.findall(r"\bestimator\._\w+", file.read_text()) == [], file.name


def test_codes_without_a_prior_are_not_enough_where_it_is_drawn(digits):
    pca = PCA(2).fit(digits[0])
    with pytest.raises(TypeError, match=r"LatentSpaceDisplay.from_estimator needs .*PCA has no "):
        LatentSpaceDisplay.from_estimator(pca, digits[0])
    assert not plt.get_fignums()
    LatentSpaceDisplay.from_estimator(pca, digits[0], show_prior=False)


def test_the_message_says_what_to_do_with_a_pipeline(digits):
    pipeline = make_pipeline(PCA(4), AdversarialAutoencoder(max_iter=1)).fit(digits[0])
    with pytest.raises(TypeError, match="of a Pipeline, its last step"):
        TrainingCurveDisplay.from_estimator(pipeline)
    TrainingCurveDisplay.from_estimator(pipeline[-1])


@pytest.mark.parametrize("name", ALL)
def test_without_matplotlib_the_message_has_the_command(name, model, digits, monkeypatch):
    for module in [m for m in sys.modules if m.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    real_import = builtins.__import__

    def no_matplotlib(module, *args, **kwargs):
        if module.split(".")[0] == "matplotlib":
            raise ImportError("no such module")
        return real_import(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_matplotlib)
    with pytest.raises(ImportError, match=rf"{name}.*pip install 'sklearn-aae\[plot\]'"):
        calls(model, digits)[name]()


def test_importing_the_module_does_not_import_matplotlib():
    import subprocess

    code = "import sklearn_aae.displays, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["ReconstructionDisplay", "SampleDisplay", "OutlierScoreDisplay"])
@pytest.mark.parametrize("image_shape", [(8, 9), (2, 4, 8), (64,), (8.0, 8), "88"])
def test_image_shape_has_to_fit(name, image_shape, model, digits):
    display = getattr(displays, name)
    with pytest.raises(ValueError, match="image_shape"):
        display.from_estimator(model, digits[0], image_shape=image_shape)
    assert not plt.get_fignums()


def test_image_shape_comes_from_the_estimator(digits):
    X, _ = digits
    conv = AdversarialAutoencoder(image_shape=(1, 8, 8), max_iter=1, random_state=0).fit(X)
    display = ReconstructionDisplay.from_estimator(conv, X, n_images=3)
    assert display.image_.get_array().shape == (17, 26)


@pytest.mark.parametrize("columns", ["none", 4, [-1], ["width", 1.5], [True]])
def test_columns_have_to_be_there(columns, table_model, frame):
    for display in (ReconstructionDisplay, SampleDisplay):
        with pytest.raises(ValueError, match="columns must be names of features or ints"):
            display.from_estimator(table_model, frame, columns=columns)
    with pytest.raises(ValueError, match="columns is empty"):
        ReconstructionDisplay.from_estimator(table_model, frame, columns=[])


def test_columns_are_not_for_images(model, digits):
    for display in (ReconstructionDisplay, SampleDisplay):
        with pytest.raises(ValueError, match="not drawn of images"):
            display.from_estimator(model, digits[0], image_shape=SHAPE, columns=[0])
    with pytest.raises(ValueError, match="not drawn of images"):
        TraversalDisplay.from_estimator(model, image_shape=SHAPE, columns=[0])


# Images ---------------------------------------------------------------------------------------


def tile(canvas, row, column, height=8, width=8):
    """Image of a montage, by its place."""
    top, left = row * (height + 1), column * (width + 1)
    return np.asarray(canvas[top : top + height, left : left + width])


def test_a_montage_holds_every_image_and_nothing_else():
    images = np.arange(5 * 2 * 3, dtype=float).reshape(5, 2, 3)
    canvas = montage(images, n_columns=2)
    assert canvas.shape == (8, 7)
    for index, image in enumerate(images):
        np.testing.assert_array_equal(tile(canvas, *divmod(index, 2), 2, 3), image)
    assert np.isnan(canvas).sum() == canvas.size - images.size


def test_colour_images_are_drawn_in_their_colours():
    X = np.zeros((2, 3 * 2 * 2))
    X[0, :4] = 0.5  # dark red, channels first
    display = ReconstructionDisplay.from_predictions(X, X, image_shape=(3, 2, 2))
    canvas = np.asarray(display.image_.get_array())
    assert canvas.shape == (5, 5, 4)
    np.testing.assert_array_equal(canvas[:2, :2], np.full((2, 2, 4), [0.5, 0, 0, 1]))
    assert (canvas[2, :, 3] == 0).all()  # the gap is clear


# Training curves ------------------------------------------------------------------------------


def test_curves_are_the_history(model):
    display = TrainingCurveDisplay.from_estimator(model)
    assert {"reconstruction_loss", "valid_loss", "prior_match", "discriminator_accuracy"} <= set(
        display.lines_
    )
    for name, line in display.lines_.items():
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, model.n_iter_ + 1))
        np.testing.assert_array_equal(line.get_ydata(), model.history_[name])
    assert "share of the null deviance" in display.axes_[0].get_ylabel()
    assert "nats" in display.axes_[1].get_ylabel()


def test_the_level_of_a_perfect_match_is_drawn(model):
    ax = TrainingCurveDisplay.from_estimator(model).axes_[3]
    levels = [line.get_ydata()[0] for line in ax.get_lines() if "samples" in line.get_label()]
    assert levels == [model.prior_match_["null"]]


def test_without_a_game_only_the_reconstruction_is_drawn(frame):
    plain = AdversarialAutoencoder(adversarial_weight=0, max_iter=2, random_state=0).fit(frame)
    assert list(TrainingCurveDisplay.from_estimator(plain).lines_) == ["reconstruction_loss"]


def test_other_entries_are_drawn_by_name(model):
    display = TrainingCurveDisplay.from_estimator(model, names=["gradient_norm"], linewidth=5)
    assert list(display.lines_) == ["gradient_norm"]
    assert display.lines_["gradient_norm"].get_linewidth() == 5
    with pytest.raises(ValueError, match=r"names: \['spread'\] not in the history"):
        TrainingCurveDisplay.from_estimator(model, names=["spread"])


def test_losses_of_other_critics_join_the_panels():
    names = ["generator_loss", "category_generator_loss", "category_discriminator_accuracy"]
    display = TrainingCurveDisplay(history={name: [0.5, 0.4] for name in names}).plot()
    assert [len(ax.get_lines()) for ax in display.axes_] == [2, 2]  # one is the level of guessing
    assert "no unit" in display.axes_[0].get_ylabel()


def test_histories_of_unequal_length_are_refused():
    history = {"reconstruction_loss": [1.0, 0.5], "valid_loss": [1.0]}
    with pytest.raises(ValueError, match="one value for each epoch, got lengths"):
        TrainingCurveDisplay(history=history).plot()
    with pytest.raises(ValueError, match="nothing to draw"):
        TrainingCurveDisplay(history={"train_loss": [1.0]}).plot()


def test_epochs_that_held_nothing_out_leave_a_gap(model, digits):
    X, _ = digits
    later = AdversarialAutoencoder(
        n_components=2, max_iter=3, early_stopping=True, random_state=0
    ).fit(X)
    later.partial_fit(X)
    drawn = TrainingCurveDisplay.from_estimator(later).lines_["valid_loss"].get_ydata()
    assert len(drawn) == later.n_iter_
    assert np.isfinite(drawn[:-1]).all()
    assert np.isnan(drawn[-1])


# Latent space ---------------------------------------------------------------------------------


def test_points_are_the_codes_by_class(model, digits):
    X, y = digits
    display = LatentSpaceDisplay.from_estimator(model, X, y, dimensions=(1, 0))
    codes = model.transform(X)[:, [1, 0]]
    assert len(display.scatters_) == 3
    for label, points in enumerate(display.scatters_):
        np.testing.assert_allclose(points.get_offsets(), codes[y == label])
    texts = [text.get_text() for text in display.legend_.get_texts()]
    assert texts[:3] == ["0", "1", "2"]
    assert "dimension 1" in display.ax_.get_xlabel()
    assert "dimension 0" in display.ax_.get_ylabel()
    colors = {tuple(points.get_facecolor()[0]) for points in display.scatters_}
    assert len(colors) == 3


def test_without_labels_there_is_one_cloud(model, digits):
    display = LatentSpaceDisplay.from_estimator(model, digits[0], show_prior=False)
    assert len(display.scatters_) == 1
    assert display.legend_ is display.colorbar_ is display.prior_ is None


def test_many_numbers_get_a_colour_bar(model, digits):
    X, _ = digits
    display = LatentSpaceDisplay.from_estimator(model, X, X.mean(axis=1))
    np.testing.assert_allclose(display.scatters_[0].get_array(), X.mean(axis=1))
    assert display.colorbar_ is not None


def test_many_names_get_markers(model, digits):
    codes = model.transform(digits[0])
    y = np.array([f"class {i % 12:02d}" for i in range(len(codes))])
    display = LatentSpaceDisplay.from_predictions(codes, y)
    looks = {
        (tuple(p.get_facecolor()[0]), len(p.get_paths()[0].vertices)) for p in display.scatters_
    }
    assert len(looks) == 12
    with pytest.raises(ValueError, match="y has 60 classes"):
        LatentSpaceDisplay.from_predictions(codes, np.array([f"c{i % 60}" for i in range(120)]))


def test_contours_of_the_normal_prior_are_its_circles(model, digits):
    display = LatentSpaceDisplay.from_estimator(model, digits[0])
    contours = display.prior_contours
    np.testing.assert_array_equal(display.prior_.levels, contours.levels)
    # The region with a share m of a normal plane ends where the density is 1 - m of its top.
    np.testing.assert_allclose(contours.levels, 1 - contours.masses, atol=0.02)
    np.testing.assert_allclose(contours.masses, [0.99, 0.9, 0.5], atol=1e-3)
    x, y = np.meshgrid(contours.x, contours.y)
    np.testing.assert_allclose(contours.density, np.exp(-(x**2 + y**2) / 2), atol=1e-3)


@pytest.mark.parametrize(
    ("prior", "dimensions"),
    [
        (Normal(n_components=5), (3, 1)),
        (Uniform(n_components=3), (0, 2)),
        (MixtureOfGaussians(n_components=4), (0, 1)),
        (MixtureOfGaussians(n_components=2), (1, 0)),
    ],
)
def test_contours_hold_the_share_of_draws_they_say(prior, dimensions):
    width = prior.n_components
    display = LatentSpaceDisplay.from_predictions(
        np.zeros((3, width)), prior=prior, dimensions=dimensions
    )
    contours = display.prior_contours
    assert (np.diff(contours.levels) > 0).all()
    draws = prior.sample(4000, torch.Generator().manual_seed(1)).numpy()[:, list(dimensions)]
    column = np.abs(contours.x[:, None] - draws[:, 0]).argmin(axis=0)
    row = np.abs(contours.y[:, None] - draws[:, 1]).argmin(axis=0)
    density = contours.density[row, column]
    for level, mass in zip(contours.levels, contours.masses, strict=True):
        assert (density >= level).mean() == pytest.approx(mass, abs=0.04)


@pytest.mark.parametrize(
    ("prior", "dimensions"),
    [
        (SwissRoll(n_components=2), (0, 1)),  # no density at all
        (MixtureOfGaussians(n_components=3), (0, 2)),  # no density in these two alone
        (Empirical(np.eye(2), n_components=2), (0, 1)),
        (Empirical(KernelDensity().fit(4 * np.eye(3)), n_components=3), (0, 1)),
    ],
)
def test_where_there_is_no_density_draws_are_drawn(prior, dimensions):
    codes = np.zeros((3, prior.n_components))
    display = LatentSpaceDisplay.from_predictions(codes, prior=prior, dimensions=dimensions)
    assert display.prior_contours is None
    np.testing.assert_allclose(display.prior_.get_offsets(), display.prior_draws)
    assert display.legend_.get_texts()[0].get_text() == "draws of the prior"


def test_a_fitted_mixture_as_prior_has_contours(digits):
    mixture = GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).normal(size=(50, 2)))
    prior = Empirical(mixture, n_components=2)
    display = LatentSpaceDisplay.from_predictions(np.zeros((3, 2)), prior=prior)
    assert display.prior_contours.density.max() == pytest.approx(1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": (0, 2)}, "dimensions must be different ints from 0 to 1"),
        ({"dimensions": (0, 0)}, "dimensions must be different ints"),
        ({"dimensions": (0,)}, "dimensions must be two ints"),
        ({"y": [0, 1]}, "y must have one label for each of the 3 rows, got 2"),
        ({"y": [0, 1, np.nan]}, "y contains NaN"),
        ({"prior": Normal(n_components=3)}, "draws 3 dimensions, and the codes have 2"),
    ],
)
def test_what_does_not_fit_the_codes_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LatentSpaceDisplay.from_predictions(np.zeros((3, 2)), **options)
    assert not plt.get_fignums()


def test_a_code_of_one_dimension_is_refused():
    with pytest.raises(ValueError, match="n_components of at least 2"):
        LatentSpaceDisplay.from_predictions(np.zeros((3, 1)))


# Reconstructions ------------------------------------------------------------------------------


def test_images_are_those_of_reconstruct(model, digits):
    X, _ = digits
    display = ReconstructionDisplay.from_estimator(model, X, image_shape=SHAPE, n_images=4)
    canvas = display.image_.get_array()
    reconstructed = model.reconstruct(X)
    for column in range(4):
        np.testing.assert_array_equal(tile(canvas, 0, column), X[column].reshape(SHAPE))
        np.testing.assert_allclose(
            tile(canvas, 1, column), reconstructed[column].reshape(SHAPE), atol=1e-9
        )
    assert display.mean_squared_error == pytest.approx(np.square(X - reconstructed).mean())
    assert f"{display.mean_squared_error:.3g}" in display.ax_.get_title()
    errors = [float(label.get_text()) for label in display.ax_.get_xticklabels()]
    expected = np.square(X - reconstructed).mean(axis=1)[:4]
    np.testing.assert_allclose(errors, expected, rtol=1e-2)


def test_no_grey_value_is_cut_off(model, digits):
    display = ReconstructionDisplay.from_estimator(model, digits[0], image_shape=SHAPE)
    low, high = display.image_.get_clim()
    canvas = display.image_.get_array()
    assert low <= canvas.min()
    assert canvas.max() <= high


def test_columns_are_drawn_against_their_reconstructions(table_model, frame):
    display = ReconstructionDisplay.from_estimator(table_model, frame, columns=["mass", 0])
    reconstructed = table_model.reconstruct(frame).to_numpy()
    assert [ax.get_title() for ax in display.axes_] == ["mass", "width"]
    for points, column in zip(display.scatters_, (3, 0), strict=True):
        expected = np.column_stack([frame.iloc[:, column], reconstructed[:, column]])
        np.testing.assert_allclose(points.get_offsets(), expected)
    error = np.sqrt(np.square(frame["mass"] - reconstructed[:, 3]).mean())
    assert f"RMSE {error:.3g}" in display.texts_[0].get_text()


def test_all_of_four_columns_are_drawn_by_default(table_model, frame):
    display = ReconstructionDisplay.from_estimator(table_model, frame)
    assert [ax.get_title() for ax in display.axes_] == NAMES
    assert len(display.figure_.axes) == 4


def test_a_constant_column_has_an_error_and_no_share_of_variance():
    X = np.column_stack([np.ones(3), np.arange(3.0)])
    display = ReconstructionDisplay.from_predictions(X, X + 0.5)
    assert display.texts_[0].get_text() == "RMSE 0.5"
    assert display.texts_[1].get_text() == "RMSE 0.5\nR² 0.625"


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"same shape, got \(3, 2\) and \(2, 2\)"):
        ReconstructionDisplay.from_predictions(np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="n_images must be an int of at least 1, got 0"):
        ReconstructionDisplay.from_predictions(
            np.ones((3, 4)), np.ones((3, 4)), image_shape=(2, 2), n_images=0
        )


# Samples --------------------------------------------------------------------------------------


def test_sampled_images_are_those_of_sample(model):
    display = SampleDisplay.from_estimator(model, n_samples=5, image_shape=SHAPE, random_state=3)
    canvas = display.images_[0].get_array()
    for index, row in enumerate(model.sample(5, random_state=3)):
        np.testing.assert_allclose(tile(canvas, *divmod(index, 3)), row.reshape(SHAPE))
    assert len(display.images_) == 1


def test_data_are_drawn_beside_on_the_same_scale(model, digits):
    X, _ = digits
    display = SampleDisplay.from_estimator(model, X, n_samples=4, image_shape=SHAPE)
    samples, data = display.images_
    np.testing.assert_array_equal(tile(data.get_array(), 1, 1), X[3].reshape(SHAPE))
    assert samples.get_clim() == data.get_clim()


def test_two_columns_of_samples_and_data(table_model, frame):
    display = SampleDisplay.from_estimator(
        table_model, frame, n_samples=20, columns=["depth", "width"], random_state=0
    )
    data, samples = display.scatters_
    np.testing.assert_allclose(data.get_offsets(), frame[["depth", "width"]])
    expected = table_model.sample(20, random_state=0)[["depth", "width"]]
    np.testing.assert_allclose(samples.get_offsets(), expected)
    assert display.ax_.get_xlabel() == "depth (units of X)"
    assert len(display.histograms_) == 4
    for histogram in display.histograms_:
        assert histogram.get_data().values.sum() == pytest.approx(100)


def test_one_column_is_a_histogram(table_model, frame):
    display = SampleDisplay.from_estimator(table_model, frame, columns="mass")
    assert display.scatters_ == []
    data, _ = display.histograms_
    expected = np.histogram(frame["mass"], data.get_data().edges)[0] / len(frame)
    np.testing.assert_allclose(data.get_data().values, 100 * expected)
    assert display.ax_.get_xlabel() == "mass (units of X)"
    with pytest.raises(ValueError, match="columns must be one or two, got 3"):
        SampleDisplay.from_estimator(table_model, frame, columns=[0, 1, 2])


def test_data_of_another_width_are_refused(model, frame):
    with pytest.raises(ValueError, match=r"X has 4 columns, and samples of .* have 64"):
        SampleDisplay.from_estimator(model, frame)


class Labelled(BaseEstimator):
    """Samples and decodes with a label, as classifiers and conditional estimators do."""

    n_features_in_ = 4
    prior_ = Normal(n_components=2)

    def fit(self, X, y):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def sample(self, n_samples, y=None, random_state=None):
        labels = np.arange(n_samples) % 2 if y is None else np.full(n_samples, y)
        return np.tile(labels[:, None] / 1.0, 4), labels

    def inverse_transform(self, Z, y):
        return np.column_stack([Z, y, y])


def test_samples_with_labels_show_them():
    display = SampleDisplay.from_estimator(Labelled(), n_samples=4, image_shape=(2, 2))
    assert [text.get_text() for text in display.texts_] == ["0", "1", "0", "1"]
    display = SampleDisplay.from_estimator(Labelled(), n_samples=4, y=7, image_shape=(2, 2))
    assert [text.get_text() for text in display.texts_] == ["7"] * 4


# Walks ----------------------------------------------------------------------------------------


def test_a_walk_changes_one_dimension_between_the_quantiles(table_model):
    display = TraversalDisplay.from_estimator(
        table_model, dimensions=[2, 0], n_steps=3, quantile_range=(0.25, 0.75)
    )
    quartile = 0.6745  # of the standard normal distribution
    np.testing.assert_allclose(display.steps, [[-quartile, 0, quartile]] * 2, atol=0.03)
    middle = np.median(prior_draws(table_model.prior_, 20_000), axis=0)
    for row, dimension in enumerate([2, 0]):
        codes = np.tile(middle, (3, 1))
        codes[:, dimension] = display.steps[row]
        expected = table_model.inverse_transform(codes)
        np.testing.assert_allclose(display.decoded[row], expected, rtol=1e-3, atol=1e-5)
    for i, j in np.ndindex(2, 4):
        line = display.lines_[i, j]
        np.testing.assert_allclose(line.get_xdata(), [25, 50, 75])
        np.testing.assert_allclose(line.get_ydata(), display.decoded[i, :, j])
    assert [ax.get_title() for ax in display.axes_[0]] == NAMES


def test_a_walk_departs_from_the_code_of_a_row(table_model, frame):
    row = frame.iloc[[5]]
    code = table_model.transform(row)[0]
    display = TraversalDisplay.from_estimator(table_model, row, dimensions=[1], n_steps=2)
    codes = np.array([[code[0], step, code[2]] for step in display.steps[0]])
    np.testing.assert_allclose(display.decoded[0], table_model.inverse_transform(codes))
    with pytest.raises(ValueError, match="X must be one row to depart from, got 2"):
        TraversalDisplay.from_estimator(table_model, frame.iloc[:2])


def test_the_manifold_is_a_grid_of_decoded_codes(model):
    display = TraversalDisplay.from_estimator(model, image_shape=SHAPE, n_steps=3)
    assert display.kind == "manifold"
    canvas = display.image_.get_array()
    for i, j in np.ndindex(3, 3):
        code = np.array([[display.steps[0, j], display.steps[1, i]]], dtype=np.float32)
        expected = model.inverse_transform(code).reshape(SHAPE)
        # The second dimension grows upwards.
        np.testing.assert_allclose(tile(canvas, 2 - i, j), expected, atol=1e-4)
    rows = TraversalDisplay.from_estimator(model, image_shape=SHAPE, n_steps=3, kind="rows")
    assert rows.decoded.shape == (2, 3, 64)


def test_a_label_is_decoded_with():
    display = TraversalDisplay.from_estimator(Labelled(), y=3, n_steps=4)
    assert (display.decoded[:, :, 2:] == 3).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_steps": 1}, "n_steps must be an int of at least 2, got 1"),
        ({"quantile_range": (0.9, 0.1)}, "quantile_range must be two increasing numbers"),
        ({"quantile_range": (0, 1)}, "quantile_range must be two increasing numbers"),
        ({"dimensions": [3]}, "dimensions must be different ints from 0 to 2"),
        ({"kind": "grid"}, "kind must be"),
        ({"kind": "manifold"}, 'kind="manifold" is a grid of images over two dimensions'),
    ],
)
def test_a_walk_that_cannot_be_made_is_refused(options, message, table_model):
    with pytest.raises(ValueError, match=message):
        TraversalDisplay.from_estimator(table_model, **options)
    assert not plt.get_fignums()


# Outlier scores -------------------------------------------------------------------------------


def test_scores_labels_and_threshold(model, digits):
    X, labels = digits
    y = np.where(labels == 0, -1, 1)
    display = OutlierScoreDisplay.from_estimator(model, X, y)
    scores = model.score_samples(X)
    np.testing.assert_allclose(display.scores, scores)
    assert display.threshold_.get_xdata()[0] == model.offset_
    for histogram, label in zip(display.histograms_, (1, -1), strict=True):
        edges = histogram.get_data().edges
        expected = np.histogram(scores[y == label], edges)[0] / (y == label).sum()
        np.testing.assert_allclose(histogram.get_data().values, 100 * expected)
        flagged = 100 * (model.predict(X)[y == label] == -1).mean()
        assert f"{flagged:.3g} % flagged" in histogram.get_label()


def test_top_rows_with_their_feature_scores(table_model, frame):
    display = OutlierScoreDisplay.from_estimator(table_model, frame, n_rows=3)
    lowest = np.argsort(table_model.score_samples(frame))[:3]
    np.testing.assert_array_equal(display.top.positions, lowest)
    scores = table_model.feature_scores(frame)[lowest]
    shares = 100 * scores / scores.sum(axis=1, keepdims=True)
    order = np.argsort(-shares.sum(axis=0))
    np.testing.assert_allclose(display.image_.get_array(), shares[:, order])
    ax = display.axes_[0, 1]
    assert [label.get_text() for label in ax.get_xticklabels()] == [NAMES[i] for i in order]
    assert [label.get_text().split("\n")[0] for label in ax.get_yticklabels()] == [
        f"row {row}" for row in lowest
    ]


def test_columns_that_are_not_shown_are_summed_up(table_model, frame):
    display = OutlierScoreDisplay.from_estimator(table_model, frame, n_rows=2)
    display.plot(n_columns=1)
    ax = display.axes_[0, 1]
    assert ax.get_xticklabels()[-1].get_text() == "3 others"
    written = np.array([int(text.get_text()) for text in ax.texts]).reshape(2, 2)
    np.testing.assert_allclose(written.sum(axis=0), 100, atol=1)


def test_top_rows_as_images_over_their_feature_scores(model, digits):
    X, _ = digits
    display = OutlierScoreDisplay.from_estimator(model, X, image_shape=SHAPE, n_rows=2)
    lowest = display.top.positions
    np.testing.assert_array_equal(
        tile(display.images_.get_array(), 0, 1), X[lowest[1]].reshape(SHAPE)
    )
    scores = model.feature_scores(X)[lowest[1]]
    np.testing.assert_allclose(
        tile(display.image_.get_array(), 0, 1),
        100 * (scores / scores.sum()).reshape(SHAPE),
        atol=1e-9,
    )


def test_other_detectors_have_one_panel(digits):
    X, _ = digits
    forest = IsolationForest(n_estimators=5, random_state=0).fit(X)
    display = OutlierScoreDisplay.from_estimator(forest, X)
    assert display.axes_.shape == (1, 1)
    assert len(display.histograms_) == 1
    assert display.threshold_.get_xdata()[0] == forest.offset_


@pytest.mark.parametrize(
    ("scores", "y", "message"),
    [
        ([1.0, np.nan], None, "1 of 2 are not finite"),
        ([1.0, -np.inf], None, "1 of 2 are not finite"),
        ([], None, "scores"),
        ([1.0, 2.0], [0, 1], r"y must be 1 for inliers and -1 for outliers, got \[0, 1\]"),
        ([1.0, 2.0], [1], "y must have one label for each of the 2 rows, got 1"),
    ],
)
def test_scores_and_labels_are_checked(scores, y, message):
    with pytest.raises(ValueError, match=message):
        OutlierScoreDisplay.from_predictions(scores, y)
    assert not plt.get_fignums()


def test_scores_without_a_threshold():
    display = OutlierScoreDisplay.from_predictions([1.0, 2.0, 3.0], [1, 1, 1], bins=2)
    assert display.threshold_ is None
    assert display.histograms_[1].get_label() == "0 outliers"


# Frames ---------------------------------------------------------------------------------------


def test_an_estimator_that_returns_frames_draws_the_same(frame, table_model):
    framed = AdversarialAutoencoder(n_components=3, max_iter=3, random_state=0)
    framed.set_output(transform="pandas").fit(frame)
    codes = LatentSpaceDisplay.from_estimator(framed, frame).codes
    np.testing.assert_allclose(codes, table_model.transform(frame)[:, :2])
    drawn = ReconstructionDisplay.from_estimator(framed, frame).X_reconstructed
    np.testing.assert_allclose(drawn, table_model.reconstruct(frame))
    samples = SampleDisplay.from_estimator(framed, frame, random_state=0).samples
    np.testing.assert_allclose(samples, table_model.sample(60, random_state=0))
    decoded = TraversalDisplay.from_estimator(framed).decoded
    np.testing.assert_allclose(decoded, TraversalDisplay.from_estimator(table_model).decoded)
