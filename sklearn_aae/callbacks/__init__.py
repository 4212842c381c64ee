"""Callbacks of the training: the game, monitors, early stopping, checkpoints, progress."""

from sklearn_aae.callbacks.callbacks import (
    AdversarialTraining,
    Checkpoint,
    EarlyStopping,
    LastGoodWeights,
    LearningRateDecay,
    PriorMatch,
    Progress,
    ScikitLearnCallbacks,  # noqa: F401  # the estimators hand it to the training
    ScoreMonitor,
)

__all__ = [
    "AdversarialTraining",
    "Checkpoint",
    "EarlyStopping",
    "LastGoodWeights",
    "LearningRateDecay",
    "PriorMatch",
    "Progress",
    "ScoreMonitor",
]
