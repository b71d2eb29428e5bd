"""Losses: pure functions of predictions and targets, in float32, not reduced.

Barlow Twins' is a scalar, as it is defined on a batch.
"""

from jaxdl.losses.barlow_twins import (
    BarlowTwinsStatistics,
    barlow_twins_loss,
    barlow_twins_minimum,
    barlow_twins_statistics,
    barlow_twins_terms,
    cross_correlation,
)
from jaxdl.losses.barlow_twins_routes import (
    BarlowTwinsCost,
    choose_barlow_twins_route,
    describe_barlow_twins_cost,
)
from jaxdl.losses.classification import softmax_cross_entropy
from jaxdl.losses.cluster import cluster_loss
from jaxdl.losses.distillation import distillation
from jaxdl.losses.rbf_penalties import (
    assignment_imbalance,
    center_repulsion,
    metric_decay,
    width_prior,
)
from jaxdl.losses.regression import absolute_error, squared_error

__all__ = [
    "BarlowTwinsCost",
    "BarlowTwinsStatistics",
    "absolute_error",
    "assignment_imbalance",
    "barlow_twins_loss",
    "barlow_twins_minimum",
    "barlow_twins_statistics",
    "barlow_twins_terms",
    "center_repulsion",
    "choose_barlow_twins_route",
    "cluster_loss",
    "cross_correlation",
    "describe_barlow_twins_cost",
    "distillation",
    "metric_decay",
    "softmax_cross_entropy",
    "squared_error",
    "width_prior",
]
