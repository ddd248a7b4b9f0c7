"""Pages made when the site is built: one for each public name in the package's `__init__.py`, and the changelog."""

import ast
from pathlib import Path
from typing import Any

from properdocs.structure.files import File, Files

PACKAGE = "keras_balanced_siamese"
SECTIONS = {  # room -> heading, in the order of the data flow
    "class_split": "Class split",
    "class_weights": "Class weights",
    "sampling": "Pairs and batches",
    "loading": "Augmentation",
    "siamese": "Model",
    "chunked": "Model",
    "layers": "Layers",
    "losses": "Losses",
    "metrics": "Metrics",
    "callbacks": "Callbacks",
    "evaluation": "Evaluation",
    "scoring": "Evaluation",
    "calibration": "Calibration",
    "plots": "Plots",
    "gallery": "Gallery",
    "_custom_objects": "Saving",
    "legacy": "Models of Keras 2",
}
RESULTS = ["PairReport"]  # made by functions, not by users: no constructor on the page


def public_names() -> dict[str, str]:
    """The module of each public name."""
    source = Path(__file__).parent.parent / PACKAGE / "__init__.py"
    modules = {}
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            modules.update({alias.name: node.module for alias in node.names if not alias.name.startswith("_")})
    return modules


def page(name: str, module: str) -> str:
    """The text of a reference page."""
    path = f"{module}.{name}" if module.endswith(f".{name}") else f"{PACKAGE}.{name}"  # a module hides its function
    options = "\n    options:\n      merge_init_into_class: false" if name in RESULTS else ""
    return f"---\ntitle: {name}\n---\n\n::: {path}{options}\n"


def on_config(config: Any) -> Any:
    """Add the public names to the reference in the navigation."""
    sections: dict[str, list[Any]] = {heading: [] for heading in SECTIONS.values()}
    for name, module in public_names().items():
        sections[SECTIONS[module.split(".")[1]]].append({name: f"api/{name}.md"})
    reference = next(entry["Reference"] for entry in config.nav if "Reference" in entry)
    reference[:0] = [{heading: pages} for heading, pages in sections.items()]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each public name, and the changelog."""
    for name, module in public_names().items():
        files.append(File.generated(config, f"api/{name}.md", content=page(name, module)))
    changes = (Path(__file__).parent.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "changes.md", content=changes))
    return files
