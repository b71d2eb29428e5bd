"""Tall QR and SVD against float64 NumPy, on hard inputs, split over devices."""

import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jaxdl.linalg import tall_skinny_qr, tall_skinny_svd
from jaxdl.parallel import batch_sharding, make_mesh, replicated_sharding

ROWS, COLUMNS = 300, 70  # more columns than are solved for at once
EPS = np.finfo(np.float32).eps
GENERATOR = np.random.default_rng(0)
NORMAL = GENERATOR.standard_normal((ROWS, COLUMNS))


def make_spectrum(s):
    u, _ = np.linalg.qr(GENERATOR.standard_normal((ROWS, len(s))))
    v, _ = np.linalg.qr(GENERATOR.standard_normal((len(s), len(s))))
    return u * s @ v


def repeat_columns(count):
    return NORMAL[:, np.arange(COLUMNS) % count]


INPUTS = {
    "condition 1e0": make_spectrum(np.ones(COLUMNS)),
    "condition 1e3": make_spectrum(np.geomspace(1, 1e-3, COLUMNS)),
    "condition 1e5": make_spectrum(np.geomspace(1, 1e-5, COLUMNS)),
    "condition 1e9": make_spectrum(np.geomspace(1, 1e-9, COLUMNS)),
    "one weak direction": make_spectrum(np.r_[np.ones(COLUMNS - 1), 1e-6]),
    "rank 3": make_spectrum(np.r_[np.ones(3), np.zeros(COLUMNS - 3)]),
    "zero": np.zeros((ROWS, COLUMNS)),
    "ones": np.ones((ROWS, COLUMNS)),
    "zero columns": NORMAL * (np.arange(COLUMNS) % 3 > 0),
    "equal columns": repeat_columns(20),
    "one row": np.eye(ROWS, 1) * np.ones(COLUMNS),
    "identity": np.eye(ROWS, COLUMNS),
    "large mean": 1000 + NORMAL,
    "huge": 1e30 * NORMAL,
    "tiny": 1e-30 * NORMAL,
    "columns of all sizes": NORMAL * np.geomspace(1e-30, 1e30, COLUMNS),
    "rows of all sizes": NORMAL * np.geomspace(1e-20, 1, ROWS)[:, None],
}


def to_float64(*arrays):
    return [np.asarray(array, np.float64) for array in arrays]


@pytest.mark.parametrize("name", INPUTS)
def test_tall_skinny_qr_is_accurate_for_every_input(name):
    a = jnp.float32(INPUTS[name])
    q, r = to_float64(*tall_skinny_qr(a))
    assert np.linalg.norm(q.T @ q - np.eye(COLUMNS), 2) <= 1e-5
    (a,) = to_float64(a)
    lengths = np.linalg.norm(a, axis=0)
    assert (np.linalg.norm(q @ r - a, axis=0) <= 50 * EPS * lengths).all()
    assert (np.tril(r, -1) == 0).all() and (np.diag(r) >= 0).all()


@pytest.mark.parametrize("name", INPUTS)
def test_tall_skinny_svd_is_accurate_for_every_input(name):
    a = jnp.float32(INPUTS[name])
    u, s, vt = to_float64(*tall_skinny_svd(a))
    expected = np.linalg.svd(np.float64(a), compute_uv=False)
    np.testing.assert_allclose(s, expected, rtol=0, atol=50 * EPS * expected[0])
    assert np.linalg.norm(u * s @ vt - a, 2) <= 100 * EPS * expected[0]
    for basis in (u.T @ u, vt @ vt.T):
        assert np.linalg.norm(basis - np.eye(COLUMNS), 2) <= 1e-5
    assert (np.diff(s) <= 0).all()
    largest = np.take_along_axis(vt, abs(vt).argmax(1, keepdims=True), 1)
    assert (largest > 0).all()


def test_tall_skinny_qr_equals_numpy_where_it_is_unique():
    q, r = np.linalg.qr(NORMAL)
    signs = np.sign(np.diag(r))
    found = tall_skinny_qr(jnp.float32(NORMAL))
    np.testing.assert_allclose(found[0], q * signs, atol=1e-6)
    np.testing.assert_allclose(found[1], r * signs[:, None], atol=2e-5)


@pytest.mark.parametrize("shape", [(0, 0), (5, 0), (1, 1), (7, 1), (4, 4), (5, 3)])
def test_tall_skinny_routines_take_small_shapes(shape):
    a = jnp.float32(GENERATOR.standard_normal(shape))
    q, r = tall_skinny_qr(a)
    np.testing.assert_allclose(q @ r, a, atol=1e-5)
    u, s, vt = tall_skinny_svd(a)
    assert (u.shape, s.shape, vt.shape) == (shape, shape[1:], shape[1:] * 2)
    np.testing.assert_allclose((u * s[None]) @ vt, a, atol=1e-5)


def test_tall_skinny_routines_are_accurate_in_float64():
    with jax.enable_x64(True):
        for name in ("condition 1e3", "rank 3", "columns of all sizes"):
            a = jnp.asarray(INPUTS[name][:60, :6])
            q, r = tall_skinny_qr(a)
            u, s, _ = tall_skinny_svd(a)
            for basis in (q, u):
                np.testing.assert_allclose(basis.T @ basis, np.eye(6), atol=1e-13)
            lengths = np.linalg.norm(a, axis=0)
            assert (np.linalg.norm(q @ r - a, axis=0) <= 1e-13 * lengths).all()
            expected = np.linalg.svd(a, compute_uv=False)
            np.testing.assert_allclose(s, expected, rtol=0, atol=1e-13 * expected[0])


