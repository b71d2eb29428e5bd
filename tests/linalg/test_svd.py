import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.linalg import (
    SVD,
    compact_svd,
    fix_signs,
    full_svd,
    thin_svd,
    truncated_svd,
)
from tests.differences import directional_derivative

SHAPES = [(5, 5), (7, 3), (20, 4), (4, 20), (1, 3), (2, 3, 4)]


def make_matrix(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def numpy_svd(a):
    """NumPy's, with signs by a loop over right vectors."""
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    u, vt = u.copy(), vt.copy()
    for index in np.ndindex(s.shape):
        row = vt[index]
        if row[np.abs(row).argmax()] < 0:
            vt[index] *= -1
            u[(*index[:-1], slice(None), index[-1])] *= -1
    return u, s, vt


def add_up(parts, weights):
    """A number that depends on every entry."""
    return sum((p * w).sum() for p, w in zip(parts, weights, strict=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_thin_svd_equals_numpy(shape):
    a = make_matrix(*shape)
    for found, wanted in zip(thin_svd(jnp.float32(a)), numpy_svd(a), strict=True):
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_thin_svd_equals_a_hand_made_decomposition():
    u, s, vt = thin_svd(jnp.array([[3.0, 0.0], [4.0, 5.0]]))
    np.testing.assert_allclose(s, np.sqrt([45, 5]), rtol=1e-6)
    np.testing.assert_allclose(u, np.array([[1, 3], [3, -1]]) / np.sqrt(10), atol=1e-6)
    np.testing.assert_allclose(np.abs(vt), np.full((2, 2), 0.5**0.5), atol=1e-6)
    np.testing.assert_allclose((u * s[None]) @ vt, [[3, 0], [4, 5]], atol=1e-6)


def test_thin_svd_takes_the_first_of_equals_for_the_sign():
    # Entries of equal magnitude to the last bit: the right vector is +-(1, -1, 0).
    vt = jnp.array([[-1.0, 1.0, 0.0], [0.0, 1.0, -1.0], [0.0, -2.0, 1.0]])
    fixed = fix_signs(SVD(jnp.ones((1, 3)), jnp.ones(3), vt))
    np.testing.assert_array_equal(fixed.vt, [[1, -1, 0], [0, 1, -1], [0, 2, -1]])
    np.testing.assert_array_equal(fixed.u, [[-1, 1, -1]])


@pytest.mark.parametrize("scale", [3e37, 1e30, 1e-30, 1e-37, 1e-38, 1e-40])
@pytest.mark.parametrize("shape", [(4, 3), (2, 9)])
def test_thin_svd_holds_at_any_scale(shape, scale):
    a = np.float32(make_matrix(*shape) * scale)
    u, s, vt = (np.float64(part) for part in thin_svd(jnp.asarray(a)))
    exact = np.float64(a) / scale
    # A subnormal number is off by half a unit of 1.4e-45.
    atol = max(2e-6, 2e-45 / scale)
    np.testing.assert_allclose(s / scale, np.linalg.svd(exact)[1], atol=atol)
    np.testing.assert_allclose(u.T @ u, np.eye(u.shape[1]), atol=1e-5)
    np.testing.assert_allclose((u * s) @ vt / scale, exact, atol=4 * atol)


def test_thin_svd_has_infinite_values_only_beyond_the_range():
    a = jnp.full((2, 2), 3e38)
    u, s, _ = thin_svd(a)
    assert np.isinf(s[0]) and s[1] < 1e33
    np.testing.assert_allclose(np.abs(u), np.full((2, 2), 0.5**0.5), atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 3, 2), (2, 0, 3)])
def test_svd_of_nothing_has_shapes_and_identities(shape):
    *batch, rows, columns = shape
    a = jnp.zeros(shape)
    rank = min(rows, columns)
    wanted = (*batch, rows, rank), (*batch, rank), (*batch, rank, columns)
    assert tuple(part.shape for part in thin_svd(a)) == wanted
    u, s, vt = full_svd(a)
    assert (u.shape, s.shape) == ((*batch, rows, rows), (*batch, rank))
    np.testing.assert_array_equal(vt, np.broadcast_to(np.eye(columns), vt.shape))
    assert compact_svd(a).s.shape == (*batch, 0)
    assert (
        jax.grad(lambda a: thin_svd(a).s.sum() + full_svd(a).s.sum())(a).shape == shape
    )


def test_thin_svd_is_the_same_compiled_and_mapped():
    a = jnp.float32(make_matrix(3, 4, 5))
    eager, compiled, mapped = thin_svd(a), jax.jit(thin_svd)(a), jax.vmap(thin_svd)(a)
    for first, second, third in zip(eager, compiled, mapped, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)
    np.testing.assert_allclose(thin_svd(a[1]).u, eager.u[1], atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_svd_of_numbers_that_are_not_finite(bad):
    a = jnp.float32(make_matrix(2, 4, 3)).at[1, 2, 0].set(bad)
    for function in (thin_svd, full_svd, compact_svd):
        with pytest.raises(ValueError, match="1 of 24 numbers are NaN or infinite"):
            function(a)
    for part in (*jax.jit(thin_svd)(a), *jax.jit(full_svd)(a)):
        assert np.isfinite(part[0]).all() and np.isnan(part[1]).all()


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.bfloat16, jnp.float16])
def test_thin_svd_makes_float32_of_integers_and_16_bits(dtype):
    a = jnp.array([[3, 0], [4, 5]], dtype)
    assert {part.dtype for part in thin_svd(a)} == {jnp.dtype("float32")}
    np.testing.assert_allclose(thin_svd(a).s, np.sqrt([45, 5]), rtol=1e-6)


