"""Trained networks with fewer parameters: layers replaced by layers of low rank."""

from jaxdl.compression.compress import Compressed, compress
from jaxdl.compression.network import (
    FactoredLayer,
    FactoredNetwork,
    restore_factored,
)
from jaxdl.compression.report import CompressionReport, LayerReport
from jaxdl.compression.rules import KeepEnergy, KeepParameters, RankRule

__all__ = [
    "Compressed",
    "CompressionReport",
    "FactoredLayer",
    "FactoredNetwork",
    "KeepEnergy",
    "KeepParameters",
    "LayerReport",
    "RankRule",
    "compress",
    "restore_factored",
]
