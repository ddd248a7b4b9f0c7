"""Siamese networks that learn rare classes: drop-in parts for `model.compile` and `model.fit` of Keras."""

from keras_balanced_siamese._custom_objects import custom_objects
from keras_balanced_siamese.calibration import calibrate
from keras_balanced_siamese.callbacks import AdaptiveClassWeight, HardPairMining, VerificationReport
from keras_balanced_siamese.chunked import ChunkedEncoder
from keras_balanced_siamese.class_split import split_by_class
from keras_balanced_siamese.class_weights import class_weights, sample_weights
from keras_balanced_siamese.evaluation import PairReport, evaluate_embeddings, evaluate_pairs
from keras_balanced_siamese.gallery import Gallery
from keras_balanced_siamese.layers.cosine import CosineDistance
from keras_balanced_siamese.layers.euclidean import EuclideanDistance
from keras_balanced_siamese.layers.manhattan import ManhattanDistance
from keras_balanced_siamese.layers.probability import DistanceToProbability
from keras_balanced_siamese.legacy import addons_custom_objects, load_legacy_model, load_legacy_weights
from keras_balanced_siamese.loading.random_affine import RandomAffine
from keras_balanced_siamese.losses.batch_contrastive import WeightedBatchContrastiveLoss
from keras_balanced_siamese.losses.contrastive import WeightedContrastiveLoss
from keras_balanced_siamese.losses.cosine import WeightedCosineLoss
from keras_balanced_siamese.losses.crossentropy import WeightedBinaryCrossentropy
from keras_balanced_siamese.losses.multi_similarity import WeightedMultiSimilarityLoss
from keras_balanced_siamese.losses.supervised_contrastive import WeightedSupervisedContrastiveLoss
from keras_balanced_siamese.losses.triplet import WeightedTripletLoss
from keras_balanced_siamese.metrics.decisions import (
    BalancedPairAccuracy,
    FalseAcceptRate,
    FalseRejectRate,
    MatthewsCorrelation,
)
from keras_balanced_siamese.metrics.equal_error_rate import EqualErrorRate
from keras_balanced_siamese.metrics.precision import VerificationPRAUC
from keras_balanced_siamese.metrics.roc import VerificationAUC
from keras_balanced_siamese.metrics.true_accept_rate import TrueAcceptRate
from keras_balanced_siamese.plots import (
    plot_class_weights,
    plot_det,
    plot_distances,
    plot_embeddings,
    plot_pairs,
    plot_per_class,
    plot_reliability,
    plot_report,
    plot_roc,
    plot_worst_pairs,
)
from keras_balanced_siamese.sampling import BalancedBatchSequence, BalancedPairSequence
from keras_balanced_siamese.scoring import evaluate_model
from keras_balanced_siamese.siamese import siamese_model

__version__ = "0.2.0"

__all__ = [
    "AdaptiveClassWeight",
    "BalancedBatchSequence",
    "BalancedPairAccuracy",
    "BalancedPairSequence",
    "ChunkedEncoder",
    "CosineDistance",
    "DistanceToProbability",
    "EqualErrorRate",
    "EuclideanDistance",
    "FalseAcceptRate",
    "FalseRejectRate",
    "Gallery",
    "HardPairMining",
    "ManhattanDistance",
    "MatthewsCorrelation",
    "PairReport",
    "RandomAffine",
    "TrueAcceptRate",
    "VerificationAUC",
    "VerificationPRAUC",
    "VerificationReport",
    "WeightedBatchContrastiveLoss",
    "WeightedBinaryCrossentropy",
    "WeightedContrastiveLoss",
    "WeightedCosineLoss",
    "WeightedMultiSimilarityLoss",
    "WeightedSupervisedContrastiveLoss",
    "WeightedTripletLoss",
    "addons_custom_objects",
    "calibrate",
    "class_weights",
    "custom_objects",
    "evaluate_embeddings",
    "evaluate_model",
    "evaluate_pairs",
    "load_legacy_model",
    "load_legacy_weights",
    "plot_class_weights",
    "plot_det",
    "plot_distances",
    "plot_embeddings",
    "plot_pairs",
    "plot_per_class",
    "plot_reliability",
    "plot_report",
    "plot_roc",
    "plot_worst_pairs",
    "sample_weights",
    "siamese_model",
    "split_by_class",
]
