"""What a type checker knows of the package in the code of a user: `make typecheck` reads it."""

from typing import assert_type

import numpy as np

from sklearn_aae import (
    AdversarialAutoencoder,
    AdversarialAutoencoderClassifier,
    AdversarialAutoencoderClusterer,
    ConditionalAdversarialAutoencoder,
    load,
    save,
)
from sklearn_aae.callbacks import Checkpoint
from sklearn_aae.metrics import clustering_error, frechet_distance
from sklearn_aae.priors import MixtureOfGaussians, Normal


def use() -> None:
    X = np.zeros((10, 3))
    y = np.zeros(10, dtype=int)

    detector = AdversarialAutoencoder(
        n_components=2, prior=Normal(2.0), callbacks=[Checkpoint("here")]
    )
    assert_type(detector.fit(X), AdversarialAutoencoder)
    assert_type(detector.partial_fit(X), AdversarialAutoencoder)
    assert_type(detector.score_samples(X), np.ndarray)
    assert_type(detector.predict(X), np.ndarray)
    assert_type(detector.score(X), float)
    assert_type(detector.offset_, float)
    assert_type(detector.history_, dict[str, list[float]])
    assert_type(detector.n_iter_, int)
    assert_type(frechet_distance(X, detector.sample(10)), float)

    classifier = AdversarialAutoencoderClassifier(max_iter=2).fit(X, y)
    assert_type(classifier, AdversarialAutoencoderClassifier)
    assert_type(classifier.predict_proba(X), np.ndarray)
    assert_type(classifier.classes_, np.ndarray)

    clusterer = AdversarialAutoencoderClusterer(3).fit(X)
    assert_type(clusterer, AdversarialAutoencoderClusterer)
    assert_type(clusterer.labels_, np.ndarray)
    assert_type(clustering_error(y, clusterer.labels_), float)

    conditional = ConditionalAdversarialAutoencoder(prior=MixtureOfGaussians()).fit(X, y)
    assert_type(conditional, ConditionalAdversarialAutoencoder)

    save(detector, "model.safetensors")
    load("model.safetensors")
