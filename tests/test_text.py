"""AdversarialTextAutoencoder: strings in, strings out, and what holds for every estimator."""

import copy
import pickle
import random

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
import tokenizers
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from sklearn_aae import AdversarialTextAutoencoder, load, save
from sklearn_aae.callbacks import Checkpoint
from sklearn_aae.modules import SequenceDecoder, SequenceEncoder

WORDS = {
    "who": ["the cat", "a dog", "my friend", "nobody", "the old man", "she"],
    "does": ["likes", "hates", "sees", "paints", "never wants"],
    "what": ["red apples", "the sea", "green tea", "a car", "long books", "this house"],
}


def sentences(n, seed=0):
    """Sentences of a small grammar, which is the same for all seeds."""
    rng = random.Random(seed)
    return [" ".join(rng.choice(part) for part in WORDS.values()) + " ." for _ in range(n)]


def small(**parameters):
    defaults = {
        "n_components": 4,
        "embedding_size": 8,
        "hidden_size": 8,
        "max_iter": 2,
        "random_state": 0,
    }
    return AdversarialTextAutoencoder(**{**defaults, **parameters})


@pytest.fixture(scope="module", name="X")
def data():
    return sentences(60)


@pytest.fixture(scope="module")
def learned():
    """Trained long enough to say what it reads."""
    model = AdversarialTextAutoencoder(
        n_components=8, embedding_size=32, hidden_size=64, max_iter=40, lr=1e-2, random_state=0
    )
    return model.fit(sentences(300))


@pytest.fixture(scope="module")
def brief(X):
    return small().fit(X)


def same(first, second, X):
    assert_array_equal(first.transform(X), second.transform(X))
    assert_array_equal(first.score_samples(X), second.score_samples(X))
    assert_array_equal(first.reconstruct(X), second.reconstruct(X))
    assert_array_equal(first.sample(5, random_state=0), second.sample(5, random_state=0))
    assert first.offset_ == second.offset_
    assert first.history_ == second.history_


# What it is for.


def test_new_strings_come_back(learned):
    new = sorted(set(sentences(300, seed=1)) - set(sentences(300)))
    assert len(new) > 20
    assert np.mean(learned.reconstruct(new) == new) > 0.9
    assert learned.inverse_transform(learned.transform(new)).tolist() == [*learned.reconstruct(new)]


def test_samples_are_of_the_grammar_and_new(learned):
    drawn = learned.sample(200, random_state=0)
    possible = {
        f"{a} {b} {c} ." for a in WORDS["who"] for b in WORDS["does"] for c in WORDS["what"]
    }
    assert np.mean([s in possible for s in drawn]) > 0.9
    assert len(set(drawn)) > 80
    hot = learned.sample(200, random_state=0, temperature=3.0)
    assert np.mean([s in possible for s in hot]) < 0.7


def test_strings_in_another_order_are_outliers(learned):
    new = sentences(100, seed=2)
    rng = random.Random(0)
    odd = [" ".join(rng.sample(s.split(), len(s.split()))) for s in new]
    scores = -learned.score_samples([*new, *odd])
    assert roc_auc_score([0] * 100 + [1] * 100, scores) > 0.95
    assert np.mean(learned.predict(new) == 1) > 0.7
    assert np.mean(learned.predict(odd) == -1) > 0.8
    assert_array_equal(learned.predict(new), np.where(learned.decision_function(new) >= 0, 1, -1))
    # Beside what people have.
    codes = make_pipeline(TfidfVectorizer(), TruncatedSVD(4), IsolationForest(random_state=0))
    assert codes.fit(sentences(300)).score_samples(odd).shape == (100,)


def test_the_difference_of_mean_codes_edits_strings(learned):
    X = sentences(300)
    y = np.array(["likes" in s for s in X])
    z = learned.transform(X)
    direction = z[y].mean(axis=0) - z[[("hates" in s) for s in X]].mean(axis=0)
    hates = [s for s in sentences(200, seed=3) if "hates" in s]
    edited = learned.inverse_transform(learned.transform(hates) + direction)
    assert (
        np.mean([a.replace("hates", "likes") == b for a, b in zip(hates, edited, strict=True)])
        > 0.7
    )


def test_the_way_from_one_string_to_another_starts_and_ends_there(learned):
    start, end = ["she likes green tea .", "a dog hates a car ."], ["nobody sees the sea ."] * 2
    ways = learned.interpolate(start, end, n_steps=5)
    assert ways.shape == (2, 5)
    assert_array_equal(ways[:, 0], learned.reconstruct(start))
    assert_array_equal(ways[:, -1], learned.reconstruct(end))


# What scores are.


