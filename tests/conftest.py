"""One policy for every test: 8 devices, strict promotion, warnings are errors."""

import contextlib
import logging
import os
import tempfile

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

# Many programs are compiled more than once in a session: a resumed run's, those of the
# fixtures that each worker makes. They are kept for one session, so that none depends
# on another; workers find the folder in the environment that they are started with.
FOLDER = "JAXDL_TEST_PROGRAMS"
PROGRAMS = None
if not os.environ.get(FOLDER):
    PROGRAMS = tempfile.TemporaryDirectory(prefix="jaxdl_programs_")
    os.environ[FOLDER] = PROGRAMS.name
jax.config.update("jax_compilation_cache_dir", os.environ[FOLDER])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_configure(config):
    # Half a file, read while another worker writes it: the program is compiled instead.
    half = "ignore:Error reading persistent compilation cache entry:UserWarning"
    config.addinivalue_line("filterwarnings", half)


def pytest_unconfigure():
    if PROGRAMS is not None:
        PROGRAMS.cleanup()


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
