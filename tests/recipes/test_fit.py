"""Whole runs of the tiny linear task: stopped, crashed, damaged, resumed."""

import dataclasses
import json
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.data import from_arrays
from jaxdl.errors import CheckpointError, DataError, NonFiniteError
from jaxdl.parallel import make_mesh, tree_shardings
from jaxdl.recipes.fit import Fit, collect_outputs
from jaxdl.recipes.task import Plan, Task
from jaxdl.train import (
    Intervals,
    RunFolder,
    StopRequest,
    checkpoint,
    init_train_state,
    make_evaluation_step,
    make_resident_advance,
    make_train_step,
    read_rows,
    state_items,
)
from tests.train.linear_task import Sums, linear_loss

SEED, BATCH_SIZE, NUM_STEPS = 5, 8, 12


def make_dataset(*, seed=0):
    generator = np.random.default_rng(seed)

    def pair(count):
        images = generator.integers(0, 256, (count, 2, 2, 3), np.uint8)
        return images, np.arange(count) % 3

    return from_arrays(pair(20), validation=pair(9), test=pair(5))


def evaluate_batch(params, model_state, batch):
    x = batch["images"].astype(jnp.float32).mean(axis=(1, 2)) / 255
    logits = x @ params["kernel"] + params["bias"].reshape(1, -1)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["labels"])
    mask = batch["mask"]
    sums = Sums(mask.sum(dtype=jnp.int32), jnp.where(mask, losses, 0.0).sum())
    return sums, {"loss": losses}


def compute(sums):
    loss = float(sums.loss_sum) / int(sums.count)
    # Not monotonic, so the best step is neither the first nor the last.
    return {"loss": loss, "accuracy": math.sin(1e4 * loss), "count": int(sums.count)}


class Setup:
    """The compiled parts of a run, shared by all tests; each `open` is a session."""

    def __init__(self, *, devices=1, loss_fn=linear_loss, compute=compute):
        self.mesh = make_mesh(data=devices)
        self.dataset, self.optimizer = make_dataset(), optax.sgd(0.5, momentum=0.9)
        self.loss_fn = loss_fn
        shardings = tree_shardings(self.make_state(), self.mesh)
        self.advance = make_resident_advance(
            make_train_step(loss_fn, self.optimizer, state_shardings=shardings),
            self.dataset.splits["train"],
            mesh=self.mesh,
            batch_size=BATCH_SIZE,
            state_shardings=shardings,
            seed=SEED,
        )
        self.task = Task(
            loss_fn=loss_fn,
            evaluation_step=make_evaluation_step(evaluate_batch),
            empty_totals=Sums(jnp.zeros((), jnp.int32), jnp.zeros(())),
            compute=compute,
        )

    def make_state(self):
        variables = {
            "params": {"kernel": jnp.full((3, 3), 0.1), "bias": jnp.zeros(3)},
            "seen": jnp.zeros((), jnp.int32),
        }
        batch = self.dataset.splits["train"].read(np.arange(BATCH_SIZE))
        state = init_train_state(
            variables, self.loss_fn, self.optimizer, batch, key=jax.random.key(0)
        )
        return jax.device_put(state, tree_shardings(state, self.mesh))

    def open(self, path, *, stop=None, dataset=None, every=(3, 4, 4), task=None):
        plan = Plan(
            num_steps=NUM_STEPS,
            intervals=Intervals(*every),
            batch_size=BATCH_SIZE,
            eval_batch_size=4,
            accumulate=1,
            max_steps=1,
            num_workers=1,
            schedule=lambda step: 0.5,
            seed=SEED,
        )
        path.mkdir(exist_ok=True)
        return Fit(
            RunFolder(path),
            task or self.task,
            plan,
            dataset or self.dataset,
            self.mesh,
            self.make_state(),
            keep_last=2,
            stop=stop or StopRequest(),
        )

    def run(self, path, *, advance=None, **options):
        """One session; its result and the best step."""
        with self.open(path, **options) as fit:
            state = fit.run(advance or self.advance)
            return state, fit.store.best_step()


class StopAtPoll(StopRequest):
    """A stop that arrives just before the n-th time that anyone asks."""

    def __init__(self, limit=math.inf):
        super().__init__()
        self.polls, self.limit = 0, limit

    @property
    def requested(self):
        self.polls += 1
        return self.polls > self.limit


@pytest.fixture(scope="module")
def setup():
    return Setup()


@pytest.fixture(scope="module")
def whole(setup, tmp_path_factory):
    """An uninterrupted run: its folder, state, best step and number of polls."""
    path, stop = tmp_path_factory.mktemp("runs") / "whole", StopAtPoll()
    state, best = setup.run(path, stop=stop)
    return path, jax.device_get(state_items(state)), best, stop.polls


