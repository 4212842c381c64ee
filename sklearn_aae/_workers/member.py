"""What a worker does: it joins the others, trains on its own rows, and says what came of it."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from typing import Any, NamedTuple

import distributed

from sklearn_aae._compat import _fit_context
from sklearn_aae._estimators.fitting import fit_estimator
from sklearn_aae._rows.group import ALONE, Group
from sklearn_aae._rows.stores import Chunks
from sklearn_aae._training.state import digest_of_networks
from sklearn_aae._warnings import collected_warnings
from sklearn_aae._workers.averaging import Averaging
from sklearn_aae._workers.relay import Relay, Stopped

# Reports that nobody has taken yet, and how long to wait for somebody to take one.
N_REPORTS = 4
_SECONDS_TO_REPORT = 40


class Place(NamedTuple):
    """A member's place in its group: where all meet, its own host, and how it is told apart.

    `channel` is the name of the queue of reports, and of the event that says that nobody waits.
    """

    address: tuple[str, int]
    host: str
    rank: int
    size: int
    channel: str


class Outcome(NamedTuple):
    """What a member says in the end.

    `attributes` are those of the fitted estimator, of member 0; None of others. `warnings` are
    pairs of text and category.
    """

    attributes: dict[str, Any] | None
    digest: str
    warnings: list[tuple[str, type[Warning]]]


def free_port(host: str) -> int:
    """A port that is free on this machine now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as found:
        found.bind((host, 0))
        return int(found.getsockname()[1])


def train_on_worker(
    estimator: Any,
    partitions: Sequence[Any],
    X_val: Any,
    place: Place,
    state: bytes | None,
    continued: bool,
) -> Outcome:
    """Train together with the other members, each on its own partitions."""
    queue = distributed.Queue(place.channel)
    stop = distributed.Event(place.channel)

    def report(row: dict[str, Any], state: dict[str, Any]) -> None:
        try:
            queue.put(pickle.dumps((row, state)), timeout=_SECONDS_TO_REPORT)
        except TimeoutError:
            raise Stopped("The client takes no reports of this training any more.") from None

    def is_wanted() -> bool:
        return not stop.is_set()

    with collected_warnings() as said, _group_of(place, is_wanted) as group:
        known = None if state is None else pickle.loads(state)
        relay = Relay(known, group, report if place.rank == 0 else None, is_wanted)
        _fit(estimator, Chunks(partitions), X_val, continued, group, relay)
        digests = group.gather(digest_of_networks(estimator.net_))
    if len(set(digests)) > 1:
        raise RuntimeError(
            f"The workers ended with different weights, of digests {digests}. All must have the "
            "same versions of this package, torch and NumPy, and networks of your own must not "
            "depend on the machine."
        )
    parameters = estimator.get_params(deep=False)
    learned = {name: value for name, value in vars(estimator).items() if name not in parameters}
    return Outcome(learned if place.rank == 0 else None, digests[0], said)


@_fit_context(prefer_skip_nested_validation=True)
def _fit(
    estimator: Any, X: Chunks, X_val: Any, continued: bool, group: Group, relay: Relay
) -> None:
    """As the method of an estimator, which has a context of scikit-learn around it."""
    fit_estimator(
        estimator, X, None, None, X_val, continued=continued, group=group, watchers=[relay]
    )


def _group_of(place: Place, is_wanted: Callable[[], bool]) -> Any:
    if place.size == 1:
        return nullcontext(ALONE)
    return closing(Averaging(place.address, place.host, place.rank, place.size, is_wanted))
