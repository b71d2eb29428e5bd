"""The training steps whose scaling is studied: built, read and timed."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxdl.data import Dataset, batch_indices
from jaxdl.diagnose import (
    LayerShapes,
    count_macs,
    list_layer_shapes,
    list_split_sums,
    split_share,
)
from jaxdl.errors import ConfigError
from jaxdl.models import Splits, list_splits
from jaxdl.parallel import (
    CollectiveReport,
    MemoryReport,
    collective_report,
    list_step_exchanges,
    make_mesh,
    memory_report,
    shard_batch,
)
from jaxdl.recipes.build import build_optimizer, check_image_size
from jaxdl.recipes.classifier import build_task
from jaxdl.recipes.classifier_building import build_classifier
from jaxdl.recipes.dataset_card import DatasetCard
from jaxdl.recipes.layout import build_rules
from jaxdl.recipes.scaling_study_config import Case, ScalingStudyConfig
from jaxdl.recipes.training import build_plan, build_step, build_surroundings
from jaxdl.train import TrainState, TrainStep, init_variables
from jaxdl.trees import named_leaves

_WARM_UP_STEPS = 2
_NUM_COMPILERS = 2


@dataclasses.dataclass(frozen=True, repr=False)
class Subject:
    """What is trained, wherever it runs.

    Attributes:
      config: the resolved config.
      dataset: has the split `"train"`.
      card: of the dataset.
      variables: the initial variables, never given away.
      layers: of one image.
      state: of one device, as shapes.
      splits: what the network says of itself.
    """

    config: ScalingStudyConfig
    dataset: Dataset
    card: DatasetCard
    variables: Mapping[str, Any]
    layers: Sequence[LayerShapes]
    state: Any
    splits: Splits


@dataclasses.dataclass(repr=False)
class Program:
    """A compiled step, and what it told of itself.

    Attributes:
      run: `run(state, batch) -> (state, statistics)`; takes the state over.
      state: before the next step.
      batch: on the devices.
      exchanges: what devices send each other.
      memory: per device.
      flops: that a device computes, as the compiler counts; None if it doesn't.
      seconds: of a step, a number for each round.
    """

    run: Callable[..., Any]
    state: TrainState
    batch: Any
    exchanges: CollectiveReport
    memory: MemoryReport
    flops: float | None
    seconds: list[float] = dataclasses.field(default_factory=list)

    @property
    def median_seconds(self) -> float:
        """Of a step, over the rounds."""
        return median(self.seconds)


def build_subject(config: ScalingStudyConfig) -> Subject:
    """The data and the network, and the devices if they are simulated.

    Args:
      config: the resolved config.

    Returns:
      What all cases have in common.

    Raises:
      ConfigError: there are too few devices, or the images are too small.
      DataError: the data can't be read.
    """
    training = config.to_training(config.list_cases()[0])
    _, dataset, card = build_surroundings(training, config.augment)
    wanted, there = max(config.study.devices), len(jax.devices())
    if wanted > there:
        hint = "; study.simulated_devices=N makes N of this CPU"
        raise ConfigError(
            f"study.devices: {wanted} wanted, there {'is' if there == 1 else 'are'} "
            f"{there}{hint * (jax.default_backend() == 'cpu')}"
        )
    classifier = build_classifier(training, card)
    check_image_size(classifier.model, card.image_shape)
    key = jax.random.key(config.run.seed)
    variables = init_variables(classifier.model, card.image_shape, key=key)
    image = jax.ShapeDtypeStruct((1, *card.image_shape), jnp.float32)
    layers = list_layer_shapes(classifier.model, variables, image)
    splits = list_splits(classifier.model)
    subject = Subject(config, dataset, card, variables, layers, None, splits)
    state, _ = _build_step(subject, config.list_cases()[0], make_mesh(data=1))
    describe = lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
    return dataclasses.replace(subject, state=jax.tree.map(describe, state))


def list_wanted_exchanges(
    subject: Subject, case: Case, *, scatters: bool | None = None
) -> CollectiveReport:
    """What the layout of a case has to send, whether or not there are such devices.

    Args:
      subject: what is trained.
      case: tells the layout.
      scatters: see `jaxdl.parallel.list_step_exchanges`; None for what XLA does here.

    Returns:
      See `jaxdl.parallel.list_step_exchanges`.

    Raises:
      ConfigError: the network has no such layout.
    """
    rules = _build_rules(subject, case)
    examples = -(-case.batch_size // case.data)
    sums = list_split_sums(subject.layers, rules) if case.model > 1 else []
    try:
        return list_step_exchanges(
            subject.state,
            data=case.data,
            model=case.model,
            rules=rules,
            activation_bytes=[examples * one.size * one.dtype.itemsize for one in sums],
            scatters=jax.default_backend() != "cpu" if scatters is None else scatters,
        )
    except ValueError as error:
        raise ConfigError(f"study.devices: {case.describe()}: {error}") from None


def find_split_share(subject: Subject, case: Case) -> float:
    """Part of the multiplications that devices along `"model"` share, in [0, 1]."""
    return split_share(subject.layers, _build_rules(subject, case))


def build_programs(
    subject: Subject, cases: Sequence[Case], *, say: Callable[[str], None]
) -> dict[Any, Program]:
    """Compiles the step of each case, as `train_classifier` would.

    Args:
      subject: what is trained.
      cases: in the order to build them.
      say: told what is being built.

    Returns:
      Programs by `Case.program`.

    Raises:
      ConfigError: see `build_training`.
    """
    distinct = {case.program: case for case in cases}
    programs = {}
    # XLA compiles without Python's lock; one program after another leaves cores idle.
    with ThreadPoolExecutor(_NUM_COMPILERS) as pool:
        lowered = {name: _lower(subject, case) for name, case in distinct.items()}
        waiting = {
            name: pool.submit(step.compile) for name, (step, *_) in lowered.items()
        }
        for number, (name, case) in enumerate(distinct.items(), start=1):
            say(f"[{number}/{len(distinct)}] {case.describe()}")
            programs[name] = _read_program(waiting[name].result(), *lowered[name][1:])
    return programs


def time_programs(programs: Mapping[Any, Program], *, rounds: int, steps: int) -> None:
    """Times all programs in turns, so that what else runs slows all alike.

    Args:
      programs: from `build_programs`; get their `seconds`.
      rounds: turns of each, at least 1.
      steps: per turn, at least 1.
    """
    for program in programs.values():
        _take_steps(program, _WARM_UP_STEPS)
    for _ in range(rounds):
        for program in programs.values():
            start = time.perf_counter()
            _take_steps(program, steps)
            program.seconds.append((time.perf_counter() - start) / steps)


def count_step_flops(subject: Subject, case: Case) -> int:
    """Floating-point operations of a step, over all devices, none of them twice.

    Args:
      subject: what is trained.
      case: tells the batch.

    Returns:
      Two for each multiply-accumulate of the step; see `jaxdl.diagnose.count_macs`.
    """
    state, step = _build_step(subject, case, make_mesh(data=1))
    return 2 * count_macs(step, state, _read_batch(subject, case))


def _build_step(
    subject: Subject, case: Case, mesh: Mesh
) -> tuple[TrainState, TrainStep]:
    training = subject.config.to_training(case)
    classifier = build_classifier(training, subject.card)
    plan = build_plan(training, len(subject.dataset.splits["train"]))
    # Copied: a state gives its buffers away with the first step.
    variables = jax.tree.map(jnp.copy, dict(subject.variables))
    is_separable = set(variables) == {"params"}
    return build_step(
        training,
        plan,
        build_task(training, classifier, subject.card, separable=is_separable),
        variables,
        build_optimizer(subject.config.optimizer, plan.schedule),
        subject.card.image_shape,
        mesh,
        key=jax.random.key(subject.config.run.seed),
    )


def _lower(subject: Subject, case: Case) -> tuple[Any, TrainState, Any]:
    """The step of a case before it is compiled, its state and its batch."""
    mesh = make_mesh(data=case.data, model=case.model)
    state, step = _build_step(subject, case, mesh)
    batch = shard_batch(_read_batch(subject, case), mesh)
    return step.lower(state, batch), state, batch  # pyright: ignore[reportFunctionMemberAccess]


def _read_program(compiled: Any, state: TrainState, batch: Any) -> Program:
    analysis = compiled.cost_analysis() or {}
    return Program(
        compiled,
        state,
        batch,
        collective_report(compiled),
        memory_report(compiled, state),
        analysis.get("flops"),
    )


def _read_batch(subject: Subject, case: Case) -> dict[str, Any]:
    split = subject.dataset.splits["train"]
    seed = subject.config.run.seed
    sizes = {"num_examples": len(split), "batch_size": case.batch_size}
    return split.read(batch_indices(0, seed=seed, **sizes))


def _build_rules(subject: Subject, case: Case) -> list[tuple[str, str]]:
    return build_rules(
        subject.config.to_training(case).layout,
        subject.splits,
        list(named_leaves(subject.state.params)),
        model_size=case.model,
    )


def _take_steps(program: Program, count: int) -> None:
    for _ in range(count):
        program.state, _ = program.run(program.state, program.batch)
    jax.block_until_ready(program.state)
