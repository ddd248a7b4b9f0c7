"""Distances or embeddings, and the truth -> a report of how well pairs are told apart, overall and for each class."""

from keras_balanced_siamese.evaluation._embeddings import evaluate_embeddings as evaluate_embeddings
from keras_balanced_siamese.evaluation._figures import FARS as FARS
from keras_balanced_siamese.evaluation._groups import check_class_counts as check_class_counts
from keras_balanced_siamese.evaluation._pair_data import check_pairs as check_pairs
from keras_balanced_siamese.evaluation._pair_data import fingerprint as fingerprint
from keras_balanced_siamese.evaluation._pairs import evaluate_pairs as evaluate_pairs
from keras_balanced_siamese.evaluation._report import PairReport as PairReport
