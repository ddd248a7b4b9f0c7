"""Coverage of the 95 % intervals of a report, over many data sets from a known population.

Each identity has a centre, and a spread of its own, so some identities are harder than others. The true figures are
those of a very large data set from the same population.
"""

import argparse
import time

import numpy as np

import keras_balanced_siamese as kbs

THRESHOLD = 2.6
FIGURES = ("roc_auc", "pr_auc", "eer", "tar_at_far_0.1", "false_reject_rate", "false_accept_rate", "balanced_accuracy")


def population(n_identities: int, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Embeddings `(n_identities, n_samples, 4)`."""
    centres = 1.5 * rng.normal(size=(n_identities, 1, 4))
    spread = np.exp(0.4 * rng.normal(size=(n_identities, 1, 1))) * 0.8
    return centres + spread * rng.normal(size=(n_identities, n_samples, 4))


def all_pairs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """50 identities of 8 samples, every pair."""
    x = population(50, 8, rng)
    left, right = np.triu_indices(400, 1)
    return measured(x, np.stack([left // 8, right // 8], 1), np.stack([left, right], 1))


def drawn_pairs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """100 identities of 10 samples, 4,000 pairs, half of them similar."""
    x = population(100, 10, rng)
    left, right = rng.integers(100, size=(2, 4000))
    right[:2000] = left[:2000]
    keep = np.arange(4000) < 2000
    keep |= left != right
    first, second = rng.integers(10, size=(2, 4000))
    second = np.where(second == first, (first + 1) % 10, second)
    ids, samples = np.stack([left, right], 1)[keep], np.stack([left * 10 + first, right * 10 + second], 1)[keep]
    return measured(x, ids, samples)


def sparse_pairs(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """1,000 identities of 2 samples; each in one similar and about two different pairs."""
    x = population(1000, 2, rng)
    everyone = np.arange(1000)
    left = np.concatenate([everyone, everyone])
    right = np.concatenate([everyone, (everyone + 1 + rng.permutation(999)[0]) % 1000])
    return measured(x, np.stack([left, right], 1), np.stack([left * 2, right * 2 + 1], 1))


def measured(x: np.ndarray, ids: np.ndarray, samples: np.ndarray) -> dict[str, np.ndarray]:
    """What `evaluate_pairs` takes."""
    points = x.reshape(-1, x.shape[-1])
    distances = np.linalg.norm(points[samples[:, 0]] - points[samples[:, 1]], axis=1)
    return {"distances": distances, "similar": ids[:, 0] == ids[:, 1], "classes": ids, "samples": samples}


def truth(share: float, rng: np.random.Generator) -> dict[str, float]:
    """Figures of 2,000,000 identities, with this share of similar pairs."""
    x = population(2_000_000, 2, rng)
    similar = np.linalg.norm(x[:, 0] - x[:, 1], axis=1)
    different = np.linalg.norm(x[1:, 0] - x[:-1, 1], axis=1)
    distances = np.concatenate([similar, different])
    labels = np.arange(len(distances)) < len(similar)
    weight = np.where(labels, share, 1 - share)
    return kbs.evaluate_pairs(distances, labels, sample_weight=weight, threshold=THRESHOLD).micro


def naive(report: kbs.PairReport, name: str, value: float) -> bool:
    """Whether the interval for independent pairs holds the value."""
    n = report.n_similar if name == "false_reject_rate" else report.n_different
    rate = report.micro[name]
    return abs(rate - value) <= 1.96 * np.sqrt(rate * (1 - rate) / n)


def main() -> None:
    """Print a table of the coverage for each way to draw pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    for draw in (all_pairs, drawn_pairs, sparse_pairs):
        began = time.perf_counter()
        one = draw(rng)
        true = truth(float(np.mean(one["similar"])), rng)
        held: dict[str, list[bool]] = {}
        widths: dict[str, list[float]] = {}
        for repetition in range(options.repetitions):
            data = draw(rng)
            report = kbs.evaluate_pairs(**data, threshold=THRESHOLD, seed=repetition)
            for name in FIGURES:
                low, high = report.intervals["micro"][name]
                held.setdefault(name, []).append(low <= true[name] <= high)
                widths.setdefault(name, []).append(high - low)
            for name in ("false_reject_rate", "false_accept_rate"):
                held.setdefault(f"{name} if pairs were independent", []).append(naive(report, name, true[name]))
        print(f"\n{draw.__doc__} {options.repetitions} repetitions, {time.perf_counter() - began:.0f} s")
        for name, values in held.items():
            width = f"mean width {np.mean(widths[name]):.4f}, true {true[name]:.4f}" if name in widths else ""
            print(f"  {name:46} {np.mean(values):6.1%}  {width}")


if __name__ == "__main__":
    main()
