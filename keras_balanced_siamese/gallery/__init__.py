"""Gallery of known embeddings, for the search and identification of new ones."""

from keras_balanced_siamese.gallery._gallery import Gallery as Gallery
from keras_balanced_siamese.gallery._gallery import Identified as Identified
from keras_balanced_siamese.gallery._gallery import Matches as Matches
