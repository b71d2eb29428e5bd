"""Weights from PyTorch's world and back, and files of a network's own.

`load_torch` reads what torchvision, timm and others publish; `save_safetensors` and
`load_safetensors` keep any variables. No file is read in a way that can run code.
"""

from jaxdl.weights.layouts import Layout, find_layouts
from jaxdl.weights.safetensors_files import (
    SavedHeader,
    SavedWeights,
    load_safetensors,
    read_safetensors_header,
    save_safetensors,
)
from jaxdl.weights.torch_files import load_torch, read_tensors
from jaxdl.weights.torch_state import LoadReport, from_torch_state, to_torch_state

__all__ = [
    "Layout",
    "LoadReport",
    "SavedHeader",
    "SavedWeights",
    "find_layouts",
    "from_torch_state",
    "load_safetensors",
    "load_torch",
    "read_safetensors_header",
    "read_tensors",
    "save_safetensors",
    "to_torch_state",
]
