"""The only file that imports private names of scikit-learn.

Supported: scikit-learn 1.7 and later. Callbacks (`CallbackSupportMixin`) exist from 1.9 on; below
it, the estimators work without them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sklearn import config_context
from sklearn.utils._metadata_requests import SIMPLE_METHODS
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "CONFIGURATION_ATTRIBUTES",
    "CallbackSupportMixin",
    "Configuration",
    "HasMethods",
    "Interval",
    "StrOptions",
    "_check_sample_weight",
    "_fit_context",
    "configuration",
    "configure",
    "output_container",
    "output_frame",
]

if TYPE_CHECKING:
    # It has no type of its own, and would take those of the methods away.
    _Method = TypeVar("_Method", bound=Callable[..., Any])

    def _fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[_Method], _Method]: ...
else:
    from sklearn.base import _fit_context

try:
    from sklearn.callback import CallbackSupportMixin
except ModuleNotFoundError:  # scikit-learn < 1.9

    class _NoCallbackContext:
        """Stands in for `sklearn.callback.CallbackContext`: nobody listens, nobody stops."""

        def subcontext(self, **_: Any) -> _NoCallbackContext:
            return self

        def call_on_fit_task_begin(self, **_: Any) -> None:
            return None

        def call_on_fit_task_end(self, **_: Any) -> bool:
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]  # the fallback for scikit-learn < 1.9
        """Offers the hooks that the estimators call, and no `set_callbacks`."""

        def _init_callback_context(self, **_: Any) -> _NoCallbackContext:
            return _NoCallbackContext()


def output_frame(estimator: Any, X: Any, original: Any) -> Any:
    """Rows in the units of the training data as what `set_output` asks of `transform`.

    scikit-learn wraps only `transform`, with the names of its output. Rows that are decoded carry
    the names of the input columns, and the index of `original` where it has one.
    """
    container = output_container(estimator)
    if container == "default":
        return X
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        names = [f"x{i}" for i in range(X.shape[1])]
    return ADAPTERS_MANAGER.adapters[container].create_container(X, original, columns=list(names))


def output_container(estimator: Any) -> str:
    """What `set_output` asks of `transform`: "default", "pandas" or "polars"."""
    return str(_get_output_config("transform", estimator)["dense"])


# Where scikit-learn keeps what the methods `set_...` were told.
CONFIGURATION_ATTRIBUTES = frozenset(
    {"_metadata_request", "_skl_callbacks", "_sklearn_output_config"}
)


class Configuration(NamedTuple):
    """What is set on an estimator besides its parameters.

    `output` is the container of `set_output`, `requests` holds what `set_fit_request` and its
    siblings asked for, by method and argument, and `callbacks` what `set_callbacks` was given.
    """

    output: str | None
    requests: dict[str, dict[str, Any]]
    callbacks: list[Any]


def configuration(estimator: Any) -> Configuration:
    """What `set_output`, `set_..._request` and `set_callbacks` left on an estimator."""
    state = vars(estimator)
    requests: dict[str, dict[str, Any]] = {}
    if "_metadata_request" in state:
        for method in SIMPLE_METHODS:
            asked = getattr(state["_metadata_request"], method).requests
            kept = {name: value for name, value in asked.items() if value is not None}
            if kept:
                requests[method] = kept
    output = state.get("_sklearn_output_config", {}).get("transform")
    return Configuration(output, requests, list(state.get("_skl_callbacks", [])))


def configure(estimator: Any, output: str | None, requests: dict[str, dict[str, Any]]) -> None:
    """Set on an estimator what `configuration` found on another."""
    if output is not None:
        estimator.set_output(transform=output)
    with config_context(enable_metadata_routing=True):
        for method, asked in requests.items():
            getattr(estimator, f"set_{method}_request")(**asked)
