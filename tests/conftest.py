"""One policy for every test: 8 devices, strict promotion, warnings are errors."""

import os

import jax
import pytest

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
