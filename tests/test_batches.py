import math
import pickle
from collections import Counter
from itertools import combinations

import keras
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from toy import clusters, linear_encoder

from keras_balanced_siamese import BalancedBatchSequence, BalancedPairSequence
from keras_balanced_siamese.sampling._quotas import round_with_debts
from keras_balanced_siamese.sampling._sample_order import random_order

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*left out:UserWarning", "ignore:.*a batch holds copies:UserWarning", "ignore:.*is so long that:UserWarning"
)

heavy_tails = st.lists(st.integers(1, 60), min_size=2, max_size=7)
samplings = st.sampled_from(["balanced", "natural", "sqrt", 0.3, -0.5])
POWERS = {"balanced": 0.0, "natural": 1.0, "sqrt": 0.5}
shapes = st.tuples(st.integers(2, 5), st.integers(2, 6))


def labels_of(counts):
    return np.random.default_rng(0).permutation(np.repeat([f"class {k}" for k in range(len(counts))], counts))


def build(counts, p=2, k=4, **kwargs):
    y = labels_of(counts)
    return BalancedBatchSequence(np.arange(len(y)), y, p, k, **{"seed": 3, **kwargs})


def epoch_of(batches):
    """The samples and the codes of an epoch, each `(steps, P, K)`."""
    shape = (-1, batches.classes_per_batch, batches.samples_per_class)
    index = np.stack([batches.indices(i) for i in range(len(batches))]).reshape(shape)
    return index, batches.labels[index]


def visits_of(batches):
    return np.bincount(epoch_of(batches)[1][:, :, 0].reshape(-1), minlength=len(batches.classes))


