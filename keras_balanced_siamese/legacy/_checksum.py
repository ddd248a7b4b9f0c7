"""CRC-32C, the checksum that TensorFlow writes for each array of a checkpoint."""

import math

import numpy as np

POLYNOMIAL = 0x82F63B78  # of CRC-32C, its bits in reverse


def _table() -> np.ndarray:
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, values >> 1 ^ np.uint32(POLYNOMIAL), values >> 1)
    return values


TABLE = _table()


def masked_checksum(data: bytes) -> int:
    """Return the CRC-32C of the data, masked as in files of TensorFlow.

    The data are divided into rows, whose checksums are computed at the same time and then joined.
    """
    length = max(1, math.isqrt(len(data)))
    n_rows = -(-(len(data) + 4) // length)
    rows = np.zeros(n_rows * length, np.uint8)  # zeros at the front do not change a checksum that begins with 0
    begin = len(rows) - len(data)
    rows[begin:] = np.frombuffer(data, np.uint8)
    rows[begin : begin + 4] ^= 0xFF  # it begins with ones
    crc = 0xFFFFFFFF >> 8 * len(data) if len(data) < 4 else 0
    found = np.zeros(n_rows, np.uint32)
    for column in rows.reshape(n_rows, length).T:
        found = _after_byte(found ^ column)
    shifted = np.arange(256, dtype=np.uint32) << (8 * np.arange(4, dtype=np.uint32)[:, None])
    for _ in range(length):
        shifted = _after_byte(shifted)
    moved, total = shifted.tolist(), 0
    for row in found.tolist():
        total = moved[0][total & 255] ^ moved[1][total >> 8 & 255] ^ moved[2][total >> 16 & 255] ^ moved[3][total >> 24]
        total ^= row
    crc ^= total ^ 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _after_byte(values: np.ndarray) -> np.ndarray:
    return TABLE[values & 255] ^ values >> 8
