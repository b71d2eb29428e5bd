import io
import time

import pytest
from rich.console import Console

from jaxdl.train import ProgressDisplay


@pytest.fixture
def make_display():
    def make(*, terminal=False, first_step=0):
        console = Console(
            file=io.StringIO(), force_terminal=terminal, width=200, color_system=None
        )
        return ProgressDisplay(
            num_steps=40,
            first_step=first_step,
            examples_per_step=8,
            steps_per_epoch=10.0,
            console=console,
        )

    return make


def text_of(display):
    return display.console.file.getvalue()


def test_show_prints_one_line_where_there_is_no_terminal(make_display):
    with make_display() as display:
        for step in range(1, 31):
            display.advance(step)
        display.show(15, "train", {"loss": 0.25, "accuracy": 0.5}, speed=1234.5)
        display.show(20, "validation", {"loss": 1 / 3})
    assert text_of(display).splitlines() == [
        "step 15/40  epoch 1.50  train        loss 0.25  accuracy 0.5  1,234 images/s",
        "step 20/40  epoch 2.00  validation   loss 0.3333",
    ]


def test_show_never_wraps_a_line(make_display):
    with make_display() as display:
        display.show(5, "train", {f"number_{i}": float(i) for i in range(90)})
    assert len(text_of(display).splitlines()) == 1


def test_show_fills_the_bar_on_a_terminal(make_display):
    with make_display(terminal=True) as display:
        display.advance(15)
        display.show(15, "train", {"loss": 0.25, "accuracy": 0.5}, speed=1234.5)
        display.show(15, "validation", {"loss": 1 / 3})
    text = text_of(display)
    for part in ("epoch 1.5", "15/40", "loss 0.25", "1,234 images/s"):
        assert part in text
    assert "step 15/40  epoch 1.50  validation   loss 0.3333" in text
    assert "step 15/40  epoch 1.50  train" not in text


def test_display_starts_where_the_run_resumes(make_display):
    with make_display(terminal=True, first_step=20) as display:
        pass
    assert "epoch 2.0" in text_of(display) and "20/40" in text_of(display)


@pytest.mark.parametrize("terminal", [False, True])
def test_say_prints_the_text_as_it_is(terminal, make_display):
    with make_display(terminal=terminal) as display:
        display.say("run folder: /a/[bold]b[/bold] 17%")
    assert "run folder: /a/[bold]b[/bold] 17%" in text_of(display)


def test_lap_counts_examples_and_leaves_out_the_rest(make_display, monkeypatch):
    clock = iter([100.0, 104.0, 110.0, 111.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    display = make_display(first_step=10)  # at 100 s
    assert display.lap(20) == (4.0, 10 * 8 / 4.0)
    display.leave_out(2.0)  # an evaluation
    assert display.lap(25) == (4.0, 5 * 8 / 4.0)
    seconds, speed = display.lap(25)
    assert seconds == 1.0 and speed == 0.0
