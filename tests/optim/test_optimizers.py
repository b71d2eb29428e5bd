"""Every optimiser against the same rule written out in float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.optim import OPTIMIZERS, cosine_schedule, lars, make_optimizer

NUM_STEPS = 5


def make_problem():
    """A kernel and a bias, and gradients for each step."""
    generator = np.random.default_rng(0)
    shapes = {"kernel": (3, 2), "bias": (2,)}
    draw = lambda: {
        name: generator.normal(size=shape) for name, shape in shapes.items()
    }
    return draw(), [draw() for _ in range(NUM_STEPS)]


def run_jaxdl(optimizer, params, grads):
    """Applies the optimiser in float32, compiled, one gradient after the other."""
    params, grads = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (params, grads))
    state = optimizer.init(params)

    @jax.jit
    def step(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for g in grads:
        params, state = step(params, state, g)
    return params


def run_numpy(rule, params, grads, *, clip_norm=None):
    """Applies `rule(param, grad, memory, step) -> change` to each array."""
    params = {name: x.copy() for name, x in params.items()}
    memory = {name: {"m": 0.0, "v": 0.0} for name in params}
    for step, g in enumerate(grads):
        norm = np.sqrt(sum((x**2).sum() for x in g.values()))
        factor = min(1.0, clip_norm / norm) if clip_norm else 1.0
        for name, x in params.items():
            params[name] = x + rule(x, g[name] * factor, memory[name], step)
    return params


def sgd_rule(*, rate, momentum, nesterov, decay):
    def rule(x, g, memory, step):
        g = g + decay * x * (x.ndim > 1)
        memory["m"] = momentum * memory["m"] + g
        direction = g + momentum * memory["m"] if nesterov else memory["m"]
        return -rate(step) * direction

    return rule


def lars_rule(*, rate, momentum, nesterov, decay, trust=0.001):
    def rule(x, g, memory, step):
        if x.ndim > 1:
            g = g + decay * x
            g = g * trust * np.linalg.norm(x) / np.linalg.norm(g)
        g = -rate(step) * g
        memory["m"] = momentum * memory["m"] + g
        return g + momentum * memory["m"] if nesterov else memory["m"]

    return rule


def adam_rule(*, rate, b1, b2, eps, decay, trust):
    def rule(x, g, memory, step):
        memory["m"] = b1 * memory["m"] + (1 - b1) * g
        memory["v"] = b2 * memory["v"] + (1 - b2) * g**2
        m_hat = memory["m"] / (1 - b1 ** (step + 1))
        v_hat = memory["v"] / (1 - b2 ** (step + 1))
        u = m_hat / (np.sqrt(v_hat) + eps)
        if x.ndim > 1:
            u = u + decay * x
            if trust:
                u = u * np.linalg.norm(x) / np.linalg.norm(u)
        return -rate(step) * u

    return rule


def constant(step):
    return 0.1


def cosine(step):
    return 0.05 * (1 + np.cos(np.pi * step / 10))


MOMENTUM = {"momentum": 0.8, "nesterov": True}
ADAM = {"b1": 0.8, "b2": 0.95, "eps": 1e-3}
TABLE = [
    ("sgd", MOMENTUM, sgd_rule),
    ("sgd", {"momentum": 0.8, "nesterov": False}, sgd_rule),
    ("sgd", {"momentum": 0.0, "nesterov": False}, sgd_rule),
    ("lars", MOMENTUM, lars_rule),
    ("lars", {"momentum": 0.8, "nesterov": False}, lars_rule),
    ("adamw", ADAM, lambda **options: adam_rule(**options, trust=False)),
    ("adamw", {**ADAM, "b1": 0.0}, lambda **options: adam_rule(**options, trust=False)),
    ("lamb", ADAM, lambda **options: adam_rule(**options, trust=True)),
]


def test_the_table_covers_every_optimizer():
    assert {name for name, _, _ in TABLE} == set(OPTIMIZERS)


@pytest.mark.parametrize(("name", "options", "make_rule"), TABLE)
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_optimizer_equals_numpy_in_float64(
    name, options, make_rule, weight_decay, clip_norm
):
    params, grads = make_problem()
    optimizer = make_optimizer(
        name, 0.1, weight_decay=weight_decay, clip_norm=clip_norm, **options
    )
    rule = make_rule(rate=constant, decay=weight_decay, **options)
    expected = run_numpy(rule, params, grads, clip_norm=clip_norm)
    updated = run_jaxdl(optimizer, params, grads)
    for leaf in expected:
        assert updated[leaf].dtype == jnp.float32
        np.testing.assert_allclose(updated[leaf], expected[leaf], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "make_rule"), [TABLE[0], TABLE[3], TABLE[5], TABLE[7]]
)
def test_optimizer_follows_a_schedule_from_step_zero(name, options, make_rule):
    params, grads = make_problem()
    optimizer = make_optimizer(name, cosine_schedule(0.1, num_steps=10), **options)
    expected = run_numpy(make_rule(rate=cosine, decay=0.0, **options), params, grads)
    updated = run_jaxdl(optimizer, params, grads)
    for leaf in expected:
        np.testing.assert_allclose(updated[leaf], expected[leaf], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_decays_matrices_alone(name):
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2), "scale": jnp.ones(2)}
    zeros = jax.tree.map(jnp.zeros_like, params)
    optimizer = make_optimizer(name, 0.1, weight_decay=0.5)
    updates, _ = optimizer.update(zeros, optimizer.init(params), params)
    assert (updates["kernel"] < 0).all()
    assert not updates["bias"].any()
    assert not updates["scale"].any()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_stays_finite_for_zero_parameters_and_gradients(name):
    zeros = {"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}
    optimizer = make_optimizer(name, 0.1, weight_decay=0.1, clip_norm=1.0)
    updates, _ = optimizer.update(zeros, optimizer.init(zeros), zeros)
    assert not any(x.any() for x in jax.tree.leaves(updates))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_state_can_be_donated(name):
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    optimizer = make_optimizer(name, 0.1)
    step = jax.jit(
        lambda state: optimizer.update(params, state, params)[1], donate_argnums=0
    )
    state = step(step(optimizer.init(params)))
    assert jax.tree.structure(state) == jax.tree.structure(optimizer.init(params))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_keeps_the_dtype_of_bfloat16_parameters(name):
    params = {"kernel": jnp.ones((2, 2), jnp.bfloat16)}
    optimizer = make_optimizer(name, cosine_schedule(0.1, num_steps=3))
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    assert updates["kernel"].dtype == jnp.bfloat16


def test_lars_reads_its_trust_coefficient():
    params, grads = make_problem()
    options = {"momentum": 0.9, "nesterov": False}
    rule = lars_rule(rate=constant, decay=0.1, trust=0.5, **options)
    optimizer = lars(0.1, weight_decay=0.1, trust_coefficient=0.5, **options)
    expected, updated = (
        run_numpy(rule, params, grads),
        run_jaxdl(optimizer, params, grads),
    )
    np.testing.assert_allclose(updated["kernel"], expected["kernel"], rtol=1e-5)


def run_published_lars(params, grads, rates, bias_rates, *, decay, trust, is_clipped):
    """Momentum without the rate in it, and two rates, as the authors' code has it."""
    params, sums = dict(params), dict.fromkeys(params, 0.0)
    for g, rate, bias_rate in zip(grads, rates, bias_rates, strict=True):
        for name, x in params.items():
            direction, own_rate = g[name], bias_rate
            if x.ndim != 1:
                direction, own_rate = direction + decay * x, rate
                length, size = np.sqrt((direction**2).sum()), np.sqrt((x**2).sum())
                if length > 0 and size > 0:
                    local = trust * size / length
                    if is_clipped:
                        local = min(local / rate, 1.0) if rate else 1.0
                    direction = direction * local
            sums[name] = 0.9 * sums[name] + direction
            params[name] = x - own_rate * sums[name]
    return params


