"""Training on the workers of a cluster: the weights of one process, whatever becomes of workers."""

import importlib
import inspect
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import dask.array
import dask.dataframe
import numpy as np
import pandas as pd
import pytest
import torch
from distributed import Client, LocalCluster
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sklearn_aae import AdversarialAutoencoder, Chunks, load, save
from sklearn_aae._training.state import digest_of_networks
from sklearn_aae._workers import averaging, member, supervision
from sklearn_aae._workers.averaging import Averaging, PeerLost
from sklearn_aae._workers.member import free_port
from sklearn_aae.callbacks import Checkpoint, ScoreMonitor
from sklearn_aae.dask import DaskAdversarialAutoencoder

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 4)) @ RNG.normal(size=(4, 5))
COLLECTION = dask.array.from_array(X, chunks=((200, 7, 100, 193), (3, 2)))
CHUNKS = np.split(X, [200, 207, 307])

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore:Sending large graph:UserWarning"
)


def model(**parameters):
    return DaskAdversarialAutoencoder(2, **{"max_iter": 2, "random_state": 0} | parameters)


def cluster_of(n_workers, *, processes=False):
    return LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=processes,
        dashboard_address=":0",
    )


@pytest.fixture(scope="module")
def client():
    """Two workers that are threads of this process."""
    with cluster_of(2) as cluster, Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def fitted(client):
    return model(client=client).fit(COLLECTION)


class Point:
    """A prior of which all draws are equal, however many a process takes."""

    n_components = None

    def sample(self, n, generator):
        return torch.full((n, 2), 0.5)


def in_threads(function, size):
    """Results of a function of rank and group, each rank a thread of its own."""
    port = free_port("127.0.0.1")
    results, errors = [None] * size, []

    def member(rank):
        try:
            group = Averaging(("127.0.0.1", port), "127.0.0.1", rank, size)
            results[rank] = function(rank, group)
            group.gather(None)
            group.close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=member, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors, errors
    return results


def test_members_tell_each_other_what_they_have():
    values = [{"a": np.arange(3)}, None, "long" * 1000]
    for gathered in in_threads(lambda rank, group: group.gather(values[rank]), 3):
        assert_array_equal(gathered[0]["a"], values[0]["a"])
        assert gathered[1:] == values[1:]


