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
from jaxdl.losses.distillation import distillation
from jaxdl.losses.regression import absolute_error, squared_error

__all__ = [
    "BarlowTwinsCost",
    "BarlowTwinsStatistics",
    "absolute_error",
    "barlow_twins_loss",
    "barlow_twins_minimum",
    "barlow_twins_statistics",
    "barlow_twins_terms",
    "choose_barlow_twins_route",
    "cross_correlation",
    "describe_barlow_twins_cost",
    "distillation",
    "softmax_cross_entropy",
    "squared_error",
]
