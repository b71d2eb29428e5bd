"""Losses: pure functions of predictions and targets, in float32, not reduced."""

from jaxdl.losses.classification import softmax_cross_entropy
from jaxdl.losses.regression import absolute_error, squared_error

__all__ = ["absolute_error", "softmax_cross_entropy", "squared_error"]
