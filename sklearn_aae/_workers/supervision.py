"""What the client does: it hands out rows, waits, and begins anew where workers were lost."""

from __future__ import annotations

import pickle
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import dask
import distributed
import numpy as np

from sklearn_aae._rows.stores import len_of
from sklearn_aae._warnings import warn_user
from sklearn_aae._workers.averaging import PeerLost
from sklearn_aae._workers.member import N_REPORTS, Outcome, Place, free_port, train_on_worker

# Between two looks at what became of tasks.
_SECONDS = 0.1
# Between two questions whether all workers are there, and until those that are left have to have
# noticed that one is not, which is longer than the limit of a step.
_SECONDS_TO_ASK, _SECONDS_TO_NOTICE = 1.0, 55.0
# Until a worker that was killed may have been started again by its nanny.
_SECONDS_TO_RETURN = 30.0
# Attempts that come to no further epoch, one after the other, before it is given up.
_N_ATTEMPTS = 3


class WorkersLost(RuntimeError):  # noqa: N818  # an event, as TrainingStopped is
    """Some of the workers that trained together are not there any more, or do not answer.

    Parameters
    ----------
    message : str
    silent : frozenset of str, default=frozenset()
        Addresses of those that the scheduler takes to be there.
    """

    def __init__(self, message: str, silent: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.silent = silent


class Rows(NamedTuple):
    """Rows in a collection of dask, as lazy chunks.

    `is_computed` tells whether they are in the memory of workers already, so that they have to be
    taken from where they are.
    """

    chunks: list[Any]
    is_computed: bool


class Training:
    """A training on the workers of a client, from its beginning to its end.

    Parameters
    ----------
    client : distributed.Client
    estimator : AdversarialAutoencoder
        As the workers are to fit it.
    rows : Rows
    X_val : array-like or None
    continued : bool
        Whether the estimator is fitted, and trained on.
    state : dict or None
        Of a training that goes on.
    on_report : callable
        Called with the row of the history of an epoch, and the state of the training after it.
    """

    def __init__(
        self,
        client: Any,
        estimator: Any,
        rows: Rows,
        X_val: Any,
        *,
        continued: bool,
        state: dict[str, Any] | None,
        on_report: Callable[[dict[str, Any], dict[str, Any]], None],
    ) -> None:
        self._client = client
        self._estimator = estimator
        self._rows = rows
        self._X_val = X_val
        self._continued = continued
        self._state = state
        self._on_report = on_report
        self._n_reports = 0
        self._silent: set[str] = set()

    def run(self) -> Outcome:
        """Train, on the workers that are left where some were lost."""
        n_in_vain = 0
        # One training at a time: two could wait for each other's threads.
        with self._client.as_current(), distributed.Lock("sklearn-aae-training"):
            while True:
                before = self._n_reports
                try:
                    return self._attempt(self._workers())
                except WorkersLost as lost:
                    self._silent |= lost.silent
                    n_in_vain = 0 if self._n_reports > before else n_in_vain + 1
                    if n_in_vain >= _N_ATTEMPTS:
                        raise RuntimeError(
                            f"{lost} Workers were lost {n_in_vain} times without an epoch between. "
                            "Look into their logs for what ends them: often it is memory, which "
                            "more workers, more memory for each, or fewer rows would help."
                        ) from lost
                    warn_user(
                        f"{lost} Training goes on from {self._where} on the workers that are left.",
                        UserWarning,
                    )

    @property
    def _where(self) -> str:
        if self._state is None:
            return "the beginning"
        return f"epoch {len(self._state['history'])}"

    def _workers(self) -> list[str]:
        """Addresses of the workers that are there, as soon as there are some."""
        end = time.monotonic() + _SECONDS_TO_RETURN
        while time.monotonic() < end:
            workers = sorted(set(self._client.nthreads()) - self._silent)
            if workers:
                return workers
            time.sleep(_SECONDS)
        raise RuntimeError(
            f"No worker is left, and none came within {_SECONDS_TO_RETURN:g} s; the training had "
            f"come to {self._where}. Start workers and call fit again; with "
            "callbacks=[Checkpoint(directory)] it goes on from its last epoch."
        )

    def _attempt(self, workers: list[str]) -> Outcome:
        channel = f"sklearn-aae-{uuid.uuid4().hex[:8]}"
        queue = distributed.Queue(channel, client=self._client, maxsize=N_REPORTS)
        stop = distributed.Event(channel, client=self._client)
        tasks: list[Any] = []
        try:
            members = self._hand_out(workers, channel, tasks)
            hosts = [_host_of(worker) for worker, _ in members]
            address = (hosts[0], self._call(free_port, hosts[0], members[0][0]))
            state = None if self._state is None else pickle.dumps(self._state)
            trainings = [
                self._client.submit(
                    train_on_worker,
                    self._estimator,
                    parts,
                    self._X_val,
                    Place(address, host, rank, len(members), channel),
                    state,
                    self._continued,
                    key=f"sklearn-aae-training-{channel[-8:]}-{rank}",
                    workers=[worker],
                    pure=False,
                )
                for rank, ((worker, parts), host) in enumerate(zip(members, hosts, strict=True))
            ]
            tasks += trainings
            return self._wait(trainings, [worker for worker, _ in members], queue, stop)[0]
        finally:
            with suppress(Exception):  # the scheduler may be what was lost
                stop.set()
                self._client.cancel(tasks, force=True)
                queue.close()

    def _hand_out(
        self, workers: list[str], channel: str, tasks: list[Any]
    ) -> list[tuple[str, list[Any]]]:
        """Compute each worker's share of the rows where it is; those workers that have some."""
        shares = np.array_split(np.arange(len(self._rows.chunks)), len(workers))
        parts = []
        for worker, share in zip(workers, shares, strict=True):
            # Lazy rows are read where they are needed, rows in memory moved there.
            named = []
            for i in share:
                with dask.annotate(workers=[worker], allow_other_workers=False):
                    of_worker = dask.delayed(_unchanged)
                    key = f"sklearn-aae-rows-{channel[-8:]}-{i}"
                    named.append(of_worker(self._rows.chunks[i], dask_key_name=key))
            where = None if self._rows.is_computed else [worker]
            parts.append(self._client.compute(named, workers=where, optimize_graph=False))
            tasks += parts[-1]
        counts = [
            self._client.submit(len_of, part, workers=[worker], pure=False)
            for worker, of_worker in zip(workers, parts, strict=True)
            for part in of_worker
        ]
        tasks += counts
        lengths = iter(self._wait(counts, workers))
        with_rows = [
            (worker, of_worker)
            for worker, of_worker in zip(workers, parts, strict=True)
            if sum(next(lengths) for _ in of_worker) > 0
        ]
        if not with_rows:
            raise ValueError("X has no rows: Found array with 0 sample(s) in all its partitions.")
        batch_size = self._estimator.batch_size
        if batch_size != "auto" and batch_size < len(with_rows):
            raise ValueError(
                f"batch_size={batch_size} is the size of a batch of all workers together, of which "
                f"each takes a part: it must be at least {len(with_rows)}, the number of workers "
                "that have rows. Raise it, or let fewer workers train."
            )
        return with_rows

    def _call(self, function: Callable[..., Any], argument: Any, worker: str) -> Any:
        future = self._client.submit(function, argument, workers=[worker], pure=False)
        return self._wait([future], [worker])[0]

    def _wait(
        self, futures: list[Any], workers: list[str], queue: Any = None, stop: Any = None
    ) -> list[Any]:
        """Results of tasks, as soon as there are all.

        Raises
        ------
        WorkersLost
            Where a worker is lost, and those that waited for it have noticed.
        Exception
            What a task has raised by itself.
        """
        asked = 0.0
        while not all(future.status == "finished" for future in futures):
            self._take_reports(queue)
            failed = any(future.status in ("error", "cancelled", "lost") for future in futures)
            if not failed and time.monotonic() - asked > _SECONDS_TO_ASK:
                asked = time.monotonic()
                failed = bool(self._lost(workers))
            if failed:
                if stop is not None:
                    stop.set()
                self._raise(futures, workers)
            time.sleep(_SECONDS)
        self._take_reports(queue)
        results = self._client.gather(futures)
        return list(results)

    def _lost(self, workers: list[str]) -> set[str]:
        return set(workers) - set(self._client.nthreads())

    def _raise(self, futures: list[Any], workers: list[str]) -> None:
        """Say why tasks have failed, once those of workers that are left have ended."""
        end = time.monotonic() + _SECONDS_TO_NOTICE
        waiting = dict(zip(futures, workers, strict=False))
        while waiting and time.monotonic() < end:
            for error in map(_error_of, futures):
                if not isinstance(error, (PeerLost, type(None))):
                    raise error
            lost = self._lost(workers)
            waiting = {f: w for f, w in waiting.items() if f.status == "pending" and w not in lost}
            time.sleep(_SECONDS)
        lost, silent = self._lost(workers), frozenset(waiting.values())
        gone = ", ".join(sorted(lost | silent)) or "by each other"
        n = len(lost | silent) or len(workers)
        raise WorkersLost(f"{n} of {len(workers)} workers were lost: {gone}.", silent)

    def _take_reports(self, queue: Any) -> None:
        while queue is not None and queue.qsize() > 0:
            row, state = pickle.loads(queue.get())
            self._state = state
            self._n_reports += 1
            self._on_report(row, state)


def _unchanged(rows: Any) -> Any:
    return rows


def _host_of(worker: str) -> str:
    """Of an address such as "tcp://10.0.0.1:40000"; workers in this process have none."""
    parts = urlsplit(worker)
    return parts.hostname or "127.0.0.1" if parts.scheme != "inproc" else "127.0.0.1"


def _error_of(future: Any) -> BaseException | None:
    """What a task has raised; None of one that has not, or whose worker was lost."""
    if future.status == "error":
        error = future.exception()
        return None if isinstance(error, distributed.KilledWorker) else error
    if future.status in ("cancelled", "lost"):
        return RuntimeError(
            "Rows, or the task that trained on them, were taken away: somebody cancelled them, or "
            "a worker was lost that held rows which nobody can compute again, as scattered ones."
        )
    return None
