import sys

import numpy as np
import pytest

import keras_balanced_siamese as kbs
from keras_balanced_siamese import plots

pytest.importorskip("matplotlib")
import matplotlib.pyplot as plt
from matplotlib.colors import to_hex
from plots.pictures import LONG, assert_fits

pytestmark = pytest.mark.numpy_only

N = 24
Y = np.repeat(["cat", "dog", "lynx"], 8)
GREY = np.random.default_rng(0).integers(0, 256, (N, 6, 5)).astype("uint8")


def build(x=GREY, y=Y, **kwargs):
    return kbs.BalancedPairSequence(x, y, **{"batch_size": 12, "seed": 0, **kwargs})


def images_of(figure):
    """The images of each axes, left and right."""
    return [[np.asarray(image.get_array(), float) for image in ax.images] for ax in figure.axes]


def titles(figure):
    return [ax.get_title().split("\n") for ax in figure.axes]


def jitter(image, rng):
    return (image * rng.uniform(0.2, 1.0)).astype("float32") / 255


def upside_down(images):
    return images[:, ::-1]


def test_pairs_show_what_the_batch_holds():
    weights = {"cat": 1, "dog": 2, "lynx": 4}
    pairs = build(transform=jitter, batch_transform=upside_down, class_weight=weights, with_classes=True)
    pairs.set_epoch(3)
    (left, right), labels, weight = pairs[1]
    i, j, _ = pairs.indices(1)
    figure = plots.plot_pairs(pairs, 1, n=5)
    assert figure.get_suptitle() == "Epoch 3, batch 1: 5 of 12 pairs"
    assert len(figure.axes) == 5
    for k, (found, title) in enumerate(zip(images_of(figure), titles(figure), strict=True)):
        np.testing.assert_allclose(found, [left[k], right[k]], rtol=1e-6)
        kind = "similar" if labels[k, 0] else "different"
        assert title == [f"{kind}, weight {weight[k]:.3g}", f"{Y[i[k]]} | {Y[j[k]]}"]
    assert {title[0].split(",")[0] for title in titles(figure)} == {"similar", "different"}


def test_kinds_differ_in_more_than_colour():
    figure = plots.plot_pairs(build(), n=2)
    frames = [next(iter(ax.spines.values())) for ax in figure.axes]
    assert [title[0].split(",")[0] for title in titles(figure)] == ["similar", "different"]
    assert frames[0].get_linestyle() == "-"
    assert frames[1].get_linestyle() != "-"
    assert [to_hex(frame.get_edgecolor()) for frame in frames] == ["#0072b2", "#e69f00"]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_batch_loads_once_and_the_sequence_is_unchanged(workers):
    loads = []

    class Counted(kbs.BalancedPairSequence):
        def __getitem__(self, index):
            loads.append(index)
            return super().__getitem__(index)

    pairs = Counted(GREY, Y, batch_size=24, seed=0, workers=workers)
    assert len(pairs) == 1
    plots.plot_pairs(pairs)
    assert loads == [0]
    pairs.on_epoch_end()
    assert pairs.epoch == 0  # the picture was no batch of `fit`


@pytest.mark.parametrize("n", [1, 2, 3, 8, 20])
@pytest.mark.parametrize("shape", [(28, 28), (20, 8, 3), (6, 30, 1)])
def test_any_number_of_pairs_of_any_shape_fits(n, shape):
    x = np.random.default_rng(0).uniform(size=(N, *shape))
    figure = plots.plot_pairs(build(x, np.repeat(LONG[:3], 8), batch_size=20, steps_per_epoch=1), n=n)
    assert len(figure.axes) == n
    assert_fits(figure)


def test_a_batch_with_fewer_pairs_is_shown_whole():
    figure = plots.plot_pairs(build(batch_size=5), -1)
    assert figure.get_suptitle() == "Epoch 0, batch 4: 4 of 4 pairs"
    assert len(figure.axes) == 4


def test_a_shard_shows_its_part_of_the_epoch():
    pairs = build(batch_size=6)
    part = images_of(plots.plot_pairs(pairs.shard(1, 2), 1, n=3))
    np.testing.assert_array_equal(part, images_of(plots.plot_pairs(pairs, 1, n=6))[-len(part) :])


@pytest.mark.parametrize(
    ("x", "image"),
    [
        (GREY.reshape(N, -1), lambda sample: sample.reshape(6, 5)),
        ({"size": np.arange(N), "photo": GREY}, lambda sample: sample["photo"]),
        ((np.arange(N), {"photo": GREY}), lambda sample: sample[1]["photo"]),
        (GREY[:, None], lambda sample: np.moveaxis(sample, 0, -1)),
    ],
)
def test_image_finds_the_image_in_a_sample(x, image):
    expected = plots.plot_pairs(build(), n=3)
    np.testing.assert_array_equal(images_of(plots.plot_pairs(build(x), n=3, image=image)), images_of(expected))


def test_synthetic_samples_have_their_classes():
    class Doubles:
        """Makes samples, as SMOTE does."""

        def get_params(self):
            return {}

        def fit_resample(self, x, y):
            return np.concatenate([x, x]), np.concatenate([y, y])

    x = np.repeat([0.0, 0.5, 1.0], 8)[:, None].repeat(30, axis=1)
    figure = plots.plot_pairs(build(x, resampling=Doubles()), image=lambda sample: sample.reshape(6, 5))
    names = {0.0: "cat", 0.5: "dog", 1.0: "lynx"}
    for (left, right), title in zip(images_of(figure), titles(figure), strict=True):
        assert title[1] == f"{names[left[0, 0]]} | {names[right[0, 0]]}"


@pytest.mark.parametrize(
    ("x", "kwargs", "error", "message"),
    [
        (GREY, {"pairs": GREY}, TypeError, r"`BalancedPairSequence`. Received: pairs of type ndarray"),
        (GREY, {"n": 0}, ValueError, r"n=0"),
        (GREY, {"index": 9}, IndexError, r"has 2 batches. Received: index=9"),
        (GREY, {"image": "photo"}, TypeError, r"must be a function.*Received: image='photo'"),
        (
            GREY.reshape(N, -1),
            {},
            ValueError,
            r"image=lambda sample: sample.reshape\(height, width\).*the left side of pair 0 of shape \(30,\)",
        ),
        (GREY[:, None], {}, ValueError, r"np.moveaxis\(sample, 0, -1\).*shape \(1, 6, 5\)"),
        (np.zeros((N, 4, 4, 4)), {}, ValueError, r"sample\[..., :3\].*shape \(4, 4, 4\)"),
        (GREY, {"image": lambda _: "a.png"}, TypeError, r"load files by the `transform`.*pair 0 of type str"),
        (
            {"size": np.arange(N), "photo": GREY},
            {},
            ValueError,
            r"several inputs, \['size', 'photo'\].*image=lambda sample: sample\['photo'\]",
        ),
        ((np.arange(N), GREY), {}, ValueError, r"several inputs, \[0, 1\].*image=lambda sample: sample\[1\]"),
        (GREY, {"image": lambda sample: sample[0]}, ValueError, r"or the result of `image`.*shape \(5,\)"),
    ],
)
def test_bad_pairs_index_or_image_raise(x, kwargs, error, message):
    kwargs = {"pairs": build(x), **kwargs}
    with pytest.raises(error, match=message):
        plots.plot_pairs(**kwargs)
    assert not plt.get_fignums()


def test_plot_pairs_needs_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"keras-balanced-siamese\[plots\]"):
        plots.plot_pairs(build())