def test_scores_are_nats_of_strings_or_of_their_tokens(learned):
    X = sentences(50, seed=4)
    per_token = learned.score_samples(X)
    model = copy.deepcopy(learned).set_params(score_method="log_likelihood")
    n_tokens = np.array([len(s.split()) + 1 for s in X])
    np.testing.assert_allclose(model.score_samples(X), n_tokens * per_token)
    assert model.score(X) == model.score_samples(X).mean()
    model.set_params(score_method="prior")
    z = torch.from_numpy(model.transform(X))
    np.testing.assert_allclose(model.score_samples(X), model.prior_.log_prob(z), rtol=1e-6)


def test_a_string_has_the_same_scores_and_codes_whatever_comes_with_it(brief, X):
    together = brief.score_samples(X), brief.transform(X)
    long = [*X[:3], " ".join(X[:20])]
    alone = brief.score_samples(long)[:3], brief.transform(long)[:3]
    for all_rows, some in zip(together, alone, strict=True):
        np.testing.assert_allclose(some, all_rows[:3], rtol=0, atol=1e-9)


def test_the_threshold_is_a_quantile_of_the_scores_of_held_out_strings(X):
    held_out = sentences(40, seed=5)
    model = small(contamination=0.25).fit(X, X_val=held_out)
    assert model.offset_ == np.quantile(model.score_samples(held_out), 0.25)
    assert small().fit(X, X_val=held_out).offset_ < model.offset_


class Deaf(nn.Module):
    """A decoder that knows the last token and not the code."""

    def __init__(self, n_in, n_tokens):
        super().__init__()
        self.last = nn.Embedding(n_tokens, n_tokens)

    def forward(self, codes, tokens):
        return self.last(tokens)


def test_a_decoder_that_does_without_the_code_is_named():
    with pytest.warns(ConvergenceWarning, match=r"does without the code.*adversarial_weight"):
        model = small(decoder=Deaf, batch_size=8, max_iter=10, lr=0.1).fit(sentences(300))
    assert model.code_information_ == 0


def test_a_decoder_that_listens_is_not(learned):
    assert learned.code_information_ > 5  # fit in the fixture warned of nothing


# How it goes with scikit-learn.


