"""Loading of samples by index, from any source and ahead of time."""

from keras_balanced_siamese.loading._loader import Loader as Loader
from keras_balanced_siamese.loading._prefetch import Prefetch as Prefetch
from keras_balanced_siamese.loading._source_checks import check_no_pairs as check_no_pairs
from keras_balanced_siamese.loading._source_checks import check_rows as check_rows
from keras_balanced_siamese.loading._source_checks import check_source as check_source
from keras_balanced_siamese.loading._sources import halves as halves
from keras_balanced_siamese.loading._sources import map_parts as map_parts
from keras_balanced_siamese.loading._sources import open_source as open_source
