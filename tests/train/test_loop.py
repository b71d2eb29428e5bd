import flax.struct
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxdl.errors import NonFiniteError
from jaxdl.train import Hooks, Intervals, TrainState, train


@flax.struct.dataclass
class Count:
    steps: object


def make_state(step=0):
    """A state of plain numbers: the loop itself needs no device."""
    return TrainState(
        step=jnp.int32(step),
        params={},
        model_state={},
        optimizer_state=(),
        ema_params=None,
        key=None,
        totals=Count(steps=jnp.int32(0)),
        finite=jnp.bool_(True),
    )


class Recorder:
    """Hooks that write down what the loop does; `stop_when(self)` asks it to stop."""

    def __init__(self, *, stop_when=None, bad_step=None, cut_evaluations=0):
        self.events, self.dispatches = [], []
        self.stop_when, self.bad_step = stop_when, bad_step
        self.cut_evaluations = cut_evaluations

    def advance(self, state, first_step, num_steps):
        # After a bad step the state stays where it was.
        assert int(state.step) == first_step or not bool(state.finite)
        assert num_steps >= 1
        self.dispatches.append(num_steps)
        for step in range(first_step, first_step + num_steps):
            if not bool(state.finite) or step == self.bad_step:
                return state.replace(finite=jnp.bool_(False))
            state = state.replace(
                step=state.step + 1, totals=Count(steps=state.totals.steps + 1)
            )
        return state

    def evaluate(self, state):
        if self.cut_evaluations:
            self.cut_evaluations -= 1
            self.events.append(("cut", int(state.step)))
            return False
        self.events.append(("evaluate", int(state.step)))
        return True

    def hooks(self):
        return Hooks(
            log=lambda step, totals: self.events.append(
                ("log", step, int(totals.steps))
            ),
            evaluate=self.evaluate,
            checkpoint=lambda state: self.events.append(
                ("checkpoint", int(state.step))
            ),
            progress=lambda step: self.events.append(("progress", step)),
            should_stop=lambda: bool(self.stop_when and self.stop_when(self)),
        )

    def run(self, *, start=0, num_steps, every, **options):
        return train(
            make_state(start),
            self.advance,
            num_steps=num_steps,
            intervals=Intervals(*every),
            hooks=self.hooks(),
            **options,
        )

    def of(self, *kinds):
        return [event for event in self.events if event[0] in kinds]


def test_train_order_of_events_at_one_step():
    recorder = Recorder()
    recorder.run(num_steps=4, every=(2, 4, 4))
    assert recorder.events == [
        ("progress", 1),
        ("progress", 2),
        ("log", 2, 2),
        ("progress", 3),
        ("progress", 4),
        ("log", 4, 2),
        ("evaluate", 4),
        ("checkpoint", 4),
    ]


def test_train_last_step_counts_as_a_multiple():
    recorder = Recorder()
    state = recorder.run(num_steps=7, every=(4, 100, 5))
    assert int(state.step) == 7
    assert recorder.of("log", "evaluate", "checkpoint") == [
        ("log", 4, 4),
        ("checkpoint", 5),
        ("log", 7, 3),
        ("evaluate", 7),
        ("checkpoint", 7),
    ]


@settings(deadline=None, max_examples=40)
@given(
    num_steps=st.integers(1, 30),
    start=st.integers(0, 30),
    every=st.tuples(*[st.integers(1, 12)] * 3),
    max_steps=st.integers(1, 9),
)
def test_train_events_for_any_intervals(num_steps, start, every, max_steps):
    recorder = Recorder()
    recorder.run(start=start, num_steps=num_steps, every=every, max_steps=max_steps)
    steps = range(start + 1, num_steps + 1)
    due = lambda n: [s for s in steps if s % n == 0 or s == num_steps]
    expected = {
        "log": due(every[0]),
        "evaluate": due(every[1]),
        # What was scored is saved too: it may be the best.
        "checkpoint": sorted({*due(every[1]), *due(every[2])}),
    }
    for kind, steps_due in expected.items():
        assert [event[1] for event in recorder.of(kind)] == steps_due
    # Every step lies in exactly one logged sum; no dispatch runs past an event.
    assert sum(event[2] for event in recorder.of("log")) == len(steps)
    assert sum(recorder.dispatches) == len(steps)
    assert all(count <= max_steps for count in recorder.dispatches)
    order = {"log": 0, "evaluate": 1, "checkpoint": 2}
    found = [(event[1], order[event[0]]) for event in recorder.of(*order)]
    assert found == sorted(found)


