"""What a training step has to exchange, from its layout alone: nothing is compiled."""

import math
import re
from collections.abc import Sequence
from typing import Any

from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

from jaxdl.parallel.collectives import Collective, CollectiveReport
from jaxdl.parallel.layouts import choose_partition
from jaxdl.parallel.placement import Rules
from jaxdl.trees import named_leaves


def list_step_exchanges(
    state: Any,
    *,
    data: int,
    model: int = 1,
    rules: Rules = (),
    activation_bytes: Sequence[int] = (),
    scatters: bool = False,
) -> CollectiveReport:
    """The exchanges of a data and tensor parallel training step.

    Gradients of what every device along `"data"` keeps are summed over them, and so are
    statistics and the running averages of norms, which are of the whole batch. Pairs of
    layers sum activations along `"model"`. Where optimiser state is shared, each
    device updates its share of the parameters and then all gather them; where
    parameters are shared, they are gathered before they are used. Shares tell each
    other whether their numbers are finite.

    Args:
      state: with `params`, `model_state`, `optimizer_state` and `totals`, such as a
        `jaxdl.train.TrainState`; arrays or `jax.ShapeDtypeStruct`s.
      data: devices along `"data"`, at least 1; they need not be there.
      model: devices along `"model"`, at least 1.
      rules: see `tree_shardings`.
      activation_bytes: of each sum along `"model"`, on one device.
      scatters: whether gradients that a device needs a share of are summed there alone
        (reduce-scatter), which is the least; XLA on CPU sums them on all devices.

    Returns:
      Exchanges whose `operation` is "gradients", "statistics", "running averages",
      "activations", "parameters" or "finite".

    Raises:
      ValueError: sizes that the devices don't divide, see `choose_partition`.

    Source:
      Rajbhandari et al. 2020, section 7, arXiv:1910.02054; Shoeybi et al. 2019,
      section 3, arXiv:1909.08053.

    Example:
      >>> from types import SimpleNamespace
      >>> import jax
      >>> params = {"kernel": jax.ShapeDtypeStruct((4, 10), "float32")}
      >>> state = SimpleNamespace(
      ...     params=params, model_state={}, optimizer_state={}, totals={}
      ... )
      >>> list_step_exchanges(state, data=4).sent_bytes()
      240.0
    """
    mesh = AbstractMesh((data, model), ("data", "model"))
    params = _place(state.params, "params/", rules, mesh)
    averages = _place(state.model_state, "model_state/", rules, mesh)
    trace = _place(state.optimizer_state, "optimizer_state/", rules, mesh)
    shared = {
        path: share
        for path, share in params.items()
        if share.over == "data" or _has_shared_trace(path, trace)
    }
    split = shared | {path: share for path, share in params.items() if share.over}
    # Of gradients and of parameters a byte for each leaf.
    flags = 2 * len(split) + sum(bool(share.over) for share in averages.values())
    listed = [
        *_list_gradients(params, averages, shared, scatters=scatters),
        *(("all-reduce", share.own, "running averages") for share in averages.values()),
        ("all-reduce", _count_bytes(state.totals), "statistics"),
        *(("all-gather", share.whole, "parameters") for share in shared.values()),
        *(("all-reduce", size, "activations") for size in activation_bytes),
        ("all-reduce", flags, "finite"),
    ]
    sizes = {"activations": model, "finite": data * model}
    return CollectiveReport(
        tuple(
            Collective(kind, sizes.get(name, data), 1, size, name)
            for kind, size, name in listed
            if size and sizes.get(name, data) > 1
        )
    )


class _Share:
    """A leaf on one device."""

    def __init__(self, name: str, leaf: Any, partition: Any, mesh: AbstractMesh):
        bytes_of = lambda shape: math.prod(shape) * leaf.dtype.itemsize
        own = NamedSharding(mesh, partition).shard_shape(tuple(leaf.shape))
        self.module = name.rpartition("/")[0]
        self.whole, self.own = bytes_of(leaf.shape), bytes_of(own)
        split = [axis for axis in partition if axis is not None]
        sizes = [mesh.shape[axis] for axis in split]
        self.over = split[0] if split and math.prod(sizes) > 1 else None


def _place(
    tree: Any, prefix: str, rules: Rules, mesh: AbstractMesh
) -> dict[str, _Share]:
    placed = {}
    for name, leaf in named_leaves(tree).items():
        partition: Any = PartitionSpec()
        for pattern, word in rules if leaf.shape else ():
            if re.search(pattern, f"{prefix}{name}"):
                partition = word
                if isinstance(word, str):
                    partition = choose_partition(leaf.shape, word, mesh, name=name)
                break
        placed[name] = _Share(name, leaf, partition, mesh)
    return placed


def _has_shared_trace(path: str, trace: dict[str, _Share]) -> bool:
    """Whether devices along data share what the optimiser keeps of a parameter."""
    return any(
        name.endswith(f"/{path}") and share.over == "data"
        for name, share in trace.items()
    )


def _list_gradients(
    params: dict[str, _Share],
    averages: dict[str, _Share],
    shared: dict[str, _Share],
    *,
    scatters: bool,
) -> list[tuple[str, int, str]]:
    """Sums of gradients, all at once but those of norms, which are waited for."""
    norms = {share.module.partition("/")[2] for share in averages.values()}
    fused: dict[tuple[str, str], int] = {}
    for path, share in params.items():
        kind = "reduce-scatter" if scatters and path in shared else "all-reduce"
        place = (kind, share.module if share.module in norms else "")
        size = share.whole if path in shared else share.own
        fused[place] = fused.get(place, 0) + size
    return [(kind, size, "gradients") for (kind, _), size in fused.items()]


def _count_bytes(tree: Any) -> int:
    leaves = named_leaves(tree).values()
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
