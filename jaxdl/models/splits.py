"""Which layers of a network are split where devices share its parameters."""

from typing import Any

Splits = tuple[tuple[str, str], ...]
"""(pattern searched in the path of a parameter, "outputs" or "inputs")."""


def split_pair(first: str, second: str, *, between: str | None = None) -> Splits:
    """Splits a layer by its outputs and the one after it by its inputs.

    Between them every device works on channels of its own; a sum over the devices
    joins them after the second layer, on the way back before the first.

    Args:
      first: pattern of the first layer's path, without the slash behind it.
      second: of the second layer's.
      between: of a layer with parameters for each channel, a norm, in between.

    Returns:
      Rules for `jaxdl.parallel.tree_shardings`.

    Source:
      Shoeybi et al. 2019, section 3, arXiv:1909.08053.

    Example:
      >>> split_pair("fc1", "fc2")
      (('fc1/', 'outputs'), ('fc2/', 'inputs'))
    """
    middle = () if between is None else ((f"{between}/", "outputs"),)
    return (f"{first}/", "outputs"), *middle, (f"{second}/", "inputs")


def list_splits(model: Any) -> Splits:
    """Which layers of a model are split where devices share its parameters.

    Args:
      model: of `MODELS`, made of such, or any other module.

    Returns:
      What the model's own `list_splits` says; () where it has none.

    Example:
      >>> list_splits(object())
      ()
    """
    own = getattr(model, "list_splits", None)
    return () if own is None else own()
