"""Find duplicate questions: given pairs of texts, of which 5 % are duplicates.

    pip install -e ".[tensorflow]"
    python examples/text_pairs.py
    python examples/text_pairs.py --weights uniform  # for comparison

The texts are put together from word lists. No wording of the test occurs in training. For your own pairs, replace
`given_pairs`.

What to expect, in a few seconds:

    5% of 6000 pairs are duplicates, with the weight 3.73
    ...
    PR AUC                                                          0.9311
    equal error rate                                                0.0433
    ...
    264 pairs found, 94% of them duplicates. The first ones:
    0.73  morning does my ticket cost please help | quick question what does ticket cost thanks
    ...
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before Keras is imported

import keras
import numpy as np

import keras_balanced_siamese as kbs

LENGTH = 16  # words of a text, at most
PARTS = ("training", "training", "validation", "test")  # of a quarter of the wordings each
TASKS = [  # each line: ways to say one thing
    ["how do i change {}", "where can i edit {}", "i want to update {}", "i need to modify {}"],
    ["how do i delete {}", "please remove {}", "i want to get rid of {}", "i need to erase {}"],
    ["where do i find {}", "i cannot see {}", "i want to look up {}", "where is {} shown"],
    ["how do i share {}", "can i send {} to a friend", "i want to pass on {}", "let others see {}"],
    ["how do i pay for {}", "what does {} cost", "i want to know the price of {}", "how expensive is {}"],
    ["how do i cancel {}", "please stop {}", "i want to end {}", "i need to quit {}"],
]
THINGS = [
    ["my password", "the login code", "my secret word"],
    ["my photo", "the profile picture", "my portrait"],
    ["my order", "the purchase", "the things that i bought"],
    ["my invoice", "the bill", "my receipt"],
    ["my subscription", "the monthly plan", "my membership"],
    ["my address", "the place where i live", "my street"],
    ["my ticket", "the seat", "my booking"],
    ["my message", "the mail", "my letter"],
]
OPENINGS = ["", "hello", "hi there", "sorry to ask", "quick question", "good morning"]
CLOSINGS = ["", "thanks", "please help", "today", "on my phone", "as soon as possible"]


def main() -> None:
    """Train on given pairs, choose the threshold on others, and search the rest for duplicates."""
    options = read_options()
    keras.utils.set_random_seed(0)
    left, right, similar = given_pairs("training", options.pairs)
    codes = word_codes(left + right)
    encoder = build_encoder(len(codes) + 2)
    model = kbs.siamese_model(encoder)
    weights = kbs.class_weights(similar == 1, options.weights)
    print(f"{similar.mean():.0%} of {len(similar)} pairs are duplicates, with the weight {weights[1]:.2f}")
    model.compile(keras.optimizers.Adam(3e-3), kbs.WeightedContrastiveLoss(class_weight=weights))
    inputs = encode(left, codes), encode(right, codes)
    model.fit(inputs, similar, batch_size=64, epochs=options.epochs, verbose=2)

    left, right, similar = given_pairs("validation", 3000)
    distances = model.predict((encode(left, codes), encode(right, codes)), verbose=0)
    threshold = kbs.calibrate(distances, similar, operating_point="f1")

    left, right, similar = given_pairs("test", 6000)
    inputs = encode(left, codes), encode(right, codes)
    print(kbs.evaluate_model(model, (inputs, similar), threshold=threshold, n_resamples=0))
    verifier = kbs.siamese_model(encoder, probability=threshold)
    probability = verifier.predict(inputs, verbose=0)[:, 0]
    found = probability >= 0.5
    print(f"\n{found.sum()} pairs found, {similar[found].mean():.0%} of them duplicates. The first ones:")
    for k in np.flatnonzero(found)[:5]:
        print(f"{probability[k]:.2f}  {left[k]} | {right[k]}")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Find duplicates among pairs of texts")
    parser.add_argument("--pairs", type=int, default=6000, help="for training (%(default)d)")
    parser.add_argument("--epochs", type=int, default=10, help="(%(default)d)")
    parser.add_argument("--weights", choices=("uniform", "sqrt", "balanced"), default="sqrt", help="(%(default)s)")
    return parser.parse_args()


def word_codes(texts: list[str]) -> dict[str, int]:
    """A whole number for each word of the training texts. 0 is for no word, 1 for an unknown one."""
    return {word: code for code, word in enumerate(sorted(set(" ".join(texts).split())), start=2)}


def encode(texts: list[str], codes: dict[str, int]) -> np.ndarray:
    """The numbers of the words of each text: `(n, LENGTH)`."""
    rows = np.zeros((len(texts), LENGTH), "int32")
    for row, text in zip(rows, texts, strict=True):
        known = [codes.get(word, 1) for word in text.split()[:LENGTH]]
        row[: len(known)] = known
    return rows


def build_encoder(numbers: int) -> keras.Model:
    """The mean of the vectors of the words, then a dense layer, then the length 1."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            layers.Embedding(numbers, 32, mask_zero=True),  # the mean leaves out the places without a word
            layers.GlobalAveragePooling1D(),
            layers.Dense(32),
            layers.UnitNormalization(),
        ],
        name="encoder",
    )


def given_pairs(part: str, n: int) -> tuple[list[str], list[str], np.ndarray]:
    """Left texts, right texts, and whether both mean the same: 1 for each twentieth pair."""
    rng = np.random.default_rng(PARTS.index(part))
    similar = np.arange(n) % 20 == 0
    meanings = len(TASKS) * len(THINGS)
    left = rng.integers(meanings, size=n)
    right = np.where(similar, left, (left + rng.integers(1, meanings, size=n)) % meanings)
    return [write(k, part, rng) for k in left], [write(k, part, rng) for k in right], similar.astype("float32")


def write(meaning: int, part: str, rng: np.random.Generator) -> str:
    """A text of a meaning in a wording of this part, with some words left out."""
    task, thing = divmod(meaning, len(THINGS))
    wordings = [(i, j) for i in range(4) for j in range(3) if PARTS[(i + j + meaning) % 4] == part]
    i, j = wordings[rng.integers(len(wordings))]
    text = f"{rng.choice(OPENINGS)} {TASKS[task][i].format(THINGS[thing][j])} {rng.choice(CLOSINGS)}"
    return " ".join(word for word in text.split() if rng.random() < 0.95)


if __name__ == "__main__":
    main()
