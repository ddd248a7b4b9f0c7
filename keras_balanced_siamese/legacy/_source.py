"""Files of Keras 2, read as data: nothing in them is run, and no more is read than the file holds."""

import functools
import importlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from keras_balanced_siamese._text import short
from keras_balanced_siamese.legacy._checkpoint import Checkpoint
from keras_balanced_siamese.legacy._heaps import check_heaps, check_heaps_of
from keras_balanced_siamese.legacy._saved_model import metadata_of

LAYERS_OF_2_12 = "_layer_checkpoint_dependencies"  # the name of the group `layers` in the files of Keras 2.12 to 2.14
LARGEST_JSON = 2**27  # bytes
RATIO = 1000  # of the size in memory to the size in the file, at most
SLACK = 2**16  # bytes that need no room in the file, such as those of a constant


@dataclass(frozen=True)
class Source:
    """What a file holds.

    Attributes:
        kind: `"h5"`, `"keras"` or `"saved_model"`.
        config: Configuration of the model, or `None` where only weights were saved.
        compiled: Configuration of `compile`, or `None`.
        version: Version of Keras that wrote the file, or "unknown".
        weights: The open HDF5 group of the weights of the layers, or a `Checkpoint`.
        optimizer: That of the optimizer, or `None`.
    """

    kind: str
    config: dict[str, Any] | None
    compiled: dict[str, Any] | None
    version: str
    weights: Any
    optimizer: Any


