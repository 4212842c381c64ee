"""Training on the workers of a Dask cluster, and answers for collections of dask.

Needs the extra ``dask``: ``pip install "sklearn-aae[dask]"``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch

try:
    import dask
    import dask.array
    import dask.dataframe
    import distributed
except ImportError as error:
    raise ImportError(
        f"sklearn_aae.dask trains on Dask, which is not installed: {error}. Install it with: "
        'pip install "sklearn-aae[dask]"'
    ) from error

from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from sklearn_aae._compat import CONFIGURATION_ATTRIBUTES, _fit_context, configuration
from sklearn_aae._estimators.autoencoder import AdversarialAutoencoder
from sklearn_aae._estimators.fitting import local_random_state
from sklearn_aae._estimators.parameters import document_shared_parameters, store_parameters
from sklearn_aae._warnings import collected_warnings, warn_user
from sklearn_aae._workers.lazy import answer_of, is_lazy, rows_of
from sklearn_aae._workers.supervision import Training
from sklearn_aae.callbacks.checkpoint import check_resumable, split_checkpoints

__all__ = ["DaskAdversarialAutoencoder"]


@document_shared_parameters
class DaskAdversarialAutoencoder(AdversarialAutoencoder):
    """`AdversarialAutoencoder` that is trained by the workers of a Dask cluster together.

    Each worker holds a share of the partitions of X, and the networks. In every step each takes its
    share of a batch, gradients are averaged, and all take the same step: they hold equal weights
    throughout, which is checked in the end. `batch_size` is that of all workers together, and at
    least their number.

    `transform`, `reconstruct`, `score_samples`, `decision_function` and `predict` of a collection
    of dask are lazy collections; of arrays and frames in memory they are what they are for
    `AdversarialAutoencoder`, as all other methods are.

    Parameters
    ----------
    {shared_parameters}

    score_method, normalizing_flow, sampler, references, n_references, contamination
        As for `AdversarialAutoencoder`.

    client : distributed.Client, default=None
        Of the cluster to train on; None: the one that is current.

    Attributes
    ----------
    net_ : AdversarialNet
        The skorch net. All attributes are those of `AdversarialAutoencoder`.

    See Also
    --------
    AdversarialAutoencoder : Trains in one process, also on rows that no memory holds.

    Notes
    -----
    Partitions go to workers in their order, in equal numbers; the rows of each worker have to fit
    into its memory. Each worker's share of a batch is in proportion to its rows, so that no row is
    left out and nobody has to wait for long where partitions are uneven. Shares are drawn by each
    worker from its own rows, and its random numbers are its own: results depend on the number of
    workers, and are the same again for the same number. One worker gives the bits of
    `AdversarialAutoencoder` on the same partitions.

    Where a worker is lost, those that are left begin again from the last epoch that the client
    knows of, and a warning says so; it is told of one about once a second. Where all are lost,
    `fit` ends in an error. Interrupting the client ends the training on the workers.

    With ``callbacks=[Checkpoint(directory)]`` the client writes what it knows of to its own disk,
    and goes on from there. Other callbacks are told on each worker, and should change nothing by
    time or chance.

    Not supported: `sample_weight`, labels for a prior with classes, and `partial_fit`.

    Examples
    --------
    >>> import dask.array
    >>> from distributed import Client, LocalCluster
    >>> from sklearn_aae.dask import DaskAdversarialAutoencoder
    >>> X = dask.array.random.RandomState(0).normal(size=(400, 5), chunks=(100, 5))
    >>> with LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster:
    ...     with Client(cluster) as client:
    ...         model = DaskAdversarialAutoencoder(max_iter=2, random_state=0, client=client)
    ...         scores = model.fit(X).score_samples(X).compute()
    >>> scores.shape
    (400,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **AdversarialAutoencoder._parameter_constraints,
        "client": [object],
    }

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        hidden_layer_sizes: Any = "auto",
        activation: str = "relu",
        encoder: Any = None,
        decoder: Any = None,
        discriminator: Any = None,
        image_shape: Any = None,
        posterior: str = "deterministic",
        prior: Any = "normal",
        likelihood: str = "gaussian",
        categorical_features: Any = "from_dtype",
        adversarial_weight: float = 0.2,
        adversarial_loss: str = "non_saturating",
        gradient_penalty: float = 0.1,
        instance_noise: float = 0.0,
        noise: float = 0.3,
        standardize: bool = True,
        lr: float = 1e-3,
        discriminator_lr: float | None = None,
        weight_decay: float = 0.0,
        optimizer: Any = torch.optim.Adam,
        batch_size: int | str = "auto",
        max_iter: int | str = "auto",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | str = "auto",
        tol: float = 1e-4,
        warm_start: bool = False,
        score_method: str = "log_likelihood",
        normalizing_flow: bool = False,
        sampler: str = "density",
        contamination: float | str = "auto",
        references: str = "rows",
        n_references: int | str = "auto",
        callbacks: Any = None,
        device: Any = "auto",
        precision: str = "float32",
        compile: bool = False,
        verbose: int = 0,
        random_state: Any = None,
        client: Any = None,
    ) -> None:
        store_parameters(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, X_val: Any = None
    ) -> DaskAdversarialAutoencoder:
        """Train the networks.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
            At least two rows, finite.
        y : Ignored
            Present for scikit-learn's conventions.
        sample_weight : None
            Weights of rows are not supported here.
        X_val : array-like of shape (n_val, n_features), default=None
            Held-out rows in memory, instead of a share of X.

        Returns
        -------
        self : DaskAdversarialAutoencoder
            Fitted estimator.

        Raises
        ------
        TypeError
            If X is no collection of dask.
        ValueError
            If a parameter or X is out of its range, or no client is there.
        RuntimeError
            If no worker is left, or workers are lost again and again.

        Warns
        -----
        UserWarning
            If a worker was lost, and the training went on without it.
        ConvergenceWarning
            As `AdversarialAutoencoder`.
        """
        if sample_weight is not None:
            raise ValueError(
                "sample_weight is not supported by DaskAdversarialAutoencoder, got "
                f"{type(sample_weight).__name__}. AdversarialAutoencoder takes it, with this X too."
            )
        if configuration(self).callbacks:
            raise ValueError(
                "set_callbacks: callbacks of scikit-learn may end a training by what one worker "
                "sees, and are not supported here. Pass callbacks of skorch as callbacks, or call "
                "set_callbacks() to have none."
            )
        rows = rows_of(X)
        client = self._client_to_use()
        others, checkpoints = split_checkpoints(self.callbacks)
        state = None
        if checkpoints:
            check_resumable(self.random_state, single_pass=False)
            (checkpoint, *_) = checkpoints
            state = checkpoint.open(self._digest(X, X_val, others))
            checkpoint.n_epochs_resumed_ = 0 if state is None else len(state["history"])
        continued = self.warm_start and hasattr(self, "net_")
        bar = tqdm(unit="epoch", disable=not self.verbose)

        def on_report(row: dict[str, Any], state: dict[str, Any]) -> None:
            bar.set_postfix(loss=f"{row['reconstruction_loss']:.4f}", refresh=False)
            bar.update(row["epoch"] - bar.n)
            for checkpoint in checkpoints[:1]:
                checkpoint.write(state)

        with bar:
            outcome = Training(
                client,
                self._estimator_of_workers(others),
                rows,
                X_val,
                continued=continued,
                state=state,
                on_report=on_report,
            ).run()
        # All that was learned before goes.
        state = self.__dict__
        kept = {*self.get_params(deep=False), *CONFIGURATION_ATTRIBUTES}
        kept_state = {name: value for name, value in state.items() if name in kept}
        state.clear()
        state.update((outcome.attributes or {}) | kept_state)
        for message, category in outcome.warnings:
            warn_user(message, category)
        for checkpoint in checkpoints[:1]:
            checkpoint.complete()
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Not supported: `to_local` gives an estimator that has it.

        Parameters
        ----------
        X, y, sample_weight : object
            As for `AdversarialAutoencoder`.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            "DaskAdversarialAutoencoder has no partial_fit, which is for one process. Call "
            "model.to_local().partial_fit(X), or fit with warm_start=True."
        )

    def to_local(self) -> AdversarialAutoencoder:
        """A plain estimator with the same parameters and all that was learned.

        Returns
        -------
        model : AdversarialAutoencoder
            Knows of no cluster; `save` takes it.
        """
        check_is_fitted(self)
        local = self._plain()
        parameters = self.get_params(deep=False)
        learned = {name: value for name, value in vars(self).items() if name not in parameters}
        local.__dict__.update(copy.deepcopy(learned))
        return local

    def transform(self, X: Any) -> Any:
        """Encode X.

        Parameters
        ----------
        X : dask collection or array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        Z : dask collection or ndarray of shape (n_samples, n_components_)
            Codes; lazy ones of a collection of dask.
        """
        if not is_lazy(X):
            return super().transform(X)
        return self._lazily("transform", X, self.get_feature_names_out)

    def reconstruct(self, X: Any) -> Any:
        """Encode and decode.

        Parameters
        ----------
        X : dask collection or array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        X_reconstructed : dask collection, ndarray or frame of shape (n_samples, n_features)
            In the units of X; lazy rows of a collection of dask.
        """
        if not is_lazy(X):
            return super().reconstruct(X)
        return self._lazily("reconstruct", X, lambda: getattr(X, "columns", range(X.shape[1])))

    def score_samples(self, X: Any) -> Any:
        """Score rows: the higher, the more normal.

        Parameters
        ----------
        X : dask collection or array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        scores : dask.array.Array, dask.dataframe.Series or ndarray of shape (n_samples,)
            Lazy ones of a collection of dask.
        """
        return self._lazily("score_samples", X) if is_lazy(X) else super().score_samples(X)

    def decision_function(self, X: Any) -> Any:
        """Score rows with the threshold at zero: negative for outliers.

        Parameters
        ----------
        X : dask collection or array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        decision : dask.array.Array, dask.dataframe.Series or ndarray of shape (n_samples,)
            Lazy ones of a collection of dask.
        """
        return self._lazily("decision_function", X) if is_lazy(X) else super().decision_function(X)

    def predict(self, X: Any) -> Any:
        """Tell inliers from outliers.

        Parameters
        ----------
        X : dask collection or array-like of shape (n_samples, n_features)
            Rows in the units seen in `fit`.

        Returns
        -------
        is_inlier : dask.array.Array, dask.dataframe.Series or ndarray of shape (n_samples,)
            1 for inliers and -1 for outliers; lazy ones of a collection of dask.
        """
        return self._lazily("predict", X) if is_lazy(X) else super().predict(X)

    def _lazily(self, method: str, X: Any, names: Callable[[], Any] | None = None) -> Any:
        """What a method says of each part of X, once it is asked for."""
        check_is_fitted(self)
        model = dask.delayed(self.to_local())
        if isinstance(X, dask.dataframe.DataFrame):
            with collected_warnings():  # its categories are made up
                meta = answer_of(X._meta_nonempty, self.to_local(), method).iloc[:0]
            return X.map_partitions(answer_of, model, method, meta=meta)
        X = X.rechunk({1: -1})
        dtype: Any = np.float32 if X.dtype == np.float32 else np.float64
        if names is None:
            dtype = np.int64 if method == "predict" else np.float64
            shape: dict[str, Any] = {"drop_axis": 1}
        else:
            shape = {"chunks": (X.chunks[0], (len(names()),))}
        meta = np.empty((0,) if names is None else (0, 0), dtype=dtype)
        return X.map_blocks(answer_of, model, method, dtype=dtype, meta=meta, **shape)

    def _client_to_use(self) -> Any:
        if self.client is not None:
            return self.client
        try:
            return distributed.get_client()
        except ValueError as error:
            raise ValueError(
                "client: there is none to train on. Make one, distributed.Client() for this "
                "machine or distributed.Client(address) for a cluster, or pass client."
            ) from error

    def _plain(self) -> AdversarialAutoencoder:
        """An estimator of this process with the same parameters."""
        parameters = self.get_params(deep=False)
        del parameters["client"]
        return AdversarialAutoencoder(**parameters)

    def _estimator_of_workers(self, callbacks: list[Any]) -> AdversarialAutoencoder:
        """What all workers fit, with the same random numbers."""
        plain = self.to_local() if hasattr(self, "net_") else self._plain()
        seed = self.random_state
        if not isinstance(seed, (int, np.integer)):
            seed = int(local_random_state(seed).randint(2**31 - 1))
        return plain.set_params(callbacks=callbacks or None, random_state=seed, verbose=0)

    def _digest(self, X: Any, X_val: Any, callbacks: list[Any]) -> str:
        """What tells a training apart that can go on."""
        parameters = self.get_params(deep=False)
        parameters = {n: v for n, v in parameters.items() if n not in ("client", "callbacks")}
        described = {name: repr(value) for name, value in parameters.items()}
        of_callbacks = [repr(callback) for callback in callbacks]
        return str(dask.base.tokenize(X, X_val, sorted(described.items()), of_callbacks))

    def __sklearn_clone__(self) -> DaskAdversarialAutoencoder:
        # A client is no value to copy.
        parameters = self._plain().get_params(deep=False)
        return type(self)(**_cloned(parameters), client=self.client)

    def __getstate__(self) -> dict[str, Any]:
        # Nor one to write to a file.
        return super().__getstate__() | {"client": None}


def _cloned(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: clone(value, safe=False) for name, value in parameters.items()}
