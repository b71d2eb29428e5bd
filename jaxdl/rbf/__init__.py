"""Radial basis function networks: their centres, and the classical ways to fit them.

One phase: centres drawn from the examples, output weights by the pseudo-inverse. Two
phases: centres by k-means first, of all examples or of each class. Three phases: the
same, then gradient descent on everything.
"""

from jaxdl.rbf.centers import (
    CenterMethod,
    Centers,
    assign_classes,
    choose_widths,
    find_centers,
    measure_widths,
    place_centers,
)
from jaxdl.rbf.fitting import (
    RBFFit,
    descend,
    encode_classes,
    fit_one_phase,
    fit_three_phase,
    fit_two_phase,
    predict_by_nearest,
    solve_output,
)

__all__ = [
    "CenterMethod",
    "Centers",
    "RBFFit",
    "assign_classes",
    "choose_widths",
    "descend",
    "encode_classes",
    "find_centers",
    "fit_one_phase",
    "fit_three_phase",
    "fit_two_phase",
    "measure_widths",
    "place_centers",
    "predict_by_nearest",
    "solve_output",
]
