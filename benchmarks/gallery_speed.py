"""Times of a gallery with an index: building, searching, naming, growing, saving and opening.

Run with `python benchmarks/gallery_speed.py --items 100000`. Embeddings are class centres plus noise, 100 items a
class. `one by one` asks the same queries in single calls, and the answers are compared. Needs the package of the index.
"""

import argparse
import os
import tempfile
import time

import numpy as np

from keras_balanced_siamese.gallery import Gallery


def draw(items, dim, queries, rng):
    """Embeddings and labels of the gallery, and queries of the same classes."""
    centres = rng.normal(size=(max(2, items // 100), dim)).astype("float32")
    labels, asked = (rng.integers(len(centres), size=n) for n in (items, queries))
    noisy = [centres[codes] + rng.normal(size=(len(codes), dim)).astype("float32") for codes in (labels, asked)]
    return noisy[0], labels, noisy[1]


def timed(name, call, repeats=1):
    """Print the best of several times of a call, in seconds of the clock and of the processors; return its result."""
    times = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        found = call()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall, cpu = min(times)
    print(f"{name:42} {wall:9.3f} s {cpu:9.3f} s of CPU", flush=True)
    return found


def main():
    """Print a line for each kind of call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--index", default="usearch", choices=("usearch", "faiss"))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    items, labels, queries = draw(arguments.items, arguments.dim, arguments.queries, np.random.default_rng(0))
    print(f"{arguments.items:,} items of {arguments.dim} dimensions, {arguments.queries:,} queries, {arguments.index}")
    exact = Gallery(items, labels, threshold=np.inf)
    gallery = Gallery(items, labels, threshold=np.inf, index=arguments.index)
    timed("first search (builds the index)", lambda: gallery.search(queries[:1]))
    timed("first exact search", lambda: exact.search(queries[:1]))
    for k in (5, 100):
        found = timed(f"search, k={k}", lambda k=k: gallery.search(queries, k), arguments.repeats)
        single = timed(f"search, k={k}, one by one", lambda k=k: [gallery.search(query[None], k) for query in queries])
        truth = timed(f"exact search, k={k}", lambda k=k: exact.search(queries, k))
        same = np.array_equal(found.indices, np.concatenate([one.indices for one in single]))
        share = np.mean([np.isin(*rows).mean() for rows in zip(truth.indices, found.indices, strict=True)])
        print(f"{'':42} as one by one: {same}; found {share:.4f} of the {k} nearest")
    for per_class in ("centroid", 1, 5):
        ask = {"per_class": per_class, "unknown": -1}
        found = timed(f"identify, per_class={per_class!r}", lambda ask=ask: gallery.identify(queries, **ask))
        truth = timed(f"exact identify, per_class={per_class!r}", lambda ask=ask: exact.identify(queries, **ask))
        print(f"{'':42} same names: {(found.labels == truth.labels).mean():.4f}")
    gallery.add(queries[:100], np.zeros(100, int))
    timed("search after 100 items were added", lambda: gallery.search(queries[:1]))
    gallery.remove(1)
    timed("search after a class was removed", lambda: gallery.search(queries[:1]))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "gallery.npz")
        timed("save", lambda: gallery.save(path))
        print(f"{'':42} {os.path.getsize(path) / 2**20:.1f} MiB")
        again = timed("load", lambda: Gallery.load(path))
        timed("first search after load", lambda: again.search(queries[:1]))


if __name__ == "__main__":
    main()