def test_thin_svd_wants_real_matrices(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"thin_svd: wanted a matrix.*shape \(3,\)"):
        thin_svd(jnp.ones(3))
    with pytest.raises(
        ValueError, match="full_svd: wanted real numbers, got complex64"
    ):
        full_svd(jnp.ones((2, 2), jnp.complex64))
    with pytest.raises(ValueError, match="truncated_svd: wanted a matrix"):
        truncated_svd(jnp.ones(3), 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_full_svd_completes_orthonormal_bases(shape):
    a = make_matrix(*shape)
    u, s, vt = (np.asarray(part) for part in full_svd(jnp.float32(a)))
    rank = s.shape[-1]
    for square, size in ((u, shape[-2]), (vt, shape[-1])):
        gram = square @ np.swapaxes(square, -1, -2)
        np.testing.assert_allclose(gram - np.eye(size), 0 * gram, atol=1e-5)
    product = (u[..., :rank] * s[..., None, :]) @ vt[..., :rank, :]
    np.testing.assert_allclose(product, a, atol=1e-5)
    for rows in (vt, np.swapaxes(u, -1, -2)[..., rank:, :]):
        assert (rows.max(axis=-1) >= -rows.min(axis=-1)).all()


@pytest.mark.parametrize("shape", [(4, 6), (2, 5, 4)])
def test_truncated_svd_is_the_best_approximation(shape):
    a = make_matrix(*shape)
    svd = truncated_svd(jnp.float32(a), 2)
    rest = a - np.asarray(svd.u) * np.asarray(svd.s)[..., None, :] @ np.asarray(svd.vt)
    wanted = np.linalg.svd(a, compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(rest, 2, (-2, -1)), wanted[..., 2], 1e-5)
    assert [part.shape[-1] for part in svd] == [2, 2, shape[-1]]


@pytest.mark.parametrize("rank", [-1, 0, 4])
def test_truncated_svd_wants_a_rank_within_range(rank):
    with pytest.raises(
        ValueError, match=rf"within 1\.\.3 for shape \(3, 5\), got {rank}"
    ):
        truncated_svd(jnp.ones((3, 5)), rank)


def test_compact_svd_keeps_what_is_above_the_tolerance():
    left, right = np.linalg.qr(make_matrix(6, 6))[0], np.linalg.qr(make_matrix(4, 4))[0]
    a = jnp.float32((left[:, :4] * [2, 1, 1e-3, 1e-9]) @ right)
    assert compact_svd(a).s.shape == (3,)
    assert compact_svd(a, rtol=0.1).vt.shape == (2, 4)
    assert compact_svd(jnp.stack([a, a * 0])).s.shape == (2, 3)
    assert compact_svd(a * 0).u.shape == (6, 0)
    assert compact_svd(jnp.full((2, 2), 1e-40)).s.shape == (1,)
    u, s, vt = (np.asarray(part) for part in compact_svd(a))
    np.testing.assert_allclose((u * s) @ vt, a, atol=1e-6)


def test_compact_svd_refuses_to_be_traced_and_bad_tolerances():
    a = jnp.ones((2, 2, 2))
    for transform in (jax.jit, jax.vmap):
        with pytest.raises(ValueError, match="compact_svd: the shape of the result"):
            transform(compact_svd)(a)
    for rtol in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"rtol of at least 0, got {rtol}"):
            compact_svd(a, rtol=rtol)
    gradient = jax.grad(lambda a: compact_svd(a).s.sum())(a[0])
    np.testing.assert_allclose(gradient, np.full((2, 2), 0.5), atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 4), (9, 2), (2, 3, 4)])
