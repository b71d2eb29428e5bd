"""What a run says before its first step about where and from what it starts."""

import jax

from jaxdl.data import ArraySplit
from jaxdl.parallel import bytes_per_device
from jaxdl.recipes.fit import Fit
from jaxdl.train import TrainState


def list_circumstances(fit: Fit, state: TrainState) -> list[str]:
    """The devices, what went wrong while opening the run, and where it starts.

    Args:
      fit: the run.
      state: before its first step, placed.

    Returns:
      Lines to say.
    """
    devices, shape = fit.mesh.devices.ravel(), fit.mesh.shape
    is_resident = isinstance(fit.dataset.splits["train"], ArraySplit)
    lines = [
        f"devices: {len(devices)} x {devices[0].device_kind} "
        f"(data {shape['data']}, model {shape['model']}); "
        f"train split {'on the device' if is_resident else 'streamed'}",
        *(f"warning: {warning}" for warning in fit.warnings),
    ]
    parts = {"parameters": state.params, "optimiser": state.optimizer_state}
    shares = []
    for name, tree in parts.items():
        total = sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) / 2**20
        shares.append((name, bytes_per_device(tree) / 2**20, total))
    if any(kept < total for _, kept, total in shares):
        told = [f"{name} {kept:.2f} of {total:.2f} MiB" for name, kept, total in shares]
        lines.append(f"each device keeps: {', '.join(told)}")
    if fit.first_step:
        lines.append(f"resumed after step {fit.first_step} of {fit.plan.num_steps}")
    return lines