@pytest.mark.parametrize(
    "counts", [(5, 4), pytest.param((7, 2), marks=pytest.mark.thorough), (6, 0)]
)
def test_steps_together_are_those_of_one_process_with_the_same_global_batches(counts, monkeypatch):
    """Rows that each member has of every batch; where it has none, one that must not count."""
    options = {"adversarial_weight": 0.5, "gradient_penalty": 0.3, "max_iter": 1, "random_state": 0}
    start = AdversarialAutoencoder(2, prior=Point(), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start.fit(X[:100])
    # Half of each batch is no part of the game, and gets no noise that would be another one.
    monkeypatch.setattr("sklearn_aae._training.net.corrupted", lambda x, *_: x)
    n_steps = 6
    rng = np.random.default_rng(1)
    batches = [
        torch.from_numpy(rng.normal(size=(n_steps, max(n, 1), 5)).astype(np.float32))
        for n in counts
    ]

    def net_of(group=None):
        net = pickle.loads(pickle.dumps(start.net_))
        net._set_training(True)
        if group is not None:
            net.group = group
        return net

    def values_of(step):
        return {name: float(v) for name, v in step["losses"].items()} | {"n": step["n_rows"]}

    def train(rank, group):
        net = net_of(group)
        told = []
        for x in batches[rank]:
            targets = {} if counts[rank] else {"n_counted": 0}
            step = net.train_step((x, targets))
            told.append(values_of(step))
        return net, told

    whole, expected = net_of(), []
    for i in range(n_steps):
        of_members = [batches[r][i][: counts[r]] for r in range(len(counts))]
        halves = [x[: len(x) // 2] for x in of_members], [x[len(x) // 2 :] for x in of_members]
        step = whole.train_step((torch.cat([*halves[0], *halves[1]]), {}))
        expected.append(values_of(step))

    (first, told), (second, also_told) = in_threads(train, 2)
    assert told == also_told
    assert digest_of_networks(first) == digest_of_networks(second)
    assert told[0].keys() == expected[0].keys()
    for one, other in zip(told, expected, strict=True):
        assert_allclose([*one.values()], [*other.values()], rtol=2e-4)
    for name in ("module_", "discriminators_"):
        ours, theirs = getattr(first, name).state_dict(), getattr(whole, name).state_dict()
        for key, value in ours.items():
            # Adam divides by the size of gradients: where those are of rounding only, so are steps.
            assert_allclose(value, theirs[key], atol=2e-5, err_msg=key)


def test_a_member_that_does_not_answer_is_lost(monkeypatch):
    monkeypatch.setattr(averaging, "_SECONDS_OF_STEP", 0.2)

    def train(rank, group):
        group.begin_step(1, 1)
        if rank == 0:
            with pytest.raises(PeerLost, match="A worker was lost while all were to average"):
                group.average([torch.ones(2)], {})
        else:
            time.sleep(0.5)
        group.gather = lambda value: None
        return True

    assert in_threads(train, 2) == [True, True]


@pytest.mark.thorough
def test_nobody_to_meet(monkeypatch):
    monkeypatch.setattr(averaging, "_SECONDS_TO_MEET", 0.3)
    for rank in (0, 1):
        address = ("127.0.0.1", free_port("127.0.0.1"))
        with pytest.raises(PeerLost, match=r"to meet: not all of 2 were there within 0.3 s"):
            Averaging(address, "127.0.0.1", rank, 2)
    monkeypatch.setattr(averaging, "_SECONDS_TO_MEET", 60)
    monkeypatch.setattr(averaging, "_SECONDS_TO_ASK", 0.1)
    with pytest.raises(PeerLost, match="one of them will not come"):
        Averaging(address, "127.0.0.1", 1, 2, lambda: False)


def test_parameters_are_those_of_one_process():
    own = dict(inspect.signature(DaskAdversarialAutoencoder).parameters)
    del own["client"]
    assert own == dict(inspect.signature(AdversarialAutoencoder).parameters)


def test_one_worker_gives_the_bits_of_one_process():
    with cluster_of(1) as cluster, Client(cluster) as client:
        together = model(client=client).fit(COLLECTION)
    alone = AdversarialAutoencoder(2, max_iter=2, random_state=0).fit(Chunks(CHUNKS))
    assert together.history_ == alone.history_
    assert together.offset_ == alone.offset_
    assert_array_equal(together.score_samples(X), alone.score_samples(X))


def test_two_workers_learn_as_one_does_and_the_same_again(client, fitted):
    alone = AdversarialAutoencoder(2, max_iter=2, random_state=0).fit(Chunks(CHUNKS))
    assert fitted.n_iter_ == 2
    assert_allclose(fitted._columns.scale, alone._columns.scale, rtol=1e-12)
    assert_allclose(fitted.history_["train_loss"], alone.history_["train_loss"], rtol=0.1)
    assert fitted.offset_ == pytest.approx(alone.offset_, rel=0.1)
    again = clone(fitted).fit(COLLECTION.persist())
    assert again.client is client
    assert again.history_ == fitted.history_
    assert_array_equal(again.score_samples(X), fitted.score_samples(X))
    assert fitted.net_.history[-1]["train_batch_count"] == -(-450 // 56)


def test_answers_for_collections_are_lazy(fitted):
    local = fitted.to_local()
    assert type(local) is AdversarialAutoencoder
    for method in ("transform", "reconstruct", "score_samples", "decision_function", "predict"):
        lazy, expected = getattr(fitted, method)(COLLECTION), getattr(local, method)(X)
        assert isinstance(lazy, dask.array.Array)
        assert lazy.shape == expected.shape
        assert lazy.dtype == expected.dtype
        assert_array_equal(lazy.compute(), expected)
        assert_array_equal(getattr(fitted, method)(X), expected)


def test_frames_with_categories_and_gaps(client, tmp_path, monkeypatch):
    monkeypatch.setattr("sklearn_aae._rows.kinds.MAX_CATEGORIES", 1)  # the rarer two are one
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"])
    frame["kind"] = pd.Series(["x", "y", "z"], dtype=object).take(np.arange(500) // 170).to_numpy()
    frame.loc[::7, "b"] = np.nan
    lazy = dask.dataframe.from_pandas(frame, npartitions=3)
    together = model(client=client).fit(lazy)
    alone = AdversarialAutoencoder(2, max_iter=1, random_state=0).fit(lazy)
    assert vars(together._table) == vars(alone._table)
    assert together.feature_names_in_.tolist() == ["a", "b", "kind"]
    assert set(together.reconstruct(frame)["kind"]) <= {"x", "y", "z"}
    scores = together.score_samples(lazy)
    assert isinstance(scores, dask.dataframe.Series)
    assert_array_equal(scores.compute(), together.to_local().score_samples(frame))
    restored = together.reconstruct(lazy)
    assert restored.columns.tolist() == ["a", "b", "kind"]
    assert set(restored.compute()["kind"]) <= {"x", "y", "z"}
    assert together.transform(lazy).compute().shape == (500, 2)
    save(together.to_local(), tmp_path / "model.aae")
    assert load(tmp_path / "model.aae").offset_ == together.offset_
    assert pickle.loads(pickle.dumps(together)).client is None


def test_a_worker_with_few_rows_and_one_without_any(client):
    rows = dask.array.from_array(X[:303], chunks=((300, 0, 3, 0), 5))
    rows = rows[rows[:, 0] == rows[:, 0]]  # of lengths that dask does not know
    uneven = model(client=client).fit(rows)
    assert uneven.n_iter_ == 2
    empty = dask.array.from_array(X[:100], chunks=((100, 0), 5))
    assert model(client=client).fit(empty).n_iter_ == 2


@pytest.mark.thorough
def test_trainings_that_go_on(client, tmp_path):
    warm = model(client=client, warm_start=True, max_iter=1).set_output(transform="pandas")
    assert warm.fit(COLLECTION).fit(COLLECTION).n_iter_ == 2
    assert isinstance(warm.transform(X), pd.DataFrame)
    checkpoint = Checkpoint(tmp_path)
    kept = {}
    write = Checkpoint.write

    def stop(self, state):
        write(self, state)
        kept.update(state)
        raise KeyboardInterrupt

    whole = model(client=client, max_iter=3).fit(COLLECTION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "write", stop)
        with pytest.raises(KeyboardInterrupt):
            model(client=client, max_iter=3, callbacks=[checkpoint]).fit(COLLECTION)
    assert len(list(tmp_path.glob("*.npz"))) == 1
    resumed = model(client=client, max_iter=3, callbacks=[checkpoint]).fit(COLLECTION)
    assert resumed.callbacks[0].n_epochs_resumed_ == len(kept["history"]) > 0
    assert resumed.history_["train_loss"] == whole.history_["train_loss"]
    assert not list(tmp_path.glob("*.npz"))


def _broken(block):
    if len(block) == 193:
        raise OSError("no such file")
    return block


def test_what_is_wrong_with_the_rows_is_said_as_in_one_process(client):
    broken = COLLECTION.rechunk({1: 5}).map_blocks(_broken, meta=X[:0])
    with pytest.raises(OSError, match="no such file"):
        model(client=client).fit(broken)
    with pytest.raises(ValueError, match="infinity"):
        model(client=client).fit(dask.array.where(COLLECTION > 2, np.inf, COLLECTION))
    # The workers are free again.
    assert model(client=client, max_iter=1).fit(COLLECTION).n_iter_ == 1


def test_what_is_not_supported_is_said(client):
    estimator = model(client=client)
    with pytest.raises(TypeError, match=r"X must be a dask.array.Array or .* got ndarray"):
        estimator.fit(X)
    with pytest.raises(ValueError, match="sample_weight is not supported"):
        estimator.fit(COLLECTION, sample_weight=np.ones(500))
    with pytest.raises(TypeError, match="no partial_fit"):
        estimator.partial_fit(COLLECTION)
    with pytest.raises(ValueError, match="it must be at least 2, the number of workers"):
        model(client=client, batch_size=1).fit(COLLECTION)
    with pytest.raises(ValueError, match="rows have to be flat"):
        estimator.fit(dask.array.zeros((3, 3, 3)))
    if hasattr(estimator, "set_callbacks"):  # scikit-learn 1.9 and later
        with pytest.raises(ValueError, match="set_callbacks: callbacks of scikit-learn may end"):
            estimator.set_callbacks(ScoreMonitor()).fit(COLLECTION)


def test_without_the_extra_the_error_says_how_to_get_it():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "distributed", None)
        patch.delitem(sys.modules, "sklearn_aae.dask")
        with pytest.raises(ImportError, match=r'pip install "sklearn-aae\[dask\]"'):
            importlib.import_module("sklearn_aae.dask")


def test_it_is_in_the_reference():
    page = Path(__file__).parent.parent / "docs" / "api.rst"
    assert "   dask.DaskAdversarialAutoencoder\n" in page.read_text()


def test_no_client():
    def none():
        raise ValueError("No global client found and no address provided")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distributed.get_client", none)
        with pytest.raises(ValueError, match="client: there is none to train on"):
            model().fit(COLLECTION)


@pytest.mark.thorough  # processes start for seconds; two threads are trained with above
def test_two_processes_train_to_the_bits_of_two_threads(fitted):
    with cluster_of(2, processes=True) as cluster, Client(cluster) as client:
        apart = model(client=client).fit(COLLECTION)
        scores = apart.score_samples(COLLECTION).compute()
    assert apart.history_ == fitted.history_
    assert_array_equal(scores, fitted.score_samples(X))


@pytest.fixture(scope="module")
def processes():
    with cluster_of(2, processes=True) as cluster, Client(cluster) as client:
        yield client


def while_training(client, happen, seconds):
    """A thread in which something happens so many seconds after all workers have begun to train."""

    def wait():
        end = time.monotonic() + 60
        while time.monotonic() < end:
            tasks = [str(key) for keys in client.processing().values() for key in keys]
            if sum("sklearn-aae-training" in key for key in tasks) == 2:
                break
            time.sleep(0.05)
        time.sleep(seconds)
        happen()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def signal_to_one(client, number, position=0):
    os.kill(sorted(client.run(os.getpid).values())[position], number)


@pytest.mark.thorough
@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_a_worker_that_is_killed(processes, seconds):
    thread = while_training(processes, lambda: signal_to_one(processes, signal.SIGKILL), seconds)
    with pytest.warns(UserWarning, match=r"1 of 2 workers were lost: tcp:.* Training goes on from"):
        long = model(client=processes, max_iter=300).fit(COLLECTION)
    thread.join()
    assert long.n_iter_ == 300
    assert np.isfinite(long.score_samples(COLLECTION).compute()).all()
    processes.wait_for_workers(2, timeout=60)


@pytest.mark.thorough
def test_a_worker_that_stops_to_answer(processes, monkeypatch):
    monkeypatch.setattr(supervision, "_SECONDS_TO_NOTICE", 3.0)
    pids = processes.run(os.getpid)
    stopped = max(pids.values())
    processes.run(_answer_soon)
    thread = while_training(processes, lambda: os.kill(stopped, signal.SIGSTOP), 1.0)
    try:
        with pytest.warns(UserWarning, match="1 of 2 workers were lost"):
            long = model(client=processes, max_iter=300).fit(COLLECTION)
    finally:
        thread.join()
        os.kill(stopped, signal.SIGCONT)
    assert long.n_iter_ == 300


def _answer_soon():
    averaging._SECONDS_OF_STEP = 2.0


@pytest.mark.thorough
def test_no_worker_is_left(monkeypatch):
    monkeypatch.setattr(supervision, "_SECONDS_TO_RETURN", 3.0)
    with cluster_of(2, processes=True) as cluster, Client(cluster) as client:
        thread = while_training(client, lambda: cluster.scale(0), 1.0)
        start = time.monotonic()
        with (
            pytest.warns(UserWarning, match="workers were lost"),
            pytest.raises(RuntimeError, match="No worker is left"),
        ):
            model(client=client, max_iter=3000).fit(COLLECTION)
        assert time.monotonic() - start < 60
        thread.join()


@pytest.mark.thorough
def test_an_interrupted_client_frees_the_workers(processes):
    main = threading.main_thread().ident
    happen = lambda: signal.pthread_kill(main, signal.SIGINT)  # noqa: E731
    # A shell ignores Ctrl-C for what it starts in the background.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = while_training(processes, happen, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            model(client=processes, max_iter=100_000).fit(COLLECTION)
    finally:
        signal.signal(signal.SIGINT, handler)
    thread.join()
    assert model(client=processes, max_iter=1).fit(COLLECTION).n_iter_ == 1


_CLIENT = """
import sys
import dask.array
from distributed import Client
from sklearn_aae.dask import DaskAdversarialAutoencoder
X = dask.array.random.RandomState(0).normal(size=(500, 5), chunks=(100, 5))
with Client(sys.argv[1]) as client:
    DaskAdversarialAutoencoder(2, max_iter=100_000, random_state=0, client=client).fit(X)
"""


@pytest.mark.thorough
def test_a_client_that_is_killed_frees_the_workers(processes):
    processes.run(_wait_briefly)
    program = subprocess.Popen([sys.executable, "-c", _CLIENT, processes.scheduler.address])
    try:
        _until(lambda: sum(processes.run(_n_executing).values()) == 2)
        time.sleep(2)
    finally:
        program.kill()
    program.wait()
    _until(lambda: sum(processes.run(_n_executing).values()) == 0)
    assert model(client=processes, max_iter=1).fit(COLLECTION).n_iter_ == 1


def _wait_briefly():
    member._SECONDS_TO_REPORT = 1.0


def _n_executing(dask_worker):
    return len(dask_worker.state.executing)


def _until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
