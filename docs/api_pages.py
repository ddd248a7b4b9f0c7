"""Reference pages: one for each public name of the package, read from its `__init__.py` when the site is built."""

import ast
from pathlib import Path
from typing import Any

from properdocs.structure.files import File, Files

PACKAGE = "keras_balanced_siamese"
SECTIONS = {  # room -> heading, in the order of the data flow; other rooms follow under their own names
    "class_split": "Class split",
    "class_weights": "Class weights",
    "sampling": "Pairs and batches",
    "loading": "Augmentation",
    "siamese": "Model",
    "layers": "Layers",
    "losses": "Losses",
    "metrics": "Metrics",
    "callbacks": "Callbacks",
    "evaluation": "Evaluation",
    "calibration": "Calibration",
    "plots": "Plots",
    "gallery": "Gallery",
    "_custom_objects": "Saving",
    "legacy": "Models of Keras 2",
}


def public_names() -> dict[str, list[str]]:
    """The public names of each room."""
    source = Path(__file__).parent.parent / PACKAGE / "__init__.py"
    rooms: dict[str, list[str]] = {room: [] for room in SECTIONS}
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [alias.name for alias in node.names if not alias.name.startswith("_")]
            rooms.setdefault(node.module.split(".")[1], []).extend(names)
    return {room: names for room, names in rooms.items() if names}


def on_config(config: Any) -> Any:
    """Add the reference to the navigation."""
    sections = [
        {SECTIONS.get(room, room): [{name: f"api/{name}.md"} for name in names]}
        for room, names in public_names().items()
    ]
    config.nav = [*config.nav, {"Reference": sections}]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each public name."""
    for names in public_names().values():
        for name in names:
            content = f"---\ntitle: {name}\n---\n\n::: {PACKAGE}.{name}\n"
            files.append(File.generated(config, f"api/{name}.md", content=content))
    return files
