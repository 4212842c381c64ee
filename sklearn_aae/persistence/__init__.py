"""Save fitted estimators to one file and load them again, without pickle."""

from sklearn_aae._files.archive import InvalidModelFileError
from sklearn_aae.persistence.saving import load, save

__all__ = ["InvalidModelFileError", "load", "save"]
