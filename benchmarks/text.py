"""Sentences and formulas as codes: `AdversarialTextAutoencoder`.

Trained on 80,000 short sentences of reviews on one core, and without word dropping and without a
critic. On 10,000 validation sentences:

- BLEU of their reconstructions (corpus, up to 4-grams, by sacrebleu);
- forward perplexity: of samples under a model of the pairs of words of training sentences; reverse:
  of validation sentences under one of 10,000 samples (Kneser-Ney smoothing, by nltk);
- sentiment: accuracy of a logistic regression on the codes, and on as many components of
  `TruncatedSVD` of TF-IDF;
- transfer: codes moved along the difference of the mean codes of both sentiments; share that a
  classifier of TF-IDF takes for the other sentiment, and BLEU with the source;
- outliers: AUROC for sentences with shuffled words, and for sentences of scikit-learn's
  descriptions of data sets, against `IsolationForest` on SVD components.

And on strings of a grammar, which are made here: share of samples that it generates, that differ,
and that are new.

Results are appended run by run to results/text.jsonl, so that an interrupted benchmark goes on
where it stopped; the table is written to results/text.md. With --cache, models are kept, which take
most of the time. Needs ``pip install sacrebleu nltk``.
"""

import argparse
import gzip
import json
import re
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from resumable import Results
from sklearn import datasets
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_aae import AdversarialTextAutoencoder, load, save

RESULTS = Path(__file__).parent / "results"

VARIANTS = {
    "default": {},
    "no word dropping": {"noise": 0.0},
    "no critic": {"adversarial_weight": 0.0},
}
# Multiples of the difference of the mean codes.
STEPS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
TOKEN = r"\S+"
N_SAMPLES = 10_000
# Sentences whose perplexity is taken.
N_SCORED = 500


def read(directory, name, n=None):
    """Sentences and their labels, 1 for a good review."""
    with gzip.open(directory / f"yelp_{name}.tsv.gz", "rt") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    rows = rows[:n]
    return [text for _, text in rows], np.array([int(label) for label, _ in rows])


def bleu(hypotheses, references):
    import sacrebleu

    # The sentences are tokenised, as are those that come back.
    score = sacrebleu.corpus_bleu(list(hypotheses), [list(references)], tokenize="none", force=True)
    return score.score


def foreign_sentences(n, seed):
    """Sentences of scikit-learn's descriptions of its data sets, as short ones in lower case."""
    loaders = (
        *(datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer),
        *(datasets.load_diabetes, datasets.load_digits, datasets.load_linnerud),
    )
    words = re.findall(r"[a-z]+|[.,]", " ".join(load().DESCR for load in loaders).lower())
    generator = np.random.RandomState(seed)
    starts = generator.randint(len(words) - 15, size=n)
    return [
        " ".join(words[i : i + k]) for i, k in zip(starts, generator.randint(5, 16, n), strict=True)
    ]


def shuffled(sentences, seed):
    generator = np.random.RandomState(seed)
    return [" ".join(generator.permutation(s.split())) for s in sentences]


def perplexity(training, test, order=2):
    """Of test sentences under an n-gram model of the training sentences.

    nltk counts what continues what anew for each word: of trigrams this takes hours.
    """
    from nltk.lm import KneserNeyInterpolated
    from nltk.lm.preprocessing import pad_both_ends, padded_everygram_pipeline
    from nltk.util import ngrams

    grams, words = padded_everygram_pipeline(order, [s.split() for s in training])
    model = KneserNeyInterpolated(order)
    model.fit(grams, words)
    logs = [
        model.logscore(gram[-1], gram[:-1])
        for s in test
        for gram in ngrams(pad_both_ends(model.vocab.lookup(s.split()), n=order), order)
        if gram[-1] != "<s>"
    ]
    return float(2 ** -np.mean(np.maximum(logs, np.log2(1e-7))))


class Sentiment:
    """A classifier of TF-IDF, which says what a sentence is taken for; trained when asked."""

    def __init__(self, sentences, labels):
        self.data = sentences, labels
        self.model = None

    def predict(self, sentences):
        if self.model is None:
            vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, token_pattern=TOKEN)
            self.model = make_pipeline(vectors, LogisticRegression(C=10, max_iter=300))
            self.model.fit(*self.data)
        return self.model.predict(sentences)


def accuracy(codes, labels, test_codes, test_labels):
    reader = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    return float(reader.fit(codes, labels).score(test_codes, test_labels))