def assert_same_as_whole(whole, path, state, best):
    whole_path, items, whole_best, _ = whole
    chex.assert_trees_all_equal(jax.device_get(state_items(state)), items)
    found = (path / "metrics.jsonl").read_bytes()
    assert found == (whole_path / "metrics.jsonl").read_bytes()
    assert best == whole_best


def test_fit_writes_the_rows_it_promises(whole):
    path, _, best, _ = whole
    rows = [(row["step"], row["split"]) for row in read_rows(path / "metrics.jsonl")]
    assert rows == [
        (3, "train"),
        (4, "validation"),
        (6, "train"),
        (8, "validation"),
        (9, "train"),
        (12, "train"),
        (12, "validation"),
    ]
    counts = {row["step"]: row["count"] for row in read_rows(path / "metrics.jsonl")}
    assert counts == {3: 24, 4: 9, 6: 24, 8: 9, 9: 24, 12: 9}
    scores = {
        row["step"]: row["accuracy"]
        for row in read_rows(path / "metrics.jsonl")
        if row["split"] == "validation"
    }
    assert best == max(scores, key=scores.get)
    assert [row["step"] for row in read_rows(path / "timing.jsonl")] == [3, 6, 9, 12]


def test_fit_stopped_at_any_poll_and_resumed_ends_the_same(setup, whole, tmp_path):
    polls = whole[3]
    assert polls > 15
    for poll in range(polls):
        path = tmp_path / str(poll)
        state, _ = setup.run(path, stop=StopAtPoll(poll))
        with setup.open(path) as fit:
            # Nothing done is lost: the resumed run goes on at the very step.
            assert fit.first_step == int(state.step)
            assert not fit.warnings
            state = fit.run(setup.advance)
            assert_same_as_whole(whole, path, state, fit.store.best_step())


@pytest.mark.parametrize("polls", [1, 2, 5])
def test_fit_stopped_again_and_again_ends_the_same(polls, setup, whole, tmp_path):
    for _ in range(100):
        # Every session gets a little further: an evaluation takes three polls.
        stop = StopAtPoll(polls + 3)
        state, best = setup.run(tmp_path / "run", stop=stop)
        if stop.polls <= stop.limit:
            break
    assert_same_as_whole(whole, tmp_path / "run", state, best)


class Crash(Exception):
    pass


