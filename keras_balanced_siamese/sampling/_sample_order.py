"""Order of the samples of each class: all come once before any comes twice, and then in a new order."""

from typing import NamedTuple

import numpy as np


class Order(NamedTuple):
    """Parameters of the order of the samples of each class."""

    size: np.ndarray  # (C,) number of samples of the class
    prime: np.ndarray  # (C,) the smallest prime not below `size`
    key: np.ndarray  # (C,) uint64, random

    def places(self, class_of: np.ndarray, visit: np.ndarray, k: int) -> np.ndarray:
        """The places of the `k` samples of each visit.

        The visits of a class go through its samples, `k` at a time. A new order begins once a visit ends with the last
        sample, so the samples of one visit are distinct if the class has at least `k`:

        ```
        place -> (a place + b) mod prime     repeated while the result is >= size; a and b differ between orders
        ```

        Over the orders, any two samples meet about equally often.

        Args:
            class_of: `(m,)` classes.
            visit: `(m,)` the number of this visit among all visits of the class, from 0.
            k: Number of samples of a visit.

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
        while outside.any():  # this ends: the map is a permutation, and the first place was inside
            place = np.where(outside, (a * place + b) % prime, place)
            outside = place >= size
        return place


def random_order(size: np.ndarray, rng: np.random.Generator) -> Order:
    """An order for classes of these sizes."""
    return Order(size, _primes_not_below(size), rng.integers(0, 2**64, len(size), np.uint64))


def _primes_not_below(sizes: np.ndarray) -> np.ndarray:
    prime = np.ones(int(sizes.max()) + 400, dtype=bool)  # below 10^10, the gap between two primes is smaller than 400
    prime[:2] = False
    for k in range(2, int(len(prime) ** 0.5) + 1):
        if prime[k]:
            prime[k * k :: k] = False
    primes = np.flatnonzero(prime)
    return primes[np.searchsorted(primes, sizes)]


def _mixed(key: np.ndarray) -> np.ndarray:
    """Mix the bits of 64-bit integers by the last steps of SplitMix64."""
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))
