"""Fields of protocol buffers, read without a description of them."""

from collections.abc import Iterator
from typing import Any


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the number and value of each field: an int, or bytes.

    Raises:
        ValueError: If the data are cut off, or no protocol buffer.
    """
    place = 0
    while place < len(data):
        key, place = varint(data, place)
        kind = key & 7
        if kind == 0:
            value, place = varint(data, place)
        elif kind == 2:
            length, place = varint(data, place)
            value, place = data[place : place + length], place + length
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
            value, place = data[place : place + length], place + length
        else:
            raise ValueError(f"The SavedModel is damaged: a field of the type {kind}")
        if place > len(data):
            raise ValueError("The SavedModel is damaged: a field is cut off")
        yield key >> 3, value


def inside(data: bytes, *numbers: int) -> Iterator[bytes]:
    """Yield the messages at the end of a path of field numbers."""
    for number, value in fields(data):
        if number == numbers[0] and isinstance(value, bytes):
            if len(numbers) == 1:
                yield value
            else:
                yield from inside(value, *numbers[1:])


def varint(data: bytes, place: int) -> tuple[int, int]:
    """Return the number of variable length at a place, and the place after it."""
    value = shift = 0
    while place < len(data) and shift < 64:
        value |= (data[place] & 127) << shift
        place += 1
        if data[place - 1] < 128:
            return value, place
        shift += 7
    raise ValueError("The SavedModel is damaged: a number is cut off")


def text(parts: dict[int, Any], number: int) -> str:
    """Return a text among the fields of a message; one that is not there is empty.

    Raises:
        ValueError: If it is no text.
    """
    value = parts.get(number, b"")
    if not isinstance(value, bytes):
        raise ValueError("The SavedModel is damaged: a text is a number")
    return value.decode()


def integer(parts: dict[int, Any], number: int) -> int:
    """Return a number among the fields of a message; one that is not there is 0.

    Raises:
        ValueError: If it is no number.
    """
    value = parts.get(number, 0)
    if not isinstance(value, int):
        raise ValueError("The SavedModel is damaged: a number is a text")
    return value
