"""Measure samples against samples: reconstruction, generation, clusters, outliers.

Every function takes arrays and returns numbers. Those that compare real with generated rows compare
whatever they are given: raw columns, or the features of a network the caller chose. Nothing here
imports torch.
"""

from sklearn_aae.metrics.clusters import clustering_error
from sklearn_aae.metrics.coverage import density_coverage, precision_recall
from sklearn_aae.metrics.features import frechet_distance, inception_score
from sklearn_aae.metrics.outliers import outlier_average_precision_scorer, outlier_roc_auc_scorer
from sklearn_aae.metrics.parzen import ParzenResult, parzen_log_likelihood
from sklearn_aae.metrics.reconstruction import reconstruction_error
from sklearn_aae.metrics.two_sample import classifier_two_sample_score, maximum_mean_discrepancy

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
