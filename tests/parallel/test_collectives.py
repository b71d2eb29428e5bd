import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxdl.parallel import collective_report, make_mesh, ring_bytes


def describe(shape, mesh, *axes):
    sharding = NamedSharding(mesh, P(*axes))
    return jax.ShapeDtypeStruct(shape, jnp.float32, sharding=sharding)


def loss(kernels, x):
    hidden = jax.nn.relu(x @ kernels[0])
    return jnp.mean(jnp.square(hidden @ kernels[1]))


def compile_gradient(mesh, kernels, x, *, with_input=False):
    argnums = (0, 1) if with_input else 0
    gradient = jax.grad(loss, argnums=argnums)
    shardings = tuple(kernel.sharding for kernel in kernels)
    out = (shardings, x.sharding) if with_input else shardings
    return jax.jit(gradient, out_shardings=out).lower(kernels, x).compile()


def test_collective_report_counts_the_gradient_reduction_of_data_parallel():
    mesh = make_mesh(data=8)
    kernels = (describe((16, 32), mesh), describe((32, 4), mesh))
    x = describe((24, 16), mesh, "data")
    report = collective_report(compile_gradient(mesh, kernels, x))
    assert report.count() == report.count("all-reduce") <= 2
    parameters = 4 * (16 * 32 + 32 * 4)
    assert report.sent_bytes() == pytest.approx(2 * 7 / 8 * parameters)


def test_collective_report_counts_one_exchange_each_way_per_pair_of_layers():
    mesh = make_mesh(data=1, model=8)
    kernels = (
        describe((16, 32), mesh, None, "model"),
        describe((32, 4), mesh, "model"),
    )
    x = describe((24, 16), mesh)
    compiled = compile_gradient(mesh, kernels, x, with_input=True)
    report = collective_report(compiled)
    assert report.by_kind().keys() == {"all-reduce"}
    payloads = [one.payload_bytes for one in report.collectives]
    assert payloads == [4 * 24 * 4, 4 * 24 * 16]
    assert {one.group_size for one in report.collectives} == {8}


def test_collective_report_counts_loops_as_often_as_they_run():
    mesh = make_mesh(data=1, model=8)

    def repeat(x, kernel):
        step = lambda x, _: (jnp.tanh(x @ kernel), None)
        return jax.lax.scan(step, x, None, length=5)[0]

    x, kernel = describe((3, 16), mesh), describe((16, 16), mesh, "model")
    compiled = jax.jit(repeat, out_shardings=x.sharding).lower(x, kernel).compile()
    report = collective_report(compiled)
    assert report.count("all-reduce") == 5
    assert report.sent_bytes("all-reduce") == 5 * 2 * 7 / 8 * 4 * 3 * 16
    assert not report.has_unknown_loops


def test_collective_report_notes_loops_of_unknown_length():
    mesh = make_mesh(data=8)

    def halve(x):
        return jax.lax.while_loop(
            lambda x: jnp.sum(x) > 1, lambda x: x / (1 + jnp.max(x)), x
        )

    compiled = jax.jit(halve).lower(describe((16,), mesh, "data")).compile()
    assert collective_report(compiled).has_unknown_loops


@pytest.mark.parametrize(
    ("line", "kind", "group_size", "payload"),
    [
        ("f32[8]{0} all-reduce(%a), replica_groups={{0,1},{2,3}}", "all-reduce", 2, 32),
        ("(f32[8]{0}, bf16[4]{0}) all-reduce-start(%a, %b), replica_groups=[2,4]<=[8]",
         "all-reduce", 4, 40),
        ("f32[8]{0} all-gather(%a), dimensions={0}, "
         "replica_groups=mesh['x'=2,'y'=4] {'y'}", "all-gather", 4, 32),
        ("(f32[2]{0}, f32[8]{0}) all-gather-start(%a), replica_groups={}",
         "all-gather", 4, 32),
        ("f32[2]{0} reduce-scatter(%a), replica_groups={{0,1,2,3}}",
         "reduce-scatter", 4, 32),
        ("s8[6]{0} collective-permute(%a), source_target_pairs={{0,1},{1,0}}",
         "collective-permute", 2, 6),
    ],
)  # fmt: skip
def test_collective_report_reads_every_spelling(line, kind, group_size, payload):
    text = (
        f"HloModule m, num_partitions=4\n\nENTRY %main () -> f32[] {{\n %x = {line}\n}}"
    )
    (one,) = collective_report(text).collectives
    assert (one.kind, one.group_size, one.payload_bytes) == (kind, group_size, payload)


def test_collective_report_leaves_out_groups_of_one_device():
    line = "%x = f32[8]{0} all-reduce(%a), replica_groups={{0},{1}}"
    text = f"HloModule m\nENTRY %main () -> f32[] {{\n {line}\n}}"
    assert collective_report(text).count() == 0


def test_ring_bytes_of_each_kind():
    assert ring_bytes("all-gather", 80, group_size=4) == 60
    assert ring_bytes("reduce-scatter", 80, group_size=4) == 60
    assert ring_bytes("collective-permute", 80, group_size=2) == 80
    assert ring_bytes("all-reduce", 80, group_size=1) == 0
    with pytest.raises(ValueError, match="got 'gossip'"):
        ring_bytes("gossip", 80, group_size=2)
