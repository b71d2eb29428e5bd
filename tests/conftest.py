"""One policy for every test: 8 devices, strict promotion, warnings are errors."""

import contextlib
import logging
import os

import jax
import pytest

# Compiling takes most of the suite's time, and slower code does as well here.
FLAG = "--xla_backend_optimization_level=1"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAG}".strip()
# More workers than collectives that may block one: see recipes/build.py.
os.environ.setdefault("NPROC", "128")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def data_dir():
    """The folder of real datasets; tests that need it are skipped without it."""
    folder = os.environ.get("JAXDL_DATA_DIR")
    if not folder:
        pytest.skip("JAXDL_DATA_DIR is not set")
    return folder


@pytest.fixture
def find_data(data_dir):
    """`find_data("a/b.npz")`: its path; the test is skipped where it is not there."""

    def find(name):
        path = os.path.join(data_dir, name)
        if not os.path.exists(path):
            pytest.skip(f"{name} is not in $JAXDL_DATA_DIR")
        return path

    return find


@pytest.fixture
def count_compiles(caplog):
    """`with count_compiles("step") as compiles:` counts compiles of jitted `step`."""

    @contextlib.contextmanager
    def count(name):
        start = len(caplog.records)
        with jax.log_compiles(True), caplog.at_level(logging.WARNING):
            yield lambda: sum(
                record.getMessage().startswith(f"Compiling jit({name})")
                for record in caplog.records[start:]
            )

    return count
