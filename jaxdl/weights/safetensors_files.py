"""Variables of a network in a safetensors file, with its name and config."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.errors import CheckpointError
from jaxdl.trees import path_string
from jaxdl.typing import Params

FORMAT = "jaxdl"
"""What the header of our own files says, in the field that tells others' "pt"."""

_DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"),
    *("uint64", "float16", "bfloat16", "float32", "float64", "complex64"),
)


class SavedHeader(NamedTuple):
    """What the header of a file tells.

    Attributes:
      model_name: of the network, as in `MODELS`.
      config: what else was saved with it, or None.
    """

    model_name: str
    config: dict[str, Any] | None


class SavedWeights(NamedTuple):
    """What a file holds.

    Attributes:
      variables: `{"params": ..., ...}`.
      model_name: of the network, as in `MODELS`.
      config: what else was saved with them, or None.
    """

    variables: Params
    model_name: str
    config: dict[str, Any] | None


def save_safetensors(
    path: Path | str,
    variables: Mapping[str, Any],
    *,
    model_name: str,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Writes variables to a safetensors file, which appears whole or not at all.

    Args:
      path: the file, replaced if there is one.
      variables: a tree of dictionaries of arrays, of any dtype that the format has:
        bool, integers, float16 to float64, bfloat16, complex64.
      model_name: of the network, as in `MODELS`.
      config: anything JSON takes, kept in the header; tuples come back as lists.

    Raises:
      CheckpointError: the file can't be written; one that was there is untouched.
      ValueError: the tree is none of dictionaries or has an empty one, a name has a
        slash in it, an array is of another dtype, or JSON doesn't take the config.

    Example:
      >>> import tempfile
      >>> file = Path(tempfile.mkdtemp()) / "line.safetensors"
      >>> variables = {"params": {"head": {"bias": jnp.zeros(2)}}}
      >>> save_safetensors(file, variables, model_name="line", config={"step": 3})
      >>> load_safetensors(file).config
      {'step': 3}
    """
    path = Path(path)
    arrays = _flatten(variables)
    header = {"format": FORMAT, "format_version": "1", "model_name": model_name}
    try:
        header["config"] = json.dumps(config, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"save_safetensors: config is not JSON ({error})") from None
    _write(path, arrays, header)


def load_safetensors(path: Path | str) -> SavedWeights:
    """The variables that `save_safetensors` wrote, bit for bit.

    Args:
      path: the file.

    Returns:
      The variables, the network's name and the config.

    Raises:
      CheckpointError: the file is missing, damaged or was written by something else,
        or holds 64-bit numbers while JAX is set to 32 bits; names the file.

    Example:
      >>> load_safetensors("missing.safetensors")
      Traceback (most recent call last):
      ...
      jaxdl.errors.CheckpointError: missing.safetensors: can't be read (No such file \
or directory)
    """
    header = read_safetensors_header(path)
    if header is None:
        raise CheckpointError(
            f"{path}: was not written by save_safetensors; load_torch reads tensors in "
            "PyTorch's layout"
        )
    with open_safetensors(path) as file:
        arrays = file.get_tensors()
    variables: dict[str, Any] = {}
    for name, array in sorted(arrays.items()):
        if jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype:
            raise CheckpointError(
                f"{path}: {name} is {array.dtype}, which JAX has only with "
                "jax_enable_x64"
            )
        *parents, leaf = name.split("/")
        node = variables
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = jnp.asarray(array)
    return SavedWeights(variables, *header)


def read_safetensors_header(path: Path | str) -> SavedHeader | None:
    """The network's name and the config in a file that `save_safetensors` wrote.

    Args:
      path: the file; no array in it is read.

    Returns:
      The name and the config; None if the file was written by something else.

    Raises:
      CheckpointError: see `load_safetensors`.

    Example:
      >>> read_safetensors_header("missing.safetensors")
      Traceback (most recent call last):
      ...
      jaxdl.errors.CheckpointError: missing.safetensors: can't be read (No such file \
or directory)
    """
    with open_safetensors(path) as file:
        header = file.metadata() or {}
    if header.get("format") != FORMAT:
        return None
    try:
        if header["format_version"] != "1":
            raise ValueError(f"format_version {header['format_version']}, wanted 1")
        model_name, config = header["model_name"], json.loads(header["config"])
        if not isinstance(config, dict | None):
            raise ValueError("config is no JSON object")
    except KeyError as error:
        raise CheckpointError(f"{path}: its header has no {error}") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: its header is damaged ({error})") from None
    return SavedHeader(model_name, config)


@contextmanager
def open_safetensors(path: Path | str) -> Iterator[Any]:
    """A safetensors file, open for reading.

    Args:
      path: the file.

    Yields:
      What `safetensors.safe_open` gives; its arrays are NumPy's.

    Raises:
      CheckpointError: it is missing, damaged, or no such file; names it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with open(path, "rb"):  # for the reasons that the system gives
            pass
        with safe_open(path, framework="numpy") as file:
            yield file
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(f"{path}: can't be read ({reason})") from None
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: no safetensors file, or a damaged one ({error})"
        ) from None


def _flatten(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays by path, each in one block of memory."""
    if not variables:
        raise ValueError("save_safetensors: there are no variables")
    arrays = {}
    is_empty = lambda node: isinstance(node, Mapping) and not node
    leaves = jax.tree_util.tree_leaves_with_path(variables, is_leaf=is_empty)
    for keys, leaf in leaves:
        name = path_string(keys)
        if not all(
            isinstance(key, jax.tree_util.DictKey)
            and isinstance(key.key, str)
            and key.key
            and "/" not in key.key
            for key in keys
        ):
            raise ValueError(
                f"save_safetensors: {name}: wanted dictionaries with names as keys, "
                "without a slash"
            )
        dtype = str(getattr(leaf, "dtype", type(leaf).__name__))
        if dtype not in _DTYPES:
            raise ValueError(f"save_safetensors: {name}: can't keep {dtype}")
        # Of another order the bytes would be written as they lie, so wrongly.
        arrays[name] = np.require(np.asarray(leaf), requirements="C")
    return arrays


def _write(path: Path, arrays: dict[str, np.ndarray], header: dict[str, str]) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(arrays, temporary, metadata=header)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: could not be written ({reason})") from None
    finally:
        temporary.unlink(missing_ok=True)
