"""Transforms of samples and of batches."""

import numpy as np
import pytest

from keras_balanced_siamese import BalancedPairSequence

pytestmark = pytest.mark.numpy_only

N = 24
Y = np.repeat([0, 1, 2], 8)
X = np.random.default_rng(0).integers(0, 255, (N, 4, 5, 3)).astype("uint8")


def build(x=X, **kwargs):
    return BalancedPairSequence(x, Y, **{"batch_size": 6, "seed": 1, **kwargs})


def test_a_transform_can_load_files(tmp_path):
    paths = []
    for k in range(N):
        paths.append(tmp_path / f"{k}.npy")
        np.save(paths[-1], np.full((2, 2), k, "int16"))
    pairs = build(paths, transform=np.load)
    (left, _), _, _ = pairs[0]
    assert left.dtype == np.int16
    np.testing.assert_array_equal(left[:, 0, 0], pairs.indices(0)[0])


def jitter(image, rng):
    return image + rng.integers(0, 100, image.shape)


def test_random_numbers_depend_on_seed_epoch_and_sample():
    def images(pairs, epoch):
        pairs.set_epoch(epoch)
        found = {}
        for k in range(len(pairs)):
            left, right, _ = pairs.indices(k)
            for i, image in zip([*left, *right], np.concatenate(pairs[k][0]), strict=True):
                found.setdefault(int(i), []).append((image - X[i]).tobytes())
        assert all(len(set(of_sample)) == 1 for of_sample in found.values())
        return {i: of_sample[0] for i, of_sample in found.items()}

    first, again = images(build(transform=jitter), 0), images(build(transform=jitter, batch_size=4), 0)
    both = first.keys() & again.keys()
    assert len(both) > 10
    assert all(first[i] == again[i] for i in both)
    other, later = images(build(transform=jitter, seed=2), 0), images(build(transform=jitter), 1)
    assert all(first[i] != other[i] for i in first.keys() & other.keys())
    assert all(first[i] != later[i] for i in first.keys() & later.keys())
    assert len(set(first.values())) == len(first)


def test_a_batch_transform_gets_all_samples_and_a_generator():
    def brighter(images, rng):
        assert images.shape == (12, 4, 5, 3)
        return images + rng.normal(size=(12, 1, 1, 1)).astype("float32")

    pairs, again = build(batch_transform=brighter), build(batch_transform=brighter)
    (left, right), _, _ = pairs[0]
    i, j, _ = pairs.indices(0)
    shift = np.concatenate([left - X[i], right - X[j]])
    assert len({round(float(one), 4) for one in shift[:, 0, 0, 0]}) == 12
    np.testing.assert_array_equal(left, again[0][0][0])
    np.testing.assert_allclose(shift.std(axis=(1, 2, 3)), 0, atol=1e-4)


def test_errors_of_transforms_name_the_sample_or_the_batch():
    def fails(x):
        raise KeyError("label")

    with pytest.raises(RuntimeError, match=r"`transform` failed on the sample x\[\d+\] with KeyError: 'label'"):
        build(transform=fails)[0]
    with pytest.raises(RuntimeError, match="`batch_transform` failed on batch 2 of epoch 0 with KeyError"):
        build(batch_transform=fails)[2]
    with pytest.raises(ValueError, match=r"as many samples as it is given, all 12 of a batch.*Received: 6"):
        build(batch_transform=lambda x: x[::2])[0]
    with pytest.raises(TypeError, match="`batch_transform` must be a function"):
        build(batch_transform="flip")
