"""Callbacks of the training: the game, monitors, early stopping, checkpoints, progress."""

from sklearn_aae.callbacks.checkpoint import Checkpoint
from sklearn_aae.callbacks.game import AdversarialTraining
from sklearn_aae.callbacks.monitors import Progress, ScoreMonitor
from sklearn_aae.callbacks.prior_match import PriorMatch
from sklearn_aae.callbacks.stopping import EarlyStopping, LastGoodWeights, LearningRateDecay

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
