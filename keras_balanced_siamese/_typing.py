"""Type aliases of the signatures."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Tensor: TypeAlias = Any  # a tensor of the backend, or any value that converts to one
ArrayLike: TypeAlias = Any  # any value that NumPy converts to an array
Label: TypeAlias = Any  # a class label: an integer, a string, a boolean, a finite float
ClassWeights: TypeAlias = Mapping[Label, float]
WeightScheme: TypeAlias = str | ClassWeights | Callable[[dict[Label, int]], ClassWeights]
ClassSampling: TypeAlias = str | float | ClassWeights
Strategy: TypeAlias = str | Callable[[dict[Label, float], dict[Label, float], int], ClassWeights]
