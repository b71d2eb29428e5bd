"""The sides of `barlow_twins.py`: ours by each route, and the usual form in PyTorch."""

import ctypes
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WEIGHT = 5.1e-3
EPSILON = 1e-5

Step = Callable[[], tuple[Any, Any, Any]]
"""Does once what is timed: the loss and the gradients of both views."""


def make_views(num_examples: int, num_features: int) -> tuple[np.ndarray, np.ndarray]:
    """Two noisy views of random embeddings, float32."""
    generator = np.random.default_rng(0)
    draw = lambda: generator.normal(size=(num_examples, num_features))
    shared = draw()
    first, second = ((shared + 0.7 * draw()).astype(np.float32) for _ in range(2))
    return first, second


def differentiate(
    first: np.ndarray, second: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """The loss and its gradients in float64, by the matrix of correlations."""
    count = len(first)
    parts = []
    for x in (first, second):
        x = x - x.mean(0, dtype=float)
        scale = 1 / np.sqrt((x * x).mean(0) + EPSILON)
        parts.append((x * scale, scale))
    (z1, scale1), (z2, scale2) = parts
    c = z1.T @ z2 / count
    diagonal = np.diagonal(c).copy()
    np.fill_diagonal(c, 0)
    loss = np.square(1 - diagonal).sum() + WEIGHT * np.square(c).sum()
    c *= 2 * WEIGHT
    np.fill_diagonal(c, -2 * (1 - diagonal))

    def through(z, scale, grads):
        return scale * (grads - grads.mean(0) - z * (grads * z).mean(0))

    first_grads = through(z1, scale1, z2 @ c.T / count)
    return loss, first_grads, through(z2, scale2, z1 @ c / count)


def make_ours(route: str, first: np.ndarray, second: np.ndarray) -> tuple[Step, float]:
    """Our loss with gradients, and the bytes that it needs beside inputs and those."""
    import jax

    from jaxdl.losses import barlow_twins_loss

    def loss(first, second):
        return barlow_twins_loss(first, second, off_diagonal_weight=WEIGHT, route=route)

    views = jax.device_put((first, second))
    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    step = step.lower(*views).compile()
    memory = step.memory_analysis()
    assert memory is not None

    def run():
        value, grads = jax.block_until_ready(step(*views))
        return value, *grads

    return run, memory.temp_size_in_bytes


def make_torch(
    first: np.ndarray, second: np.ndarray, *, threads: int, compiled: bool
) -> tuple[Step, float]:
    """The formula of the authors' loss, and the bytes that it needs likewise."""
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(threads)
    count, features = first.shape
    views = [torch.from_numpy(x).requires_grad_() for x in (first, second)]
    norm = torch.nn.BatchNorm1d(features, affine=False, eps=EPSILON)

    def loss(a, b):
        c = norm(a).T @ norm(b) / count
        on = (torch.diagonal(c) - 1).square().sum()
        # All but the last entry, in rows of one more: the diagonal is their start.
        rest = c.flatten()[:-1].view(features - 1, features + 1)[:, 1:]
        return on + WEIGHT * rest.square().sum()

    run_loss = torch.compile(loss) if compiled else loss

    def run():
        for view in views:
            view.grad = None
        value = run_loss(*views)
        value.backward()
        return (value.detach(), *(view.grad for view in views))

    run()
    for view in views:
        view.grad = None
    return run, _measure_peak(run) - 2 * first.nbytes


def _measure_peak(step: Step) -> float:
    """Bytes that the process grows by at most during a step (Linux)."""
    ctypes.CDLL(None).malloc_trim(0)  # what is free but kept would not show again
    before = _read_status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    step()
    return _read_status("VmHWM") - before


def _read_status(name: str) -> float:
    lines = Path("/proc/self/status").read_text()
    found = re.search(rf"{name}:\s+(\d+) kB", lines)
    assert found
    return 1024.0 * int(found[1])
