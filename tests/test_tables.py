"""Tables as people have them: missing cells, categories, booleans, dates; frames in, frames out."""

import copy
import pickle
import warnings
from datetime import datetime, timedelta

import narwhals as nw
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
    load,
    save,
)
from sklearn_aae._estimators.reading import UnseenCategoryWarning
from sklearn_aae._rows.table import columns_of_table, fit_table

pandas = pytest.importorskip("pandas")
LIBRARIES = ["pandas", "polars", "pyarrow"]
DATES = np.datetime64("2024-01-01") + np.arange(120).astype("m8[D]")


def plain_frame():
    """120 rows of every kind of column, with missing cells in all but one."""
    rng = np.random.default_rng(0)
    group = rng.integers(3, size=120)
    frame = pandas.DataFrame(
        {
            "length": rng.normal(10.0 * group, 1.0),
            "count": group * 5 + rng.integers(3, size=120),
            "city": np.array(["Oslo", "Rome", "Lima"])[group],
            "size": pandas.Categorical(
                np.array(["S", "M", "L"])[group], categories=["S", "M", "L", "XL"], ordered=True
            ),
            "member": group > 0,
            "since": DATES.astype("M8[us]"),
            "stay": (group * 3600.0).astype("m8[s]"),
        }
    )
    frame["count"] = frame["count"].astype("Int64")
    frame["member"] = frame["member"].astype("boolean")
    for j, name in enumerate(frame.columns[1:]):
        frame.loc[rng.permutation(120)[: 10 + j], name] = None
    return frame


FRAME = plain_frame()


def as_library(frame, library):
    if library == "pandas":
        return frame
    if library == "polars":
        return pytest.importorskip("polars").from_pandas(frame)
    return pytest.importorskip("pyarrow").Table.from_pandas(frame, preserve_index=False)


def as_pandas(frame):
    if isinstance(frame, pandas.DataFrame):
        return frame
    return frame.to_pandas()


def schema(frame):
    if isinstance(frame, pandas.DataFrame):
        return frame.dtypes.to_dict()
    return dict(nw.from_native(frame).schema)


@pytest.fixture(scope="module", params=LIBRARIES)
def fitted(request):
    X = as_library(FRAME, request.param)
    return AdversarialAutoencoder(max_iter=5, random_state=0).fit(X), X


def test_a_frame_comes_back_with_its_names_order_and_types(fitted):
    model, X = fitted
    for rows in (model.reconstruct(X), model.impute(X), model.sample(7, random_state=0)):
        assert type(rows) is type(X)
        assert schema(rows) == schema(X)
        # Days are days, whatever their type could hold.
        assert (as_pandas(rows)["since"].dt.normalize() == as_pandas(rows)["since"]).all()
    decoded = model.inverse_transform(model.transform(X))
    assert as_pandas(decoded).equals(as_pandas(model.reconstruct(X)))
    # scikit-learn 1.7 does not see the names of a polars frame of today.
    if hasattr(
        StandardScaler().fit(nw.from_native(X)[["length"]].to_native()), "feature_names_in_"
    ):
        assert list(model.feature_names_in_) == list(FRAME.columns)


def test_imputing_fills_every_gap_and_changes_nothing_else(fitted):
    model, X = fitted
    before, after = as_pandas(X), as_pandas(model.impute(X))
    assert not after.isna().any().any()
    for name in before:
        known = before[name].notna()
        assert after[name][known].tolist() == before[name][known].tolist(), name
    assert as_pandas(X).equals(before)  # and X is not written to


@pytest.mark.parametrize("missing", [False, True])
def test_a_column_of_one_category_comes_back(missing):
    kind = ["a", None if missing else "a"] * 10
    X = pandas.DataFrame({"kind": pandas.Series(kind, dtype="category"), "x": np.arange(20.0)})
    model = AdversarialAutoencoder(max_iter=1, random_state=0).fit(X)
    for rows in (model.reconstruct(X), model.impute(X), model.sample(3, random_state=0)):
        assert set(rows["kind"]) == {"a"}


