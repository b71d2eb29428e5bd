import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.optim import (
    SCHEDULES,
    constant_schedule,
    cosine_schedule,
    make_schedule,
    one_cycle_schedule,
    step_schedule,
)


def half_cosine(start, end, progress):
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def warmup(step, steps):
    return min(step / steps, 1.0) if steps else 1.0


def one_cycle(step):
    if step < 6:
        return half_cosine(0.4 / 25, 0.4, step / 6)
    return half_cosine(0.4, 0.4 / 25 / 1e4, min((step - 6) / 14, 1.0))


TABLE = {
    "constant": (constant_schedule(0.4), lambda step: 0.4),
    "constant with warm-up": (
        constant_schedule(0.4, warmup_steps=5),
        lambda step: 0.4 * warmup(step, 5),
    ),
    "cosine": (
        cosine_schedule(0.4, num_steps=20),
        lambda step: half_cosine(0.4, 0.0, min(step / 20, 1.0)),
    ),
    "cosine with warm-up to a floor": (
        cosine_schedule(0.4, num_steps=20, warmup_steps=4, final=0.1),
        lambda step: (
            0.4 * step / 4
            if step < 4
            else half_cosine(0.4, 0.1, min((step - 4) / 16, 1.0))
        ),
    ),
    "step": (
        step_schedule(0.4, milestones=[8, 12]),
        lambda step: 0.4 * 0.1 ** ((step >= 8) + (step >= 12)),
    ),
    "step with warm-up": (
        step_schedule(0.4, milestones=[8, 12, 12], factor=0.5, warmup_steps=10),
        lambda step: 0.4 * warmup(step, 10) * 0.5 ** ((step >= 8) + 2 * (step >= 12)),
    ),
    "one cycle": (one_cycle_schedule(0.4, num_steps=20), one_cycle),
}


@pytest.mark.parametrize("name", TABLE)
def test_schedule_equals_its_formula_in_float64(name):
    schedule, expected = TABLE[name]
    steps = np.arange(30)
    rates = jax.jit(jax.vmap(schedule))(jnp.asarray(steps))
    assert rates.dtype == jnp.float32
    np.testing.assert_allclose(
        rates, [expected(int(step)) for step in steps], rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("name", TABLE)
def test_schedule_takes_python_integers_and_arrays_alike(name):
    schedule, _ = TABLE[name]
    for step in (0, 7, 29):
        rate = schedule(step)
        assert rate.dtype == jnp.float32
        assert rate.shape == ()
        np.testing.assert_array_equal(rate, schedule(jnp.array(step, jnp.int32)))
        np.testing.assert_array_equal(rate, schedule(np.int64(step)))


@pytest.mark.parametrize("name", TABLE)
def test_schedule_stays_finite_at_the_last_int32_step(name):
    schedule, _ = TABLE[name]
    rate = schedule(jnp.array(2**31 - 1, jnp.int32))
    assert 0 <= rate <= 0.4


def test_step_schedule_is_exact_beyond_the_float32_integers():
    schedule = step_schedule(1.0, milestones=[2**24 + 1])
    assert schedule(2**24) == 1.0
    assert schedule(2**24 + 1) == np.float32(0.1)


def test_make_schedule_passes_on_what_each_schedule_reads():
    common = {"learning_rate": 0.4, "num_steps": 20}
    pairs = [
        (make_schedule("constant", **common, warmup_steps=5), "constant with warm-up"),
        (
            make_schedule("cosine", **common, warmup_steps=4, final=0.1),
            "cosine with warm-up to a floor",
        ),
        (
            make_schedule(
                "step", **common, milestones=(8, 12, 12), factor=0.5, warmup_steps=10
            ),
            "step with warm-up",
        ),
        (make_schedule("one_cycle", **common), "one cycle"),
    ]
    assert len(pairs) == len(SCHEDULES)
    for schedule, name in pairs:
        for step in (0, 3, 9, 15, 25):
            assert schedule(step) == TABLE[name][0](step)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cosin", {}, "name must be one of .*cosine.*'cosin'"),
        ("constant", {"learning_rate": -0.1}, "learning_rate.*-0.1"),
        ("constant", {"learning_rate": math.nan}, "learning_rate.*nan"),
        ("constant", {"learning_rate": math.inf}, "learning_rate.*inf"),
        ("constant", {"num_steps": 0}, "num_steps.*0"),
        ("cosine", {"warmup_steps": -1}, "warmup_steps.*-1"),
        ("cosine", {"warmup_steps": 20}, "warmup_steps.*num_steps=20.*20"),
        ("cosine", {"final": 0.5}, "final.*learning_rate=0.4.*0.5"),
        ("cosine", {"final": -0.5}, "final.*-0.5"),
        ("step", {}, r"milestones.*at least one.*\(\)"),
        ("step", {"milestones": (9, 8)}, r"milestones.*ascending.*\(9, 8\)"),
        ("step", {"milestones": (-1,)}, r"milestones.*\(-1,\)"),
        ("step", {"milestones": (8,), "factor": 0.0}, "factor.*0.0"),
        ("cosine", {"milestones": (8,)}, r"'cosine' does not read milestones.*\(8,\)"),
        ("one_cycle", {"warmup_steps": 2}, "'one_cycle' does not read warmup_steps.*2"),
        ("constant", {"final": 0.1}, "'constant' does not read final.*0.1"),
        ("constant", {"factor": 0.5}, "'constant' does not read factor.*0.5"),
    ],
)
def test_make_schedule_names_the_bad_argument(name, options, message):
    options = {"learning_rate": 0.4, "num_steps": 20, **options}
    with pytest.raises(ValueError, match=message):
        make_schedule(name, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"peak_at": 1.0}, "peak_at.*1.0"),
        ({"start_divisor": 0.5}, "start_divisor.*0.5"),
        ({"final_divisor": 0.0}, "final_divisor.*0.0"),
        ({"num_steps": 0}, "num_steps.*0"),
    ],
)
def test_one_cycle_schedule_names_the_bad_argument(options, message):
    with pytest.raises(ValueError, match=message):
        one_cycle_schedule(0.4, **{"num_steps": 10, **options})
