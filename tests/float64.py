"""Layers written out in NumPy's float64, as tables of windows; for small images."""

import numpy as np


def windows(x, size, *, padding, fill=0.0):
    """All windows of padded images: batch, rows, columns, channels, then the window."""
    sides = [(side, side) for side in padding]
    x = np.pad(x, ((0, 0), *sides, (0, 0)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))


def convolve(x, kernel, *, stride=1, padding=None, groups=1):
    """A convolution; padded by half its kernel unless told otherwise."""
    size = kernel.shape[:2]
    padding = (size[0] // 2, size[1] // 2) if padding is None else (padding, padding)
    view = windows(np.asarray(x, float), size, padding=padding)
    view = view[:, ::stride, ::stride]
    parts = zip(
        np.split(view, groups, axis=3), np.split(kernel, groups, axis=3), strict=True
    )
    outputs = [np.einsum("nhwcij,ijcf->nhwf", part, k) for part, k in parts]
    return np.concatenate(outputs, axis=-1)


def pool(x, reduce, *, window, stride, padding=0, fill=0.0):
    """`reduce` over each square window, per channel."""
    view = windows(x, (window, window), padding=(padding, padding), fill=fill)
    return reduce(view[:, ::stride, ::stride], axis=(-1, -2))


def normalize(x, leaves, name, *, train, epsilon=1e-5):
    """BatchNorm by the leaves of a tree; in training by the statistics of `x`."""
    if train:
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    else:
        mean = leaves[f"batch_stats/{name}/mean"]
        var = leaves[f"batch_stats/{name}/var"]
    scale, bias = leaves[f"params/{name}/scale"], leaves[f"params/{name}/bias"]
    return scale * (x - mean) / np.sqrt(var + epsilon) + bias


def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))