def test_all_libraries_give_the_same_scores():
    scores = [
        AdversarialAutoencoder(max_iter=1, random_state=0).fit(X).score_samples(X)
        for X in (as_library(FRAME, library) for library in LIBRARIES)
    ]
    assert_array_equal(scores[0], scores[1])
    # pyarrow hands the ordered categories on as they are, and text as text.
    assert_array_equal(scores[0], scores[2])


def test_draws_differ_in_the_cells_that_were_missing_and_there_only(fitted):
    model, X = fitted
    first, second = (as_pandas(f) for f in model.impute(X, n_draws=2, random_state=0))
    missing = as_pandas(X).isna()
    assert not (first.astype(str) == second.astype(str)).to_numpy()[missing.to_numpy()].all()
    for name in first:
        known = ~missing[name]
        assert first[name][known].tolist() == second[name][known].tolist()
    again = [as_pandas(f) for f in model.impute(X, n_draws=2, random_state=0)]
    assert first.equals(again[0])
    assert second.equals(again[1])
    with pytest.raises(ValueError, match=r"n_draws must be an int of at least 1, got 0\."):
        model.impute(X, n_draws=0)


def test_missing_cells_come_in_samples_at_the_rates_seen(fitted):
    model, X = fitted
    drawn = as_pandas(model.sample(2000, random_state=0, missing=True)).isna().mean()
    seen = as_pandas(X).isna().mean()
    # Five standard deviations of a share of 2,000.
    assert (np.abs(drawn - seen) < 5 * np.sqrt(seen * (1 - seen) / 2000) + 1e-9).all()
    assert drawn["length"] == 0
    assert not as_pandas(model.sample(50, random_state=0)).isna().any().any()


def test_numbers_of_samples_are_distributed_as_those_of_rows():
    rng = np.random.default_rng(0)
    often_zero = np.where(rng.random(500) < 0.8, 0.0, rng.lognormal(size=500))
    X = pandas.DataFrame(
        {"tail": rng.lognormal(size=500), "zero": often_zero, "c": ["a", "b"] * 250}
    )
    model = AdversarialAutoencoder(max_iter=3, random_state=0).fit(X)
    drawn = model.sample(2000, random_state=0)
    # Two samples, one of 500: their shares of zeros differ by 0.02 by chance.
    assert abs((drawn["zero"] == 0).mean() - (X["zero"] == 0).mean()) < 0.1
    assert drawn["zero"].isin(X["zero"]).all()
    assert not drawn["tail"].isin(X["tail"]).all()
    quantiles = [0.1, 0.5, 0.9]
    assert_allclose(drawn["tail"].quantile(quantiles), X["tail"].quantile(quantiles), rtol=0.35)
    assert drawn["tail"].between(X["tail"].min(), X["tail"].max()).all()


def test_a_table_is_saved_without_pickle_and_loads_to_the_same_bits(fitted, tmp_path):
    model, X = fitted
    save(model, tmp_path / "model")
    for other in (
        load(tmp_path / "model"),
        pickle.loads(pickle.dumps(model)),
        copy.deepcopy(model),
    ):
        assert_array_equal(other.score_samples(X), model.score_samples(X))
        assert as_pandas(other.impute(X)).equals(as_pandas(model.impute(X)))
        assert schema(other.sample(3, random_state=1)) == schema(X)


def test_set_output_asks_for_another_library():
    pytest.importorskip("polars")
    model = AdversarialAutoencoder(max_iter=1, random_state=0).fit(FRAME)
    rows = model.set_output(transform="polars").reconstruct(FRAME)
    assert rows.columns == list(FRAME.columns)
    assert (
        rows["city"].to_list()
        == model.set_output(transform="default").reconstruct(FRAME)["city"].to_list()
    )


