"""Peak memory and time of a training step with and without `ChunkedEncoder`.

Run with `KERAS_BACKEND=... python benchmarks/large_batches.py`. Each row is a process of its own: two steps of
`train_on_batch` on images of 64 x 64 x 3 in 32 classes, with a ResNet of three stages of two residual blocks, and
supervised contrastive loss. Memory is the largest resident size of the process, and what the steps add to that of a
step of 32 images without chunks. Time is that of all cores together in the last step.

- `plain 512` is the memory that `chunks` has to fit into.
- `--compare B` gives the time of both at the same batch size instead.
- `--eager` switches XLA off (TensorFlow, JAX).
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import keras
import numpy as np

import keras_balanced_siamese as kbs

LOSSES = {
    "contrastive": kbs.WeightedBatchContrastiveLoss,
    "semi-hard": kbs.WeightedTripletLoss,
    "hard": lambda: kbs.WeightedTripletLoss("hard"),
    "all": lambda: kbs.WeightedTripletLoss(mining="all"),
    "supervised": kbs.WeightedSupervisedContrastiveLoss,
    "multi-similarity": kbs.WeightedMultiSimilarityLoss,
}


def resnet(width):
    """Encoder of images of 64 x 64 x 3 bytes to 64 numbers."""
    layers = keras.layers

    def convolution(x, filters, strides=1, size=3):
        x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    inputs = keras.Input((64, 64, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.ReLU()(convolution(x, width))
    for stage in range(3):
        for block in range(2):
            filters, strides = width * 2**stage, 2 if stage and not block else 1
            skip = x if strides == 1 else convolution(layers.AveragePooling2D(2)(x), filters, size=1)
            y = layers.ReLU()(convolution(x, filters, strides))
            x = layers.ReLU()(layers.Add()([convolution(y, filters), skip]))
    return keras.Model(inputs, layers.Dense(64)(layers.GlobalAveragePooling2D()(x)))


def peak():
    """Largest resident size in MB so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure(given):
    """Peak memory in MB and seconds of a step."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (given.batch, 64, 64, 3), dtype="uint8")
    y = rng.integers(0, 32, given.batch).astype("float32")
    encoder = resnet(given.width)
    options = {} if keras.backend.backend() == "torch" else {"jit_compile": not given.eager}
    encoder.compile("adam", LOSSES[given.loss](), **options)
    encoder.train_on_batch(x[:32], y[:32])
    start = peak()
    model = encoder
    if given.chunk:
        model = kbs.ChunkedEncoder(encoder, given.chunk)
        model.compile("adam", LOSSES[given.loss](), **options)
    times = []
    for _ in range(given.steps):
        begin = time.process_time()
        model.train_on_batch(x, y)
        times.append(time.process_time() - begin)
    print(json.dumps({"peak": peak(), "more": peak() - start, "seconds": times[-1], "first": times[0]}))


def row(given, batch, chunk):
    """Measure in a process of its own and print."""
    command = [sys.executable, __file__, "--child", "--batch", str(batch), "--chunk", str(chunk)]
    command += ["--width", str(given.width), "--loss", given.loss, "--steps", str(given.steps)]
    answer = subprocess.run([*command, *["--eager"] * given.eager], capture_output=True, text=True)
    name = f"chunks of {chunk}" if chunk else "plain"
    if answer.returncode:
        print(f"{name:16} {batch:6} failed: {answer.stderr.strip().splitlines()[-1][:100]}", flush=True)
        return
    found = json.loads(answer.stdout.splitlines()[-1])
    print(
        f"{name:16} {batch:6} {found['peak']:8.0f} MB {found['more']:8.0f} MB {found['seconds']:8.2f} s"
        f" (first step {found['first']:.1f} s)",
        flush=True,
    )


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--chunk", type=int, default=128)
    parser.add_argument("--plain", type=int, default=512, help="batch size of plain training")
    parser.add_argument("--compare", type=int, help="batch size at which both are timed")
    parser.add_argument("--loss", choices=list(LOSSES), default="supervised")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--eager", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        measure(given)
        return
    print(f"{keras.backend.backend()}, Keras {keras.__version__}{', without XLA' * given.eager}, {given.loss}")
    print(f"{'':16} {'batch':>6} {'peak':>11} {'for steps':>11} {'a step':>10}")
    pairs = [(given.plain, 0), (given.batch, given.chunk)]
    for batch, chunk in [(given.compare, 0), (given.compare, given.chunk)] if given.compare else pairs:
        row(given, batch, chunk)


if __name__ == "__main__":
    main()