def transfer(model, codes, labels, test_codes, test, test_labels, judge):
    """Share taken for the other sentiment, and BLEU with the source, for steps of some lengths."""
    direction = codes[labels == 1].mean(axis=0) - codes[labels == 0].mean(axis=0)
    sign = np.where(test_labels == 1, -1.0, 1.0)[:, None]
    results = []
    for step in STEPS:
        edited = model.inverse_transform(test_codes + step * sign * direction)
        share = float(np.mean(judge.predict(edited) != test_labels))
        results.append([step, share, bleu(edited, test)])
    return results


def outliers(scores, n):
    return roc_auc_score([0] * n + [1] * n, -scores)


def fitted(train, path, **parameters):
    """A model and the seconds of processor time that its fit took; from a file, if there is one."""
    if path is not None and path.exists():
        return load(path), json.loads(path.with_suffix(".json").read_text())
    start = time.process_time()
    model = AdversarialTextAutoencoder(**parameters).fit(train)
    seconds = time.process_time() - start
    if path is not None:
        path.with_suffix(".json").write_text(json.dumps(seconds))
        save(model, path)
    return model, seconds


def of_sentences(data, judge, cache, name, seed):
    (train, labels), (test, test_labels) = data
    path = None if cache is None else cache / f"sentences-{name.replace(' ', '-')}-{seed}"
    path = None if path is None else path.with_suffix(".safetensors")
    model, seconds = fitted(train, path, random_state=seed, **VARIANTS[name])
    codes, test_codes = model.transform(train), model.transform(test)
    normal = test[:2000]
    odd = {"shuffled": shuffled(normal, seed), "foreign": foreign_sentences(len(normal), seed)}
    aurocs = {
        f"auroc_{name}": outliers(model.score_samples([*normal, *others]), len(normal))
        for name, others in odd.items()
    }
    samples = model.sample(N_SAMPLES, random_state=seed).tolist()
    few, known = slice(1000), set(train)
    return {
        "bleu": bleu(model.reconstruct(test), test),
        "forward_perplexity": perplexity(train, samples[:N_SCORED]),
        "reverse_perplexity": perplexity(samples, test[:N_SCORED]),
        "unique": len(set(samples)) / len(samples),
        "new": float(np.mean([s not in known for s in samples])),
        "sentiment": accuracy(codes, labels, test_codes, test_labels),
        "transfer": transfer(
            model, codes, labels, test_codes[few], test[few], test_labels[few], judge
        ),
        **aurocs,
        "information": model.code_information_,
        "reconstruction_loss": model.history_["reconstruction_loss"],
        "prior_match": model.prior_match_,
        "n_iter": model.n_iter_,
        "cpu_minutes": seconds / 60,
    }


def of_components(data, n_components, seed):
    """What linear codes of TF-IDF have."""
    (train, labels), (test, test_labels) = data
    svd = make_pipeline(
        TfidfVectorizer(token_pattern=TOKEN, min_df=2),
        TruncatedSVD(n_components, random_state=seed),
    )
    codes = svd.fit_transform(train)
    forest = IsolationForest(random_state=seed).fit(codes)
    normal = test[:2000]
    odd = {"shuffled": shuffled(normal, seed), "foreign": foreign_sentences(len(normal), seed)}
    return {
        "sentiment": accuracy(codes, labels, svd.transform(test), test_labels),
        **{
            f"auroc_{name}": outliers(
                forest.score_samples(svd.transform([*normal, *others])), len(normal)
            )
            for name, others in odd.items()
        },
    }


# Formulas: sums of products of names, numbers, and formulas in brackets. There is less to know of
# them than of a language, and smaller networks learn it in minutes.
NAMES = "xyzab"
OF_FORMULAS = {
    "analyzer": "char",
    "n_components": 32,
    "embedding_size": 32,
    "hidden_size": 128,
    "lr": 5e-3,
    "max_iter": 20,
}


def formula(generator, depth=0):
    parts = [factor(generator, depth) for _ in range(1 + generator.randint(3))]
    signs = generator.choice(list("+-*/"), len(parts))
    return "".join(
        p if i == 0 else s + p for i, (s, p) in enumerate(zip(signs, parts, strict=True))
    )


def factor(generator, depth):
    kind = generator.randint(4)
    if kind == 0 and depth < 2:
        return f"({formula(generator, depth + 1)})"
    if kind == 1:
        return str(generator.randint(1, 100))
    return NAMES[generator.randint(len(NAMES))]