@functools.cache
def hdf5() -> Any:
    """Return the module h5py, which Keras brings; it is loaded when a file is opened."""
    return importlib.import_module("h5py")


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a file of Keras 2.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If it is not such a file, or damaged.
    """
    if not path.exists():
        raise FileNotFoundError(f"There is no file {str(path)!r}")
    try:
        with _opened(path) as source:
            yield source
    except (
        OSError,
        zipfile.BadZipFile,
        KeyError,
        RuntimeError,
        EOFError,
        RecursionError,
        OverflowError,
        NotImplementedError,
    ) as error:
        raise ValueError(f"{str(path)!r} is damaged, or no file of Keras 2: {type(error).__name__}: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[Source]:
    if path.is_dir():
        if not (path / "variables" / "variables.index").exists():
            raise ValueError(f"{str(path)!r} is no SavedModel: it has no file `variables/variables.index`")
        text = metadata_of(path)
        metadata = {} if text is None else _json(text, "keras_metadata.pb")
        config = metadata.get("model_config", metadata)
        config = config if "layers" in config.get("config", {}) else None  # that of a subclassed model has no layers
        version = str(metadata.get("keras_version", "unknown"))
        checkpoint = Checkpoint(path / "variables" / "variables")
        yield Source("saved_model", config, metadata.get("training_config"), version, checkpoint, None)
        return
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            config = _json(_member(archive, "config.json", LARGEST_JSON), "config.json")
            metadata = _json(_member(archive, "metadata.json", LARGEST_JSON), "metadata.json")
            version = str(metadata.get("keras_version", "unknown"))
            compiled = config.get("compile_config")
            limit = RATIO * path.stat().st_size
            weights = _member(archive, "model.weights.h5", limit)
            check_heaps(weights)
            with hdf5().File(io.BytesIO(weights), "r") as file:
                yield Source("keras", config, compiled, version, file, group_in(file, "optimizer"))
        return
    check_heaps_of(path)
    with hdf5().File(path, "r") as file:
        config = _json(file.attrs["model_config"], "model_config") if "model_config" in file.attrs else None
        compiled = _json(file.attrs["training_config"], "training_config") if "training_config" in file.attrs else None
        version = _text(file.attrs.get("keras_version", "unknown"))
        weights = group_in(file, "model_weights")
        weights = file if weights is None else weights
        kind = "h5" if "layer_names" in weights.attrs or "layer_names0" in weights.attrs else "keras"
        yield Source(kind, config, compiled, version, weights, group_in(file, "optimizer_weights"))


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        names = short(archive.namelist())
        raise ValueError(f"The archive must hold {name!r}, as a `.keras` file does. Received: {names}") from None
    if info.file_size > min(limit, RATIO * max(info.compress_size, 1) + SLACK):
        raise ValueError(f"{name!r} in the archive grows to {info.file_size} bytes from {info.compress_size}")
    with archive.open(info) as file:
        data = file.read(info.file_size + 1)
    if len(data) > info.file_size:
        raise ValueError(f"{name!r} in the archive is longer than it says")
    return data


def _json(text: Any, name: str) -> dict[str, Any]:
    text = _text(text)
    if len(text) > LARGEST_JSON:
        raise ValueError(f"{name!r} has {len(text)} characters")
    try:
        value = json.loads(text, object_hook=_list_of_tuple)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{name!r} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{name!r} must hold a JSON object. Received: {short(value)}")
    return value


def _list_of_tuple(found: dict[str, Any]) -> Any:
    """Return the list or number that Keras 2 writes as a dict, as it does for tuples, shapes and arrays."""
    inner = found.get("config")
    if found.get("class_name") in ("__numpy__", "__tensor__") and isinstance(inner, dict) and "value" in inner:
        return inner["value"]
    is_list = found.get("class_name") in ("__tuple__", "TensorShape") and isinstance(found.get("items"), list)
    return found["items"] if is_list else found


def _text(value: Any) -> str:
    try:
        return value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise ValueError(f"A text in the file is not UTF-8: {error}") from error


def group_in(group: Any, path: str) -> Any:
    """Return a group inside another one, or `None`; links to other files or places are refused."""
    for name in path.split("/"):
        name = LAYERS_OF_2_12 if name == "layers" and LAYERS_OF_2_12 in group else name
        link = group.get(name, getlink=True) if isinstance(group, hdf5().Group) else None
        if link is None:
            return None
        _check_link(group, name, link)
        group = group[name]
    return group if isinstance(group, hdf5().Group) else None


def array_in(group: Any, path: str) -> np.ndarray | None:
    """Return an array inside a group, or `None`.

    Raises:
        ValueError: If it is no array of numbers, is kept elsewhere, or claims more than the file holds.
    """
    *before, name = path.split("/")
    parent = group_in(group, "/".join(before)) if before else group
    link = None if parent is None else parent.get(name, getlink=True)
    if link is None:
        return None
    _check_link(parent, name, link)
    assert parent is not None
    data = parent[name]
    if not isinstance(data, hdf5().Dataset) or data.dtype.kind not in "fiub":
        raise ValueError(f"{data.name!r} must be an array of numbers. Received: {data!r}")
    if data.is_virtual or data.external:
        raise ValueError(f"{data.name!r} is kept in another file, which is not read")
    if data.nbytes > _most_bytes(data):
        raise ValueError(f"{data.name!r} claims {data.nbytes} bytes, more than the file can hold")
    return np.asarray(data[()])


def _most_bytes(data: Any) -> int:
    """Return how large an array can be in memory; what a damaged file says of its storage can exceed the file."""
    return RATIO * min(data.id.get_storage_size(), data.file.id.get_filesize()) + SLACK


def _check_link(group: Any, name: str, link: Any) -> None:
    if not isinstance(link, hdf5().HardLink):
        raise ValueError(f"{group.name}/{name} is a link to another place, which is not followed")


def names_in(group: Any, key: str) -> list[str]:
    """Return a list of names among the attributes of a group; long ones are divided.

    Raises:
        ValueError: If a name occurs twice: then Keras 2 failed to write the file.
    """
    divided = (f"{key}{k}" for k in count())
    keys = [key] if key in group.attrs else takewhile(lambda one: one in group.attrs, divided)
    names = [_text(name) for one in keys for name in np.asarray(group.attrs[one]).tolist()]
    if twice := sorted({name for name, n in Counter(names).items() if n > 1}):
        raise ValueError(f"Each name in {key!r} of {group.name!r} must occur once. Received: {short(twice)} twice")
    return names


def arrays_under(group: Any) -> list[str]:
    """List the paths of all arrays below a group."""
    found: list[str] = []
    group.visititems(lambda name, one: found.append(name) if isinstance(one, hdf5().Dataset) else None)
    return found


def elements_under(group: Any) -> int:
    """Return the number of values in all arrays of a group or checkpoint, no more than the file can hold."""
    if isinstance(group, Checkpoint):
        return group.elements
    sizes = [group[path] for path in arrays_under(group)]
    return sum(one.size for one in sizes if one.nbytes <= _most_bytes(one))
