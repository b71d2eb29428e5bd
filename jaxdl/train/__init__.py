"""One training loop for every task: state, step, loop, checkpoints, run folder.

Start with `make_train_step`; the tasks differ only in the loss function they give it.
"""

from jaxdl.train.advance import (
    Advance,
    make_resident_advance,
    make_streamed_advance,
)
from jaxdl.train.checkpoint import CheckpointStore, Restored, abstract_tree
from jaxdl.train.diagnosis import find_nonfinite
from jaxdl.train.evaluation import evaluate, make_evaluation_step
from jaxdl.train.loggers import (
    GuardedLogger,
    JsonLinesLogger,
    Logger,
    TensorBoardLogger,
    WandbLogger,
    log_row,
)
from jaxdl.train.loop import Hooks, Intervals, train
from jaxdl.train.manifest import write_json
from jaxdl.train.noise import MeasuredStatistics, compute_noise
from jaxdl.train.progress import ProgressDisplay
from jaxdl.train.run_folder import (
    RunFolder,
    describe_environment,
    lock_run_folder,
    read_rows,
    truncate_rows,
    write_environment,
)
from jaxdl.train.signals import StopRequest
from jaxdl.train.state import (
    LossFunction,
    TrainState,
    init_train_state,
    init_variables,
    state_from_items,
    state_items,
)
from jaxdl.train.step import TrainStep, make_gradient, make_train_step

__all__ = [
    "Advance",
    "CheckpointStore",
    "GuardedLogger",
    "Hooks",
    "Intervals",
    "JsonLinesLogger",
    "Logger",
    "LossFunction",
    "MeasuredStatistics",
    "ProgressDisplay",
    "Restored",
    "RunFolder",
    "StopRequest",
    "TensorBoardLogger",
    "TrainState",
    "TrainStep",
    "WandbLogger",
    "abstract_tree",
    "compute_noise",
    "describe_environment",
    "evaluate",
    "find_nonfinite",
    "init_train_state",
    "init_variables",
    "lock_run_folder",
    "log_row",
    "make_evaluation_step",
    "make_gradient",
    "make_resident_advance",
    "make_streamed_advance",
    "make_train_step",
    "read_rows",
    "state_from_items",
    "state_items",
    "train",
    "truncate_rows",
    "write_environment",
    "write_json",
]
