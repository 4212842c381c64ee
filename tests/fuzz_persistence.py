"""Damage saved models in many ways and see that `load` refuses them and nothing else happens.

    python tests/fuzz_persistence.py --cases 1000 --seed 0

Half of the cases damage bytes: they must end in `InvalidModelFileError`, or in a model with the
same bits. The other half change the content and put the checksum right, so that the reader is
reached: they must end in the same error, or in a model that can be used. In every case memory stays
within a small factor of the file, and no code is run: no import, no exec, no process, no file
written.
"""

import argparse
import contextlib
import copy
import hashlib
import io
import json
import os
import pickle
import random
import resource
import sys
import tempfile
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    AdversarialTextAutoencoder,
    ConditionalAdversarialAutoencoder,
    load,
    save,
)
from sklearn_aae._learned import flow
from sklearn_aae.modules import MultilayerPerceptron
from sklearn_aae.persistence import InvalidModelFileError
from sklearn_aae.priors import Empirical, MixtureOfGaussians

# Bytes allowed in a case. Objects of Python take more room than their JSON.
MEMORY_FACTOR, MEMORY_BASE = 30, 2_000_000
# And resident memory for all cases, since what torch takes is not traced. Mostly its own caches.
MAX_GROWTH = 300 * 2**20

# What only code that is run would do (https://docs.python.org/3/library/audit_events.html).
FORBIDDEN = (
    *("compile", "exec", "import", "marshal.loads", "pickle.find_class", "code.__new__"),
    *("os.system", "os.exec", "os.posix_spawn", "os.remove", "os.rename", "os.mkdir"),
    *("subprocess.Popen", "ctypes.dlopen", "socket.connect", "shutil.rmtree"),
)


# The layout, written down a second time.


def take_apart(data):
    """Header entries, document and array bytes of a file."""
    n_header = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + n_header])
    header["__metadata__"] = json.loads(header["__metadata__"]["sklearn_aae"])
    document = json.loads(header["__metadata__"].pop("document"))
    return header, document, data[8 + n_header :]


def header_text(header, document):
    """Text of a header with a document, already text, and zeros for the checksum."""
    metadata = {**header["__metadata__"], "sha256": "0" * 64, "document": document}
    return compact({**header, "__metadata__": {"sklearn_aae": compact(metadata)}})


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def put_together(header, document, buffer, *, dumps=json.dumps):
    """Bytes of a file with these contents and a correct checksum."""
    text = document if isinstance(document, str) else dumps(document)
    return with_checksum(header_text(header, text).encode(), buffer)


def with_checksum(header, buffer):
    """Bytes of a file from a header in which zeros stand for the checksum."""
    digest = hashlib.sha256(header + buffer).hexdigest().encode()
    return len(header).to_bytes(8, "little") + header.replace(b"0" * 64, digest, 1) + buffer


# Models.


def small_models():
    """Fitted models, as small as they get, that reach different parts of the reader; their rows."""
    X = np.random.default_rng(0).normal(size=(30, 4))
    gaps = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
    frame = pd.DataFrame({"a": gaps[:, 0], "b": X[:, 1] > 0, "c": np.where(X[:, 2] > 0, "x", "y")})
    strings = np.array([f"{c} {n}" for c in ("red", "blue") for n in ("box", "ball", "cup")] * 5)

    def fitted(kind=AdversarialAutoencoder, n_inputs=2, X=X, **parameters):
        options = {
            "n_components": 2,
            "hidden_layer_sizes": (4,),
            "discriminator": MultilayerPerceptron(n_inputs, 1, (4,)),
            "max_iter": 1,
            "warm_start": True,
            "random_state": 0,
        }
        if kind is AdversarialTextAutoencoder:
            del options["hidden_layer_sizes"]
        return kind(**{**options, **parameters}).fit(X, labels(X)), X

    source = np.random.default_rng(0).normal(size=(5, 2))
    return [
        fitted(),
        fitted(
            n_inputs=2 + 4,
            prior=MixtureOfGaussians(3),
            posterior="gaussian",
            score_method="prior",
        ),
        fitted(prior=Empirical(source), random_state=np.random.RandomState(0)),
        fitted(image_shape=(1, 2, 2), likelihood="laplace", weight_decay=0.01),
        fitted(AdversarialAutoencoderClassifier, n_inputs=4),
        fitted(AdversarialAutoencoderClusterer, n_clusters=3),
        fitted(ConditionalAdversarialAutoencoder, n_inputs=4, posterior="implicit"),
        fitted(X=gaps, references="means"),
        fitted(X=frame, n_references=5),
        fitted(AdversarialAutoencoderClassifier, n_inputs=4, X=frame),
        with_flow(fitted),
        fitted(
            AdversarialTextAutoencoder,
            X=strings,
            embedding_size=4,
            hidden_size=4,
        ),
    ]