@given(heavy_tails, shapes, samplings, st.one_of(st.none(), st.integers(1, 9)), st.integers(1, 3))
def test_each_batch_has_p_classes_and_k_samples_of_each(counts, shape, sampling, steps, least):
    p, k = shape
    assume(sum(n >= least for n in counts) >= p)
    batches = build(counts, p, k, class_sampling=sampling, steps_per_epoch=steps, min_samples=least)
    names = labels_of(counts)
    for i in range(len(batches)):
        samples, codes, weight = batches[i]
        assert (samples.shape, codes.shape, weight.shape) == ((p * k,),) * 3
        assert (codes.dtype, weight.dtype) == (np.int32, np.float32)
        np.testing.assert_array_equal(samples, batches.indices(i))
        found = names[samples]
        assert found.tolist() == [batches.classes[code] for code in codes]
        assert Counter(Counter(found).values()) == {k: p}
        for label in set(found):
            n = counts[int(label.split()[1])]
            assert n >= least
            times = Counter(samples[found == label].tolist()).values()
            assert len(times) == min(n, k)
            assert max(times) == math.ceil(k / n)  # 1 if the class has enough
            assert min(times) == max(k // n, 1)
    assert len(batches) == (math.ceil(sum(counts) / (p * k)) if steps is None else steps)


def quotas_with_caps(total, shares, caps):
    """Expected visits, found by handing on what classes cannot take until nobody has too much."""
    full = set()
    while True:
        rest = total - sum(caps[c] for c in full)
        weight = sum(s for c, s in shares.items() if c not in full) or 1.0
        given = {c: caps[c] if c in full else rest * s / weight for c, s in shares.items()}
        more = {c for c in shares if given[c] > caps[c] + 1e-9}
        if not more:
            return given
        full |= more


@given(heavy_tails, shapes, samplings, st.integers(1, 40), st.integers(0, 3), st.integers(1, 4))
def test_each_class_comes_at_its_rate_and_once_a_batch(counts, shape, sampling, steps, epoch, most):
    (p, k), able = shape, {c: n for c, n in enumerate(counts) if n > 1}
    assume(len(able) >= p)
    distinct = {c: n * (n - 1) / min(n, k) / (min(n, k) - 1) for c, n in able.items()}
    caps = {c: min(math.floor(most * d + 1e-9), steps) for c, d in distinct.items()}
    assume(sum(caps.values()) >= steps * p)
    batches = build(counts, p, k, class_sampling=sampling, steps_per_epoch=steps, max_repeats=most)
    batches.set_epoch(epoch)
    power = POWERS.get(sampling, sampling)
    expected = quotas_with_caps(steps * p, {c: n**power for c, n in able.items()}, caps)
    visits = visits_of(batches)
    for c in range(len(counts)):
        assert abs(visits[c] - expected.get(c, 0)) < 1
        assert batches.class_distribution[f"class {c}"] == pytest.approx(expected.get(c, 0) / (steps * p))


def test_a_cap_on_repeats():
    capped, free = (
        build([2, 40, 40, 40], steps_per_epoch=30, max_repeats=3),
        build([2, 40, 40, 40], steps_per_epoch=30),
    )
    assert visits_of(capped).tolist() == [3, 19, 19, 19]
    assert visits_of(free).tolist() == [15, 15, 15, 15]
    assert any("1 class ('class 0') at the limit of 3 repeats" in note for note in capped.describe().notes)


@pytest.mark.filterwarnings("error")
def test_a_cap_that_cannot_hold_warns():
    with pytest.warns(
        UserWarning, match=r"100 batches is so long that.* meet up to 33.3 times instead of max_repeats=3"
    ):
        batches = build([4, 4, 4], 2, 3, steps_per_epoch=100, max_repeats=3)
    assert len(batches) == 100


@given(st.integers(2, 40), st.integers(2, 6), st.integers(1, 9), st.integers(0, 40))
def test_all_samples_before_any_twice_over_the_epochs(n, k, steps, skipped):
    batches = build([n, 2 * n + 1, 17], 2, k, steps_per_epoch=steps, max_repeats=None)
    use = np.zeros(3 * n + 18, int)
    for epoch in range(4):
        batches.set_epoch(epoch)
        for index in epoch_of(batches)[0]:  # wherever the epoch is broken off
            use += np.bincount(index.reshape(-1), minlength=len(use))
            for c in range(3):
                of_class = use[batches.labels == c]
                assert of_class.max() - of_class.min() <= 1
    again = build([n, 2 * n + 1, 17], 2, k, steps_per_epoch=steps, max_repeats=None)
    again.set_epoch(skipped)  # away and back
    len(epoch_of(again)[0])
    again.set_epoch(3)
    np.testing.assert_array_equal(epoch_of(again)[0], epoch_of(batches)[0])


def test_progressive_epochs_go_on_too():
    batches = build([30, 11, 7], 2, 3, class_sampling="progressive", epochs=6, steps_per_epoch=5)
    use = np.zeros(48, int)
    for epoch in range(9):
        batches.set_epoch(epoch)
        use += np.bincount(epoch_of(batches)[0].reshape(-1), minlength=48)
    last = build([30, 11, 7], 2, 3, class_sampling="progressive", epochs=6, steps_per_epoch=5)
    last.set_epoch(8)  # at once
    np.testing.assert_array_equal(epoch_of(last)[0], epoch_of(batches)[0])
    for c in range(3):
        of_class = use[batches.labels == c]
        assert of_class.max() - of_class.min() <= 1


def test_any_two_samples_of_a_class_meet():
    for n, k in ((8, 4), (9, 4), (13, 3), (12, 6)):
        met = np.zeros((n, n))
        order = random_order(np.array([n]), np.random.default_rng(0))
        places = order.places(np.zeros(40_000, int), np.arange(40_000), k)
        np.add.at(met, (places[:, :, None], places[:, None, :]), 1)
        apart = met[~np.eye(n, dtype=bool)] * (n - 1) / (40_000 * (k - 1) * k / n)
        assert apart.min() > 0.8
        assert apart.max() < 1.25


def test_rates_are_exact_over_the_epochs_too():
    batches = build([50] * 7, steps_per_epoch=9)  # 18 visits for 7 classes
    total = np.zeros(7)
    for epoch in range(50):
        batches.set_epoch(epoch)
        total += visits_of(batches)
        assert abs(total - (epoch + 1) * 18 / 7).max() < 1.6


@given(st.lists(st.floats(0, 9), min_size=1, max_size=30), st.integers(0, 5))
def test_rounding_with_debts(values, seed):
    total = math.ceil(sum(values))
    expected = np.array(values) * (total / sum(values) if sum(values) > 0 else 1.0)
    owed = np.zeros(len(values))
    for k in range(20):
        rounded = round_with_debts(expected, owed, total, np.random.default_rng([seed, k]))
        assert rounded.sum() == total
        assert (abs(rounded - expected) < 1).all()
        owed += expected - rounded
    assert abs(owed).max() < 2.5


@pytest.mark.parametrize(("n_classes", "p", "steps"), [(16, 8, 64), (6, 2, 60), (40, 4, 30)])
def test_classes_meet_by_chance(n_classes, p, steps):
    batches = build([40] * n_classes, p, 2, steps_per_epoch=steps, max_repeats=None)
    met, epochs = Counter(), 40
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        codes = epoch_of(batches)[1][:, :, 0]
        for batch in codes.tolist():
            met.update(combinations(sorted(batch), 2))
        if math.comb(n_classes, p) > steps * 9:
            assert len({tuple(sorted(batch)) for batch in codes.tolist()}) > 0.9 * steps
    all_pairs = list(combinations(range(n_classes), 2))
    mean = epochs * steps * p * (p - 1) / 2 / len(all_pairs)
    for pair in all_pairs:
        assert abs(met[pair] - mean) < 5 * math.sqrt(mean) + 1


def test_two_classes_and_every_class_in_every_batch():
    index, codes = epoch_of(build([90, 10], 2, 4, class_sampling="natural"))
    assert (np.sort(codes[:, :, 0], axis=1) == [0, 1]).all()
    assert len(index) == math.ceil(100 / 8)


def test_classes_without_a_share_take_no_part():
    batches = build([20, 20, 20], class_sampling={"class 0": 2, "class 1": 1, "class 2": 0}, steps_per_epoch=10)
    assert visits_of(batches).tolist() == [10, 10, 0]


def test_small_classes_are_named():
    with pytest.warns(
        UserWarning, match=r"1 class \('class 2'\) of 4 left out: fewer samples than min_samples=2"
    ) as seen:
        batches = build([20, 20, 1, 3])
    assert any("1 class ('class 3') of 4 with fewer samples than samples_per_class=4" in str(w.message) for w in seen)
    assert all(w.filename == __file__ for w in seen)
    notes = batches.describe().notes
    assert notes[:2] == [
        "1 class ('class 2') left out: fewer than 2 samples",
        "1 class ('class 3') in copies: fewer than 4 samples",
    ]
    assert visits_of(batches)[2] == 0
    assert visits_of(build([20, 20, 1, 3], min_samples=1))[2] > 0
    assert visits_of(build([20, 20, 1, 3], min_samples=4)).tolist()[2:] == [0, 0]


@pytest.mark.filterwarnings("error")
def test_classes_that_have_enough_do_not_warn():
    build([40, 40, 4], p=3)


def test_the_epoch_depends_on_seed_epoch_and_index_only():
    first, again, other = build([30, 9, 5]), build([30, 9, 5]), build([30, 9, 5], seed=4)
    for i in reversed(range(len(first))):  # in any order
        again.indices(i)
    for epoch in (2, 0, 5):
        first.set_epoch(epoch)
        again.set_epoch(epoch)
        np.testing.assert_array_equal(epoch_of(first)[0], epoch_of(again)[0])
    assert (epoch_of(first)[0] != epoch_of(other)[0]).any()
    other.set_epoch(5)
    assert (epoch_of(first)[1] != epoch_of(other)[1]).any()  # other classes too
    copy = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(copy.indices(-1), first.indices(len(first) - 1))
    with pytest.raises(IndexError, match="batches"):
        first.indices(len(first))


def test_fit_moves_on_but_a_fixed_sequence_does_not():
    moving, fixed = build([20, 5]), build([20, 5], redraw=False)
    for batches in (moving, fixed):
        batches.on_epoch_end()  # Keras calls it before the first epoch
        for i in range(len(batches)):
            batches[i]
        batches.on_epoch_end()
    assert (moving.epoch, fixed.epoch) == (1, 0)


def test_weights_have_mean_one_and_are_live():
    batches = build([60, 20, 6], p=2, steps_per_epoch=40)
    assert batches[0][2].tolist() == [1.0] * 8
    batches.class_weight = weight = {"class 0": 0.5, "class 1": 2.0, "class 2": 8.0}
    codes, weights = (np.concatenate(part) for part in zip(*(batches[i][1:] for i in range(40)), strict=True))
    assert weights.mean() == pytest.approx(1.0, rel=1e-5)
    ratio = weights / np.array(list(weight.values()))[codes]
    assert ratio.max() == pytest.approx(ratio.min(), rel=1e-5)
    with pytest.raises(ValueError, match="class_weight"):
        batches.class_weight = {"class 0": 1.0}


def test_correcting_frequency_twice_warns():
    with pytest.warns(UserWarning, match=r"corrected twice.*class_sampling='balanced' draws 'class 2' \(10 samples\)"):
        build([90, 90, 10], class_weight="balanced")
    with pytest.warns(UserWarning, match="corrected twice"):  # both are in every batch, whatever the shares
        build([90, 10], class_weight="balanced", class_sampling="natural")


@pytest.mark.filterwarnings("error")
def test_weights_that_do_not_follow_frequency_do_not_warn():
    build([90, 90, 90, 10], class_weight={"class 0": 1, "class 1": 2, "class 2": 1, "class 3": 1})
    build([90, 90, 90, 30], class_weight="balanced", class_sampling="natural")


def test_resampling():
    under = build([40, 40, 8], resampling="undersample", class_sampling="natural")
    assert len(under) == 3
    seen = Counter()
    for epoch in range(5):
        under.set_epoch(epoch)
        index, codes = epoch_of(under)
        assert all(len(set(index[codes == c].tolist())) == 8 for c in range(3))
        seen.update(index.reshape(-1).tolist())
    assert sum(under.labels[i] == 0 for i in seen) > 8
    some = build([40, 40, 8], 2, 3, resampling="undersample", steps_per_epoch=7)
    for epoch in range(5):
        some.set_epoch(epoch)
        index, codes = epoch_of(some)
        for c in range(3):
            times = np.bincount(np.unique(index[codes == c], return_inverse=True)[1].reshape(-1))
            assert len(times) == 8
            assert max(times) - min(times) <= 1
    over = build([40, 40, 8], resampling="oversample", class_sampling="natural", steps_per_epoch=30, max_repeats=None)
    assert visits_of(over).tolist() == [20, 20, 20]


class RandomUnderSampler:
    """Looks like the one of imbalanced-learn."""

    def get_params(self):
        return {"random_state": None}

    def set_params(self, random_state):
        self.rng = np.random.default_rng(random_state)

    def fit_resample(self, x, y):
        least = np.bincount(y).min()
        chosen = [self.rng.choice(np.flatnonzero(y == c), least, replace=False) for c in np.unique(y)]
        self.sample_indices_ = np.concatenate(chosen)
        return x[self.sample_indices_], y[self.sample_indices_]


def test_a_sampler_is_asked_once_an_epoch():
    batches = build([40, 40, 8], resampling=RandomUnderSampler())
    assert len(batches) == 3
    seen = []
    for epoch in (0, 7, 0):
        batches.set_epoch(epoch)
        index, codes = epoch_of(batches)
        assert all(len(set(index[codes == c].tolist())) == 8 for c in range(3))
        seen.append(index)
    np.testing.assert_array_equal(seen[0], seen[2])
    assert (seen[0] != seen[1]).any()


class Doubling:
    """A sampler that makes samples."""

    def get_params(self):
        return {}

    def fit_resample(self, x, y):
        return np.concatenate([x, x + 0.5]), np.concatenate([y, y])


def test_a_sampler_may_make_samples():
    y = labels_of([10, 10])
    x = np.arange(20.0)[:, None]
    batches = BalancedBatchSequence(x, y, 2, 4, resampling=Doubling(), seed=0)
    samples = np.concatenate([batches[i][0] for i in range(len(batches))])
    assert len(batches) == 5
    assert (samples % 1 == 0.5).any()
    assert [batches.classes[c] for c in batches[0][1]] == [y[int(v)] for v in batches[0][0][:, 0]]


def test_progressive_goes_from_natural_to_balanced():
    batches = build([60, 20, 20], class_sampling="progressive", epochs=5, steps_per_epoch=60)
    found = []
    for epoch in (0, 2, 4, 9):
        batches.set_epoch(epoch)
        found.append(visits_of(batches).tolist())
    assert found == [[60, 30, 30], [56, 32, 32], [40, 40, 40], [40, 40, 40]]


def test_describe():
    summary = build(
        [60, 20, 20], class_weight={"class 0": 1, "class 1": 2, "class 2": 4}, steps_per_epoch=30
    ).describe()
    text = str(summary)
    for part in ("class 0", "60.00%", "33.33%", "30 batches of 8: 2 classes, 4 samples of each"):
        assert part in text
    assert repr(summary) == text
    assert summary.to_dict()["per_class"]["class 1"] == {
        "samples": 20,
        "sample_share": pytest.approx(0.2),
        "batches": pytest.approx(20),
        "share": pytest.approx(1 / 3),
        "wanted_share": pytest.approx(1 / 3),
        "repeats": pytest.approx(4),
        "weight": 2.0,
    }
    assert summary.totals == {"steps": 30, "batch_size": 8, "classes_per_batch": 2, "samples_per_class": 4}
    assert build([9, 9]).describe().notes == [
        "2 classes ('class 0', 'class 1') in every batch: the rest of their share goes to the other classes"
    ]


def test_shards_are_the_whole():
    whole = build([40, 20, 20], steps_per_epoch=6, class_weight={"class 0": 1, "class 1": 3, "class 2": 2})
    parts = [whole.shard(k, 3) for k in range(3)]
    for i in range(6):
        for found, expected in zip(parts[i % 3][i // 3], whole[i], strict=True):
            np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="steps_per_epoch"):
        whole.shard(0, 4)


@pytest.mark.parametrize(("workers", "processes"), [(0, False), (3, False), (2, True)])
def test_workers_load_the_same_batches(workers, processes):
    if processes and keras.backend.backend() != "tensorflow":
        pytest.skip("one lane is enough to see that a batch can be sent to a process")
    one, many = build([40, 20, 20]), build([40, 20, 20], workers=workers, use_multiprocessing=processes)
    for i in range(len(one)):
        for found, expected in zip(many[i], one[i], strict=True):
            np.testing.assert_array_equal(found, expected)


def test_tf_dataset():
    pytest.importorskip("tensorflow")
    batches = build([40, 20, 20])
    found = list(batches.to_tf_dataset().as_numpy_iterator())
    assert len(found) == len(batches)
    for i, batch in enumerate(found):
        for part, expected in zip(batch, batches[i], strict=True):
            np.testing.assert_array_equal(part, expected)


def test_transforms():
    seen = []

    def both(samples, rng):
        seen.append(len(samples))
        return samples + rng.random(len(samples))

    batches = build([9, 9], 2, 4, transform=lambda v: v * 10.0, batch_transform=both)
    samples, _, _ = batches[0]
    np.testing.assert_array_equal(np.floor(samples), batches.indices(0) * 10)
    assert seen == [8]
    with pytest.raises(ValueError, match=r"all 8 of a batch\. Received: 7"):
        build([9, 9], 2, 4, batch_transform=lambda samples: samples[1:])[0]


def test_several_inputs_and_any_labels():
    a, y = np.arange(20), np.repeat([True, False], 10)
    (one, two), codes, _ = BalancedBatchSequence((a, a * 2.0), y, 2, 4, seed=0)[0]
    np.testing.assert_array_equal(one * 2.0, two)
    np.testing.assert_array_equal(y[one], codes == 1)


class InBatchContrastive(keras.losses.Loss):
    """Of each sample, the mean contrastive loss of its pairs with the others in the batch."""

    def call(self, y_true, y_pred):
        return contrast(y_true, y_pred)


def contrast(y_true, y_pred):
    if hasattr(keras, "ops"):
        ops = keras.ops
        mean, cast = ops.mean, ops.cast
    else:
        import tensorflow as ops

        mean, cast = ops.reduce_mean, ops.cast
    codes = ops.reshape(y_true, (-1,))
    same = cast(codes[:, None] == codes[None, :], "float32")
    squared = mean(ops.square(y_pred[:, None] - y_pred[None, :]), axis=-1)
    return mean(same * squared + (1 - same) * ops.maximum(1 - squared, 0), axis=-1)


@pytest.mark.parametrize("loss", [InBatchContrastive(), contrast], ids=["class", "function"])
def test_fit_with_a_loss_that_pairs_in_the_batch(loss):
    x, y = clusters()
    batches = BalancedBatchSequence(x, y, 3, 4, seed=0)
    model = linear_encoder()
    model.compile(keras.optimizers.Adam(0.05), loss)
    history = model.fit(
        batches, epochs=4, verbose=0, validation_data=BalancedBatchSequence(x, y, 3, 4, redraw=False, seed=1)
    )
    losses = history.history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert history.history["val_loss"][-1] < history.history["val_loss"][0]
    assert batches.epoch >= 3


def test_fit_with_an_ordinary_loss_and_weights():
    x, y = clusters()
    batches = BalancedBatchSequence(x, y, 3, 4, seed=0, redraw=False)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(inputs))
    model.compile(keras.optimizers.Adam(0.3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(batches, epochs=8, verbose=0)
    assert model.evaluate(batches, verbose=0)[1] > 0.8
    batches.class_weight = {"common": 1.0, "medium": 3.0, "rare": 5.0}
    total = 0.0
    for i in range(len(batches)):
        samples, codes, weight = batches[i]
        predicted = np.asarray(model.predict(samples, verbose=0))
        total += (-np.log(predicted[np.arange(12), codes]) * weight).mean()
    assert model.evaluate(batches, verbose=0)[0] == pytest.approx(total / len(batches), rel=1e-3)


X, Y = np.zeros((9, 2)), np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])


@pytest.mark.parametrize(
    ("y", "kwargs", "error", "match"),
    [
        (Y[:5], {}, ValueError, r"same length.*len\(x\)=9, len\(y\)=5"),
        (np.zeros(9), {}, ValueError, "at least two classes"),
        (
            Y,
            {},
            ValueError,
            "smaller `classes_per_batch` or `min_samples`.*Received: 2 such classes of 3, classes_per_batch=8",
        ),
        (Y, {"classes_per_batch": 3}, ValueError, "at least 2 samples with a share above 0"),
        (
            Y,
            {"classes_per_batch": 2, "class_sampling": {0: 1, 1: 0, 2: 1}},
            ValueError,
            "Received: 1 such classes of 3",
        ),
        (Y, {"classes_per_batch": 1}, ValueError, "`classes_per_batch` must be at least 2"),
        (Y, {"samples_per_class": 1}, ValueError, "`samples_per_class` must be at least 2"),
        (Y, {"samples_per_class": 2.5}, TypeError, "whole number"),
        (Y, {"min_samples": 0}, ValueError, "`min_samples` must be at least 1"),
        (Y, {"classes_per_batch": 2, "max_repeats": 0}, ValueError, "`max_repeats`"),
        (Y, {"steps_per_epoch": 0}, ValueError, "`steps_per_epoch`"),
        (Y, {"class_sampling": "flat"}, ValueError, "balanced.*sqrt.*natural.*progressive"),
        (Y, {"class_sampling": "progressive"}, ValueError, "`epochs` is for"),
        (Y, {"resampling": "both"}, ValueError, "`resampling`"),
        (Y, {"classes_per_batch": 2, "class_weight": {0: 1.0}}, ValueError, "Missing"),
        (Y, {"transform": "load"}, TypeError, "`transform`"),
    ],
)
def test_bad_input(y, kwargs, error, match):
    with pytest.raises(error, match=match):
        BalancedBatchSequence(X, y, **kwargs)


@pytest.mark.parametrize("epoch", [0, 3, 5, 7])
def test_assigned_shares_draw_what_a_sequence_made_with_them_draws(epoch):
    y = np.repeat([0, 1, 2], [30, 12, 6])
    asked = {0: 0.2, 1: 0.5, 2: 0.3}
    for kind, shape in ((BalancedPairSequence, (8,)), (BalancedBatchSequence, (2, 4))):
        changed = kind(y, y, *shape, class_sampling="natural", seed=0)
        changed.set_epoch(5)
        assert len([changed[i] for i in range(len(changed))]) == len(changed)
        changed.class_sampling = asked
        made = kind(y, y, *shape, class_sampling=asked, seed=0)
        for one in (changed, made):
            one.set_epoch(epoch)
        for i in range(len(made)):
            for found, expected in zip(changed.indices(i), made.indices(i), strict=True):
                np.testing.assert_array_equal(found, expected)
        assert changed.class_sampling == asked
        assert changed.class_shares == asked
        assert changed.class_distribution == made.class_distribution


def test_shares_with_the_sum_one_stay_the_same_to_the_last_bit():
    y, asked = np.repeat([0, 1, 2], [30, 12, 6]), {0: 0.7, 1: 0.2, 2: 0.1}
    assert sum(asked.values()) != 1  # but for rounding
    for kind, shape in ((BalancedPairSequence, (8,)), (BalancedBatchSequence, (2, 4))):
        one = kind(y, y, *shape, class_sampling=asked, seed=0)
        assert one.class_shares == asked
        one.class_sampling = one.class_shares
        assert one.class_sampling == asked


def test_a_mapping_that_is_changed_later_changes_no_shares():
    y = np.repeat([0, 1, 2], [30, 12, 6])
    for kind, shape in ((BalancedPairSequence, (8,)), (BalancedBatchSequence, (2, 4))):
        asked = {0: 0.2, 1: 0.5, 2: 0.3}
        made = kind(y, y, *shape, class_sampling=asked, seed=0)
        changed = kind(y, y, *shape, seed=0)
        changed.class_sampling = asked
        asked[2] = 3.0
        for one in (made, changed):
            assert one.class_sampling == one.class_shares == {0: 0.2, 1: 0.5, 2: 0.3}


def test_a_copy_of_a_sequence_keeps_its_shares():
    y = np.repeat([0, 1, 2], [30, 12, 6])
    for kind, shape in ((BalancedPairSequence, (8,)), (BalancedBatchSequence, (2, 4))):
        whole = kind(y, y, *shape, class_sampling="natural", steps_per_epoch=6, seed=0)
        part = whole.shard(0, 2)
        whole.class_sampling = "balanced"
        assert part.class_sampling == "natural"
        assert whole.class_shares == pytest.approx(dict.fromkeys(range(3), 1 / 3))
        assert part.class_shares == pytest.approx({0: 30 / 48, 1: 12 / 48, 2: 6 / 48})


def test_shares_that_cannot_be_assigned_leave_those_that_are():
    y = np.repeat([0, 1, 2], [30, 12, 6])
    for kind, shape in ((BalancedPairSequence, (8,)), (BalancedBatchSequence, (2, 4))):
        one = kind(y, y, *shape, class_sampling="natural", seed=0)
        for bad in ("even", "progressive", {0: 1.0, 1: 0.0, 2: 0.0}, {0: 1.0}):
            with pytest.raises(ValueError, match="class"):
                one.class_sampling = bad
            assert one.class_sampling == "natural"
        with pytest.raises(TypeError, match="a number or a mapping"):
            one.class_sampling = np.full(3, 1 / 3)
        moving = kind(y, y, *shape, class_sampling="progressive", epochs=3, seed=0)
        with pytest.raises(ValueError, match="move by themselves"):
            moving.class_sampling = "balanced"
