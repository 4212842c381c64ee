"""Displays in the manner of scikit-learn: training, codes, reconstructions, samples, scores.

`from_estimator` computes, the constructor stores, `plot` draws; what is drawn stays on the display.
They use public attributes of a fitted estimator only. matplotlib is imported when something is to
be drawn, nothing is shown and no file is written.
"""

from sklearn_aae.displays.latent_space import LatentSpaceDisplay
from sklearn_aae.displays.outlier_score import ExplainedRows, OutlierScoreDisplay
from sklearn_aae.displays.prior_contours import PriorContours
from sklearn_aae.displays.reconstruction import ReconstructionDisplay
from sklearn_aae.displays.sample import SampleDisplay
from sklearn_aae.displays.training_curve import TrainingCurveDisplay
from sklearn_aae.displays.traversal import TraversalDisplay

__all__ = [
    "ExplainedRows",
    "LatentSpaceDisplay",
    "OutlierScoreDisplay",
    "PriorContours",
    "ReconstructionDisplay",
    "SampleDisplay",
    "TrainingCurveDisplay",
    "TraversalDisplay",
]