def with_flow(fitted):
    with mock.patch.object(flow, "_N_STEPS", 2), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fitted(normalizing_flow=True)


def labels(X):
    return np.arange(len(X)) % 2


# Damage of bytes.


def flip_bit(data, rng):
    position = rng.randrange(8 * len(data))
    damaged = bytearray(data)
    damaged[position // 8] ^= 1 << position % 8
    return bytes(damaged)


def cut_off(data, rng):
    return data[: rng.randrange(len(data))]


def splice(data, rng):
    start, n = rng.randrange(len(data)), rng.randrange(1, 50)
    return data[:start] + rng.randbytes(n) + data[start + n :]


def insert(data, rng):
    start = rng.randrange(len(data) + 1)
    return data[:start] + rng.randbytes(rng.randrange(1, 50)) + data[start:]


def leave_out(data, rng):
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randrange(1, 50) :]


def repeat(data, rng):
    start = rng.randrange(len(data))
    return data[:start] + data[start - rng.randrange(1, 50) :]


DAMAGE = [flip_bit, cut_off, splice, insert, leave_out, repeat]


# Changes of the content, with the checksum put right.

ODD_VALUES = [
    *(None, True, False, 0, 1, -1, 2, 3.5, -0.0, 1e308, 2**31, 2**63, 10**30, 10**5000),
    *("", "x", "0", "1", "__class__", "../../x", "os.system", "cpu", "cuda:7", "meta", "\ud800"),
    *([], {}, [[]], {"type": "tuple", "items": []}, {"type": "dict", "items": [[0, 0]]}),
    *({"type": "float", "value": "nan"}, {"type": "float", "value": "inf"}),
    *({"type": "class", "name": "torch.optim.SGD"}, {"type": "class", "name": "os.system"}),
    *({"type": "scalar", "dtype": "int8", "value": 300}, {"type": "passed"}, {"type": "device"}),
    *({"type": "array", "name": "0", "by_columns": False}, {"type": "strings", "name": "0"}),
    *({"type": "tensor", "value": {"type": "array", "name": "1", "by_columns": True}},),
    *({"type": "objects", "shape": [10**12], "items": []}, {"type": "dtype", "name": "object"}),
]


def nodes(value, place=()):
    """Places of all values in a JSON document."""
    yield place
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        yield from nodes(item, (*place, key))


def at(value, place):
    for key in place:
        value = value[key]
    return value


