"""Bytes of a step by what they are for, against sizes counted by hand."""

from collections import namedtuple

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxdl.parallel import make_mesh, memory_report

State = namedtuple("State", "params optimizer_state count")


def update(state, rows):
    loss = lambda kernel: jnp.mean(jnp.square(rows @ kernel))
    momentum = 0.9 * state.optimizer_state + jax.grad(loss)(state.params)
    return State(state.params - momentum, momentum, state.count + 1), rows.sum()


def compile_update(mesh):
    """Kernels of 16 x 32, momentum split over the devices, 24 rows of 16."""
    place = lambda shape, *axes, dtype=jnp.float32: jax.ShapeDtypeStruct(
        shape, dtype, sharding=NamedSharding(mesh, P(*axes))
    )
    state = State(
        place((16, 32)), place((16, 32), None, "data"), place((), dtype=jnp.int32)
    )
    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
    step = jax.jit(update, donate_argnums=0, out_shardings=(shardings, None))
    return step.lower(state, place((24, 16), "data")).compile(), state


def test_memory_report_counts_shares_of_each_device():
    compiled, state = compile_update(make_mesh(data=8))
    report = memory_report(compiled, state)
    assert (report.parameters, report.optimizer) == (4 * 16 * 32, 4 * 16 * 32 // 8)
    assert (report.other, report.batch) == (4, 4 * 24 * 16 // 8)
    assert report.state == report.parameters + report.optimizer + 4
    # At least a gradient as large as the kernel, or its share, lives in the step.
    assert report.temporaries >= 4 * 16 * 32 // 8
    plan = compiled.memory_analysis()
    results = plan.output_size_in_bytes - plan.alias_size_in_bytes
    assert report.total == plan.argument_size_in_bytes + plan.temp_size_in_bytes + (
        report.outputs
    )
    assert report.outputs == results


def test_memory_report_names_a_program_of_another_state():
    compiled, state = compile_update(make_mesh(data=8))
    large = state._replace(params=jnp.zeros((512, 512)))
    with pytest.raises(ValueError, match="less than the 1048836 of the state"):
        memory_report(compiled, large)


def test_memory_report_says_where_a_backend_tells_nothing():
    silent = namedtuple("Compiled", "memory_analysis")(lambda: None)
    with pytest.raises(ValueError, match="this backend's programs tell no memory"):
        memory_report(silent, State(1, 2, 3))
