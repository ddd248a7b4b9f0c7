"""Reports on how well distances separate similar from different pairs, overall and for each class."""

from keras_balanced_siamese.evaluation._curves import Curves as Curves
from keras_balanced_siamese.evaluation._curves import between as between
from keras_balanced_siamese.evaluation._curves import curves as curves
from keras_balanced_siamese.evaluation._curves import equal_error_rate as equal_error_rate
from keras_balanced_siamese.evaluation._curves import tar_at_far as tar_at_far
from keras_balanced_siamese.evaluation._embeddings import evaluate_embeddings as evaluate_embeddings
from keras_balanced_siamese.evaluation._figures import COSTS as COSTS
from keras_balanced_siamese.evaluation._figures import FARS as FARS
from keras_balanced_siamese.evaluation._figures import Costs as Costs
from keras_balanced_siamese.evaluation._figures import tar_name as tar_name
from keras_balanced_siamese.evaluation._groups import check_class_counts as check_class_counts
from keras_balanced_siamese.evaluation._groups import check_counted as check_counted
from keras_balanced_siamese.evaluation._groups import thirds as thirds
from keras_balanced_siamese.evaluation._options import check_threshold as check_threshold
from keras_balanced_siamese.evaluation._pair_checks import check_distances as check_distances
from keras_balanced_siamese.evaluation._pair_checks import check_similar as check_similar
from keras_balanced_siamese.evaluation._pair_data import Pairs as Pairs
from keras_balanced_siamese.evaluation._pair_data import check_pairs as check_pairs
from keras_balanced_siamese.evaluation._pair_data import fingerprint as fingerprint
from keras_balanced_siamese.evaluation._pairs import evaluate_pairs as evaluate_pairs
from keras_balanced_siamese.evaluation._reliability import prior_weights as prior_weights
from keras_balanced_siamese.evaluation._reliability import reliability as reliability
from keras_balanced_siamese.evaluation._reliability import sigmoid as sigmoid
from keras_balanced_siamese.evaluation._report import PairReport as PairReport
from keras_balanced_siamese.evaluation._table import figure_name as figure_name
from keras_balanced_siamese.evaluation._table import unmeasurable as unmeasurable
