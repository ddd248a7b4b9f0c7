"""Composition of the batches of an epoch: the classes and the samples of each."""

from typing import NamedTuple

import numpy as np

from keras_balanced_siamese.sampling._resampling import Pool, nth_of_class
from keras_balanced_siamese.sampling._sample_order import Order

AT_ONCE = 2**17  # samples that are looked up together, so that intermediate arrays fit into the cache


class BatchPlan(NamedTuple):
    """The batches of one epoch, in the order in which they are served."""

    class_of: np.ndarray  # (steps, P) int32, the classes of each batch
    samples: np.ndarray  # (steps, P K) the samples of each batch, class after class
    codes: np.ndarray  # (N,) class of each sample
    synthetic: np.ndarray | None  # (N, d) the samples, if resampling generated them


def compose(visits: np.ndarray, steps: int, rng: np.random.Generator) -> np.ndarray:
    """Distribute the classes over the batches, with no class twice in one batch.

    - The visits are put in a line, class after class, and visit `i` goes to batch `i mod steps`. No class has more than
      `steps` visits, so it comes at most once in each batch.
    - Then, in several rounds, the batches are paired at random, and each pair redistributes at random the classes that
      only one of the two has. The number of rounds suffices to make all combinations of classes about equally likely.

    Args:
        visits: `(C,)` number of batches in which each class comes, at most `steps`, with the sum `steps` times P.
        steps: Number of batches.
        rng: The random generator.

    Returns:
        int32 `(steps, P)`.

    References:
        Carstens, Berger, Strona, "A unifying framework for fast randomization of ecological networks with fixed (node)
        degrees", MethodsX 2018: global curveball.
    """
    line = rng.permutation(len(visits))
    batches = np.repeat(line.astype(np.int32), visits[line]).reshape(-1, steps).T.copy()
    for _ in range(4 + steps.bit_length() // 2):  # each round halves the remains of the initial order
        pairs = rng.permutation(steps)[: steps - steps % 2].reshape(-1, 2)
        batches[pairs] = _traded(batches[pairs], rng)
    return batches


def _traded(pairs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`(m, 2, P)` pairs of batches in which the classes that only one of the two has are redistributed."""
    both = pairs.reshape(len(pairs), 2 * pairs.shape[2]).astype(np.int64)
    both.sort(axis=1)
    twice = both[:, 1:] == both[:, :-1]
    key = rng.integers(1, 2**31 - 1, both.shape)
    key[:, :-1][twice] = 0  # a class that both have: one copy goes to the left end, one to the right
    key[:, 1:][twice] = 2**31 - 1
    key <<= 32
    key |= both
    key.sort(axis=1)
    return (key & (2**32 - 1)).reshape(pairs.shape)


def take_samples(class_of: np.ndarray, before: np.ndarray, k: int, order: Order, pool: Pool) -> np.ndarray:
    """The samples of all batches, `k` of each class, class after class.

    Args:
        class_of: `(steps, P)` the classes of each batch.
        before: `(C,)` number of visits of the classes in earlier epochs.
        k: Number of samples of a visit.
        order: The order of the samples of each class.
        pool: The samples.

    Returns:
        `(steps, P k)`.
    """
    line = class_of.reshape(-1)
    visit = nth_of_class(line, len(before))
    visit += before[line]
    samples = np.empty((len(line), k), pool.ring.dtype)
    for begin in range(0, len(line), AT_ONCE // k + 1):
        part = slice(begin, begin + AT_ONCE // k + 1)
        places = order.places(line[part], visit[part], k)
        samples[part] = pool.samples(line[part, None], places)
    return samples.reshape(len(class_of), -1)
