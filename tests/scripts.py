"""Running the experiment scripts from tests: in this process, or as a user would."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

from jaxdl.errors import JaxdlError

ROOT = Path(__file__).parents[1]
SCRIPTS = {path.stem: path for path in sorted((ROOT / "experiments").glob("*.py"))}
EXPERIMENTS = [path.parent.name for path in sorted(ROOT.glob("configs/*/quick.yaml"))]


def load_script(name):
    """The module of an experiment script."""
    spec = importlib.util.spec_from_file_location(f"script_{name}", SCRIPTS[name])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
