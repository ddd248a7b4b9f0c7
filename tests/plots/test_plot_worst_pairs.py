import numpy as np
import pytest

from keras_balanced_siamese import plots

pytest.importorskip("matplotlib")
from plots.pictures import assert_fits

pytestmark = pytest.mark.numpy_only


def image_pairs(n_images=12, m=40):
    rng = np.random.default_rng(0)
    sides = rng.integers(0, n_images, (m, 2))
    return sides, rng.uniform(size=m), np.arange(m) % 2


@pytest.mark.parametrize("kind", ["gray bytes", "one channel", "colour", "floats", "bool", "standardised", "list"])
def test_worst_pairs_have_the_most_wrong_distances(kind):
    rng = np.random.default_rng(0)
    images = {
        "gray bytes": rng.integers(0, 255, (12, 6, 6)).astype(np.uint8),
        "one channel": rng.uniform(size=(12, 6, 6, 1)),
        "colour": rng.integers(0, 255, (12, 6, 6, 3)).astype(np.uint8),
        "floats": rng.uniform(size=(12, 6, 6, 3)).astype(np.float32),
        "bool": rng.uniform(size=(12, 6, 6)) > 0.5,
        "standardised": rng.normal(size=(12, 6, 6)),
        "list": [rng.uniform(size=(4 + k, 5)) for k in range(12)],
    }[kind]
    sides, distances, similar = image_pairs()
    classes = np.where(similar[:, None] == 1, "a $ name that is very long indeed", [["left", "right"]])
    figure = plots.plot_worst_pairs(images, sides, distances[:, None], similar, n=5, threshold=0.9, classes=classes)
    if kind in ("colour", "list"):
        assert_fits(figure)
    worst = [*np.sort(distances[similar == 1])[::-1][:5], *np.sort(distances[similar == 0])[:5]]
    titles = [ax.get_title().split("\n") for ax in figure.axes]
    assert [title[0].split(" ")[0] for title in titles] == [f"{distance:.3g}" for distance in worst]
    wrong = [(d <= 0.9) != (k < 5) for k, d in enumerate(worst)]
    assert ["(wrong)" in title[0] for title in titles] == wrong
    assert 5 < sum(wrong) < 10
    assert titles[-1][1] == "left | right"
    for ax, distance in zip(figure.axes, worst, strict=True):
        left, right = sides[np.flatnonzero(distances == distance)[0]]
        for shown, position in zip(ax.images, (left, right), strict=True):
            array, original = np.asarray(shown.get_array(), float), np.squeeze(np.asarray(images[position], float))
            assert 0 <= array.min() <= array.max() <= 1
            assert np.corrcoef(array.ravel(), original.ravel())[0, 1] == pytest.approx(1)
            if kind == "gray bytes":
                np.testing.assert_allclose(array, original / 255)
            if kind in ("floats", "one channel"):
                np.testing.assert_allclose(array, original)


def test_only_the_images_that_are_shown_are_read():
    class Disk:
        read = ()

        def __len__(self):
            return 12

        def __getitem__(self, position):
            assert type(position) is int
            self.read = (*self.read, position)
            return np.zeros((3, 3))

    disk = Disk()
    sides, distances, similar = image_pairs()
    plots.plot_worst_pairs(disk, sides, distances, similar, n=1)
    assert len(disk.read) == len(set(disk.read)) <= 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((4, 9))}, r"Flat vectors become images.*Received: images\[\d\] of shape \(9,\)"),
        ({"images": np.zeros((4, 3, 8, 8))}, r"Channels must come last.*Received: images\[\d\] of shape \(3, 8, 8\)"),
        ({"images": np.zeros((4, 8, 8, 2))}, r"Received: images\[\d\] of shape \(8, 8, 2\)"),
        ({"images": ["a.png", "b.png", "c.png", "d.png"]}, r"load files first. Received: images\[\d\] of type str"),
        ({"pairs": [[0, 4], [1, 2]]}, r"positions from 0 to 3, as there are 4 images. Received: 0 to 4"),
        ({"pairs": [0, 1]}, r"Received: pairs of shape \(2,\)"),
        ({"pairs": [[0.0, 1.0], [1.0, 2.0]]}, r"whole numbers.*type float64"),
        ({"distances": [1.0]}, r"same length. Received: 1 distances, 2 labels"),
        ({"distances": [1.0], "similar": [1]}, r"same length. Received: 2 pairs and 1 distances"),
        ({"distances": np.eye(2)}, r"np.triu_indices"),
        ({"images": np.zeros((4, 8, 8, 4))}, r"`images\[..., :3\]`"),
        ({"threshold": "eer"}, r"`threshold` must be a finite distance, a layer"),
        ({"distances": [np.nan, 1.0]}, "must not be NaN"),
        ({"similar": [2, 1]}, "0 and 1 only"),
        ({"classes": ["a", "b"]}, r"`labels\[pairs\]`. Received: shape \(2,\) for 2 pairs"),
        ({"n": 0}, "n=0"),
    ],
)
def test_worst_pairs_explain_bad_input(change, message):
    good = {"images": np.zeros((4, 5, 5)), "pairs": [[0, 1], [1, 2]], "distances": [1.0, 2.0], "similar": [1, 0]}
    with pytest.raises((ValueError, TypeError), match=message):
        plots.plot_worst_pairs(**{**good, **change})