def test_thin_svd_has_the_derivatives_of_differences(shape):
    a, direction = make_matrix(*shape), make_matrix(*shape, seed=1)
    weights = [make_matrix(*p.shape, seed=2) for p in numpy_svd(a)]
    wanted = directional_derivative(
        lambda a: add_up(numpy_svd(a), weights), a, direction
    )
    with jax.enable_x64(True):
        function = jax.jit(lambda a: add_up(thin_svd(a), weights))
        forward = jax.jvp(function, (a,), (direction,))[1]
        backward = np.asarray(jax.grad(function)(a))
    np.testing.assert_allclose(forward, wanted, rtol=1e-6)
    np.testing.assert_allclose((backward * direction).sum(), wanted, rtol=1e-6)


def test_thin_svd_has_the_second_derivatives_of_differences():
    a, direction = make_matrix(2, 4), make_matrix(2, 4, seed=1)
    weights = [make_matrix(*p.shape, seed=2) for p in numpy_svd(a)]
    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(lambda a: add_up(thin_svd(a), weights)))
        second = jax.jit(lambda a, b: jax.jvp(gradient, (a,), (b,))[1])(a, direction)
        change = directional_derivative(gradient, a, direction)
    np.testing.assert_allclose(second, change, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(6, 3), (3, 6)])
def test_full_svd_has_derivatives_of_the_spaces(shape):
    a, direction = make_matrix(*shape), make_matrix(*shape, seed=1)
    left, right = make_matrix(6, 6, seed=2), make_matrix(6, 6, seed=3)

    def spaces(svd):
        u, s, vt = svd[0], svd[1], svd[2]
        rest = u[:, 3:] @ u[:, 3:].T if shape[0] == 6 else vt[3:].T @ vt[3:]
        first = (u[:, :3] @ vt[:3]).sum()
        return (left * rest).sum() + (right * rest @ rest).sum() + s[1] + first

    wanted = directional_derivative(lambda a: spaces(np.linalg.svd(a)), a, direction)
    with jax.enable_x64(True):
        found = jax.jvp(lambda a: spaces(full_svd(a)), (a,), (direction,))[1]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_thin_svd_gradients_of_values_hold_at_repeated_ones():
    total = jax.jit(jax.grad(lambda a: thin_svd(a).s.sum()))
    np.testing.assert_allclose(total(jnp.eye(3)), np.eye(3), atol=1e-6)
    pairs = np.diag([2.0, 2.0, 1.0])
    np.testing.assert_allclose(total(jnp.float32(pairs)), np.eye(3), atol=1e-6)


@pytest.mark.parametrize("function", [thin_svd, full_svd])
@pytest.mark.parametrize(
    "values", [(0, 0, 0), (1, 1, 1), (1, 0, 0), (2, 2, 1), (1, 1 + 1e-7, 1e-7)]
)
def test_svd_gradients_are_finite_where_vectors_have_none(function, values):
    a = jnp.zeros((4, 3)).at[jnp.arange(3), jnp.arange(3)].set(jnp.float32(values))
    weights = [make_matrix(*part.shape).astype(np.float32) for part in function(a)]
    gradient = jax.jit(jax.grad(lambda a: add_up(function(a), weights)))(a)
    assert np.abs(gradient).max() < 1e3


@pytest.mark.parametrize("scale", [2.0**100, 2.0**-100])
def test_thin_svd_gradients_do_not_overflow(scale):
    # Squares of singular values would be infinite or 0 in float32.
    a = jnp.float32(make_matrix(4, 3))
    weights = make_matrix(4, 3).astype(np.float32)
    gradient = jax.jit(jax.grad(lambda a: (thin_svd(a).u * weights).sum()))
    np.testing.assert_allclose(gradient(a * scale) * scale, gradient(a), rtol=1e-4)


@pytest.mark.parametrize("derive", [jax.grad, lambda f: jax.grad(jax.jit(f))])
def test_thin_svd_and_its_gradient_multiply_in_full_precision(derive):
    # A rule for derivatives may be traced long after the routine has returned.
    total = derive(lambda a: thin_svd(a).u.sum())
    for line in str(jax.make_jaxpr(total)(jnp.ones((20, 3)))).split("dot_general[")[1:]:
        assert "precision=(HIGHEST" in line.replace("Precision.", "")
