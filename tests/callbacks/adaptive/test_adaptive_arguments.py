"""Arguments of `AdaptiveClassWeight` that are refused, or warned about, when the callback is made."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from toy import clusters

import keras_balanced_siamese as kbs
from keras_balanced_siamese import AdaptiveClassWeight

pytestmark = pytest.mark.numpy_only

PAIRS = kbs.BalancedPairSequence(*clusters(), seed=0)
PROGRESSIVE = kbs.BalancedPairSequence(*clusters(), class_sampling="progressive", epochs=3, seed=0)


@pytest.mark.parametrize(
    ("kwargs", "error", "match"),
    [
        ({"strategy": "hardness"}, ValueError, "must be one of .*difficulty.*Received: strategy='hardness'"),
        ({"tau": "dynamic"}, ValueError, "'dynamic' with strategy='cdb'"),
        ({"strategy": 3}, TypeError, "must be one of .*or a callable"),
        ({"tau": -1}, ValueError, "`tau`"),
        ({"tau": math.nan}, ValueError, "`tau`"),
        ({"momentum": 1.0}, ValueError, "`momentum` must be less than 1"),
        ({"momentum": -0.1}, ValueError, "`momentum`"),
        ({"bounds": (0.0, 5.0)}, ValueError, "`bounds`"),
        ({"bounds": (2.0, 5.0)}, ValueError, "`bounds`"),
        ({"bounds": 5.0}, ValueError, "`bounds`"),
        ({"bounds": ("a", "b")}, ValueError, "`bounds`"),
        ({"monitor": 3}, TypeError, "`monitor` must be the prefix"),
        ({"sink": None}, TypeError, "`sink`"),
        ({"target": PAIRS, "validation_data": (np.zeros((0, 4)), [])}, ValueError, "at least one label"),
        ({"bounds": (0.5, 1.0)}, ValueError, "smallest < 1 < largest"),
        ({"bounds": (1.0, 2.0)}, ValueError, "smallest < 1 < largest"),
        ({"max_step": 0.9}, ValueError, "`max_step`"),
        ({"max_step": 1}, ValueError, "`max_step` must be more than 1"),
        ({"warmup_epochs": -1}, ValueError, "`warmup_epochs`"),
        ({"warmup_epochs": 1.5}, TypeError, "`warmup_epochs`"),
        ({"target": "loss"}, TypeError, "`target` must be"),
        ({"validation_data": clusters(), "monitor": "error"}, ValueError, "not both"),
        ({"target": PAIRS}, ValueError, "validation_data="),
        ({"target": PAIRS, "validation_data": clusters()[0]}, TypeError, r"\(x, y\)"),
        (
            {"target": PAIRS, "validation_data": (np.zeros((4, 4)), ["new", "new", "rare", "rare"])},
            ValueError,
            r"classes that the target does not have.*'new'",
        ),
        ({"adapt": "shares"}, ValueError, "`adapt` must be one of"),
        ({"adapt": "sampling"}, ValueError, "adapt='sampling' needs a `BalancedPairSequence`"),
        ({"adapt": "sampling", "target": PROGRESSIVE, "monitor": "error"}, ValueError, "move by themselves"),
    ],
)
def test_bad_arguments_of_the_adapting_callback(kwargs, error, match):
    with pytest.raises(error, match=match):
        AdaptiveClassWeight(**kwargs)


def test_another_object_with_class_weights_needs_a_monitor():
    own = SimpleNamespace(class_weight={"a": 1.0, "b": 1.0})
    with pytest.raises(ValueError, match="pass `monitor`, the prefix"):
        AdaptiveClassWeight(own)
    with pytest.raises(ValueError, match="pass `monitor`"):
        AdaptiveClassWeight(own, validation_data=clusters())


@pytest.mark.parametrize("sampling", ["balanced", 0, {"common": 1.0, "medium": 1.0, "rare": 1.0}])
def test_adapting_balanced_shares_warns(sampling, x, y):
    pairs = kbs.BalancedPairSequence(x, y, class_sampling=sampling, seed=0)
    with pytest.warns(UserWarning, match="has gained nothing where it was measured"):
        AdaptiveClassWeight(pairs, adapt="sampling", monitor="error")


def test_classes_without_validation_samples_are_named(x, y, pairs):
    some = y != "rare"
    with pytest.warns(UserWarning, match=r"no samples of the classes \['rare'\]: .* keep their weights"):
        AdaptiveClassWeight(pairs, validation_data=(x[some], y[some]))


@pytest.mark.parametrize("bad", [{}, "state.json"])
def test_a_state_must_be_one_of_the_callback(bad):
    with pytest.raises(TypeError, match="what `get_state` returned"):
        AdaptiveClassWeight().set_state(bad)
