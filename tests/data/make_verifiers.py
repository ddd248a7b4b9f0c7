"""Writes `verifier_<backend>.keras` and its predictions: PYTHONPATH=tests KERAS_BACKEND=jax python <this file>."""

from pathlib import Path

import keras
import numpy as np
from toy import clusters, linear_encoder

import keras_balanced_siamese as kbs

x, y = clusters()
model = kbs.siamese_model(linear_encoder(), probability=True)
model.compile(keras.optimizers.SGD(0.02), kbs.WeightedBinaryCrossentropy({0: 0.5, 1: 2.0}))
pairs = kbs.BalancedPairSequence(x, y, batch_size=8, seed=0)
model.fit(pairs, epochs=3, verbose=0, callbacks=[kbs.AdaptiveClassWeight()])
path = Path(__file__).parent / f"verifier_{keras.backend.backend()}.keras"
model.save(path)
np.savez(
    path.with_suffix(".npz"),
    probability=model.predict((x[:20], x[20:40]), verbose=0),
    class_weight=list(model.loss.class_weight.values()),
)
