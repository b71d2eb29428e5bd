import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxdl.durations import Duration, duration_steps, parse_duration


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("30 epochs", 30, "epochs"),
        ("1 epoch", 1, "epochs"),
        ("0.5 epochs", 0.5, "epochs"),
        ("5000 steps", 5000, "steps"),
        ("1e3 steps", 1000, "steps"),
        ("1 step", 1, "steps"),
        ("0 steps", 0, "steps"),
        ("2e6 examples", 2_000_000, "examples"),
        ("  7   examples  ", 7, "examples"),
    ],
)
def test_parse_duration_reads_number_and_unit(text, value, unit):
    assert parse_duration(text) == Duration(float(value), unit)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("30", ["'30'", "no duration", "30 epochs"]),
        ("", ["no duration"]),
        ("epochs", ["'epochs'", "no duration"]),
        ("30epochs", ["'30epochs'", "no duration"]),
        ("30 hours", ["'30 hours'", "no duration"]),
        ("30 epochs 5", ["no duration"]),
        ("thirty epochs", ["'thirty'", "not a number"]),
        ("-1 epochs", ["'-1 epochs'", "not negative"]),
        ("nan epochs", ["'nan epochs'", "finite"]),
        ("inf steps", ["'inf steps'", "finite"]),
        ("1e999 examples", ["finite"]),
        ("1.5 steps", ["'1.5 steps'", "whole number"]),
    ],
)
def test_parse_duration_refuses(text, words):
    with pytest.raises(ValueError) as error:
        parse_duration(text)
    for word in words:
        assert word in str(error.value)


@settings(deadline=None)
@given(
    st.floats(min_value=0, max_value=1e12, allow_nan=False),
    st.sampled_from(["epochs", "examples"]),
)
def test_duration_text_round_trips(value, unit):
    assert parse_duration(str(Duration(value, unit))) == Duration(value, unit)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        # 50 000 / 128 = 390.625 steps per epoch.
        ("1 epoch", 391),
        ("30 epochs", 11_719),
        ("0.5 epochs", 195),
        ("5000 steps", 5000),
        ("2e6 examples", 15_625),
        ("0 epochs", 0),
        ("0 steps", 0),
        ("1 example", 1),  # a little is not nothing
        ("1e-9 epochs", 1),
    ],
)
def test_duration_steps_converts(text, steps):
    duration = parse_duration(text)
    assert duration_steps(duration, num_examples=50_000, batch_size=128) == steps


@settings(deadline=None)
@given(
    st.integers(1, 10**6), st.integers(1, 4096), st.floats(0.1, 1000, allow_nan=False)
)
def test_duration_steps_of_epochs_equals_that_of_their_examples(count, batch, epochs):
    size = dict(num_examples=count, batch_size=batch)
    by_epochs = duration_steps(Duration(epochs, "epochs"), **size)
    by_examples = duration_steps(Duration(epochs * count, "examples"), **size)
    assert by_epochs == by_examples
    assert math.isclose(by_epochs, max(1, epochs * count / batch), abs_tol=0.501)


@pytest.mark.parametrize("name", ["num_examples", "batch_size"])
def test_duration_steps_refuses_empty(name):
    sizes = {"num_examples": 10, "batch_size": 2, name: 0}
    with pytest.raises(ValueError, match=f"{name} is 0"):
        duration_steps(Duration(1.0, "epochs"), **sizes)
