"""Differences between Keras 3 and Keras 2.15, and between the backends; no other place depends on them."""

from keras_balanced_siamese._backend._generation import Loss as Loss
from keras_balanced_siamese._backend._generation import PyDataset as PyDataset
from keras_balanced_siamese._backend._generation import add_metric_variable as add_metric_variable
from keras_balanced_siamese._backend._generation import attach_metric as attach_metric
from keras_balanced_siamese._backend._generation import check_in_step as check_in_step
from keras_balanced_siamese._backend._generation import count_not_above as count_not_above
from keras_balanced_siamese._backend._generation import has_float64 as has_float64
from keras_balanced_siamese._backend._generation import is_baked_in as is_baked_in
from keras_balanced_siamese._backend._generation import misnamed_optimizers as misnamed_optimizers
from keras_balanced_siamese._backend._generation import native_operations as native_operations
from keras_balanced_siamese._backend._generation import ops as ops
from keras_balanced_siamese._backend._generation import read_variable as read_variable
from keras_balanced_siamese._backend._generation import to_numpy as to_numpy
from keras_balanced_siamese._backend._models import attach_state as attach_state
from keras_balanced_siamese._backend._models import is_stack_readable as is_stack_readable
from keras_balanced_siamese._backend._models import metrics_of as metrics_of
from keras_balanced_siamese._backend._models import read_checkpoint as read_checkpoint
from keras_balanced_siamese._backend._models import tf_dataset as tf_dataset
from keras_balanced_siamese._backend._registry import PACKAGE as PACKAGE
from keras_balanced_siamese._backend._registry import register as register
from keras_balanced_siamese._backend._registry import registered as registered
