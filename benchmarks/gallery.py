"""Does a class win because it has many items? Votes by number against `Gallery.identify`, in a long-tailed gallery.

Run with `python benchmarks/gallery.py --data fashion_mnist.npz`. The file holds `x` (n, 28, 28) and `y` (n,), such as
`keras.datasets.fashion_mnist` returns. Embeddings are linear maps of the pixels that are fitted on images that are
neither in the gallery nor among the queries: PCA (nobody told it the classes) and LDA (classes are compact). With
`--siamese` it is a small network that is trained on pairs of them.
"""

import argparse

import numpy as np

from keras_balanced_siamese.gallery import Gallery

RULES = (1, 2, 3, 5, 10, 20, "centroid")
VOTES = (1, 5, 15)


def split(y, sizes, queries, rng):
    """Positions of the images that fit the map (500 a class), of the gallery (`sizes`) and of the queries."""
    fit, gallery, asked = [], [], []
    for label, size in enumerate(sizes):
        own = rng.permutation(np.flatnonzero(y == label))
        fit.append(own[:500])
        gallery.append(own[500 : 500 + size])
        asked.append(own[-queries:])
    return tuple(map(np.concatenate, (fit, gallery, asked)))


def pca(x, _y, dim):
    """Mean and directions of the largest variance."""
    _, _, directions = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    return directions[:dim].T


def lda(x, y, dim):
    """Directions in which the classes are far apart, in units of their inner spread."""
    means = np.stack([x[y == label].mean(axis=0) for label in np.unique(y)])
    within = np.cov((x - means[y]).T) + 0.01 * np.trace(np.cov(x.T)) / x.shape[1] * np.eye(x.shape[1])
    values, vectors = np.linalg.eigh(within)
    whiten = vectors / np.sqrt(values)
    _, _, directions = np.linalg.svd((means - means.mean(axis=0)) @ whiten, full_matrices=False)
    return whiten @ directions[: min(dim, len(means) - 1)].T


def siamese(x, y, dim):
    """A network that is trained on balanced pairs."""
    import keras

    import keras_balanced_siamese as kbs

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(128, activation="relu"), keras.layers.Dropout(0.3), keras.layers.Dense(dim)]
    encoder = keras.Sequential([keras.Input((x.shape[1],)), *layers])
    model = kbs.siamese_model(encoder)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=kbs.WeightedContrastiveLoss())
    model.fit(kbs.BalancedPairSequence(x, y, batch_size=128, steps_per_epoch=150, seed=0), epochs=10, verbose=0)
    return lambda images: encoder.predict(images, batch_size=1024, verbose=0)


def project(fitted, images):
    """Embeddings of the images."""
    return fitted(images) if callable(fitted) else images @ fitted


def vote(gallery, queries, k):
    """The class with the most of the `k` nearest items; of equal ones the one with the nearest item."""
    winners = []
    for row in gallery.search(queries, k).labels.tolist():
        winners.append(max(row, key=row.count))
    return np.array(winners)


def recalls(found, truth):
    """Share of the queries of each class that were named rightly."""
    return np.array([(found[truth == label] == label).mean() for label in np.unique(truth)])


def main():
    """Print a table for each embedding."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--largest", type=int, default=1000, help="items of the largest class")
    parser.add_argument("--imbalance", type=float, default=100.0)
    parser.add_argument("--queries", type=int, default=200, help="queries a class")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--siamese", action="store_true")
    arguments = parser.parse_args()
    maps = [("siamese 16", siamese, 16)] if arguments.siamese else [("pca 32", pca, 32), ("lda 9", lda, 9)]
    with np.load(arguments.data) as file:
        x, y = file["x"].reshape(len(file["x"]), -1).astype("float32") / 255, file["y"].astype(int)
    sizes = np.geomspace(arguments.largest, arguments.largest / arguments.imbalance, 10).round().astype(int)
    print(f"gallery {sizes.tolist()}, {arguments.queries} queries a class, {arguments.seeds} seeds")
    for name, fit_map, dim in maps:
        table = {}
        for seed in range(arguments.seeds):
            rng = np.random.default_rng(seed)
            ranks = rng.permutation(10)  # which class is the head
            fit, known, asked = split(y, sizes[ranks], arguments.queries, rng)
            fitted = fit_map(x[fit], y[fit], dim)
            gallery = Gallery(project(fitted, x[known]), y[known], threshold=np.inf)
            queries, truth, tail = project(fitted, x[asked]), y[asked], ranks >= 7
            for k in VOTES:
                table.setdefault(f"vote of {k}", []).append((recalls(vote(gallery, queries, k), truth), tail))
            for rule in RULES:
                found = gallery.identify(queries, per_class=rule, unknown=-1).labels
                table.setdefault(f"per_class={rule!r}", []).append((recalls(found, truth), tail))
        print(f"\n{name:22} balanced accuracy   tail (3 of 10)   head (3 of 10)")
        for rule, rows in table.items():
            balanced = [recall.mean() for recall, _ in rows]
            tails = [recall[tail].mean() for recall, tail in rows]
            heads = [recall[order].mean() for (recall, _), order in zip(rows, _heads(arguments.seeds), strict=True)]
            print(
                f"{rule:22} {np.mean(balanced):.3f} +- {np.std(balanced):.3f}      {np.mean(tails):.3f} +- "
                f"{np.std(tails):.3f}    {np.mean(heads):.3f}"
            )


def _heads(seeds):
    return [np.random.default_rng(seed).permutation(10) < 3 for seed in range(seeds)]


if __name__ == "__main__":
    main()