def change_document(data, rng):
    header, document, buffer = take_apart(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        places = [place for place in nodes(document) if place]
        *parent, key = rng.choice(places)
        holder = at(document, parent)
        kind = rng.randrange(5)
        if kind == 0:
            holder[key] = copy.deepcopy(rng.choice(ODD_VALUES))
        elif kind == 1:
            holder[key] = copy.deepcopy(at(document, rng.choice(places)))
        elif kind == 2:
            del holder[key]
        elif kind == 3 and isinstance(holder, dict):
            holder[rng.choice(["x", "type", "predict", "__class__", "net_"])] = holder[key]
        elif isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
            holder[key] = rng.choice([-holder[key], holder[key] + 1, holder[key] * 1000])
        else:
            holder[key] = copy.deepcopy(rng.choice(ODD_VALUES))
    return put_together(header, unlimited_dumps(document), buffer)


def unlimited_dumps(document):
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return json.dumps(document)
    finally:
        sys.set_int_max_str_digits(limit)


def change_header(data, rng):
    header, document, buffer = take_apart(data)
    names = [name for name in header if name != "__metadata__"]
    name, other = rng.choice(names), rng.choice(names)
    kind = rng.randrange(9)
    entry = header[name]
    if kind == 0:
        entry["dtype"] = rng.choice(["F64", "F32", "I64", "U8", "BOOL", "U32", "BF16", "O", 1])
    elif kind == 1:
        entry["shape"] = rng.choice(
            [[], [0], [2**62, 4], [-1], [1] * 40, entry["shape"][::-1], [10**30], [0, 10**17], "x"]
        )
    elif kind == 2:
        entry["data_offsets"] = rng.choice([[0, 8], [0, 2**60], header[other]["data_offsets"], []])
    elif kind == 3:
        header[name], header[other] = header[other], header[name]
    elif kind == 4:
        header[rng.choice(["../x", "", "x" * 1000])] = header.pop(name)
    elif kind == 5:
        del header[name]
    elif kind == 6:
        header["new"] = {"dtype": "F32", "shape": [0], "data_offsets": [len(buffer)] * 2}
    elif kind == 7:
        header["__metadata__"]["format_version"] = rng.choice(
            ["0", "1", "3", "x", "1" * 30, None, 1]
        )
    else:
        # The same bytes as numbers of another width.
        width = {"F64": 8, "F32": 4, "I64": 8, "U8": 1, "U32": 4}
        old, new = entry["dtype"], rng.choice(list(width))
        n_bytes = entry["data_offsets"][1] - entry["data_offsets"][0]
        if old in width and n_bytes % width[new] == 0:
            entry.update(dtype=new, shape=[n_bytes // width[new]])
    return put_together(header, document, buffer)


def change_values(data, rng):
    header, document, buffer = take_apart(data)
    names = [name for name in header if name != "__metadata__"]
    start, end = header[rng.choice(names)]["data_offsets"]
    filled = rng.choice([b"\xff", b"\x00", b"\x7f", rng.randbytes(8)])
    n = rng.choice([end - start, min(8, end - start)])
    return put_together(header, document, buffer[:start] + (filled * n)[:n] + buffer[start + n :])


def change_text(data, rng):
    """Edit the header as text: repeated keys, deep nesting, broken JSON."""
    n_header = int.from_bytes(data[:8], "little")
    header, buffer = data[8 : 8 + n_header], data[8 + n_header :]
    digest = take_apart(data)[0]["__metadata__"]["sha256"].encode()
    header = header.replace(digest, b"0" * 64, 1)
    kind = rng.randrange(4)
    if kind == 0:
        header = header.rstrip()[:-1] + b',"0":{}}'
    elif kind == 1:
        depth = rng.choice([50, 5_000, 100_000])
        header = header.rstrip()[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"
    elif kind == 2:
        depth = rng.choice([40, 5_000])
        # The document is text in a text of the header.
        text = '{"type":"tuple","items":[' * depth + "]}" * depth
        quoted = json.dumps(json.dumps(text)[1:-1])[1:-1].encode()
        key = json.dumps(json.dumps('"n_iter_":')[1:-1])[1:-1].encode()
        header = header.replace(key + b"1", key + quoted, 1)
    else:
        position = rng.randrange(len(header))
        header = header[:position] + rng.randbytes(1) + header[position + 1 :]
    return with_checksum(header, buffer)


CHANGES = [change_document, change_document, change_document, change_header, change_values]
CHANGES.append(change_text)


# Running.


def answers(model, X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(model, ConditionalAdversarialAutoencoder):
            y = model.classes_[0]
            rows = [model.reconstruct(X, y), model.sample(2, y, random_state=0)]
        elif isinstance(model, AdversarialTextAutoencoder):
            rows = [model.reconstruct(X[:5]), model.score_samples(X), model.predict(X)]
            rows.append(model.sample(2, random_state=0))
        elif isinstance(model, AdversarialAutoencoder):
            rows = [model.reconstruct(X), model.score_samples(X), model.predict(X)]
            rows.append(model.sample(2, random_state=0))
        else:
            rows = [model.reconstruct(X), model.predict_proba(X), model.predict(X)]
            rows.extend(model.sample(2, random_state=0))
        rows = [model.transform(X), *rows]
        return [r.to_numpy() if isinstance(r, pd.DataFrame) else r for r in rows]


def same_bits(answer, expected):
    if expected.dtype == object:
        return pickle.dumps(answer.tolist()) == pickle.dumps(expected.tolist())
    return answer.tobytes() == expected.tobytes()


def train(model, X):
    with mock.patch.object(flow, "_N_STEPS", 2), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, labels(X))


class Watch:
    """Records what code that should not run would do, through an audit hook."""

    def __init__(self):
        self.active, self.seen = False, []
        sys.addaudithook(self._hook)

    def _hook(self, event, arguments):
        if not self.active:
            return
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in FORBIDDEN or writes:
            self.seen.append((event, arguments))

    @contextlib.contextmanager
    def on(self):
        self.active, self.seen = True, []
        try:
            yield
        finally:
            self.active = False
        assert not self.seen, f"ran code: {self.seen[:3]}"


def run(n_cases, seed, directory):
    """Outcomes, counted, and the growth of resident memory in bytes."""
    path = Path(directory) / "model.safetensors"
    originals = []
    for model, X in small_models():
        save(model, path)
        train(load(path), X)  # what is imported on first use is imported here
        originals.append((path.read_bytes(), answers(load(path), X), X))
    watch, counts = Watch(), Counter()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rng = random.Random(seed)
    tracemalloc.start()
    for case in range(n_cases):
        data, expected, X = rng.choice(originals)
        change = rng.choice(DAMAGE if case % 2 == 0 else CHANGES)
        damaged = change(data, rng)
        path.write_bytes(damaged)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        try:
            with watch.on(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = load(path)
        except InvalidModelFileError:
            outcome = "refused"
        except Exception as error:
            raise AssertionError(f"case {case}, {change.__name__}") from error
        else:
            outcome = "loaded"
        _, peak = tracemalloc.get_traced_memory()
        allowed = MEMORY_FACTOR * len(damaged) + MEMORY_BASE
        assert peak - before < allowed, f"case {case}, {change.__name__}: {peak - before} bytes"
        if outcome == "loaded" and change in DAMAGE:
            for a, b in zip(answers(model, X), expected, strict=True):
                assert same_bits(a, b), f"case {case}, {change.__name__}"
            outcome = "loaded, same bits"
        elif outcome == "loaded":
            outcome = "loaded, " + use(model, X)
        counts[change.__name__, outcome] += 1
    tracemalloc.stop()
    # In KiB on Linux.
    growth = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident)
    assert growth < MAX_GROWTH, f"resident memory grew by {growth} bytes"
    return counts, growth


def use(model, X):
    """Whether a model of changed content works; ValueError is an answer, nothing else is."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            answers(model, X)
            train(model.set_params(verbose=0, device="cpu", batch_size=10, max_iter=1), X)
    except ValueError:
        return "then ValueError"
    return "works"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        counts, growth = run(options.cases, options.seed, directory)
        assert os.listdir(directory) == ["model.safetensors"]
    for (change, outcome), n in sorted(counts.items()):
        print(f"{change:<16} {outcome:<24} {n:>5}")
    print(f"{sum(counts.values())} cases; resident memory grew by {growth / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
