"""What estimators share whose decoder is told a style and a class."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_aae._estimators.base import BaseAdversarialAutoencoder
from sklearn_aae._rows.labels import class_positions, encode_labels, one_hot
from sklearn_aae._training.plan import Data


class LabelledAdversarialAutoencoder(BaseAdversarialAutoencoder):
    """Classes from `fit`, and rows of a class from a style."""

    classes_: np.ndarray
    class_prior_: np.ndarray

    def _encoded(
        self, data: Data, continued: bool, *, allow_unlabelled: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Classes, those of the first fit where fits continue, and the labels among them."""
        classes, labels = encode_labels(
            data.y, data.X, type(self).__name__, allow_unlabelled=allow_unlabelled
        )
        if not continued:
            return classes, labels
        seen = class_positions(classes, self.classes_, len(classes))
        return self.classes_, np.where(labels >= 0, seen[labels], -1)

    def inverse_transform(self, Z: Any, y: Any = None) -> Any:
        """Decode styles as rows of given classes.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components_)
            Styles.
        y : label, array-like of shape (n_samples,) or None, default=None
            Class of each row, or one for all; None: all classes, by their shares `class_prior_`.

        Returns
        -------
        X : ndarray or frame of shape (n_samples, n_features_in_)
            Rows in the units of X; a frame where one was fitted, or under `set_output`.
        """
        styles = self._codes_to_use(Z)
        if y is None:
            classes = np.tile(self.class_prior_.astype(styles.dtype), (len(styles), 1))
        else:
            classes = self._one_hot(y, styles)
        return self._given_back(self._decode_styles(styles, classes), Z)

    def _one_hot(self, y: Any, styles: np.ndarray) -> np.ndarray:
        """Classes, one for all styles or one for each, as rows of the identity matrix."""
        positions = class_positions(y, self.classes_, len(styles))
        return one_hot(positions, len(self.classes_), styles.dtype)

    def _decode_styles(self, styles: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return self._inference.decode(np.concatenate([styles, classes], axis=1))