PLACES = {
    "log": (Fit, "_on_log"),
    "evaluate": (Fit, "_on_evaluate"),
    "checkpoint": (Fit, "_on_checkpoint"),
    "seal": (checkpoint, "write_manifest"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_fit_crashed_anywhere_and_resumed_ends_the_same(
    place, count, setup, whole, tmp_path, monkeypatch
):
    """Dies at the n-th log, evaluation, ...; rows may be ahead of checkpoints."""
    owner, name = PLACES[place]
    original, calls = getattr(owner, name), 0
    path = tmp_path / "run"

    def crash(*arguments):
        nonlocal calls
        calls += 1
        if calls == count:
            raise Crash
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, crash)
        try:
            setup.run(path)
            assert calls < count  # there is no such call
        except (Crash, CheckpointError):
            pass
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 1')  # a row half written by a kill
    assert_same_as_whole(whole, path, *setup.run(path))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_fit_warns_of_a_damaged_checkpoint_and_ends_the_same(setup, whole, tmp_path):
    setup.run(tmp_path / "run", stop=StopAtPoll(14))
    checkpoints = tmp_path / "run" / "checkpoints"
    newest = max(checkpoints.iterdir())
    flip(newest / "weights" / "_METADATA")
    with setup.open(tmp_path / "run") as fit:
        assert 0 < fit.first_step < int(newest.name)
        (warning,) = fit.warnings
        assert f"{newest.name}/weights/_METADATA: its sha256 differs" in warning
        state = fit.run(setup.advance)
        assert_same_as_whole(whole, tmp_path / "run", state, fit.store.best_step())
    # The damaged step was passed again; what is there now is whole.
    with setup.open(tmp_path / "run") as fit:
        assert fit.warnings == [] and fit.first_step == NUM_STEPS
        for step in fit.store.steps():
            fit.load_weights(step)


def test_fit_all_checkpoints_damaged_raises(setup, tmp_path):
    setup.run(tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        flip(path / "manifest.json")
    with pytest.raises(CheckpointError, match="none can be restored"):
        setup.open(tmp_path / "run")


def test_fit_evaluation_cut_short_gives_its_checkpoint_the_score_later(
    setup, whole, tmp_path
):
    """Polls 1 to 4 are steps, 5 is the first evaluation batch."""
    state, best = setup.run(tmp_path / "run", stop=StopAtPoll(5))
    assert int(state.step) == 4 and best is None
    with setup.open(tmp_path / "run", stop=StopAtPoll(6)) as fit:
        assert int(fit.run(setup.advance).step) < 8
        assert fit.store.best_step() == 4


def test_fit_resumes_on_another_device_count(setup, whole, tmp_path):
    _, items, _, _ = whole
    setup.run(tmp_path / "run", stop=StopAtPoll(14))
    eight = Setup(devices=8)
    with eight.open(tmp_path / "run") as fit:
        assert fit.first_step > 4
        assert all(len(leaf.devices()) == 8 for leaf in jax.tree.leaves(fit.state))
        state = fit.run(eight.advance)
    found = jax.device_get(state_items(state))
    chex.assert_trees_all_close(found, items, rtol=1e-5, atol=1e-6)


def test_fit_refuses_other_data(setup, tmp_path):
    setup.run(tmp_path / "run", stop=StopAtPoll(14))
    with pytest.raises(DataError, match="the data differ from those this run started"):
        setup.open(tmp_path / "run", dataset=make_dataset(seed=1))


def test_fit_failed_save_ends_the_run(setup, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jaxdl.train.checkpoint.write_manifest", fail)
    with pytest.raises(CheckpointError, match="00000004: could not be saved.*No space"):
        setup.run(tmp_path / "run")


def nan_at_step_nine(params, model_state, batch, *, key):
    loss, rest = linear_loss(params, model_state, batch, key=key)
    return jnp.where(model_state["seen"] == 9 * BATCH_SIZE, jnp.nan, loss), rest


def test_fit_nonfinite_names_step_array_and_last_good_checkpoint(tmp_path):
    setup = Setup(loss_fn=nan_at_step_nine)
    path = tmp_path / "run"
    before = {}

    def advance(state, first_step, num_steps):
        if first_step == 9:
            fit.store.wait()
            before.update(hash_tree(path / "checkpoints"))
        return setup.advance(state, first_step, num_steps)

    with setup.open(path) as fit, pytest.raises(NonFiniteError) as caught:
        fit.run(advance)
    message = str(caught.value)
    assert message.startswith("step 9: loss is not finite; ")
    assert f"the last good checkpoint is step 8 in {path / 'checkpoints'}" in message
    assert before and hash_tree(path / "checkpoints") == before
    assert [row["step"] for row in read_rows(path / "metrics.jsonl")][-1] == 9
    # Resuming meets it again: it is in the numbers, not in the machine.
    with setup.open(path) as fit, pytest.raises(NonFiniteError, match="step 9: loss"):
        fit.run(setup.advance)


def test_fit_nonfinite_before_any_checkpoint_says_so(tmp_path):
    def nan(params, model_state, batch, *, key):
        loss, rest = linear_loss(params, model_state, batch, key=key)
        return jnp.nan * loss, rest

    setup = Setup(loss_fn=nan)
    with pytest.raises(NonFiniteError, match="step 0: .*there is no checkpoint yet"):
        setup.run(tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()


def hash_tree(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_fit_nonfinite_score_is_never_the_best(setup, tmp_path):
    scores = iter([math.nan, 0.5, math.inf])

    def nan_at_first(sums):
        numbers = compute(sums)
        if numbers["count"] == 9:  # the validation split
            numbers["accuracy"] = next(scores)
        return numbers

    task = dataclasses.replace(setup.task, compute=nan_at_first)
    _, best = setup.run(tmp_path / "run", task=task)
    assert best == 8


def test_fit_score_and_outputs_of_a_split(setup, whole, tmp_path):
    with setup.open(tmp_path / "run") as fit:
        fit.run(setup.advance)
        params, model_state = fit.load_weights(NUM_STEPS)
        outputs, on_outputs = collect_outputs(5)
        numbers, sums = fit.score(
            "test", params=params, model_state=model_state, on_outputs=on_outputs
        )
        assert numbers["count"] == 5 and int(sums.count) == 5
        np.testing.assert_allclose(outputs["loss"].mean(), numbers["loss"], rtol=1e-6)
        assert fit.speed() > 0 and fit.seconds_at(6) < fit.seconds_at(12)
        assert fit.seconds_at(2) is None
    row = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().split("\n")[0])
    assert row["epoch"] == 3 * BATCH_SIZE / 20 and row["learning_rate"] == 0.5
