"""Loading of samples by index, from any source and ahead of time."""

from keras_balanced_siamese.loading._prefetch import Prefetch as Prefetch
from keras_balanced_siamese.loading._sources import Loader as Loader
from keras_balanced_siamese.loading._sources import check_lengths as check_lengths
from keras_balanced_siamese.loading._sources import halves as halves
from keras_balanced_siamese.loading._sources import map_parts as map_parts
from keras_balanced_siamese.loading._sources import open_source as open_source