def test_rows_keep_the_index_of_a_frame():
    X = FRAME.set_axis(np.arange(500, 620), axis=0)
    model = AdversarialAutoencoder(max_iter=1, random_state=0).fit(X)
    assert model.impute(X).index.equals(X.index)
    assert model.reconstruct(X[:5]).index.equals(X.index[:5])


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (AdversarialAutoencoderClassifier, {"max_iter": 3}),
        (AdversarialAutoencoderClusterer, {"max_iter": 8, "n_clusters": 2, "lr": 1e-2}),
        (ConditionalAdversarialAutoencoder, {"max_iter": 3}),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_estimator_takes_tables(cls, options, tmp_path):
    y = np.arange(120) % 2
    model = cls(random_state=0, **options)
    model.fit(FRAME, y)
    assert not model.impute(FRAME).isna().any().any()
    rows = model.sample(3, y=1, random_state=0)
    rows = rows[0] if isinstance(rows, tuple) else rows
    assert schema(rows) == schema(FRAME)
    assert np.isfinite(model.transform(FRAME)).all()
    save(model, tmp_path / "model")
    assert_array_equal(load(tmp_path / "model").transform(FRAME), model.transform(FRAME))


def test_a_row_has_the_same_answer_in_any_batch():
    model = AdversarialAutoencoder(max_iter=2, random_state=0).fit(FRAME)
    order = np.random.default_rng(0).permutation(120)
    scores, shuffled = model.score_samples(FRAME), model.score_samples(FRAME.iloc[order])
    assert_allclose(shuffled, scores[order], rtol=1e-9)
    assert_allclose(model.score_samples(FRAME[:1]), scores[:1], rtol=1e-9)


def test_ways_between_rows_of_a_table_are_tables():
    model = AdversarialAutoencoder(max_iter=1, random_state=0).fit(FRAME)
    ways = model.interpolate(FRAME[:2], FRAME[2:4], n_steps=3)
    assert [way.shape for way in ways] == [(3, 7), (3, 7)]
    ends = model.reconstruct(FRAME[:2])
    assert ways[1]["city"][0] == ends["city"][1]
    assert ways[1]["length"][0] == pytest.approx(ends["length"][1])


# Codes of cells, without any network.

COLUMNS = {
    "float": st.floats(-1e6, 1e6, width=32),
    "int": st.integers(-(2**31), 2**31 - 1),
    "bool": st.booleans(),
    "text": st.text(max_size=3),
    "date": st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2100, 1, 1)),
    "duration": st.timedeltas(timedelta(days=-999), timedelta(days=999)),
}


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=5),
    st.sampled_from(LIBRARIES),
    st.data(),
)
def test_cells_come_back_from_their_codes(kinds, library, data):
    polars = pytest.importorskip("polars")
    types = {
        "float": polars.Float64,
        "int": polars.Int64,
        "bool": polars.Boolean,
        "text": polars.String,
        "date": polars.Datetime("us"),
        "duration": polars.Duration("us"),
    }
    made = {}
    for j, kind in enumerate(kinds):
        cells = data.draw(st.lists(st.none() | COLUMNS[kind], min_size=4, max_size=4))
        made[f"{kind} {j}"] = polars.Series(cells, dtype=types[kind])
    X = polars.DataFrame(made)
    X = {"pandas": X.to_pandas, "pyarrow": X.to_arrow, "polars": X.clone}[library]()
    columns, of_library = columns_of_table(X, None)
    table = fit_table(columns, of_library, "from_dtype")
    back = table.given_back(table.codes(columns), X, of_library)
    assert schema(back).keys() == schema(X).keys()
    left, right = (nw.from_native(frame) for frame in (back, X))
    for name in left.columns:
        assert (
            left[name].to_list() == pytest.approx(right[name].to_list(), nan_ok=True)
            if (name.startswith("float"))
            else [str(v) for v in left[name].to_list()] == [str(v) for v in right[name].to_list()]
        )


# Categories.


