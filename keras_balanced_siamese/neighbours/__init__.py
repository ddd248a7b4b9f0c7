"""Exact and approximate nearest neighbours, and retrieval scores."""

from keras_balanced_siamese.neighbours._approximate import Usearch as Usearch
from keras_balanced_siamese.neighbours._approximate import check_index as check_index
from keras_balanced_siamese.neighbours._approximate import make_index as make_index
from keras_balanced_siamese.neighbours._exact import DISTANCES as DISTANCES
from keras_balanced_siamese.neighbours._exact import SearchSpace as SearchSpace
from keras_balanced_siamese.neighbours._exact import as_embeddings as as_embeddings
from keras_balanced_siamese.neighbours._exact import as_points as as_points
from keras_balanced_siamese.neighbours._exact import candidate_distances as candidate_distances
from keras_balanced_siamese.neighbours._exact import centre_and_scale as centre_and_scale
from keras_balanced_siamese.neighbours._exact import centred as centred
from keras_balanced_siamese.neighbours._exact import make_search_space as make_search_space
from keras_balanced_siamese.neighbours._exact import nearest_neighbours as nearest_neighbours
from keras_balanced_siamese.neighbours._exact import rough_blocks as rough_blocks
from keras_balanced_siamese.neighbours._exact import rounding_bound as rounding_bound
from keras_balanced_siamese.neighbours._exact import squared_distances as squared_distances
from keras_balanced_siamese.neighbours._exact import to_distance as to_distance
from keras_balanced_siamese.neighbours._graph_bytes import with_vectors as with_vectors
from keras_balanced_siamese.neighbours._graph_bytes import without_vectors as without_vectors
from keras_balanced_siamese.neighbours._ranks import TIE as TIE
from keras_balanced_siamese.neighbours._retrieval import retrieval_scores as retrieval_scores
