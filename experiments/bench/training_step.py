"""How fast is a training step beside PyTorch's on the same CPU?

    python experiments/bench/training_step.py resnet18 resnet50 vgg11_forward separable

Each side runs in a process of its own; they take turns, and each turn waits until the
machine is idle (--idle 0 doesn't). Printed are medians and ratios of time, wall and CPU
time apart, above 1 where we are faster. `scan` compares an epoch of a small CNN in
`lax.scan` with the same steps called one by one. The rest needs the extra `torch`, or
--torch-python with the path of a Python that has it. The side `plain` is ours with
XLA's own convolutions, `devices` ours with the batch split over as many CPU devices as
there are threads (`mesh.simulated_devices` of the experiments).

    resnet18       forward, backward, SGD: 128 images of 32x32, 3x3 stem
    resnet50       the same: 16 images of 128x128
    vgg11_forward  forward alone: 128 images of 32x32
    separable      ReLU, 3x3 depthwise, 1x1, BatchNorm, there and back: 32x28x28x78
    scan           16 steps of three convolutions: 32 images of 32x32

Takes 2 to 5 minutes a case on 2 CPU cores.
"""

import argparse
import sys
from pathlib import Path

from turns import Side, add_turn_arguments, print_times, serve, take_turns

CASES = {
    "resnet18": (128, 32),
    "resnet50": (16, 128),
    "vgg11_forward": (128, 32),
    "separable": (32, 28),
    "scan": (32, 32),
}
"""Batch size and side of the images."""

SCAN_STEPS = 16


def make_call(case: str, batch: int, side: int, *, mode: str):
    """Our side: a function without arguments that does once what is timed."""
    import jax
    import jax.numpy as jnp

    import jaxdl.layers.convolution as convolution
    from jaxdl.layers import BatchNorm, Conv
    from jaxdl.models import MODELS
    from jaxdl.models.resnet import ResNet
    from jaxdl.parallel import batch_sharding, make_mesh

    if mode == "plain":  # there is no switch for it: nobody else wants it
        plainly = convolution.convolve_plainly
        convolution._output_p.bind = lambda x, k, *, geometry: plainly(x, k, geometry)
    x = jax.random.normal(jax.random.key(0), (batch, side, side, 3))
    if mode == "devices":
        x = jax.device_put(x, batch_sharding(make_mesh()))
    if case == "resnet18":
        model = ResNet(depth=18, num_classes=10, small_images=True)
    elif case == "resnet50":
        model = MODELS["resnet50"](num_classes=10)
    elif case == "vgg11_forward":
        model = MODELS["vgg11"](num_classes=10)
        variables = _draw(model, x)
        forward = jax.jit(lambda v, x: model.apply(v, x, train=False))
        return lambda: jax.block_until_ready(forward(variables, x))
    elif case == "separable":
        return _make_separable(batch, side, 78, Conv, BatchNorm)
    else:
        return _make_epoch(x, Conv, loop="python" if mode == "loop" else "scan")
    return _make_step(model, _draw(model, x), x, jnp.arange(batch) % 10)


def _draw(model, x):
    """Values for all variables; compiling `init` takes longer than what is timed."""
    import jax
    import numpy as np

    from jaxdl.parallel import replicated_sharding

    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), x, train=False))
    generator = np.random.default_rng(0)

    def draw(leaf):
        if leaf.ndim < 2:
            return jax.numpy.ones(leaf.shape)
        scale = np.sqrt(2 / np.prod(leaf.shape[:-1]))
        return jax.numpy.asarray(generator.normal(0, scale, leaf.shape), leaf.dtype)

    variables = jax.tree.map(draw, shapes)
    if len(x.devices()) > 1:
        variables = jax.device_put(variables, replicated_sharding(x.sharding.mesh))
    return variables


