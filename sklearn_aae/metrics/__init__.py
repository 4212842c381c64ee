"""Measure samples against samples: reconstruction, generation, clusters, outliers."""

from sklearn_aae.metrics.metrics import (
    ParzenResult,
    classifier_two_sample_score,
    clustering_error,
    density_coverage,
    frechet_distance,
    inception_score,
    maximum_mean_discrepancy,
    outlier_average_precision_scorer,
    outlier_roc_auc_scorer,
    parzen_log_likelihood,
    precision_recall,
    reconstruction_error,
)

__all__ = [
    "ParzenResult",
    "classifier_two_sample_score",
    "clustering_error",
    "density_coverage",
    "frechet_distance",
    "inception_score",
    "maximum_mean_discrepancy",
    "outlier_average_precision_scorer",
    "outlier_roc_auc_scorer",
    "parzen_log_likelihood",
    "precision_recall",
    "reconstruction_error",
]
