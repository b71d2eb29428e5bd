"""Metrics as mergeable statistics: init, update, merge, compute.

`init_x` gives empty statistics, `update_x` adds a batch on the device (a mask
leaves padded rows out), `merge` adds two statistics, `compute_x` turns them into
plain numbers on the host. One pass over the data gives all of them, and the
result does not depend on how the examples were batched.
"""

from jaxdl.metrics.classification import (
    Classification,
    compute_classification,
    init_classification,
    update_classification,
)
from jaxdl.metrics.merging import merge
from jaxdl.metrics.neighbors import neighbor_scores
from jaxdl.metrics.regression import (
    Regression,
    compute_regression,
    init_regression,
    update_regression,
)

__all__ = [
    "Classification",
    "Regression",
    "compute_classification",
    "compute_regression",
    "init_classification",
    "init_regression",
    "merge",
    "neighbor_scores",
    "update_classification",
    "update_regression",
]
