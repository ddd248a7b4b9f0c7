"""Selection of the samples that meet in each batch, from labels and class shares."""

from keras_balanced_siamese.sampling._class_shares import scale_shares as scale_shares
from keras_balanced_siamese.sampling._epoch_sequence import EpochSequence as EpochSequence
from keras_balanced_siamese.sampling.batches import BalancedBatchSequence as BalancedBatchSequence
from keras_balanced_siamese.sampling.pairs import BalancedPairSequence as BalancedPairSequence
