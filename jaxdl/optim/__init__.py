"""Optimisers and learning-rate schedules, by name or one by one.

Optimisers are optax transformations; schedules are functions of the step.
"""

from jaxdl.optim.adam import adamw, lamb
from jaxdl.optim.momentum import lars, sgd
from jaxdl.optim.optimizers import OPTIMIZERS, make_optimizer
from jaxdl.optim.schedules import (
    SCHEDULES,
    Schedule,
    constant_schedule,
    cosine_schedule,
    make_schedule,
    one_cycle_schedule,
    step_schedule,
)

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Schedule",
    "adamw",
    "constant_schedule",
    "cosine_schedule",
    "lamb",
    "lars",
    "make_optimizer",
    "make_schedule",
    "one_cycle_schedule",
    "sgd",
    "step_schedule",
]