def test_a_category_weighs_as_much_as_a_number():
    # Uninformed, both lose 1: a column of 40 categories, a rare one, a number.
    rng = np.random.default_rng(0)
    X = pandas.DataFrame(
        {
            "number": rng.normal(size=2000),
            "many": rng.integers(40, size=2000).astype(str),
            "few": rng.choice(["a", "b"], size=2000, p=[0.9, 0.1]),
        }
    )
    # Columns are scaled by the rows that are trained on: all, where others are given to hold out.
    model = AdversarialAutoencoder(max_iter=1, random_state=0).fit(X, X_val=X)
    likelihood = model._columns.likelihood
    x = model._columns.standardized(model._given(X).rows[:])
    output = likelihood.constant_output().expand_as(x)
    assert_allclose(likelihood.deviance(output, x).mean(dim=0).numpy(), [1, 1, 1], rtol=1e-3)


def test_unseen_categories_are_missing_for_the_networks_and_outlying_for_the_score():
    model = AdversarialAutoencoder(max_iter=5, random_state=0).fit(FRAME)
    known = FRAME[:3].copy()
    known["city"] = [None, None, None]
    known["city"] = known["city"].astype(FRAME["city"].dtype)
    new = known.copy()
    new["city"] = ["Paris", "Paris", "Bonn"]
    with pytest.warns(UnseenCategoryWarning, match=r"column 'city': 'Paris', 'Bonn'"):
        codes = model.transform(new)
    assert_array_equal(codes, model.transform(known))
    with pytest.warns(UnseenCategoryWarning):
        scores = model.score_samples(new)
    # One of 121 at most, by Laplace's rule.
    assert_allclose(scores, model.score_samples(known) - np.log(121))
    with pytest.warns(UnseenCategoryWarning):
        contributions = model.feature_scores(new)
    assert (contributions[:, 2] > 0).all()
    assert (model.feature_scores(known)[:, 2] == 0).all()
    with pytest.warns(UnseenCategoryWarning):
        assert model.impute(new)["city"].tolist() == ["Paris", "Paris", "Bonn"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnseenCategoryWarning)
        with pytest.raises(UnseenCategoryWarning):
            model.transform(new)


def test_odd_columns_of_a_table():
    n = 280
    rng = np.random.default_rng(0)
    X = pandas.DataFrame(
        {
            "number": rng.normal(size=n),
            "once": ["rare", *["usual"] * (n - 1)],
            "identifier": [f"row {i}" for i in range(n)],
            "empty": pandas.Series([None] * n, dtype=object),
            "no number": np.full(n, np.nan),
            "constant": ["same"] * n,
            "true": [True] * n,
        }
    )
    model = AdversarialAutoencoder(max_iter=3, random_state=0).fit(X)
    assert model._given(X).rows.shape[1] <= 1 + 2 + 256 + 4
    assert np.isfinite(model.score_samples(X)).all()
    filled = model.impute(X)
    # Observed cells stay, also those that share a code; of nothing, nothing is made.
    assert filled["identifier"].tolist() == X["identifier"].tolist()
    assert filled["empty"].isna().all()
    assert filled["constant"].eq("same").all()
    assert filled["true"].all()
    assert np.isfinite(filled["no number"]).all()
    assert model.sample(5, random_state=0).shape == (5, 7)


@pytest.mark.parametrize("chosen", [[1], ["b"], [False, True]])
def test_categories_by_position_name_or_mask(chosen):
    X = pandas.DataFrame({"a": np.linspace(0, 1, 60), "b": np.arange(60) % 3})
    model = AdversarialAutoencoder(max_iter=2, categorical_features=chosen, random_state=0).fit(X)
    assert model.net_.module_.encoder.width == 4
    rows = model.reconstruct(X)
    assert rows["b"].isin([0, 1, 2]).all()
    assert rows.dtypes.to_dict() == X.dtypes.to_dict()
    if chosen != ["b"]:
        of_array = AdversarialAutoencoder(max_iter=2, categorical_features=chosen, random_state=0)
        of_array.fit(X.to_numpy())
        assert_array_equal(of_array.transform(X.to_numpy()), model.transform(X))
        assert set(np.unique(of_array.reconstruct(X.to_numpy())[:, 1])) <= {0.0, 1.0, 2.0}