@settings(deadline=None, max_examples=40)
@given(
    stop_at=st.integers(0, 20),
    every=st.tuples(*[st.integers(1, 8)] * 3),
    max_steps=st.integers(1, 4),
)
def test_train_stopped_and_continued_logs_the_same(stop_at, every, max_steps):
    options = {"num_steps": 20, "every": every, "max_steps": max_steps}
    whole = Recorder()
    whole.run(**options)
    asked = lambda r: any(e[1] >= stop_at for e in r.of("progress"))
    first = Recorder(stop_when=asked)
    state = first.run(**options)
    step = int(state.step)
    assert step >= min(stop_at, 1)
    if step:
        assert first.of("checkpoint")[-1] == ("checkpoint", step)
    assert first.events.count(("checkpoint", step)) <= 1
    second = Recorder()
    second.run(start=step, **options)
    kinds = ("evaluate", "checkpoint")
    extra = {("checkpoint", step)} - set(whole.of(*kinds))
    joined = [e for e in first.of(*kinds) + second.of(*kinds) if e not in extra]
    assert joined == whole.of(*kinds)
    logged = [event[1] for event in first.of("log") + second.of("log")]
    assert logged == [event[1] for event in whole.of("log")]


def test_train_stop_before_the_first_step_does_nothing():
    recorder = Recorder(stop_when=lambda r: True)
    state = recorder.run(start=3, num_steps=9, every=(2, 2, 2))
    assert int(state.step) == 3 and recorder.events == []


def test_train_stop_between_events_saves_the_current_step():
    recorder = Recorder(stop_when=lambda r: ("progress", 3) in r.events)
    state = recorder.run(num_steps=9, every=(5, 5, 5))
    assert int(state.step) == 3
    assert recorder.events[-1] == ("checkpoint", 3)
    assert recorder.of("log", "evaluate") == []
    assert int(state.totals.steps) == 3  # kept for the resumed run's next log


def test_train_at_the_end_already_does_nothing():
    recorder = Recorder()
    recorder.run(start=9, num_steps=9, every=(5, 5, 5))
    assert recorder.events == []


def test_train_evaluation_cut_short_saves_and_ends():
    recorder = Recorder(cut_evaluations=1)
    state = recorder.run(num_steps=9, every=(2, 4, 8))
    assert int(state.step) == 4
    assert recorder.events[-2:] == [("cut", 4), ("checkpoint", 4)]


def test_train_evaluate_first_repeats_the_evaluation_before_any_step():
    recorder = Recorder()
    recorder.run(start=4, num_steps=6, every=(2, 4, 4), evaluate_first=True)
    assert recorder.events[:3] == [
        ("evaluate", 4),
        # Saved once more: the checkpoint gets the score it lacks.
        ("checkpoint", 4),
        ("progress", 5),
    ]


def test_train_saves_what_it_evaluates_off_the_checkpoint_interval():
    recorder = Recorder()
    recorder.run(num_steps=7, every=(7, 3, 100))
    assert recorder.of("evaluate", "checkpoint") == [
        ("evaluate", 3),
        ("checkpoint", 3),
        ("evaluate", 6),
        ("checkpoint", 6),
        ("evaluate", 7),
        ("checkpoint", 7),
    ]


def test_train_evaluate_first_cut_short_again_saves_and_ends():
    recorder = Recorder(cut_evaluations=1)
    state = recorder.run(start=4, num_steps=9, every=(2, 4, 4), evaluate_first=True)
    assert int(state.step) == 4
    assert recorder.events == [("cut", 4), ("checkpoint", 4)]


def test_train_evaluate_first_at_the_last_step():
    recorder = Recorder()
    recorder.run(start=9, num_steps=9, every=(2, 4, 4), evaluate_first=True)
    assert recorder.events == [("evaluate", 9), ("checkpoint", 9)]


@pytest.mark.parametrize("max_steps", [1, 3])
@pytest.mark.parametrize("every", [(4, 100, 100), (100, 4, 100), (100, 100, 4)])
def test_train_nonfinite_raises_and_never_saves_it(every, max_steps):
    recorder = Recorder(bad_step=5)
    with pytest.raises(NonFiniteError, match="step 5: ") as caught:
        recorder.run(num_steps=40, every=every, max_steps=max_steps)
    assert int(caught.value.state.step) == 5
    assert caught.value.exit_status == 4
    # Found at the next event, before that event's hook.
    assert max(event[1] for event in recorder.of("progress")) == 8
    for kind in ("log", "evaluate", "checkpoint"):
        assert all(event[1] <= 4 for event in recorder.of(kind))


def test_train_nonfinite_found_when_stopping():
    recorder = Recorder(bad_step=1, stop_when=lambda r: len(r.dispatches) == 3)
    with pytest.raises(NonFiniteError, match="step 1: "):
        recorder.run(num_steps=40, every=(10, 10, 10))
    assert recorder.of("checkpoint") == []


@pytest.mark.parametrize("name", ["log", "evaluate", "checkpoint"])
@pytest.mark.parametrize("value", [0, -3])
def test_intervals_name_a_bad_value(name, value):
    values = {"log": 1, "evaluate": 1, "checkpoint": 1, name: value}
    with pytest.raises(
        ValueError, match=f"{name} must be at least 1 step, got {value}"
    ):
        Intervals(**values)
