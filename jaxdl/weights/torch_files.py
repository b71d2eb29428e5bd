"""Files of tensors in PyTorch's layout: safetensors, npz, and its own format."""

import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from jaxdl.errors import CheckpointError
from jaxdl.typing import Params, PRNGKey, PyTree
from jaxdl.weights.safetensors_files import (
    open_safetensors,
    read_safetensors_header,
)
from jaxdl.weights.torch_state import LoadReport, MisfitError, from_torch_state

_TORCH_SUFFIXES = (".pth", ".pt", ".th", ".bin")
_SUFFIXES = (".safetensors", ".npz", *_TORCH_SUFFIXES)

_IMPOSTORS = {
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"<?xml": "a web page",
    b"version https://git-lfs": "a Git LFS pointer",
}
"""What a failed download leaves in the place of a file, by how it begins."""


@overload
def load_torch(
    path: Path | str,
    model_name: str,
    *,
    strict: Literal[True] = True,
    num_classes: int | None = None,
    initial: PyTree | None = None,
    key: PRNGKey | None = None,
) -> Params: ...


@overload
def load_torch(
    path: Path | str,
    model_name: str,
    *,
    strict: Literal[False],
    num_classes: int | None = None,
    initial: PyTree | None = None,
    key: PRNGKey | None = None,
) -> tuple[Params, LoadReport]: ...


def load_torch(
    path: Path | str,
    model_name: str,
    *,
    strict: bool = True,
    num_classes: int | None = None,
    initial: PyTree | None = None,
    key: PRNGKey | None = None,
) -> Params | tuple[Params, LoadReport]:
    """The variables of a network from a file in PyTorch's layout.

    Args:
      path: a `.safetensors` or `.npz` file, or one of PyTorch's own (`.pth`, `.pt`,
        `.th`, `.bin`), which is read only where PyTorch is installed.
      model_name: a key of `MODELS`.
      strict: see `from_torch_state`, as for the rest.
      num_classes: of the network; as many as the file's by default.
      initial: variables of the network to fill.
      key: draws the variables that stay, where `initial` is not given.

    Returns:
      As `from_torch_state`.

    Raises:
      CheckpointError: the file can't be read, or its tensors are not those of the
        network; names the file.
      ValueError: the model name is unknown, or `strict=False` lacks both `initial`
        and `key`.

    Example:
      >>> load_torch("resnet18.pkl", "resnet18")
      Traceback (most recent call last):
      ...
      jaxdl.errors.CheckpointError: resnet18.pkl: unknown format '.pkl'; wanted \
.safetensors, .npz, .pth, .pt, .th or .bin (other pickles can run code)
    """
    options: dict[str, Any] = {"initial": initial, "key": key}
    try:
        return from_torch_state(
            read_tensors(path),
            model_name,
            strict=strict,
            num_classes=num_classes,
            **options,
        )
    except MisfitError as error:
        raise CheckpointError(f"{path}: {error}") from None


def read_tensors(path: Path | str) -> dict[str, Any]:
    """What a file of tensors holds, by name and without running any code in it.

    Args:
      path: see `load_torch`.

    Returns:
      NumPy arrays, or for PyTorch's own files what they hold: tensors, perhaps inside
      other dictionaries.

    Raises:
      CheckpointError: the file is missing, damaged, empty, of another format than its
        name says, or a pickle of more than tensors; or PyTorch is needed and missing.

    Example:
      >>> read_tensors("missing.npz")
      Traceback (most recent call last):
      ...
      jaxdl.errors.CheckpointError: missing.npz: can't be read (No such file or \
directory)
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _SUFFIXES:
        raise CheckpointError(
            f"{path}: unknown format {suffix!r}; wanted {', '.join(_SUFFIXES[:-1])} or "
            f"{_SUFFIXES[-1]} (other pickles can run code)"
        )
    _check_beginning(path)
    if suffix == ".safetensors":
        if read_safetensors_header(path) is not None:
            raise CheckpointError(
                f"{path}: was written by save_safetensors, so its tensors are not in "
                "PyTorch's layout; load_safetensors reads it"
            )
        with open_safetensors(path) as file:
            return file.get_tensors()
    return _read_npz(path) if suffix == ".npz" else _read_torch(path)


def _check_beginning(path: Path | str) -> None:
    """Refuses what is no file of tensors at first sight."""
    try:
        with open(path, "rb") as file:
            start = file.read(64).lstrip().lower()
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read ({error.strerror})") from None
    if not start:
        raise CheckpointError(f"{path}: is empty; download it again")
    for beginning, what in _IMPOSTORS.items():
        if start.startswith(beginning):
            raise CheckpointError(
                f"{path}: is {what}, not the weights; download the file itself"
            )


def _read_npz(path: Path | str) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file:
            content = np.load(file, allow_pickle=False)
            if not isinstance(content, Mapping):
                raise ValueError("it holds one array without a name")
            return dict(content)
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise _unreadable(path, "npz", error) from None


def _read_torch(path: Path | str) -> dict[str, Any]:
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise CheckpointError(
            f"{path}: needs PyTorch to be read: pip install 'jaxdl[torch]', or turn it "
            "into .safetensors or .npz where PyTorch is installed"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that are refused just below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of any kind, as the damage has it
        if "weights_only" in str(error).lower() or "GLOBAL" in str(error):
            raise CheckpointError(
                f"{path}: holds more than tensors, and loading that could run code; "
                "save its state_dict() alone"
            ) from None
        raise _unreadable(path, "PyTorch", error) from None
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: holds a {type(content).__name__}, wanted a state_dict"
        )
    return dict(content)


def _unreadable(path: Path | str, kind: str, error: Exception) -> CheckpointError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return CheckpointError(f"{path}: no {kind} file, or a damaged one ({reason})")
