"""What a training step keeps in the memory of each device."""

from dataclasses import dataclass
from typing import Any

from jaxdl.parallel.placement import bytes_per_device


@dataclass(frozen=True)
class MemoryReport:
    """Bytes on the device that holds most, while a step runs.

    Attributes:
      parameters: of the network.
      optimizer: its state.
      other: the rest of the training state: running statistics, averages, sums.
      batch: what the step is given besides the state.
      temporaries: activations, gradients and whatever else lives within the step; the
        compiler's plan, without what libraries take besides.
      outputs: results that do not take the place of an argument.
    """

    parameters: int
    optimizer: int
    other: int
    batch: int
    temporaries: int
    outputs: int

    @property
    def state(self) -> int:
        """What stays from step to step."""
        return self.parameters + self.optimizer + self.other

    @property
    def total(self) -> int:
        """All at once."""
        return self.state + self.batch + self.temporaries + self.outputs


def memory_report(compiled: Any, state: Any) -> MemoryReport:
    """Counts what a compiled step needs, by what it is for.

    Args:
      compiled: from `step.lower(state, batch).compile()`, of a step as
        `jaxdl.train.make_train_step` makes it.
      state: that the step was lowered for: arrays that are placed, or
        `jax.ShapeDtypeStruct`s with a sharding, in a tree with the attributes `params`
        and `optimizer_state`, such as a `jaxdl.train.TrainState`.

    Returns:
      Bytes per device. State is counted from shapes and shardings, the rest is what
      the compiled program tells of itself.

    Raises:
      ValueError: the program does not tell, or takes less than the state is large.

    Example:
      >>> from collections import namedtuple
      >>> import jax
      >>> import jax.numpy as jnp
      >>> State = namedtuple("State", "params optimizer_state")
      >>> state = State(jnp.ones(6), jnp.ones(6))
      >>> step = jax.jit(lambda state, x: State(state[0] - x * state[1], state[1]))
      >>> compiled = step.lower(state, 1.0).compile()
      >>> report = memory_report(compiled, state)
      >>> report.parameters, report.optimizer, report.batch
      (24, 24, 4)
    """
    plan = compiled.memory_analysis()
    if plan is None:
        raise ValueError("memory_report: this backend's programs tell no memory")
    parameters = bytes_per_device(state.params)
    optimizer = bytes_per_device(state.optimizer_state)
    whole = bytes_per_device(state)
    batch = plan.argument_size_in_bytes - whole
    if batch < 0:
        raise ValueError(
            f"memory_report: the program takes {plan.argument_size_in_bytes} bytes, "
            f"less than the {whole} of the state; wanted a step of this state"
        )
    return MemoryReport(
        parameters=parameters,
        optimizer=optimizer,
        other=whole - parameters - optimizer,
        batch=batch,
        temporaries=plan.temp_size_in_bytes,
        outputs=plan.output_size_in_bytes - plan.alias_size_in_bytes,
    )