def test_names_of_categories_that_are_none():
    X = np.zeros((5, 2))
    with pytest.raises(ValueError, match=r"categorical_features must be .* got \['c'\]"):
        AdversarialAutoencoder(categorical_features=["c"]).fit(X)
    frame = pandas.DataFrame({"a": ["x", "y"] * 5, "b": np.arange(10)})
    with pytest.raises(ValueError, match=r"column 'a' holds categories or text.*from_dtype"):
        AdversarialAutoencoder(categorical_features=["b"]).fit(frame)


# Numbers with gaps, and scores of rows with gaps.


@pytest.fixture(scope="module")
def gappy():
    """Five columns along two directions, a fifth of the cells missing, and the whole."""
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(600, 5))
    return np.where(rng.random(whole.shape) < 0.2, np.nan, whole), whole


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaps_in_arrays(gappy, dtype):
    X, whole = (rows.astype(dtype) for rows in gappy)
    model = AdversarialAutoencoder(max_iter=25, random_state=0).fit(X)
    filled, missing = model.impute(X), np.isnan(X)
    assert filled.dtype == dtype
    assert_array_equal(filled[~missing], X[~missing])
    error = np.sqrt(np.mean((filled - whole)[missing] ** 2))
    # Half of what the column means are off by: three columns tell the other two nearly.
    assert error < 0.5 * np.sqrt(np.mean((whole - np.nanmean(X, axis=0))[missing] ** 2))
    assert (model.feature_scores(X)[missing] == 0).all()
    assert model.reconstruct(X).shape == X.shape


def test_networks_that_know_no_gaps_fill_them_in_by_rounds(gappy):
    X, whole = gappy
    model = AdversarialAutoencoder(max_iter=25, random_state=0).fit(whole)
    missing = np.isnan(X)
    error = np.sqrt(np.mean((model.impute(X) - whole)[missing] ** 2))
    assert error < 0.6 * np.sqrt(np.mean((whole - whole.mean(axis=0))[missing] ** 2))
    assert_array_equal(model.impute(whole), whole)


@pytest.mark.parametrize("with_gaps", [False, True])
@pytest.mark.parametrize("score_method", ["log_likelihood", "reconstruction"])
def test_a_row_is_not_odd_for_being_incomplete(gappy, with_gaps, score_method):
    X, whole = gappy
    model = AdversarialAutoencoder(max_iter=10, score_method=score_method, random_state=0)
    model.fit(X if with_gaps else whole)
    rng = np.random.default_rng(1)
    before = model.score_samples(whole)
    after = model.score_samples(np.where(rng.random(whole.shape) < 0.3, np.nan, whole))
    # The median of 300 measured rows is uncertain by about 0.07 quartile ranges on either side.
    lower, median, upper = np.quantile(before, [0.25, 0.5, 0.75])
    assert abs(np.median(after) - median) < 0.3 * (upper - lower)
    # And of a row of which nothing is known, nothing is odd.
    nothing = model.score_samples(np.full((1, 5), np.nan))
    assert lower - 0.3 * (upper - lower) < nothing[0] < upper + 0.3 * (upper - lower)
    assert model.predict(np.full((1, 5), np.nan)) == 1


def test_gaps_where_the_networks_were_built_without(gappy):
    X, whole = gappy
    model = AdversarialAutoencoder(max_iter=1, random_state=0)
    with pytest.raises(ValueError, match=r"X_val has missing cells.*Input contains NaN"):
        model.fit(whole, X_val=X)
    model.partial_fit(whole)
    with pytest.raises(ValueError, match=r"X has missing cells.*impute"):
        model.partial_fit(X)
    model.fit(X).partial_fit(whole)