# It has no checks of what only takes strings but those of the interface.
@pytest.mark.filterwarnings("ignore:Can't test estimator:sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_checks():
    results = check_estimator(small(), on_fail="raise")
    assert {result["status"] for result in results} == {"passed"}


@pytest.mark.parametrize(
    "name",
    [
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_mixin_order",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_valid_tag_types",
    ],
)
def test_further_scikit_learn_checks(name):
    getattr(estimator_checks, name)("AdversarialTextAutoencoder", small())


def test_tags():
    tags = small().__sklearn_tags__()
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert tags.estimator_type == "outlier_detector"
    assert not tags.non_deterministic
    assert not tags._skip_test


def test_fit_transform_names_and_frames(X):
    model = small()
    codes = model.set_output(transform="pandas").fit_transform(X)
    assert codes.columns.tolist() == [f"adversarialtextautoencoder{i}" for i in range(4)]
    assert codes.columns.tolist() == model.get_feature_names_out().tolist()
    assert codes.shape == (60, 4)
    assert_array_equal(model.fit_predict(X), model.predict(X))


def test_a_pipeline_a_column_transformer_and_a_search(X):
    y = ["likes" in s or "wants" in s for s in X]
    pipeline = make_pipeline(small(), LogisticRegression())
    search = GridSearchCV(pipeline, {"adversarialtextautoencoder__n_components": [2, 3]}, cv=2)
    assert search.fit(X, y).predict(X).shape == (60,)
    by_score = GridSearchCV(small(), {"noise": [0.0, 0.3]}, cv=2).fit(np.array(X))
    assert np.isfinite(by_score.cv_results_["mean_test_score"]).all()
    frame = pd.DataFrame({"text": X, "length": [len(s) for s in X]})
    both = ColumnTransformer([("t", small(), "text"), ("n", "passthrough", ["length"])])
    assert both.fit_transform(frame).shape == (60, 5)
    assert both.get_feature_names_out()[0] == "t__adversarialtextautoencoder0"
    with pytest.raises(ValueError, match="name it as a string and not as a list"):
        ColumnTransformer([("t", small(), ["text"])]).fit(frame)


def test_columns_of_frames_are_as_lists(brief, X):
    for column in (np.array(X), pd.Series(X), pl.Series(X)):
        same(brief, small().fit(column), X)
        assert_array_equal(brief.transform(column), brief.transform(X))


def test_parameters_and_global_generators_are_left_alone(X):
    model = small(posterior="gaussian", optimizer=torch.optim.SGD)
    parameters = model.get_params()
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = clone(model).fit(X)
    first.sample(3, random_state=0, temperature=1.0)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert first.get_params() == parameters
    same(first, model.fit(X), X)


def test_training_goes_on(X):
    whole, parts = small(max_iter=1, warm_start=True).fit(X), small().partial_fit(X)
    whole.fit(X)
    parts.partial_fit(X[:30])
    assert whole.n_iter_ == parts.n_iter_ == 2
    with pytest.raises(ValueError, match="X holds no token"):
        small().partial_fit(["", ""])
    vocabulary = parts.vocabulary_
    longer = ["unheard words " * 10, "more of these"]
    assert parts.partial_fit(longer).vocabulary_ == vocabulary
    assert parts.net_.module_.longest == 20


def test_early_stopping_and_strings_for_it(X):
    model = small(max_iter=30, early_stopping=True, n_iter_no_change=2, lr=1e-5, tol=1.0).fit(X)
    assert model.n_iter_ < 30
    held = small(early_stopping=True).fit(X, X_val=sentences(20, seed=5))
    assert len(held.history_["valid_loss"]) == 2


def test_weights_of_strings(X):
    heavy = np.where([s.startswith("she") for s in X], 1.0, 0.0)
    only = small(max_iter=40, lr=3e-2, batch_size=60).fit(X, sample_weight=heavy)
    assert np.mean([s.startswith("she") for s in only.reconstruct(X)]) > 0.9
    with pytest.raises(ValueError, match=r"all weights are zero|at least one non-zero"):
        small().fit(X, sample_weight=np.zeros(60))


ANALYZERS = {
    "word": {},
    "char": {"analyzer": "char", "max_length": 40},
    "bpe": {"analyzer": "bpe", "max_features": 300},
    "min_df": {"min_df": 3, "max_features": 20, "lowercase": False},
    "uniform": {"prior": "uniform", "sampler": "prior", "posterior": "gaussian"},
    "no game": {"adversarial_weight": 0.0, "noise": 0.0, "score_method": "log_likelihood"},
    "small batches": {"batch_size": 20, "score_method": "prior"},
}


# What the others have is in one of these, too.
SHORT = {"bpe", "uniform"}


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param(p, id=name, marks=[] if name in SHORT else pytest.mark.thorough)
        for name, p in ANALYZERS.items()
    ],
)
def test_a_model_comes_back_from_pickle_and_from_its_file(X, parameters, tmp_path):
    model = small(**parameters).fit(X)
    save(model, tmp_path / "model.safetensors")
    for loaded in (
        pickle.loads(pickle.dumps(model)),
        load(tmp_path / "model.safetensors"),
        copy.deepcopy(model),
    ):
        same(model, loaded, X)
        assert loaded.get_params() == model.get_params()
        assert vars(loaded).keys() == vars(model).keys()
        again = copy.deepcopy(model).partial_fit(X)
        same(loaded.partial_fit(X), again, X)


def test_a_model_comes_back_from_skops(brief, X):
    file = skops.io.dumps(brief)
    types = skops.io.get_untrusted_types(data=file)
    assert {name.split(".")[0] for name in types} <= {"sklearn_aae", "skorch", "torch"}
    same(brief, skops.io.loads(file, trusted=types), X)


def test_what_only_code_can_say_is_not_saved(X, tmp_path):
    with pytest.raises(TypeError, match=r"analyzer.*use joblib.dump"):
        save(small(analyzer=sorted).fit(X), tmp_path / "model")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"cat": 0, "?": 1}, "?"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    model = small(analyzer=tokenizer).fit(X)
    with pytest.raises(TypeError, match=r'analyzer: .*Call set_params\(analyzer="word"\) first'):
        save(model, tmp_path / "model")
    save(model.set_params(analyzer="word"), tmp_path / "model")
    same(model, load(tmp_path / "model"), X)


def test_an_interrupted_training_goes_on_from_its_checkpoint(X, tmp_path):
    whole = small(max_iter=4).fit(X)

    class KilledAfter(Checkpoint):
        def on_epoch_end(self, net, **kwargs):
            super().on_epoch_end(net, **kwargs)
            if len(net.history) == 2:
                raise SystemExit

    with pytest.raises(SystemExit):
        small(max_iter=4, callbacks=[KilledAfter(tmp_path)]).fit(X)
    resumed = small(max_iter=4, callbacks=[Checkpoint(tmp_path)]).fit(X)
    assert resumed.net_.n_epochs_resumed_ == 2
    same(whole, resumed, X)


# Networks of the user.


class Means(nn.Module):
    """An encoder: the mean of embeddings."""

    def __init__(self, n_tokens, n_out):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, n_out, padding_idx=0)

    def forward(self, tokens):
        return self.embedding(tokens).mean(dim=1)


