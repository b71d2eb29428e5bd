"""Running the experiment scripts from tests: in this process, or as a user would."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

from jaxdl.config import describe_fields
from jaxdl.errors import JaxdlError

ROOT = Path(__file__).parents[1]
SCRIPTS = {path.stem: path for path in sorted((ROOT / "experiments").glob("*.py"))}
EXPERIMENTS = [path.parent.name for path in sorted(ROOT.glob("configs/*/quick.yaml"))]

SMALL = {
    "schedule.duration": "2 steps",
    "run.evaluate_every": "1 steps",
    "run.log_every": "1 steps",
    "study.networks": "[mlp, resnet8_cifar]",
    "study.norms": "[layer]",
    "study.batch_sizes": "[8]",
    "study.rates": "[0.5]",
    "dense.width": "8",
    "dense.depth": "3",
    "dense.activations": "[relu]",
    "dense.initializers": "[normal_0.05]",
    "network.name": "resnet8_cifar",
    "theoretical": "[resnet8_cifar]",
    "effective": "[plain8_cifar]",
    "stack.depth": "2",
    "images.image_size": "16",
    "images.train_limit": "100",
    "images.batch_size": "4",
    "clip.num_frames": "4",
    "clip.height": "16",
    "clip.width": "16",
    "ratings.num_users": "9",
    "ratings.num_items": "8",
    "soft_impute.max_iterations": "2",
    "graph.num_nodes": "9",
    "graph.num_edges": "20",
    "matrix.other_ranks": "[0]",
    "components.num_shown": "2",
    "components.num_examples": "2",
    "neighbors.num_neighbors": "2",
    "compression.methods": "[channel]",
    "compression.shares": "[0.5]",
    "compression.calibration_images": "4",
    "training.duration": "1 steps",
    "finetuning.duration": "1 steps",
    "picture.max_side": "48",
    "strengths.count": "5",
}
"""What makes an experiment short, by field; those that it has are set in tests."""

SMALL_BY_NAME = {
    "svd_compress_network": {"model.name": "mlp"},
    "svd_eigenimages": {"components.counts": "[1, 4]"},
    "pretrain_barlow_twins": {
        "model.name": "mlp",
        "schedule.warmup": "0 steps",
        "projector.widths": "[16]",
        "monitor.bank_images": "100",
    },
    "train_classifier": {"model.name": "mlp"},
    "train_rbf": {
        "model.name": "mlp",
        "head.num_centers": "3",
        "centers.warm_start": "1 steps",
        "centers.num_examples": "50",
        "report.num_examples": "40",
        "report.num_maps": "1",
        "report.num_queries": "2",
        "report.num_similar": "3",
        "report.tsne_images": "12",
    },
    "rbf_study": {
        "study.candidates": "[softmax, rbf]",
        "study.num_seeds": "1",
        "head.num_centers": "3",
        "centers.warm_start": "1 steps",
        "centers.num_examples": "50",
    },
    # Shapes and steps of recipes/test_rbf_classical.py: programs are compiled once.
    "rbf_classical": {
        "images.train_limit": "200",
        "centers.counts": "[10]",
        "centers.num_seeds": "1",
        "descent.num_steps": "20",
        "function.counts": "[20]",
        "function.num_steps": "20",
    },
    "large_batch_study": {
        "study.optimizers": "[sgd]",
        "study.learning_rates": "[0.1]",
        "study.scaling": "[linear]",
        "schedule.warmup": "1 steps",
    },
    "federated": {
        "federated.alphas": "[1.0]",
        "federated.algorithms": "[fedavg]",
        "federated.rounds": "2",
        "central.epochs": "1",
        "energy.device_seconds": "1e-4",
        "energy.server_seconds": "1e-5",
    },
    "scaling_study": {
        "model.name": "mlp",
        "data.image_size": "null",
        "study.devices": "[1, 2]",
        "study.strong": "[data]",
        "study.weak": "[]",
        "study.rounds": "1",
    },
    "search": {
        "run.num_trials": "2",
        "overrides": "{model.name: mlp, schedule.duration: 2 steps}",
    },
}
"""What else one of them needs."""


def load_script(name):
    """The module of an experiment script."""
    spec = importlib.util.spec_from_file_location(f"script_{name}", SCRIPTS[name])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def list_small(name):
    """The overrides that make an experiment short."""
    fields = {field.key for field in describe_fields(load_script(name).Config)}
    small = {key: value for key, value in SMALL.items() if key in fields}
    small |= SMALL_BY_NAME.get(name, {})
    return [f"{key}={value}" for key, value in small.items()]


def run_main(name, *argv):
    """Exit status and message of a script, without the cost of a new process."""
    try:
        return load_script(name).main([str(word) for word in argv]) or 0, ""
    except JaxdlError as error:
        return error.exit_status, str(error)


def run_script(name, *argv, cache=None, cwd=ROOT, timeout=300, **variables):
    """Runs a script in a process of its own, free of this one's JAX settings."""
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("JAX_", "XLA_")) and key != "JAXDL_DATA_DIR"
    }
    env |= {"JAX_PLATFORMS": "cpu", "COLUMNS": "200", **variables}
    if cache is not None:
        env["JAX_COMPILATION_CACHE_DIR"] = str(cache)
        env["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"
    start = time.perf_counter()
    process = subprocess.run(
        [sys.executable, str(SCRIPTS[name]), *map(str, argv)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        timeout=timeout,
    )
    process.seconds = time.perf_counter() - start
    return process
