"""Save fitted estimators to one file and load them again, without pickle."""

from sklearn_aae.persistence.persistence import (
    InvalidModelFileError,
    load,
    save,
)

__all__ = ["InvalidModelFileError", "load", "save"]