def test_tall_skinny_qr_and_svd_have_the_derivatives_of_finite_differences():
    a, weights = GENERATOR.standard_normal((2, 7, 3))
    step = 1e-6

    @jax.jit
    def loss(a):
        q, r = tall_skinny_qr(a)
        u, s, vt = tall_skinny_svd(a)
        w = jnp.asarray(weights)
        qr = (w * q).sum() + (w[:3] * r).sum()
        return qr + (w * u).sum() + (w[3:6] * vt).sum() + (w[6] * s).sum()

    with jax.enable_x64(True):
        a = jnp.asarray(a)
        found = jax.jit(jax.grad(loss))(a)
        for index in np.ndindex(a.shape):
            ahead, behind = (loss(a.at[index].add(d)) for d in (step, -step))
            slope = (ahead - behind) / (2 * step)
            np.testing.assert_allclose(found[index], slope, rtol=1e-6, atol=1e-7)


COLLECTIVE = re.compile(
    r"= (.*?) (?:all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute)"
    r"(?:-start)?\("
)
SIZES = {"f32": 4, "s32": 4, "u32": 4, "pred": 1, "f64": 8}


def count_bytes(text):
    """Bytes of the results of all collectives in a compiled program."""
    shapes = [
        shape
        for result in COLLECTIVE.findall(text)
        for shape in re.findall(r"(\w+)\[([\d,]*)\]", result)
    ]
    counts = [np.prod([int(n) for n in dims.split(",") if n]) for _, dims in shapes]
    return sum(SIZES[kind] * n for (kind, _), n in zip(shapes, counts, strict=True))


def compile_split(routine, rows, columns):
    sharding = batch_sharding(make_mesh())
    a = jax.ShapeDtypeStruct((rows, columns), jnp.float32, sharding=sharding)
    return jax.jit(routine).lower(a).compile()


@pytest.mark.parametrize("routine", [tall_skinny_qr, tall_skinny_svd])
def test_tall_skinny_routines_send_the_same_bytes_for_any_number_of_rows(routine):
    columns = 16
    few, many = (
        count_bytes(compile_split(routine, rows, columns).as_text())
        for rows in (512, 4096)
    )
    assert few == many > 0
    # A handful of matrices of inner products and a few numbers, in all branches.
    assert many <= 12 * 4 * columns**2


SPLIT = {
    "normal": NORMAL[:64, :6],
    "huge": 1e30 * NORMAL[:64, :6],
    "deficient": NORMAL[:64, [0, 1, 2, 0, 1, 2]],
    "zero columns": NORMAL[:64, :6] * np.array([1, 0, 1, 1, 0, 1]),
}


@pytest.mark.parametrize("name", SPLIT)
def test_tall_skinny_routines_are_equal_on_one_device_and_on_eight(name):
    a, mesh = jnp.float32(SPLIT[name]), make_mesh()
    split = jax.device_put(a, batch_sharding(mesh))
    q, r = tall_skinny_qr(split)
    u, s, vt = tall_skinny_svd(split)
    for array in (q, u):
        assert array.sharding.is_equivalent_to(batch_sharding(mesh), 2)
        np.testing.assert_allclose(array.T @ array, np.eye(6), atol=1e-5)
    for array in (r, s, vt):
        sharding = replicated_sharding(mesh)
        assert array.sharding.is_equivalent_to(sharding, array.ndim)
    scale = float(s[0])
    for product in (q @ (r / scale), (u * (s / scale)[None]) @ vt):
        np.testing.assert_allclose(product, a / scale, atol=1e-6)
    alone = tall_skinny_svd(a)
    np.testing.assert_allclose(s / scale, alone.s / scale, atol=1e-6)
    if name in ("normal", "huge"):  # else the vectors are not unique
        np.testing.assert_allclose(u, alone.u, atol=1e-5)
        np.testing.assert_allclose(vt, alone.vt, atol=1e-5)
        alone = tall_skinny_qr(a)
        np.testing.assert_allclose(q, alone[0], atol=1e-5)
        np.testing.assert_allclose(r / scale, alone[1] / scale, atol=1e-5)


def test_tall_skinny_svd_under_vmap_equals_a_loop():
    batch = np.stack([INPUTS["zero columns"], NORMAL])[:, :64, :6]
    batch = jnp.float32(batch)
    u, s, vt = jax.vmap(tall_skinny_svd)(batch)
    for index, a in enumerate(batch):
        np.testing.assert_allclose(s[index], tall_skinny_svd(a).s, atol=1e-5)
        np.testing.assert_allclose(
            (u[index] * s[index][None]) @ vt[index], a, atol=1e-5
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_tall_skinny_routines_refuse_what_is_not_finite(bad):
    a = jnp.float32(NORMAL[:64, :6]).at[3, 2].set(bad)
    for routine in (tall_skinny_qr, tall_skinny_svd):
        with pytest.raises(ValueError, match=f"{routine.__name__}: 1 of {a.size} numb"):
            routine(a)
        assert all(np.isnan(part).any() for part in jax.jit(routine)(a))


def test_tall_skinny_routines_name_what_does_not_fit(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for routine in (tall_skinny_qr, tall_skinny_svd):
        with pytest.raises(ValueError, match=r"as many rows .* shape \(2, 3\); transp"):
            routine(jnp.ones((2, 3)))
        with pytest.raises(ValueError, match=r"wanted a matrix, got shape \(2, 3, 3\)"):
            routine(jnp.ones((2, 3, 3)))