class Bigrams(nn.Module):
    """A decoder: the last token and the code."""

    def __init__(self, n_in, n_tokens):
        super().__init__()
        self.last = nn.Embedding(n_tokens, n_tokens)
        self.code = nn.Linear(n_in, n_tokens)

    def forward(self, codes, tokens):
        return self.last(tokens) + self.code(codes)[:, None]


def test_networks_of_the_user(X, tmp_path):
    model = small(encoder=Means, decoder=Bigrams).fit(X)
    same(model, small(encoder=Means, decoder=Bigrams).fit(X), X)
    assert isinstance(model.encoder_, Means)
    assert model.sample(3, random_state=0).shape == (3,)
    same(model, pickle.loads(pickle.dumps(model)), X)
    save(model, tmp_path / "model")
    same(model, load(tmp_path / "model", encoder=Means, decoder=Bigrams), X)


def test_recurrent_networks_of_the_user_survive_a_pickle(X):
    model = small(encoder=lambda i, o: SequenceEncoder(i, o, 3, 3), decoder=SequenceDecoder).fit(X)
    assert model.decoder_.hidden_size == 256
    loaded = pickle.loads(pickle.dumps(model.set_params(encoder=None)))
    assert_array_equal(model.transform(X), loaded.transform(X))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"encoder": lambda i, o: Means(i, o + 1)}, r"encoder: .*\(1, n_components\) = \(1, 4\)"),
        ({"decoder": lambda i, o: nn.Linear(i, o)}, "decoder: the network failed"),
        ({"decoder": lambda i, o: Bigrams(i, o - 1)}, r"decoder: .*length, n_tokens"),
        ({"discriminator": nn.Linear(3, 1)}, "discriminator: the network failed"),
    ],
    ids=["encoder", "no decoder", "decoder", "discriminator"],
)
def test_networks_that_do_not_fit_are_named(X, parameters, message):
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(X)


# Bad input.


def test_strings_that_are_cut_are_counted(X):
    with pytest.warns(UserWarning, match=r"X has 1 of 60 strings with more than max_length=8 tok"):
        model = small(max_length=8).fit([*X[:-1], "word " * 10_000])
    with pytest.warns(UserWarning, match="X_to has 2 of 2 strings"):
        model.interpolate(X[:2], ["a " * 9, "b " * 9])


def test_empty_strings_and_unknown_words_have_codes_and_scores(X):
    model = small().fit([*X, "", ""])
    odd = ["", "xyzzy plugh", "\n", "שלום עולם", "A CAT!"]
    assert np.isfinite(model.transform(odd)).all()
    assert np.isfinite(model.score_samples(odd)).all()
    assert model.reconstruct(odd).shape == (5,)


def test_a_vocabulary_of_one():
    model = small(max_iter=5).fit(["a", "a a", "a", "a a a"])
    assert model.vocabulary_ == {"a": 0}
    assert set("".join(model.sample(5, random_state=0))) <= {"a", " "}


def test_one_string_is_too_few(brief, X):
    with pytest.raises(ValueError, match=r"1 sample\(s\) while a minimum of 2"):
        small().fit(["a string"])
    assert brief.transform(X[:1]).shape == (1, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.sample(0), "n_samples must be an int of at least 1, got 0"),
        (lambda m: m.sample(1, temperature=-1), "temperature must be a number of at least 0"),
        (lambda m: m.interpolate(["a"], ["b"], n_steps=1), "n_steps must be an int of at least 2"),
        (lambda m: m.interpolate(["a"], ["b", "c"]), "the same number of strings, got 1 and 2"),
        (lambda m: m.inverse_transform([[0.0]]), "decodes codes of n_components_=4 columns"),
        (lambda m: m.transform(["a", None]), "X has 1 missing strings, the first at position 1"),
    ],
    ids=["n_samples", "temperature", "n_steps", "ends", "codes", "missing"],
)
def test_bad_arguments_are_named(brief, call, message):
    with pytest.raises(ValueError, match=message):
        call(brief)
    with pytest.raises(NotFittedError):
        call(small())


@pytest.mark.parametrize(
    "parameters",
    [
        {"noise": 1.5},
        {"analyzer": "sentence"},
        {"min_df": 2.5},
        {"max_features": 0},
        {"posterior": "implicit"},
        {"score_method": "discriminator"},
        {"n_components": "auto"},
    ],
    ids=str,
)
def test_parameters_out_of_range_are_named(X, parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"The '{name}' parameter of AdversarialTextAutoencoder"):
        small(**parameters).fit(X)


def test_a_failed_fit_leaves_the_model_as_it_was(X):
    model = small().fit(X)
    before = model.transform(X)
    with pytest.raises(ValueError, match="missing strings"):
        model.fit([*X, None])
    assert_array_equal(model.transform(X), before)
