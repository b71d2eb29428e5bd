"""A run that is stopped twice and goes on with another mesh and another layout."""

import json
import signal

import numpy as np
import pytest

from jaxdl.recipes import training
from tests.checkpoints import read_arrays
from tests.scripts import ROOT, run_main

NUM_STEPS = 6
WORDS = (
    ROOT / "configs/train_classifier/quick.yaml",
    "model.name=mlp",
    "data.batch_size=32",
    "data.train_limit=200",
    "optimizer.learning_rate=0.01",
    "optimizer.ema_decay=0.5",
    f"schedule.duration={NUM_STEPS} steps",
    "run.log_every=1 step",
    f"run.evaluate_every={NUM_STEPS} steps",
    f"run.checkpoint_every={NUM_STEPS} steps",
    "run.tensorboard=false",
)
SESSIONS = {
    2: ("mesh.data=8", "layout.share=everything"),
    4: ("mesh.data=2", "mesh.model=4", "layout.share=optimizer"),
    NUM_STEPS: ("mesh.data=1",),
}
"""The layout of each session, by the step after which it is stopped."""


@pytest.fixture
def stop_after(monkeypatch):
    """`stop_after(step)` sends a signal then; gives the steps that are made, shared."""
    make, last, steps = training.make_resident_advance, [None], []

    def make_advance(*arguments, **options):
        advance = make(*arguments, **options)

        def advance_and_stop(state, first_step, num_steps):
            state = advance(state, first_step, num_steps)
            specs = [leaf.sharding.spec for leaf in state.params["fc1"].values()]
            steps.append((first_step, any(any(spec) for spec in specs)))
            if first_step + num_steps == last[0]:
                signal.raise_signal(signal.SIGTERM)
            return state

        return advance_and_stop

    monkeypatch.setattr(training, "make_resident_advance", make_advance)

    def set_last(step):
        last[0] = step
        return steps

    return set_last


def run(folder, *words):
    words = (*WORDS, f"run.folder={folder}", "run.name=run", *words)
    return run_main("train_classifier", *words), folder / "train_classifier" / "run"


@pytest.mark.slow
def test_resume_with_another_layout_ends_with_the_same_numbers(stop_after, tmp_path):
    (status, message), whole = run(tmp_path / "whole", "mesh.data=1")
    assert status == 0, message
    for last, layout in SESSIONS.items():
        steps = stop_after(last if last < NUM_STEPS else None)
        (status, message), moved = run(tmp_path / "moved", "--resume", *layout)
        assert status == (128 + signal.SIGTERM if last < NUM_STEPS else 0), message
    assert steps == [
        *((step, False) for step in range(NUM_STEPS)),
        *((step, step < 4) for step in range(NUM_STEPS)),
    ]
    arrays, expected = (read_arrays(path, NUM_STEPS) for path in (moved, whole))
    assert arrays.keys() == expected.keys()
    for name, reference in expected.items():
        atol = 1e-6 * np.abs(reference).max()
        np.testing.assert_allclose(arrays[name], reference, rtol=0, atol=atol)
    rows = [
        [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
        for path in (moved, whole)
    ]
    assert len(rows[0]) == len(rows[1]) == NUM_STEPS + 1
    for ours, other in zip(*rows, strict=True):
        # The sums over each batch show that it holds the same examples.
        assert ours["accuracy"] == other["accuracy"]
        assert ours["loss"] == pytest.approx(other["loss"], rel=1e-6)
