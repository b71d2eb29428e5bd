"""Figures from plain arrays and from the rows of `metrics.jsonl`. Imports no JAX."""

from jaxdl.report.confusion import plot_confusion
from jaxdl.report.curves import plot_curves
from jaxdl.report.depth import plot_by_depth
from jaxdl.report.dropout import DropoutOutputs, plot_dropout
from jaxdl.report.fields import FieldPicture, plot_fields
from jaxdl.report.functions import FunctionCurve, plot_functions
from jaxdl.report.gaps import plot_gaps
from jaxdl.report.histograms import Histogram, plot_histograms
from jaxdl.report.mistakes import plot_mistakes
from jaxdl.report.pooled_axes import plot_pooled_axes
from jaxdl.report.variants import Curve, plot_variants

__all__ = [
    "Curve",
    "DropoutOutputs",
    "FieldPicture",
    "FunctionCurve",
    "Histogram",
    "plot_by_depth",
    "plot_confusion",
    "plot_curves",
    "plot_dropout",
    "plot_gaps",
    "plot_fields",
    "plot_functions",
    "plot_histograms",
    "plot_mistakes",
    "plot_pooled_axes",
    "plot_variants",
]
