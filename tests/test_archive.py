"""A file is written whole or not at all, and read only if it is exactly what was written."""

import io
import json
import os
import pickle
import stat
import subprocess
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
from fuzz_persistence import header_text, put_together, take_apart, with_checksum
from numpy.testing import assert_array_equal
from safetensors import safe_open

from sklearn_aae._files.archive import (
    FORMAT_VERSION,
    InvalidModelFileError,
    read_archive,
    write_archive,
)

DOCUMENT = {"text": "é\ud800", "numbers": [1, -(10**38), 0.1, 1e-300], "none": None, "no": False}
ARRAYS = {
    "bools": np.array([True, False, True]),
    "empty": np.empty((0, 3), dtype=np.float32),
    "scalar": np.array(2.5),
    "bytes": np.arange(256, dtype=np.uint8).reshape(2, 2, 64),
    "other order": np.arange(3, dtype=">i4"),
    "odd floats": np.array([np.nan, np.inf, -0.0, 5e-324]),
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "archive"
    write_archive(path, DOCUMENT, ARRAYS)
    return path


def refused(path, data, match=None):
    path.write_bytes(data)
    with pytest.raises(InvalidModelFileError, match=match):
        read_archive(path)


# Writing.


def test_what_was_written_is_read(path):
    document, arrays, version = read_archive(path)
    assert version == FORMAT_VERSION
    assert document == DOCUMENT
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype.newbyteorder("=")
        assert arrays[name].flags.writeable


def test_equal_contents_give_equal_bytes(path, tmp_path):
    write_archive(tmp_path / "other", DOCUMENT, ARRAYS)
    assert path.read_bytes() == (tmp_path / "other").read_bytes()


def test_other_readers_of_safetensors_see_the_same_arrays(path):
    with safe_open(path, "np") as file:
        metadata = json.loads(file.metadata()["sklearn_aae"])
        assert json.loads(metadata["document"]) == DOCUMENT
        for name, array in ARRAYS.items():
            assert_array_equal(file.get_tensor(name), array)


@pytest.mark.parametrize("target", ["os.fsync", "os.replace", "shutil.copymode"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failing_write_leaves_everything_as_it_was(path, target, error, monkeypatch):
    before = path.read_bytes()

    def fail(*args):
        raise error

    monkeypatch.setattr(target, fail)
    with pytest.raises(type(error)):
        write_archive(path, {"new": 1}, {})
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


WRITE_FOR_EVER = """
import sys
import numpy as np
from sklearn_aae._files.archive import write_archive
arrays = {"a": np.full(200_000, int(sys.argv[2]))}
print("started", flush=True)
while True:
    write_archive(sys.argv[1], {"writer": int(sys.argv[2])}, arrays)
"""


def writers(path, n):
    """Processes that write a file over and over, each its own content; they have begun."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE_FOR_EVER, str(path), str(i)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(n)
    ]
    assert [process.stdout.readline() for process in started] == n * ["started\n"]
    return started


def killed(processes):
    for process in processes:
        process.kill()
        process.communicate()


def test_processes_that_write_one_path_leave_the_file_of_one_of_them(path):
    started = writers(path, 2)
    seen = set()
    deadline = time.monotonic() + 20
    try:
        while len(seen) < 2 and time.monotonic() < deadline:
            document, arrays, _ = read_archive(path)  # never half of a file, nor a mixture
            if document != DOCUMENT:
                assert set(arrays["a"]) == {document["writer"]}
                seen.add(document["writer"])
    finally:
        killed(started)
    assert seen == {0, 1}


def test_a_writer_that_is_killed_leaves_a_whole_file(path):
    rng = np.random.RandomState(0)
    for _ in range(3):
        started = writers(path, 1)
        time.sleep(rng.uniform(0, 0.1))
        killed(started)
        document, arrays, _ = read_archive(path)
        assert document == DOCUMENT or set(arrays["a"]) == {document["writer"]}


def test_a_disk_that_is_full_leaves_the_old_file(path):
    resource = pytest.importorskip("resource", reason="limits of files are those of POSIX")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # What is written beyond the limit fails as on a full disk; Python ignores the signal.
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_archive(path, DOCUMENT, {"a": np.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_the_file_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    events = []
    for name in ("fsync", "replace"):
        function = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *a, name=name, function=function: (events.append(name), function(*a))
        )
    write_archive(tmp_path / "new", DOCUMENT, ARRAYS)
    assert events == ["fsync", "replace", "fsync"]  # the new name, too


def test_modes_and_links_stay(path, tmp_path):
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    write_archive(link, {"new": 1}, {})
    assert link.is_symlink()
    assert read_archive(path)[0] == {"new": 1}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_has_the_modes_of_any_new_file(path, tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", ["missing/file", "."])
def test_a_path_that_cannot_be_written_is_named(tmp_path, name):
    with pytest.raises(OSError, match=str(tmp_path)):
        write_archive(tmp_path / name, DOCUMENT, ARRAYS)
    assert os.listdir(tmp_path) == []


# Reading.


def test_every_flipped_bit_is_noticed(path):
    data = path.read_bytes()
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        refused(path, bytes(damaged))


def test_every_cut_is_noticed(path):
    data = path.read_bytes()
    for n in range(len(data)):
        refused(path, data[:n])
    refused(path, data + b"\0")


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("../../evil", b"0" * 1000)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 8,
        b"\xff" * 100,
        b"{}",
        (2**40).to_bytes(8, "little")
        + b'{"__metadata__":{"format":"sklearn_aae","format_version":"',
        zipped(),
        (2).to_bytes(8, "little") + b"{}",
    ],
)
def test_files_of_another_origin_are_refused(path, data):
    refused(path, data)


def test_a_pickle_is_called_one(path):
    refused(path, pickle.dumps({"a": 1}), "looks like a pickle")


def test_a_missing_file_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_archive(tmp_path / "missing")


CHANGES = {
    "huge array": lambda h: h["bools"].update(shape=[2**40]),
    "product overflows": lambda h: h["bools"].update(shape=[2**32, 2**32, 0]),
    "negative": lambda h: h["bools"].update(shape=[-3]),
    "shape of bools": lambda h: h["scalar"].update(shape=[True]),
    "many dimensions": lambda h: h["scalar"].update(shape=[1] * 33),
    "offsets overlap": lambda h: h["bools"].update(data_offsets=h["bytes"]["data_offsets"]),
    "bytes of nothing": lambda h: h.pop("odd floats"),
    "unknown dtype": lambda h: h["bools"].update(dtype="O"),
    "wider dtype": lambda h: h["bytes"].update(dtype="F64"),
    "numbers as bools": lambda h: h["bytes"].update(dtype="BOOL"),
    "unknown key": lambda h: h["bools"].update(x=1),
    "missing key": lambda h: h["bools"].pop("shape"),
    "no entry": lambda h: h.update(x=None),
    "newer": lambda h: h["__metadata__"].update(format_version="3"),
    "version 0": lambda h: h["__metadata__"].update(format_version="0"),
    "more metadata": lambda h: h["__metadata__"].update(x="1"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_header_that_lies_is_refused_with_a_right_checksum(path, change):
    header, document, buffer = take_apart(path.read_bytes())
    path.write_bytes(put_together(header, document, buffer))
    read_archive(path)  # the change is all that is wrong
    change(header)
    data = put_together(header, document, buffer)
    tracemalloc.start()
    refused(path, data)
    assert tracemalloc.get_traced_memory()[1] < 200_000
    tracemalloc.stop()


def test_a_sparse_file_of_any_size_is_refused(path):
    header, document, buffer = take_apart(path.read_bytes())
    start = len(buffer)
    header["x"] = {"dtype": "U8", "shape": [2**42], "data_offsets": [start, start + 2**42]}
    path.write_bytes(put_together(header, document, buffer))
    try:
        os.truncate(path, path.stat().st_size + 2**42)
    except OSError:
        pytest.skip("this file system has no files of this size")
    with pytest.raises(InvalidModelFileError, match="more than the memory"):
        read_archive(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are those of POSIX")
def test_a_pipe_that_nobody_writes_to_is_refused_at_once(path, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with pytest.raises(InvalidModelFileError, match="no regular file"):
            read_archive(tmp_path / name)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_devices_are_refused_at_once(device):
    if not os.path.exists(device):
        pytest.skip(f"there is no {device}")
    # Without a terminal, /dev/tty cannot be opened.
    with pytest.raises((InvalidModelFileError, OSError), match=r"no regular file|/dev/tty"):
        read_archive(device)


def test_a_directory_is_an_error_of_the_system(tmp_path):
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        read_archive(tmp_path)


def test_a_newer_format_says_what_to_do(path):
    header, document, buffer = take_apart(path.read_bytes())
    header["__metadata__"]["format_version"] = "12"
    refused(path, put_together(header, document, buffer), "version 12 .* Install a newer")


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        "[]",
        '"text"',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":1e999}',
        '{"a":' + "9" * 41 + "}",
        '{"a":' + "9" * 5000 + "}",
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"a":',
        "é",
    ],
    ids=lambda text: text[:10],
)
def test_json_beyond_what_is_written_is_refused(path, text):
    header, _, buffer = take_apart(path.read_bytes())
    refused(path, put_together(header, text, buffer), "header is damaged")


def test_repeated_arrays_are_refused(path):
    header, document, buffer = take_apart(path.read_bytes())
    text = header_text(header, json.dumps(document))
    twice = text[:-1] + ',"scalar":' + json.dumps(header["scalar"]) + "}"
    refused(path, with_checksum(twice.encode(), buffer), "a key is repeated")
