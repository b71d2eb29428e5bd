"""How much of a GPU does a training step use, and what does it keep in memory?

    python experiments/bench/scaling.py --model resnet50 --batch-sizes 128,256,512

A step as the experiments do it (uint8 images on the device, SGD with momentum, checks
of finiteness), timed without reading data: milliseconds, images/s, MFU against the data
sheet (`jaxdl.costs.PEAK_FLOPS`, or --peak-flops), and `jaxdl.parallel.memory_report`
beside the figures of the device's own allocator. Its peak is that of the whole process,
so batch sizes should rise; it counts what libraries take besides the program's plan.
With several devices the batch is split over all of them, and exchanges are told.

Needs JAX, Flax and optax alone. Takes a minute or two for each batch size, most of it
to compile; --quick is a small network on any machine.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

ROUNDS = 5


def build_program(arguments: argparse.Namespace, batch_size: int):
    """The compiled step, its state and batch on the devices, and its FLOPs."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxdl.diagnose import count_macs
    from jaxdl.models import MODELS
    from jaxdl.optim import sgd
    from jaxdl.parallel import make_mesh, shard_batch, tree_shardings
    from jaxdl.train import init_train_state, init_variables, make_train_step

    dtype = jnp.dtype(arguments.dtype)
    model = MODELS[arguments.model](num_classes=1000, dtype=dtype)
    mesh, shape = make_mesh(), (arguments.side, arguments.side, 3)
    loss_fn, optimizer = make_loss(model), sgd(0.1, momentum=0.9, weight_decay=1e-4)
    rng = np.random.default_rng(0)
    batch: dict[str, Any] = {
        "images": rng.integers(0, 256, (batch_size, *shape), np.uint8),
        "labels": rng.integers(0, 1000, batch_size).astype(np.int32),
    }
    variables = init_variables(model, shape, key=jax.random.key(0))
    state = init_train_state(
        variables, loss_fn, optimizer, batch, key=jax.random.key(1)
    )
    del variables
    shardings = tree_shardings(state, mesh)
    step = make_train_step(loss_fn, optimizer, state_shardings=shardings)
    state, batch = jax.device_put(state, shardings), shard_batch(batch, mesh)
    flops = 2 * count_macs(step, state, batch)
    return step.lower(state, batch).compile(), state, batch, flops


def make_loss(model):
    """Mean cross entropy of images as they are stored."""
    import jax.numpy as jnp

    from jaxdl.augment import normalize, to_float
    from jaxdl.losses import softmax_cross_entropy

    def loss_fn(params, model_state, batch, *, key):
        images = normalize(to_float(batch["images"]), mean=(0.5,) * 3, std=(0.25,) * 3)
        logits, updates = model.apply(
            {"params": params, **model_state},
            images,
            train=True,
            mutable=list(model_state),
            rngs={"dropout": key},
        )
        loss = jnp.mean(softmax_cross_entropy(logits, batch["labels"]))
        return loss, (dict(updates), {"loss": loss})

    return loss_fn


def time_program(compiled, state, batch, *, steps: int) -> tuple[float, Any]:
    """Median seconds of a step, and the last state."""
    import jax

    seconds = []
    for _ in range(ROUNDS + 1):  # the first one warms up
        start = time.perf_counter()
        for _ in range(steps):
            state, _ = compiled(state, batch)
        jax.block_until_ready(state)
        seconds.append((time.perf_counter() - start) / steps)
    return median(seconds[1:]), state


def print_report(arguments: argparse.Namespace, batch_size: int) -> None:
    """Times a batch size and prints what came out."""
    import jax

    from jaxdl.costs import find_peak_flops, model_flops_utilization
    from jaxdl.parallel import collective_report, memory_report

    start = time.perf_counter()
    compiled, state, batch, flops = build_program(arguments, batch_size)
    report = memory_report(compiled, state)
    exchanges = collective_report(compiled)
    compile_seconds = time.perf_counter() - start
    seconds, state = time_program(compiled, state, batch, steps=arguments.steps)
    device, count = jax.devices()[0], jax.device_count()
    kind = "bfloat16" if arguments.dtype == "bfloat16" else "tf32"
    peak = arguments.peak_flops or find_peak_flops(device.device_kind, kind)
    share = "unknown peak"
    if peak:
        used = model_flops_utilization(
            flops, seconds, num_devices=count, peak_flops=peak
        )
        share = f"MFU {100 * used:.1f} % of {peak / 1e12:g} TFLOP/s"
    print(
        f"{arguments.model} {arguments.dtype}, batch {batch_size} on {count} x "
        f"{device.device_kind}: {1e3 * seconds:.2f} ms, {batch_size / seconds:,.0f} "
        f"images/s, {flops / seconds / count / 1e12:.2f} TFLOP/s, {share}; built in "
        f"{compile_seconds:.0f} s"
    )
    parts = ("parameters", "optimizer", "other", "batch", "temporaries", "outputs")
    listed = ", ".join(f"{part} {getattr(report, part) / 1e6:.1f}" for part in parts)
    print(f"  memory_report in MB: {listed}; total {report.total / 1e6:.1f}")
    stats = device.memory_stats() or {}
    if stats:
        now, most = stats["bytes_in_use"], stats["peak_bytes_in_use"]
        kept = report.state + report.batch
        print(
            f"  the device's own: {now / 1e6:.1f} between steps (report "
            f"{kept / 1e6:.1f}, {100 * (kept / now - 1):+.1f} %), {most / 1e6:.1f} at "
            f"most (report {report.total / 1e6:.1f}, "
            f"{100 * (report.total / most - 1):+.1f} %)"
        )
    else:
        print("  the device's own: it tells none")
    print(
        f"  exchanges: {exchanges.count()}, "
        f"{exchanges.sent_bytes() / 1e6:.2f} MB sent per device",
        flush=True,
    )
    for leaf in jax.tree.leaves((state, batch)):
        leaf.delete()


def main() -> None:
    """Reads the command line and measures batch size by batch size."""
    parser = argparse.ArgumentParser(description="Times a step and reads its memory.")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--batch-sizes", default="128,256,512", help="rising")
    parser.add_argument("--side", type=int, default=224, help="of the images")
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--steps", type=int, default=10, help="per round, of 5")
    parser.add_argument("--peak-flops", type=float, help="FLOP/s of a device")
    parser.add_argument("--quick", action="store_true", help="small, to try it out")
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[2]))
    if arguments.quick:
        arguments.model, arguments.side, arguments.steps = "mlp", 8, 1
        arguments.batch_sizes, arguments.dtype = "8", "float32"
    for batch_size in map(int, arguments.batch_sizes.split(",")):
        print_report(arguments, batch_size)


if __name__ == "__main__":
    main()
