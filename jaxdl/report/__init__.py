"""Figures from plain arrays and from the rows of `metrics.jsonl`. Imports no JAX."""

from jaxdl.report.confusion import plot_confusion
from jaxdl.report.curves import plot_curves
from jaxdl.report.mistakes import plot_mistakes

__all__ = ["plot_confusion", "plot_curves", "plot_mistakes"]
