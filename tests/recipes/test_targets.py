"""When a run has reached its target, from its rows."""

import json

import pytest

from jaxdl.recipes.targets import Target, TargetStop, find_steps, make_reached
from jaxdl.train import StopRequest

LOSS = Target("train", "loss", 0.5)
ACCURACY = Target("validation", "accuracy", 0.9)


def make_rows(split, number, values, *, every=10):
    return [
        {"split": split, "step": every * (i + 1), number: value}
        for i, value in enumerate(values)
    ]


def test_find_steps_takes_a_mean_for_the_middle_of_its_steps():
    # Means of the losses before updates 1 to 10, 11 to 20 and 21 to 30: after 4.5,
    # 14.5 and 24.5 updates.
    rows = make_rows("train", "loss", [1.5, 0.9, 0.1])
    assert find_steps(rows, LOSS) == pytest.approx(14.5 + 10 * (0.9 - 0.5) / 0.8)
    assert find_steps(rows[:2], LOSS) is None
    # The loss of a straight line is known at each step.
    line = [1 - 0.01 * step for step in range(100)]
    means = [sum(line[i : i + 4]) / 4 for i in range(0, 100, 4)]
    rows = make_rows("train", "loss", means, every=4)
    assert find_steps(rows, LOSS) == pytest.approx(50)


def test_find_steps_takes_scores_where_they_were_taken():
    rows = make_rows("validation", "accuracy", [0.7, 0.8, 1.0])
    noise = make_rows("train", "accuracy", [1.0, 1.0])
    assert find_steps([*noise, *rows], ACCURACY) == pytest.approx(25)
    assert find_steps(rows[2:], ACCURACY) == 30
    assert find_steps(make_rows("train", "loss", [0.1], every=1), LOSS) == 1
    assert find_steps([], LOSS) is None


def test_target_says_what_it_is():
    assert LOSS.describe() == "a training loss of 0.5"
    assert ACCURACY.describe() == "a validation accuracy of 0.9"


def test_target_stop_asks_the_run_and_the_person(tmp_path):
    file, stop = tmp_path / "metrics.jsonl", StopRequest()
    both = TargetStop(stop, make_reached(file, LOSS))
    assert not both.requested
    for loss, expected in ((1.0, False), (0.4, True), (2.0, True)):
        with file.open("a") as lines:
            row = {"split": "train", "step": 1, "loss": loss}
            lines.write(json.dumps(row) + "\n")
        assert both.requested is expected
    assert not stop.requested
    stop.signal_number = 15
    assert TargetStop(stop, lambda: False).requested
