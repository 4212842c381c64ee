"""A group of processes that average what they have, by torch.distributed.

`ProcessGroupGloo` is used as an object of its own: torch's default group is one for each process,
in which then no two trainings could run, nor two workers that share a process.
"""

from __future__ import annotations

import pickle
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed
from torch import Tensor
from torch.distributed import TCPStore

# torch's stubs do not tell what it is able to do.
ProcessGroupGloo: Any = torch.distributed.ProcessGroupGloo

# Whoever does not answer for so long is taken for dead. A step takes milliseconds; before the first
# one, members may need minutes more than others to read their rows.
_SECONDS_OF_STEP = 45
_SECONDS_OF_READING = 600
_SECONDS_TO_MEET = 45
# Between two questions, of those who wait for others, whether these may still come.
_SECONDS_TO_ASK = 1.0


class PeerLost(RuntimeError):  # noqa: N818  # an event, as TrainingStopped is
    """Another member of a group is not there any more, or does not answer."""


class Averaging:
    """A member of a group of processes.

    Parameters
    ----------
    address : tuple of str and int
        Host and port of member 0, where all meet.
    host : str
        Of this member, by which others reach it.
    rank, size : int
    is_wanted : callable
        Whether it makes sense to wait for the others.

    Raises
    ------
    PeerLost
        By every method, where another member does not answer within the time that it has.
    """

    def __init__(
        self,
        address: tuple[str, int],
        host: str,
        rank: int,
        size: int,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        self.rank, self.size = rank, size
        self.balance = 1.0
        self._n_rows = self._n_clean = self._n_total = 0
        self._messages: dict[int, Tensor] = {}
        limit = timedelta(seconds=_SECONDS_TO_MEET)
        with _naming_peers("meet"):
            self._store = _meet(address, rank, size, limit, is_wanted)
            options = ProcessGroupGloo._Options()
            options._timeout = limit
            # By name of the host, gloo would look for the interface itself, and take another.
            options._devices = [ProcessGroupGloo.create_device(hostname=host)]
            self._group = ProcessGroupGloo(self._store, rank, size, options)
            self._group.barrier().wait(limit)

    def gather(self, value: Any) -> list[Any]:
        """What all have, in the order of their ranks."""
        limit = timedelta(seconds=_SECONDS_OF_READING)
        mine = torch.frombuffer(bytearray(pickle.dumps(value)), dtype=torch.uint8)
        with _naming_peers("exchange what they know of their rows"):
            sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
            self._allgather(sizes, torch.tensor([len(mine)]), limit)
            longest = max(int(n) for n in sizes)
            padded = torch.zeros(longest, dtype=torch.uint8)
            padded[: len(mine)] = mine
            parts = [torch.empty_like(padded) for _ in range(self.size)]
            self._allgather(parts, padded, limit)
        return [
            pickle.loads(part[: int(n)].numpy().tobytes())
            for part, n in zip(parts, sizes, strict=True)
        ]

    def _allgather(self, outputs: list[Tensor], own: Tensor, limit: timedelta) -> None:
        self._group.set_timeout(limit)
        self._group.allgather([outputs], [own]).wait(limit)

    def begin_step(self, n_rows: int, n_clean: int) -> None:
        """A step begins, on so many rows at hand, of which critics see the second number."""
        self._n_rows, self._n_clean = n_rows, n_clean
        self.balance = 1.0

    def average(
        self, gradients: Sequence[Tensor], values: dict[str, Tensor], *, clean: bool = False
    ) -> dict[str, Tensor]:
        """Means over all rows, of one vector: gradients, values, and what they count for."""
        n = self._n_clean if clean else self._n_rows
        parts = [*(g.reshape(-1) for g in gradients), *(v.reshape(1) for v in values.values())]
        message = self._message(sum(len(part) for part in parts) + 2)
        means = message[:-2]
        torch.cat([part.detach().to("cpu", torch.float32) for part in parts], out=means)
        # Of a row that only stands in for others, not even NaN counts.
        means.mul_(n) if n > 0 else means.zero_()
        message[-2], message[-1] = n, self._n_rows
        limit = timedelta(seconds=_SECONDS_OF_STEP)
        with _naming_peers("average their gradients"):
            self._group.set_timeout(limit)
            self._group.allreduce([message]).wait(limit)
        counted, total = float(message[-2]), float(message[-1])
        means.div_(counted)
        at = 0
        for gradient in gradients:
            gradient.copy_(means[at : at + gradient.numel()].view_as(gradient))
            at += gradient.numel()
        self._n_total = int(total)
        if clean and n > 0:
            self.balance = (n / counted) / (self._n_rows / total)
        return dict(zip(values, means[at:].clone(), strict=True))

    def _message(self, length: int) -> Tensor:
        """Memory for a vector, the same for every step: new memory takes as long as the sum."""
        if length not in self._messages:
            self._messages[length] = torch.empty(length)
        return self._messages[length]

    def n_rows(self, n_at_hand: int) -> int:
        """Rows of a step of all members, once there was an average."""
        return self._n_total

    def close(self) -> None:
        """Leave; whoever waits for this member hears of it."""
        self._group.abort()
        del self._group, self._store


def _meet(
    address: tuple[str, int],
    rank: int,
    size: int,
    limit: timedelta,
    is_wanted: Callable[[], bool],
) -> TCPStore:
    """What all members share, once all are there.

    TCPStore would wait for them too, for as long as the limit says whatever becomes of them.
    """
    end = time.monotonic() + limit.total_seconds()
    asked = time.monotonic()

    def wait() -> None:
        nonlocal asked
        now = time.monotonic()
        if now > end:
            raise RuntimeError(f"not all of {size} were there within {limit.total_seconds():g} s")
        if now - asked > _SECONDS_TO_ASK:
            asked = now
            if not is_wanted():
                raise RuntimeError("one of them will not come")
        time.sleep(_SECONDS_TO_ASK / 20)

    while rank > 0:
        try:
            socket.create_connection(address, timeout=_SECONDS_TO_ASK).close()
            break
        except OSError:
            wait()
    store = TCPStore(*address, size, rank == 0, limit, wait_for_workers=False)
    store.set(f"member {rank}", "is here")
    while not store.check([f"member {other}" for other in range(size)]):
        wait()
    return store


@contextmanager
def _naming_peers(what: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch.distributed.DistError is one, too
        raise PeerLost(f"A worker was lost while all were to {what}: {error}") from error
