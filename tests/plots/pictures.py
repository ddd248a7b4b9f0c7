"""Reports to draw, and checks of figures."""

import dataclasses

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

import keras_balanced_siamese as kbs
from keras_balanced_siamese.evaluation import reliability


def pairs_of(n_classes, n=1200, names=None, seed=0):
    """Distances, truth, classes and samples, with later classes harder than the first ones."""
    rng = np.random.default_rng(seed)
    class_of = np.repeat(np.arange(n_classes), 20)
    samples = rng.integers(0, len(class_of), (n, 2))
    one = rng.integers(0, n_classes, n // 2)
    samples[: n // 2] = one[:, None] * 20 + rng.integers(0, 20, (n // 2, 2))
    codes = class_of[samples]
    similar = codes[:, 0] == codes[:, 1]
    distances = np.abs(rng.normal(size=n) * 0.6 + np.where(similar, 0.8 + codes.mean(1) / n_classes, 2.8))
    names = np.array(names or [f"class {k}" for k in range(n_classes)])
    return distances, similar, names[codes], samples, {str(name): 900 // (k + 1) for k, name in enumerate(names)}


def full_report(n_classes=4, names=None, threshold=1.7, **kwargs):
    distances, similar, classes, samples, counts = pairs_of(n_classes, names=names)
    found = kbs.evaluate_pairs(
        distances,
        similar,
        classes=classes,
        samples=samples,
        class_counts=counts,
        threshold=threshold,
        n_resamples=50,
        **kwargs,
    )
    probability = 1 / (1 + np.exp(2 * (distances - 1.7)))
    calibration = reliability(probability, similar, np.full(len(similar), 1 / len(similar)))
    return dataclasses.replace(found, calibration=calibration)


def plain_report(similar=(0.1, 0.2, 0.9), different=(0.3, 0.8, 1.0), **kwargs):
    return kbs.evaluate_pairs([*similar, *different], [1] * len(similar) + [0] * len(different), **kwargs)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


LONG = [f"a family with $ and _ in its name / species number {k:03d}" for k in range(40)]
MANY = {
    "full": lambda: full_report(),
    "long labels": lambda: full_report(40, names=LONG),
    "no calibration": lambda: dataclasses.replace(full_report(3, threshold=None), calibration={}),
    "no counts": lambda: dataclasses.replace(full_report(3), groups={}, class_counts={}, intervals={}, resampled=None),
    "embeddings": lambda: kbs.evaluate_embeddings(normal(90, 3), np.arange(90) % 3),
    "no classes": lambda: plain_report(normal(300), normal(200, seed=1) + 2),
    "no classes but calibrated": lambda: dataclasses.replace(plain_report(), calibration=full_report().calibration),
    "perfect": lambda: plain_report((0.1, 0.2, 0.3), (1.0, 1.1)),
    "constant": lambda: plain_report((1.0, 1.0), (1.0, 1.0, 1.0)),
    "the wrong way round": lambda: plain_report((2.0, 3.0), (0.1, 0.5)),
    "infinite": lambda: plain_report((0.1, 0.2, np.inf), (0.3, np.inf, np.inf)),
    "infinite threshold": lambda: plain_report((0.1, np.inf, np.inf), (np.inf, np.inf, np.inf)),
    "all infinite": lambda: plain_report((np.inf,) * 3, (np.inf,) * 3),
    "far threshold": lambda: plain_report(threshold=50.0),
    "a class without similar pairs": lambda: plain_report(
        classes=[["a", "a"], ["a", "a"], ["b", "b"], ["a", "b"], ["b", "a"], ["a", "c"]], class_counts={"a": 9, "b": 3}
    ),
}


def assert_fits(figure, spare=1.0):
    """Everything that is drawn lies inside the figure, and no two texts overlap."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    frame = figure.bbox
    for ax in figure.axes:
        box = ax.get_tightbbox(renderer)
        assert box.x0 >= -spare, ax.get_title()
        assert box.y0 >= -spare, ax.get_title()
        assert box.x1 <= frame.x1 + spare, ax.get_title()
        assert box.y1 <= frame.y1 + spare, ax.get_title()
    hidden = {id(text) for ax in figure.axes for text in hidden_labels(ax)}
    texts = [text for text in figure.findobj(mpl.text.Text) if text.get_visible() and text.get_text().strip()]
    texts = [text for text in texts if id(text) not in hidden]
    boxes = [(text.get_text(), mpl.text.Text.get_window_extent(text, renderer)) for text in texts]  # without leaders
    for name, box in boxes:
        assert frame.x0 - spare <= box.x0, name
        assert box.x1 <= frame.x1 + spare, name
        assert frame.y0 - spare <= box.y0, name
        assert box.y1 <= frame.y1 + spare, name
    for k, (name, box) in enumerate(boxes):
        for other, rival in boxes[:k]:
            wide = min(box.x1, rival.x1) - max(box.x0, rival.x0)
            high = min(box.y1, rival.y1) - max(box.y0, rival.y0)
            assert wide <= spare or high <= spare, (name, other)


def hidden_labels(ax):
    """Labels of ticks that are outside the view, and of axes that are switched off."""
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
            if not (ax.axison and low - 1e-9 <= tick.get_loc() <= high + 1e-9):
                yield from (tick.label1, tick.label2)


def line_through(ax, k=0):
    return np.array(ax.lines[k].get_data(orig=True), float)


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def end_names(ax):
    """The names at the ends of the lines, the bold ones and the others."""
    bold = [text.get_text() for text in ax.texts if text.get_fontweight() == "bold"]
    return bold, [text.get_text() for text in ax.texts if text.get_fontweight() != "bold"]


def line_of(ax, name):
    """The line in which the leader of a name ends, by its colour and last point."""
    (text,) = (text for text in ax.texts if text.get_text().split("  ")[0].removesuffix(" *") == name)
    colour = to_hex(text.arrow_patch.get_edgecolor())
    (line,) = (
        line
        for line in ax.lines
        if to_hex(line.get_color()) == colour and any(np.allclose(text.xy, p) for p in line.get_xydata())
    )
    return line