@pytest.mark.parametrize("is_clipped", [False, True])
def test_lars_takes_the_steps_of_the_published_pre_training(is_clipped):
    generator = np.random.default_rng(1)
    shapes = {"conv": (3, 3, 2, 4), "dense": (4, 3), "bias": (3,), "scale": (4,)}
    shapes |= {"zeros": (2, 3), "still": (3, 2)}
    draw = lambda: {name: generator.normal(size=s) for name, s in shapes.items()}
    params, grads = draw(), [draw() for _ in range(7)]
    params["zeros"] *= 0
    for g in grads:
        g["still"] *= 0
        g["dense"] *= 50  # an array that stays below the clipping, and one above it
    schedule = cosine_schedule(0.6, num_steps=10, warmup_steps=2)
    bias_schedule = lambda step: schedule(step) * 0.024
    decay, trust = (0.0, 0.5) if is_clipped else (1e-2, 0.02)
    optimizer = make_optimizer(
        "lars",
        schedule,
        nesterov=False,
        weight_decay=decay,
        trust_coefficient=trust,
        rate_after_momentum=True,
        bias_learning_rate=bias_schedule,
        clip_trust_ratio=is_clipped,
    )
    steps = np.arange(7)
    rates = 0.3 * (1 + np.cos(np.pi * np.maximum(steps - 2, 0) / 8))
    rates = rates * np.minimum(steps / 2, 1)
    updated = run_jaxdl(optimizer, params, grads)
    options = {"decay": decay, "trust": trust, "is_clipped": is_clipped}
    expected = run_published_lars(params, grads, rates, 0.024 * rates, **options)
    for leaf in expected:
        np.testing.assert_allclose(updated[leaf], expected[leaf], rtol=2e-5, atol=1e-6)


