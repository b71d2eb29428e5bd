"""Derivatives by differences, in NumPy's float64."""

import numpy as np


def directional_derivative(function, x, direction, *, step=1e-3):
    """d/dt function(x + t * direction) at 0, of sixth order in the step."""
    slopes = [
        (np.asarray(function(x + t * direction)) - function(x - t * direction))
        / (2 * t)
        for t in (step, step / 2, step / 4)
    ]
    for order in (4, 16):
        slopes = [
            (order * fine - coarse) / (order - 1)
            for coarse, fine in zip(slopes, slopes[1:], strict=False)
        ]
    return slopes[0]
