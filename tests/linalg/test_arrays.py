import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.linalg.arrays import (
    as_matrix,
    check_finite,
    full_precision,
    restore_scale,
    unit_scale,
)


def test_full_precision_reaches_the_products_inside():
    traced = str(jax.make_jaxpr(full_precision(jnp.dot))(jnp.ones(2), jnp.ones(2)))
    assert "HIGHEST" in traced
    assert "HIGHEST" not in str(jax.make_jaxpr(jnp.dot)(jnp.ones(2), jnp.ones(2)))


@pytest.mark.parametrize(
    "dtype", [jnp.int32, jnp.uint8, jnp.bfloat16, jnp.float16, bool]
)
def test_as_matrix_makes_float32(dtype):
    a = as_matrix("f", jnp.array([[1, 0], [0, 1]], dtype))
    assert a.dtype == jnp.float32
    np.testing.assert_array_equal(a, np.eye(2))


def test_as_matrix_keeps_float64():
    with jax.enable_x64(True):
        assert as_matrix("f", jnp.ones((2, 2))).dtype == jnp.float64


def test_as_matrix_names_what_does_not_fit():
    with pytest.raises(ValueError, match=r"f: wanted a matrix, got shape \(1, 2, 2\)"):
        as_matrix("f", jnp.ones((1, 2, 2)))
    with pytest.raises(ValueError, match=r"a matrix \(or a batch.*got shape \(2,\)"):
        as_matrix("f", jnp.ones(2), batched=True)
    with pytest.raises(ValueError, match="f: wanted real numbers, got complex64"):
        as_matrix("f", jnp.ones((2, 2), jnp.complex64))


def test_check_finite_counts_and_lets_traced_arrays_pass():
    a = jnp.array([1.0, jnp.nan, -jnp.inf])
    with pytest.raises(ValueError, match="pca: 2 of 3 numbers are NaN or infinite"):
        check_finite("pca", a)
    jax.jit(lambda a: check_finite("pca", a))(a)


TOPS = {
    "float32": (1.0, 3e38, 1e-30, 1.2e-38, 1e-38, 1e-42, 3e-45),
    "float64": (1.0, 1.7e308, 1e-300, 2.3e-308, 2e-308, 1e-315, 1e-323),
}


@pytest.mark.parametrize(
    ("dtype", "top"), [(dtype, top) for dtype in TOPS for top in TOPS[dtype]]
)
def test_unit_scale_is_exact_and_restore_scale_undoes_it(dtype, top):
    numbers = np.array([[0.75, -1.0, 0.0, 2.0**-10, -(2.0**-20), 1 / 3]])
    a = (numbers * top).astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        scaled, exponent = jax.jit(unit_scale)(jnp.asarray(a))
        back = jax.jit(restore_scale)(jnp.abs(scaled)[0], exponent[0])
    np.testing.assert_array_equal(back, np.abs(a)[0])
    fraction, power = np.frexp(np.float64(np.abs(scaled).max()))
    wanted, before = np.frexp(np.float64(np.abs(a).max()))
    assert fraction == wanted and -50 <= power <= 2
    exact = np.ldexp(np.float64(a), power - before)
    np.testing.assert_array_equal(np.float64(scaled), exact)


def test_restore_scale_rounds_subnormal_values_once():
    # 2**-127 * (1 + 2**-23) lies between subnormal numbers; NumPy rounds the same.
    a = jnp.array([[np.float32(2.0**-126)]])
    _, exponent = jax.jit(unit_scale)(a)
    s = jnp.array([1 + 2**-23, 1.75, 3.0, 2.0**-20, 0.0], jnp.float32)
    wanted = (np.float64(s) * 2.0**-127).astype(np.float32)
    np.testing.assert_allclose(
        np.float64(jax.jit(restore_scale)(s, exponent[:, 0])),
        np.float64(wanted),
        atol=1.5e-45,
    )


def test_unit_scale_marks_matrices_that_are_not_finite():
    a = jnp.array([[[1.0, jnp.nan]], [[jnp.inf, 1.0]], [[1.0, 2.0]]])
    scaled, exponent = jax.jit(unit_scale)(a)
    np.testing.assert_array_equal(scaled, [[[0, 0]], [[0, 0]], [[1, 2]]])
    restored = jax.jit(restore_scale)(jnp.ones((3, 1)), exponent[..., 0])
    np.testing.assert_array_equal(jnp.isnan(restored)[:, 0], [True, True, False])


def test_restore_scale_overflows_only_beyond_the_range():
    _, exponent = jax.jit(unit_scale)(jnp.array([[3e38]]))
    found = jax.jit(restore_scale)(jnp.array([5.0, 3.5]), exponent[0])
    np.testing.assert_allclose(found, [np.inf, 3.5 * 2.0**126], rtol=1e-6)