def test_complete_numbers_in_a_frame_are_trained_on_as_an_array(gappy):
    _, whole = gappy
    frame = pandas.DataFrame(whole, columns=list("abcde"))
    of_frame, of_array = (
        AdversarialAutoencoder(max_iter=2, random_state=0).fit(X) for X in (frame, whole)
    )
    assert of_frame.history_ == of_array.history_
    # The order of elements in memory is another.
    assert_allclose(of_frame.score_samples(frame), of_array.score_samples(whole), rtol=1e-9)
    assert_allclose(of_frame.reconstruct(frame), of_array.reconstruct(whole), rtol=1e-9)


# Bad input.

BAD_FRAMES = [
    ({"a": [1, "x"] * 5}, TypeError, r"column 'a' holds int and str.*astype\(str\)"),
    ({"a": [b"x", b"y"] * 5}, TypeError, "column 'a' holds bytes"),
    ({"a": [1j, 2.0] * 5}, TypeError, "column 'a' holds complex"),
    ({"a": [[1], [2]] * 5}, TypeError, "column 'a' holds list"),
    ({"a": [np.inf, np.nan] * 5, "b": ["x"] * 10}, ValueError, "contains infinity: column 'a'"),
    ({("a", "b"): [1.0, 2.0], ("a", "c"): [1.0, 2.0]}, ValueError, "2 levels, a MultiIndex"),
]


@pytest.mark.parametrize(("columns", "kind", "message"), BAD_FRAMES, ids=range(len(BAD_FRAMES)))
def test_columns_that_have_no_meaning(columns, kind, message):
    model = AdversarialAutoencoder(max_iter=1)
    with pytest.raises(kind, match=message):
        model.fit(pandas.DataFrame(columns))
    assert not hasattr(model, "n_iter_")


def test_repeated_names_and_lazy_frames():
    X = pandas.DataFrame(np.zeros((5, 2)), columns=["a", "a"])
    with pytest.raises(ValueError, match=r"several columns of one name: \['a'\]"):
        AdversarialAutoencoder().fit(X)
    polars = pytest.importorskip("polars")
    with pytest.raises(TypeError, match=r"LazyFrame.*X\.collect\(\)"):
        AdversarialAutoencoder().fit(polars.LazyFrame({"a": [1.0, 2.0]}))


def test_other_columns_than_in_fit():
    model = AdversarialAutoencoder(max_iter=1, random_state=0).fit(FRAME)
    with pytest.raises(ValueError, match="feature names should match"):
        model.transform(FRAME[FRAME.columns[::-1]])
    with pytest.raises(ValueError, match="feature names"):
        model.transform(FRAME[FRAME.columns[:-1]])
    with pytest.raises(ValueError, match="column 'length' held numbers in fit"):
        model.transform(FRAME.assign(length="long"))
    with pytest.raises(ValueError, match=r"column 'member' held booleans.*such as 2"):
        model.transform(FRAME.assign(member=2))
    with pytest.raises(ValueError, match="0 sample"):
        model.transform(FRAME[:0])


def test_images_in_four_dimensions_are_told_how_to_be_flat():
    message = r"shape \(10, 1, 4, 4\).*X\.reshape\(len\(X\), -1\), image_shape=\(1, 4, 4\)"
    with pytest.raises(ValueError, match=message):
        AdversarialAutoencoder().fit(np.zeros((10, 1, 4, 4)))


def test_text_in_an_array_is_told_where_it_is_a_category():
    X = np.array([["a", 1.0], ["b", 2.0]] * 20, dtype=object)
    with pytest.raises(ValueError, match=r"could not convert.*categorical_features"):
        AdversarialAutoencoder(max_iter=1).fit(X)
    model = AdversarialAutoencoder(max_iter=1, categorical_features=[0], random_state=0).fit(X)
    rows = model.impute(np.array([[None, 1.0], ["b", None]], dtype=object))
    assert rows[0, 0] in ("a", "b")
    assert rows[1, 0] == "b"
    assert isinstance(rows[1, 1], float)
