"""Time, memory and agreement of the retrieval scores with pytorch-metric-learning, on the same embeddings.

Run with `python benchmarks/retrieval.py --items 20000`. It needs torch, pytorch-metric-learning and faiss-cpu. Each run
is a process of its own, so that its peak memory can be read; they take turns, so that a busy machine slows all.
`usearch` is the approximate search of this package: `--which ours usearch` compares it with the exact one.

Layouts: `equal` has classes of `--per-class` items, `many` of 10, `long-tailed` of 10 to 1,000. Embeddings are class
centres plus noise; `--noise` is in units of the centres' own spread.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

LAYOUTS = ("equal", "many", "long-tailed")
NAMES = {"precision_at_1": "recall@1", "r_precision": "r_precision", "mean_average_precision_at_r": "map@r"}


def draw(layout, items, dim, per_class, noise):
    """Embeddings and classes."""
    rng = np.random.default_rng(0)
    if layout == "long-tailed":
        sizes = np.geomspace(1000, 10, 100).round().astype(int)
        sizes = np.tile(sizes, -(-items // sizes.sum()))
    else:
        size = per_class if layout == "equal" else 10
        sizes = np.full(-(-items // size), size)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))[:items]
    centres = rng.normal(size=(len(sizes), dim))
    return (centres[labels] + noise * rng.normal(size=(items, dim))).astype("float32"), labels


def ours(embeddings, labels, index="exact"):
    """Start times and scores of this package."""
    from keras_balanced_siamese.neighbours import retrieval_scores

    start = time.perf_counter(), time.process_time()
    scores = retrieval_scores(embeddings, labels, ks=(1,), index=index)
    found = {name: float(np.nanmean(values)) for name, values in scores.items()}
    return start, found


def by_usearch(embeddings, labels):
    """Start times and scores of this package, by an approximate search."""
    return ours(embeddings, labels, "usearch")


def theirs(embeddings, labels):
    """Start times and scores of pytorch-metric-learning."""
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    calculator = AccuracyCalculator(include=tuple(NAMES), k="max_bin_count", device=torch.device("cpu"))
    start = time.perf_counter(), time.process_time()
    scores = calculator.get_accuracy(embeddings, labels)
    found = {NAMES[name]: float(value) for name, value in scores.items()}
    return start, found


RUNS = {"ours": ours, "usearch": by_usearch, "pml": theirs}


def measure(which, arguments):
    """One run, in this process."""
    data = draw(arguments.layout[0], arguments.items, arguments.dim, arguments.per_class, arguments.noise)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (wall, cpu), found = RUNS[which](*data)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"wall": wall, "cpu": cpu, "before": before / 1e6, "peak": peak / 1e6, "scores": found}))


def spawn(which, layout):
    """One run, in a process of its own."""
    arguments = [one for one in sys.argv[1:] if one not in (*LAYOUTS, *RUNS, "--layout", "--which")]
    command = [sys.executable, __file__, *arguments, "--layout", layout, "--only", which]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        return {"error": f"stopped with {answer.returncode}: {answer.stderr.strip().splitlines()[-1:]}"}
    return json.loads(answer.stdout.strip().splitlines()[-1])


def main():
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--per-class", type=int, default=100)
    parser.add_argument("--noise", type=float, default=2.0)
    parser.add_argument("--layout", nargs="+", default=list(LAYOUTS), choices=LAYOUTS)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--which", nargs="+", default=list(RUNS), choices=RUNS)
    parser.add_argument("--only", choices=RUNS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        measure(arguments.only, arguments)
        return
    print(f"{arguments.items:,} embeddings of {arguments.dim} dimensions; peak memory in GB, of it before the start")
    print(f"{'layout':12} {'':7} {'wall s':>8} {'cpu s':>8} {'peak':>6} {'before':>6}   recall@1  r_precision  map@r")
    for layout in arguments.layout:
        for which in arguments.which * arguments.repeats:
            run = spawn(which, layout)
            if "error" in run:
                print(f"{layout:12} {which:7} {run['error']}")
                continue
            scores = "  ".join(f"{run['scores'][name]:.7f}" for name in NAMES.values())
            print(
                f"{layout:12} {which:7} {run['wall']:8.1f} {run['cpu']:8.1f} {run['peak']:6.2f} {run['before']:6.2f}   "
                f"{scores}",
                flush=True,
            )


if __name__ == "__main__":
    main()
