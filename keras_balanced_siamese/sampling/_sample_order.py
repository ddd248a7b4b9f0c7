"""Which samples of its class each visit to a batch takes: all before any twice, in an order that keeps changing."""

from typing import NamedTuple

import numpy as np


class Order(NamedTuple):
    """What decides the order of the samples of each class."""

    size: np.ndarray  # (C,) samples of the class
    prime: np.ndarray  # (C,) the least prime not below `size`
    key: np.ndarray  # (C,) uint64, random

    def places(self, class_of: np.ndarray, visit: np.ndarray, k: int) -> np.ndarray:
        """The places of the `k` samples that each visit takes.

        The visits of a class go along its samples, `k` at a time. Once a visit ends just where the samples end, a new
        order begins, so the samples of one visit are distinct wherever the class has `k`:

        ```
        place -> (a place + b) mod prime     with other a and b in each order, again and again while it is >= size
        ```

        Over the orders, any two samples meet about as often as any other two.

        Args:
            class_of: `(m,)` classes.
            visit: `(m,)` the number of this visit among all visits of the class, from 0.
            k: Samples that a visit takes.

        Returns:
            `(m, k)` integers from 0 to `size - 1`.
        """
        size, prime = self.size[class_of], self.prime[class_of]
        order, nth = np.divmod(visit, size // np.gcd(size, k))
        random = _mixed(self.key[class_of] + order.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).astype(np.int64)
        size, prime, a, b = (each[:, None] for each in (size, prime, random >> 32, random & 0xFFFFFFFF))
        a, b = 1 + (a & 0xFFFFFFFF) % np.maximum(prime - 1, 1), b % prime
        place = (nth[:, None] * k + np.arange(k)) % size
        place = (a * place + b) % prime
        outside = place >= size
        while outside.any():  # it comes back inside: what it left from is inside
            place = np.where(outside, (a * place + b) % prime, place)
            outside = place >= size
        return place


def random_order(size: np.ndarray, rng: np.random.Generator) -> Order:
    """An order for classes of these sizes."""
    return Order(size, _primes_not_below(size), rng.integers(0, 2**64, len(size), np.uint64))


def _primes_not_below(sizes: np.ndarray) -> np.ndarray:
    prime = np.ones(int(sizes.max()) + 400, dtype=bool)  # below 10^10, two primes are less than that apart
    prime[:2] = False
    for k in range(2, int(len(prime) ** 0.5) + 1):
        if prime[k]:
            prime[k * k :: k] = False
    primes = np.flatnonzero(prime)
    return primes[np.searchsorted(primes, sizes)]


def _mixed(key: np.ndarray) -> np.ndarray:
    """The bits of 64-bit integers well mixed: the last steps of SplitMix64."""
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))
