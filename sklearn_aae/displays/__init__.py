"""Displays in the manner of scikit-learn: training, codes, reconstructions, samples, scores."""

from sklearn_aae.displays.displays import (
    ExplainedRows,
    LatentSpaceDisplay,
    OutlierScoreDisplay,
    PriorContours,
    ReconstructionDisplay,
    SampleDisplay,
    TrainingCurveDisplay,
    TraversalDisplay,
)

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
