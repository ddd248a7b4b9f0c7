"""A model and pairs or samples -> distances with their truth, and a report."""

from keras_balanced_siamese.scoring._embedding import check_encoder as check_encoder
from keras_balanced_siamese.scoring._embedding import embed as embed
from keras_balanced_siamese.scoring._embedding import unit_vectors as unit_vectors
from keras_balanced_siamese.scoring._evaluate_model import evaluate_model as evaluate_model
from keras_balanced_siamese.scoring._model import check_model as check_model
from keras_balanced_siamese.scoring._model import distance_of as distance_of
from keras_balanced_siamese.scoring._model import returns_embeddings as returns_embeddings
from keras_balanced_siamese.scoring._pairs import ReadyPairs as ReadyPairs
from keras_balanced_siamese.scoring._pairs import class_pairs as class_pairs
from keras_balanced_siamese.scoring._pairs import open_pairs as open_pairs
from keras_balanced_siamese.scoring._scores import ScoredPairs as ScoredPairs
from keras_balanced_siamese.scoring._scores import measure as measure
from keras_balanced_siamese.scoring._scores import measure_embedded as measure_embedded
