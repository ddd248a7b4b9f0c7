"""Two-dimensional map of labelled embeddings."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_balanced_siamese._checks import whole
from keras_balanced_siamese._labels import Labels, encode_labels
from keras_balanced_siamese._text import short_names
from keras_balanced_siamese._typing import ArrayLike, Label
from keras_balanced_siamese.evaluation import check_class_counts, check_counted, thirds
from keras_balanced_siamese.neighbours import as_embeddings
from keras_balanced_siamese.plots._projection import project
from keras_balanced_siamese.plots._style import GREY, axes, colour, ink, marker
from keras_balanced_siamese.plots._text import legend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROWS = 22  # rows in a column of the legend


def plot_embeddings(
    embeddings: ArrayLike,
    labels: ArrayLike,
    *,
    method: str | Callable[[np.ndarray], ArrayLike] = "pca",
    class_counts: Mapping[Label, int] | ArrayLike | None = None,
    highlight: Sequence[Label] | None = None,
    max_classes: int = 20,
    ax: "Axes | None" = None,
    seed: int = 0,
) -> "Axes":
    """Draw embeddings as a two-dimensional map, with the rare classes on top.

    Classes differ in colour and marker. The rarest third has larger points and a star after its names. With more than
    `max_classes` classes, only the rarest have colours and the others are grey; of classes with equal counts, the first
    ones have colours.

    The map shows neighbourhoods, not error rates: two classes that overlap here may be far apart in the other
    dimensions.

    Args:
        embeddings: `(n, dim)`, finite.
        labels: `(n,)` class labels.
        method: `"pca"` projects on the two directions of the largest variance, with reproducible signs. `"umap"` needs
            umap-learn. A callable maps `(n, dim)` to `(n, 2)`, such as `sklearn.manifold.TSNE().fit_transform`.
        class_counts: Number of training samples of each class, as a mapping or as the training labels. `None` counts
            `labels`.
        highlight: Labels of the classes to colour instead of the rarest ones.
        max_classes: Maximum number of coloured classes. Beyond 42, classes share colour and marker.
        ax: Axes to draw on. `None` creates a figure. The legend is to the right of the axes; a figure without a layout
            gets a constrained one, which makes room for it.
        seed: Random seed for `"umap"`.

    Returns:
        The axes.

    Raises:
        ImportError: If matplotlib, or umap-learn for `"umap"`, is not installed.
        ValueError: If the shapes do not match, an embedding is not finite, or `highlight` has an unknown class.

    Examples:
        >>> x = np.array([[0.0, 0.0, 0.0], [0.0, 3.0, 4.0], [0.0, 6.0, 8.0]])
        >>> plot_embeddings(x, ["a", "b", "b"]).get_xlabel()
        'principal component 1 (100 % of the variance)'
    """
    encoded = encode_labels(labels)
    x = _check(embeddings, len(encoded.codes))
    counts = check_class_counts(class_counts) or dict(zip(encoded.classes, encoded.counts.tolist(), strict=True))
    check_counted(counts, encoded.classes)
    rare = set(thirds(encoded.classes, counts).get("tail", ()))
    shown = _choose(encoded, counts, highlight, whole("max_classes", max_classes, 1))
    notes = ["class (samples)" if class_counts is None else "class (training samples)"]
    notes += ["* rarest third"] if rare else []
    if highlight is None and len(shown) < len(encoded.classes):
        notes.append(f"in colour: the {len(shown)} rarest" if rare else f"in colour: the first {len(shown)}")
    points, names = project(x, method, whole("seed", seed, 0))
    columns = math.ceil((len(shown) + (len(shown) < len(encoded.classes))) / ROWS)
    ax = axes(ax, (5.7 + 1.9 * columns, 5.4))
    size = float(np.clip(20000 / len(x), 10, 36))
    handles = []
    others = ~np.isin(encoded.codes, shown)
    texts = short_names(encoded.classes[code] for code in shown)
    for k, code in enumerate(shown):
        of_class, is_rare = encoded.codes == code, code in rare
        style = {"s": size * (2.5 if is_rare else 1.0), "marker": marker(k), "color": colour(k), "zorder": 3 + is_rare}
        edge = {"edgecolors": ink(), "linewidths": 0.5} if is_rare else {"linewidths": 0, "alpha": 0.8}
        handles.append(ax.scatter(*points[of_class].T, **style, **edge))
        texts[k] += f"{' *' if is_rare else ''}  ({counts.get(encoded.classes[code], 0):,})"
    if others.any():
        handles.append(ax.scatter(*points[others].T, s=size / 2, color=GREY, alpha=0.4, linewidths=0, zorder=1))
        texts.append(f"{len(encoded.classes) - len(shown):,} other classes")
    ax.set(xlabel=names[0], ylabel=names[1], title="Embeddings")
    ax.set_aspect("equal", adjustable="datalim")
    box = legend(
        ax,
        handles,
        texts,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0.0,
        frameon=False,
        ncols=columns,
        title="\n".join(notes),
        alignment="left",
    )
    for handle in box.legend_handles:
        handle.set_sizes([36])
        handle.set_alpha(1)
    return ax


def _check(embeddings: ArrayLike, n: int) -> np.ndarray:
    x = as_embeddings(embeddings).astype(np.float64)
    if len(x) != n:
        raise ValueError(
            f"`embeddings` must have one row for each label. Received: embeddings of shape {x.shape} and {n} labels"
        )
    return x


def _choose(encoded: Labels, counts: dict[Label, int], highlight: Any, max_classes: int) -> list[int]:
    """Return the codes of the classes to colour: the rarest, and of equally common ones the first; the rarest last."""
    if highlight is not None:
        chosen = list(highlight)
        unknown = [label for label in chosen if label not in encoded.classes]
        if unknown:
            raise ValueError(f"`highlight` must hold labels that are in `labels`. Received: {unknown[:5]}")
        return [encoded.classes.index(label) for label in chosen]
    size = [counts.get(label, 0) for label in encoded.classes]
    rarest = sorted(range(len(size)), key=size.__getitem__)[:max_classes]
    return sorted(rarest, key=lambda code: (-size[code], code))
