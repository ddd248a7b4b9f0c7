"""Exact and approximate nearest neighbours, and retrieval scores."""

from keras_balanced_siamese.neighbours._approximate import INDEXES as INDEXES
from keras_balanced_siamese.neighbours._approximate import build_index as build_index
from keras_balanced_siamese.neighbours._approximate import require_package as require_package
from keras_balanced_siamese.neighbours._approximate import search_index as search_index
from keras_balanced_siamese.neighbours._exact import DISTANCES as DISTANCES
from keras_balanced_siamese.neighbours._exact import SearchSpace as SearchSpace
from keras_balanced_siamese.neighbours._exact import as_embeddings as as_embeddings
from keras_balanced_siamese.neighbours._exact import as_points as as_points
from keras_balanced_siamese.neighbours._exact import make_search_space as make_search_space
from keras_balanced_siamese.neighbours._exact import nearest_neighbours as nearest_neighbours
from keras_balanced_siamese.neighbours._exact import rough_blocks as rough_blocks
from keras_balanced_siamese.neighbours._exact import rough_copy as rough_copy
from keras_balanced_siamese.neighbours._exact import rounding_bound as rounding_bound
from keras_balanced_siamese.neighbours._exact import squared_distances as squared_distances
from keras_balanced_siamese.neighbours._exact import to_distance as to_distance
from keras_balanced_siamese.neighbours._retrieval import TIE as TIE
from keras_balanced_siamese.neighbours._retrieval import retrieval_scores as retrieval_scores