def _make_step(model, variables, x, labels):
    import jax
    import optax

    optimizer = optax.sgd(0.01, momentum=0.9)

    def loss_fn(params, statistics, x):
        logits, updates = model.apply(
            {"params": params, "batch_stats": statistics},
            x,
            train=True,
            mutable=["batch_stats"],
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), updates["batch_stats"]

    def step(params, statistics, momentum, x):
        grad_fn = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, statistics), grads = grad_fn(params, statistics, x)
        updates, momentum = optimizer.update(grads, momentum)
        return optax.apply_updates(params, updates), statistics, momentum, loss

    state = (
        variables["params"],
        variables["batch_stats"],
        optimizer.init(variables["params"]),
    )
    step = jax.jit(step, donate_argnums=(0, 1, 2))

    def call():
        nonlocal state
        params, statistics, momentum = state
        *state, loss = step(params, statistics, momentum, x)
        loss.block_until_ready()

    return call


def _make_separable(batch, side, channels, Conv, BatchNorm):
    import jax
    from flax import linen as nn

    class Node(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = Conv(channels, 3, groups=channels)(nn.relu(x))
            return BatchNorm()(Conv(channels, 1)(x), train=True)

    x = jax.random.normal(jax.random.key(0), (batch, side, side, channels))
    variables = Node().init(jax.random.key(0), x)

    @jax.jit
    def forward_and_backward(params, x):
        def loss(params, x):
            variables = {"params": params, "batch_stats": statistics}
            y, _ = Node().apply(variables, x, mutable=["batch_stats"])
            return jax.numpy.square(y).sum()

        return jax.grad(loss, argnums=(0, 1))(params, x)

    params, statistics = variables["params"], variables["batch_stats"]
    return lambda: jax.block_until_ready(forward_and_backward(params, x))


def _make_epoch(x, Conv, *, loop):
    import jax
    import jax.numpy as jnp
    from flax import linen as nn

    class Small(nn.Module):
        @nn.compact
        def __call__(self, x):
            for features in (16, 32, 32):
                x = nn.relu(Conv(features, 3)(x))
            return x.mean((1, 2)) @ self.param("head", nn.initializers.ones, (32, 10))

    model = Small()
    params = model.init(jax.random.key(0), x)
    batches = jnp.stack([x] * SCAN_STEPS)

    def step(params, x):
        loss = lambda params: jnp.square(jnp.asarray(model.apply(params, x))).mean()
        grads = jax.grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 1e-4 * g, params, grads), None

    if loop == "scan":
        epoch = jax.jit(lambda params: jax.lax.scan(step, params, batches)[0])
        return lambda: jax.block_until_ready(epoch(params))
    one = jax.jit(step)

    def call():
        current = params
        for i in range(SCAN_STEPS):
            current, _ = one(current, batches[i])
        jax.block_until_ready(current)

    return call


def work(mode: str, case: str, threads: int) -> None:
    """A side's process: times its call whenever it is asked to."""
    if mode.startswith("torch"):
        sys.path.insert(0, str(Path(__file__).parent))
        from torch_networks import make_call as make_torch_call

        call = make_torch_call(case, *CASES[case], mode=mode, threads=threads)
    else:
        sys.path.insert(0, str(Path(__file__).parents[2]))
        import jax

        if mode == "devices":
            jax.config.update("jax_num_cpu_devices", threads)
        call = make_call(case, *CASES[case], mode=mode)
    for _ in range(3):
        call()
    serve(call)


def compare(case: str, sides: list[str], arguments: argparse.Namespace) -> None:
    """Times the sides of a case in turns and prints the ratios."""
    options = ["--threads", str(arguments.threads), case]
    workers = {}
    for side in sides:
        is_torch = side.startswith("torch")
        python = arguments.torch_python if is_torch else sys.executable
        command = [python, __file__, "--worker", side, *options]
        workers[side] = Side(command, threads=arguments.threads)
    print_times(case, take_turns(workers, arguments))


def main() -> None:
    """Reads the command line and compares case by case."""
    parser = argparse.ArgumentParser(description="Times a step beside others.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="all by default")
    parser.add_argument("--sides", default="torch,torch.compile")
    add_turn_arguments(parser)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.cases[0], arguments.threads)
        return
    unknown = sorted(set(arguments.cases) - set(CASES))
    if unknown:
        parser.error(f"unknown case {unknown[0]!r}; there are {', '.join(CASES)}")
    for case in arguments.cases or CASES:
        others = ["loop"] if case == "scan" else arguments.sides.split(",")
        compare(case, ["jaxdl", *others], arguments)


if __name__ == "__main__":
    main()
