"""Known items of each class -> which of them, or whom, a new embedding is."""

from keras_balanced_siamese.gallery._gallery import Gallery as Gallery
from keras_balanced_siamese.gallery._gallery import Identified as Identified
from keras_balanced_siamese.gallery._gallery import Matches as Matches