def is_formula(string):
    """Whether the grammar generates a string: brackets are opened at most twice."""
    atom = rf"(?:[{NAMES}]|[1-9][0-9]?)"
    level = rf"{atom}(?:[-+*/]{atom}){{0,2}}"
    for _ in range(2):
        inner = rf"(?:{atom}|\({level}\))"
        level = rf"{inner}(?:[-+*/]{inner}){{0,2}}"
    return re.fullmatch(level, string) is not None


def formulas(n, seed):
    generator = np.random.RandomState(seed)
    made = (formula(generator) for _ in range(100 * n))
    fitting = dict.fromkeys(s for s in made if 5 <= len(s) <= 24)
    return list(fitting)[:n]


def of_formulas(cache, seed):
    strings = formulas(22_000, seed)
    train, test = strings[:20_000], strings[20_000:]
    path = None if cache is None else cache / f"formulas-{seed}.safetensors"
    model, seconds = fitted(train, path, random_state=seed, **OF_FORMULAS)
    samples = model.sample(2000, random_state=seed)
    return {
        "valid": float(np.mean([is_formula(s) for s in samples])),
        "unique": len(set(samples)) / len(samples),
        "new": float(np.mean([s not in set(train) for s in samples])),
        "exact": float(np.mean(model.reconstruct(test) == test)),
        "n_iter": model.n_iter_,
        "information": model.code_information_,
        "cpu_minutes": seconds / 60,
    }


def mean(rows, name, digits=1, factor=1):
    values = [factor * r[name] for r in rows if name in r]
    if not values:
        return ""
    spread = f" ± {np.std(values):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def best_transfer(rows, least=0.7):
    """The shortest step that takes 70 % to the other sentiment: its share and BLEU, on average."""
    found = []
    for row in rows:
        reached = [(share, score) for _, share, score in row.get("transfer", ()) if share >= least]
        if reached:
            found.append(reached[0])
    if not found:
        return ""
    share, score = np.mean(found, axis=0)
    return f"{100 * share:.0f} % at {score:.1f}"


def table(rows):
    sentences = [r for r in rows if r["task"] == "sentences"]
    yield (
        "| sentences | BLEU | forward, reverse perplexity | sentiment, % | transfer, BLEU | "
        "shuffled, AUROC | foreign, AUROC | nats from the code | CPU minutes | seeds |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for model in dict.fromkeys(r["model"] for r in sentences):
        own = [r for r in sentences if r["model"] == model]
        perplexities = ", ".join(
            filter(None, (mean(own, f"{way}_perplexity", 0) for way in ("forward", "reverse")))
        )
        yield (
            f"| {model} | {mean(own, 'bleu')} | {perplexities} | "
            f"{mean(own, 'sentiment', 1, 100)} | {best_transfer(own)} | "
            f"{mean(own, 'auroc_shuffled', 3)} | {mean(own, 'auroc_foreign', 3)} | "
            f"{mean(own, 'information')} | {mean(own, 'cpu_minutes')} | {len(own)} |"
        )
    made = [r for r in rows if r["task"] == "formulas"]
    if made:
        yield ""
        yield "| formulas | valid, % | unique, % | new, % | exact, % | CPU minutes | seeds |"
        yield "|---|---|---|---|---|---|---|"
        yield (
            f"| {OF_FORMULAS['n_components']} components | {mean(made, 'valid', 1, 100)} | "
            f"{mean(made, 'unique', 1, 100)} | "
            f"{mean(made, 'new', 1, 100)} | {mean(made, 'exact', 1, 100)} | "
            f"{mean(made, 'cpu_minutes')} | {len(made)} |"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/text"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", default=[*VARIANTS], choices=VARIANTS)
    parser.add_argument("--rows", type=int, default=None, help="training sentences, if not all")
    parser.add_argument("--cache", type=Path, default=None, help="folder for fitted models")
    parser.add_argument("--out", type=Path, default=RESULTS / "text.jsonl")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    data = read(arguments.data, "train", arguments.rows), read(arguments.data, "valid")
    judge = Sentiment(*data[0])
    width = AdversarialTextAutoencoder().n_components
    plan = []
    for seed in arguments.seeds:
        key = {"task": "sentences", "model": f"SVD of TF-IDF, {width}", "seed": seed}
        plan.append((key, partial(of_components, data, width, seed)))
        for name in arguments.models:
            key = {"task": "sentences", "model": name, "seed": seed}
            run = partial(of_sentences, data, judge, arguments.cache, name, seed)
            plan.append((key, run))
        key = {"task": "formulas", "seed": seed}
        plan.append((key, partial(of_formulas, arguments.cache, seed)))
    results = Results(arguments.out)
    results.complete(plan)
    results.write_table(table(results.rows))


if __name__ == "__main__":
    main()
