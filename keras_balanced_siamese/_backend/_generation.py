"""The names of the generation of Keras that is installed."""

from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING or hasattr(keras, "ops"):
    from keras_balanced_siamese._backend import _keras3 as generation
else:
    from keras_balanced_siamese._backend import _keras2 as generation

Loss = generation.Loss
PyDataset = generation.PyDataset
State = generation.State
add_metric_variable = generation.add_metric_variable
attach_metric = generation.attach_metric
call_in_chunks = generation.call_in_chunks
check_in_step = generation.check_in_step
check_stateless = generation.check_stateless
forgets_training = generation.forgets_training
has_float64 = generation.has_float64
has_own_masks = generation.has_own_masks
is_baked_in = generation.is_baked_in
layers_without_parity = generation.layers_without_parity
mask_of = generation.mask_of
misnamed_optimizers = generation.misnamed_optimizers
native_operations = generation.native_operations
opens_keras_2 = generation.opens_keras_2
ops = generation.ops
read_variable = generation.read_variable
set_name = generation.set_name
to_numpy = generation.to_numpy
wide_numbers = generation.wide_numbers
without_mask = generation.without_mask
