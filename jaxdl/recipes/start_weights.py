"""Trained weights for a training to start from, with a new head where it needs one."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxdl.data import resolve_path
from jaxdl.errors import CheckpointError
from jaxdl.trees import named_leaves
from jaxdl.weights import load_safetensors, load_torch, read_safetensors_header

_HEADS = ("head", "aux", "aux1", "aux2")
"""What a network without classes has none of."""


def load_start_weights(
    path: str | os.PathLike[str], variables: dict[str, Any], *, model_name: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Variables with the values of a file; heads for other classes stay as drawn.

    A network without a head leaves those of the file out.

    Args:
      path: a file exported from a run, or one in PyTorch's layout, as `resolve_path`
        finds it.
      variables: fresh variables of the network.
      model_name: a key of `MODELS`.

    Returns:
      The variables, and the paths of those that stay as they were drawn.

    Raises:
      CheckpointError: the file can't be read, is of another network, or does not fit
        in more than a head.
      DataError: there is no such file.
    """
    file = resolve_path(path)
    is_safetensors = file.suffix.lower() == ".safetensors"
    if is_safetensors and read_safetensors_header(file) is not None:
        return _load_own(file, variables, model_name)
    loaded, report = load_torch(file, model_name, strict=False, initial=variables)
    misfits = [*report.misshaped, *report.missing]
    _check_kept(file, model_name, report.kept, misfits, report.unexpected)
    return loaded, report.kept


def _load_own(
    file: Path, variables: dict[str, Any], model_name: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    saved = load_safetensors(file)
    if saved.model_name != model_name:
        raise CheckpointError(f"{file}: holds {saved.model_name}, not {model_name}")
    fresh, trained = named_leaves(variables), named_leaves(saved.variables)
    fits = {
        path: path in trained and trained[path].shape == leaf.shape
        for path, leaf in fresh.items()
    }
    kept = tuple(path for path, is_fitting in fits.items() if not is_fitting)
    unexpected = trained.keys() - fresh.keys()
    if "params/head/kernel" not in fresh:
        unexpected = {p for p in unexpected if p.split("/")[1] not in _HEADS}
    _check_kept(file, model_name, kept, kept, unexpected)
    leaves = [trained[path] if fits[path] else leaf for path, leaf in fresh.items()]
    return jax.tree.unflatten(jax.tree.structure(variables), leaves), kept


def _check_kept(
    file: Path,
    model_name: str,
    kept: Sequence[str],
    misfits: Sequence[str],
    unexpected: Collection[str],
) -> None:
    """Refuses a file that is more than another number of classes away."""
    if not unexpected and all("/head/" in path for path in kept):
        return
    words = [f"does not fit: {name}" for name in misfits]
    words += [f"not in the network: {name}" for name in sorted(unexpected)]
    more = f"; and {len(words) - 10} more" * (len(words) > 10)
    raise CheckpointError(
        f"{file}: differs from {model_name} with these options in more than its head: "
        f"{'; '.join(words[:10])}{more}"
    )