def test_lars_takes_numbers_for_both_rates_before_the_momentum():
    params, grads = make_problem()
    options = {"momentum": 0.8, "nesterov": True}
    optimizer = lars(0.1, bias_learning_rate=0.02, **options)
    updated = run_jaxdl(optimizer, params, grads)
    for leaf, rate in (("kernel", 0.1), ("bias", 0.02)):
        rule = lars_rule(rate=lambda step, rate=rate: rate, decay=0.0, **options)
        expected = run_numpy(rule, params, grads)[leaf]
        np.testing.assert_allclose(updated[leaf], expected, rtol=1e-5, atol=1e-6)


def test_lars_with_all_its_options_keeps_bfloat16_and_can_be_donated():
    params = {"kernel": jnp.ones((2, 2), jnp.bfloat16), "bias": jnp.ones(2)}
    optimizer = lars(0.1, bias_learning_rate=0.2, clip_trust_ratio=True)
    step = jax.jit(
        lambda state: optimizer.update(params, state, params), donate_argnums=0
    )
    updates, state = step(step(optimizer.init(params))[1])
    dtypes = jax.tree.map(lambda x: x.dtype, (updates, params))
    assert dtypes[0] == dtypes[1]
    assert jax.tree.structure(state) == jax.tree.structure(optimizer.init(params))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adam", {}, "name must be one of adamw, lamb, lars, sgd, got 'adam'"),
        ("sgd", {"weight_decay": -1.0}, "weight_decay.*at least 0.*-1.0"),
        ("sgd", {"momentum": 1.0}, r"momentum.*\[0, 1\).*1.0"),
        ("adamw", {"b1": -0.1}, r"b1.*\[0, 1\).*-0.1"),
        ("adamw", {"b2": 1.0}, r"b2.*\[0, 1\).*1.0"),
        ("lamb", {"eps": 0.0}, "eps.*above 0.*0.0"),
        ("sgd", {"clip_norm": 0.0}, "clip_norm.*above 0.*0.0"),
        ("lars", {"trust_coefficient": 0.0}, "trust_coefficient.*above 0.*0.0"),
        ("lars", {"bias_learning_rate": -1.0}, "bias_learning_rate.*at least 0.*-1.0"),
        ("sgd", {"trust_coefficient": 0.02}, "'sgd' does not read trust_coeff.*0.02"),
        ("adamw", {"rate_after_momentum": True}, "'adamw' does not read rate_after_m"),
        (
            "lamb",
            {"bias_learning_rate": 0.1},
            "'lamb' does not read bias_learning_rate",
        ),
        ("sgd", {"clip_trust_ratio": True}, "'sgd' does not read clip_trust_ratio"),
    ],
)
def test_make_optimizer_names_the_bad_argument(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_optimizer(name, 0.1, **options)
