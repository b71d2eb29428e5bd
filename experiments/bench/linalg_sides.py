"""The routines of `linalg.py`: ours, and those that they are timed beside."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[[], Any]


def make_call(routine: str, side: str, a: np.ndarray, rank: int, threads: int) -> Call:
    """A function without arguments that does once what is timed.

    Args:
      routine: as in `linalg_data.py`.
      side: `"jaxdl"`, `"devices"` (ours with the rows split over as many CPU devices as
        there are threads) or one of the others.
      a: the input.
      rank: of the result, or clusters.
      threads: that PyTorch may use.
    """
    if side in ("jaxdl", "devices"):
        return _make_ours(routine, a, rank, threads if side == "devices" else 1)
    if side == "torch":
        return _make_torch(a, rank, threads)
    if routine == "kmeans":
        return _make_sklearn_kmeans(a, rank)
    if routine == "pca":
        from sklearn.decomposition import PCA

        def fit():
            model = PCA(rank, svd_solver=side.removeprefix("sklearn_"), random_state=0)
            model.fit(a)
            return model.mean_, model.components_

        return fit
    if routine == "randomized_svd":
        from sklearn.utils.extmath import randomized_svd

        return lambda: randomized_svd(a, rank, random_state=0)
    if routine == "robust_pca":
        return lambda: split_plainly(a.astype(side.removeprefix("numpy_")))
    if side == "scipy":
        from scipy.linalg import svd

        return lambda: svd(a, full_matrices=False)
    return lambda: np.linalg.svd(a, full_matrices=False)


def _make_ours(routine: str, a: np.ndarray, rank: int, num_devices: int) -> Call:
    import jax

    jax.config.update("jax_num_cpu_devices", num_devices)
    from jaxdl import linalg
    from jaxdl.parallel import batch_sharding, make_mesh

    x = jax.device_put(a, batch_sharding(make_mesh())) if num_devices > 1 else None
    x = jax.numpy.asarray(a) if x is None else x
    seeds = itertools.count()

    def run():
        key = jax.random.key(next(seeds))
        if routine == "kmeans":
            return linalg.kmeans(x, rank, max_iterations=300, key=key).inertia
        if routine == "pca":
            model = linalg.pca(x, rank, key=key)
            return model.mean, model.components
        if routine == "randomized_svd":
            return linalg.randomized_svd(x, rank, key=key)
        if routine == "robust_pca":
            split = linalg.robust_pca(x)
            return split.low_rank, split.sparse, split.num_iterations
        tall = a.shape[0] > 4 * a.shape[1]
        return linalg.tall_skinny_svd(x) if tall else linalg.thin_svd(x)

    return lambda: jax.block_until_ready(run())


def _make_torch(a: np.ndarray, rank: int, threads: int) -> Call:
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(threads)
    x = torch.from_numpy(a)

    def run():
        u, s, v = torch.svd_lowrank(x, q=rank + 10, niter=7)
        return u[:, :rank], s[:rank], v[:, :rank].T

    return run


def _make_sklearn_kmeans(a: np.ndarray, rank: int) -> Call:
    from sklearn.cluster import KMeans

    seeds = itertools.count()

    def fit():
        seed = next(seeds)
        options: Any = {"n_init": 1, "algorithm": "lloyd", "random_state": seed}
        model = KMeans(rank, **options)
        return model.fit(a).inertia_

    return fit


def split_plainly(d: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Robust PCA by the inexact augmented Lagrangian method, as one would write it.

    Args:
      d: the matrix; everything is computed in its dtype.

    Returns:
      The parts of low rank and of few entries, and the iterations taken.
    """
    # Python's numbers: NumPy's would make float32 matrices float64.
    sparsity = max(d.shape) ** -0.5
    norm, spectral = float(np.linalg.norm(d)), float(np.linalg.norm(d, 2))
    dual = d / max(spectral, float(np.abs(d).max()) / sparsity)
    penalty, sparse, low_rank = 1.25 / spectral, np.zeros_like(d), np.zeros_like(d)
    iterations = 0
    while iterations < 100:
        iterations += 1
        rest = d - low_rank + dual / penalty
        sparse = np.sign(rest) * np.maximum(np.abs(rest) - sparsity / penalty, 0)
        rest = d - sparse + dual / penalty
        u, s, vt = np.linalg.svd(rest, full_matrices=False)
        low_rank = (u * np.maximum(s - 1 / penalty, 0)) @ vt
        gap = d - low_rank - sparse
        if np.linalg.norm(gap) <= 1e-7 * norm:
            break
        dual = dual + penalty * gap
        penalty = min(1.5 * penalty, 1.25e7 / spectral)
    return low_rank, sparse, iterations
