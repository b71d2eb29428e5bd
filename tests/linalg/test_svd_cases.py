"""Many made matrices, drawn by hypothesis, against float64 NumPy and definitions.

One example is a batch of 50 matrices of one shape, so that each shape is compiled once.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jaxdl.linalg import (
    compact_svd,
    full_svd,
    nuclear_norm,
    singular_value_threshold,
    spectral_function,
    thin_svd,
    truncated_svd,
)

BATCH = 50
SHAPES = ((0, 3), (3, 0), (1, 1), (1, 6), (6, 1), (5, 5), (8, 5), (4, 7), (40, 3))
DTYPES = ("float32", "float64", "bfloat16", "float16")
SCALES = {
    "float32": (1.0, 1e30, 1e-30, 1e-38, 1e-40, 3e-45),
    "float64": (1.0, 1e30, 1e-30, 1e300, 1e-300, 1e-308, 1e-315),
    "bfloat16": (1.0, 1e30, 1e-30),
    "float16": (1.0, 1e3, 1e-4),
}


def make_random(rng, rows, columns):
    return rng.standard_normal((rows, columns))


def make_zero(rng, rows, columns):
    return np.zeros((rows, columns))


def make_low_rank(rng, rows, columns):
    rank = rng.integers(1, 1 + max(1, min(rows, columns)))
    return rng.standard_normal((rows, rank)) @ rng.standard_normal((rank, columns))


def make_spectrum(rng, rows, columns, values):
    left, right = (
        np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (rows, columns)
    )
    k = min(rows, columns)
    return (left[:, :k] * np.resize(values, k)) @ right[:k]


def make_repeated(rng, rows, columns):
    return make_spectrum(rng, rows, columns, [1.0])


def make_pairs(rng, rows, columns):
    return make_spectrum(rng, rows, columns, [2.0, 2.0, 1.0, 1.0, 0.0, 0.0])


def make_clustered(rng, rows, columns):
    return make_spectrum(rng, rows, columns, 1 + 1e-6 * rng.standard_normal(3))


def make_graded(rng, rows, columns):
    return make_spectrum(rng, rows, columns, 10.0 ** -np.arange(0, 40, 5))


def make_constant(rng, rows, columns):
    return np.full((rows, columns), rng.standard_normal())


def make_identity(rng, rows, columns):
    return np.eye(rows, columns)


def make_signs(rng, rows, columns):
    return rng.choice([-1.0, 0.0, 1.0], (rows, columns))


def make_one(rng, rows, columns):
    one = np.zeros((rows, columns))
    one.flat[rng.integers(one.size) if one.size else []] = -1.0
    return one


def make_mixed(rng, rows, columns):
    sizes = 10.0 ** rng.integers(-12, 1, (rows, columns))
    return rng.standard_normal((rows, columns)) * sizes


def make_nan(rng, rows, columns):
    return np.where(make_one(rng, rows, columns) < 0, np.nan, 1.0)


def make_infinite(rng, rows, columns):
    return np.where(make_one(rng, rows, columns) < 0, -np.inf, 1.0)


MAKERS = [value for name, value in list(globals().items()) if name.startswith("make_")]
MAKERS.remove(make_spectrum)
LAYOUTS = {
    "rows": np.ascontiguousarray,
    "columns": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
}


@st.composite
def draw_batches(draw, shapes, dtypes):
    """Shape, dtype and layout, and 50 makers with scales and seeds."""
    dtype = draw(st.sampled_from(dtypes))
    case = st.tuples(
        st.sampled_from(MAKERS),
        st.sampled_from(SCALES[dtype]),
        st.integers(0, 2**32 - 1),
    )
    cases = draw(st.lists(case, min_size=BATCH, max_size=BATCH))
    layout = draw(st.sampled_from(sorted(LAYOUTS)))
    return draw(st.sampled_from(shapes)), dtype, layout, cases


def make_batch(shape, dtype, layout, cases):
    """The matrices, rounded to their dtype."""
    made = [make(np.random.default_rng(seed), *shape) for make, _, seed in cases]
    scales = np.array([scale for _, scale, _ in cases])
    limit = float(jnp.finfo(dtype).max) / 100
    scaled = np.stack(made) * scales[:, None, None]
    inside = np.where(np.isinf(scaled), scaled, np.clip(scaled, -limit, limit))
    return LAYOUTS[layout](inside.astype(jnp.dtype(dtype)))


def differentiate(a, weights):
    """Gradients that reach everything; one matrix each of the batch."""
    u, s, vt, whole, completed = weights
    flat = lambda parts, others: sum(
        (part * other).sum() for part, other in zip(parts, others, strict=True)
    )
    return (
        jax.grad(lambda a: flat(thin_svd(a), (u, s, vt)))(a),
        jax.grad(lambda a: flat(full_svd(a)[:1], (completed,)))(a),
        jax.grad(lambda a: nuclear_norm(a).sum())(a),
        jax.grad(lambda a: flat([spectral_function(a, jnp.tanh)], [whole]))(a),
        jax.grad(lambda a: flat([singular_value_threshold(a, 1.0)], [whole]))(a),
    )


def decompose(a, order):
    """What the checks look at, in one compiled call."""
    k = min(a.shape[-2:])
    singular_values = lambda b: thin_svd(b).s
    wide = a.astype(jnp.float64 if a.dtype == jnp.float64 else jnp.float32)
    return {
        "thin": thin_svd(a),
        "full": full_svd(a),
        "truncated": truncated_svd(a, k) if k else thin_svd(a),
        "transposed": singular_values(jnp.swapaxes(a, -1, -2)),
        "permuted": singular_values(a[..., order, :]),
        "doubled": thin_svd(wide * 4),
        "halved": thin_svd(wide / 4),
    }


decompose = jax.jit(decompose)
differentiate = jax.jit(differentiate)


def norms(x):
    """Frobenius norms of a batch, without overflow or underflow of squares."""
    top = np.abs(x).max(axis=(-2, -1), initial=0)
    scaled = x / np.where(top > 0, top, 1)[:, None, None]
    return top * np.sqrt(np.square(scaled).sum(axis=(-2, -1)))


def reference_values(a):
    """NumPy's singular values of matrices far from the ends of float64's range."""
    _, exponent = np.frexp(np.abs(a).max(axis=(-2, -1), initial=0))
    scaled = np.ldexp(a, -exponent[:, None, None])
    return np.ldexp(np.linalg.svd(scaled, compute_uv=False), exponent[:, None])


def check_factors(name, parts, a, values, limit):
    """Yields what is wrong with decompositions of finite matrices."""
    u, s, vt = (np.asarray(part).astype(np.float64) for part in parts)
    k = s.shape[-1]
    scale = (values.max(axis=-1, initial=0) + limit["tiny"]) * limit["factor"]
    for side, rows in (("u", np.swapaxes(u, -1, -2)), ("vt", vt)):
        gram = rows @ np.swapaxes(rows, -1, -2) - np.eye(rows.shape[-2])
        yield f"{name} {side} not orthonormal", norms(gram) > limit["factor"]
    product = (u[..., :k] * s[..., None, :]) @ vt[..., :k, :]
    yield f"{name} not the matrix", norms(a - product) > scale
    yield f"{name} values unsorted", (np.diff(s) > 0).any(-1) | (s < 0).any(-1)
    off = np.abs(s - values).max(axis=-1, initial=0)
    yield f"{name} values wrong", off > scale
    if vt.shape[-1]:
        at = np.abs(vt).argmax(axis=-1)[..., None]
        largest = np.take_along_axis(vt, at, axis=-1)[..., 0]
        yield f"{name} signs", (largest <= 0).any(axis=-1)


def check_invariance(found, values, limit):
    """Yields what the values or vectors do that scaling or reordering may not do."""
    scale = (values.max(axis=-1, initial=0) + limit["tiny"]) * limit["factor"]
    for name in ("transposed", "permuted"):
        off = np.abs(np.asarray(found[name], np.float64) - values)
        yield f"values change if {name}", off.max(axis=-1, initial=0) > scale
    # Where neither copy has subnormal numbers every bit is the same.
    safe = values.max(axis=-1, initial=0) > 1e20 * limit["tiny"]
    thin = found["thin"]
    for name, factor in (("doubled", 4), ("halved", 0.25)):
        u, s, vt = found[name]
        with np.errstate(under="ignore"):
            other = np.abs(np.asarray(s, np.float64) - factor * values)
        off = other.max(axis=-1, initial=0) > factor * scale
        yield f"values not equivariant if {name}", safe & off
        for part, old in ((u, thin.u), (vt, thin.vt)):
            turned = np.asarray(part != old).any(axis=(-2, -1))
            yield f"vectors change if {name}", safe & turned


def find_violations(shape, dtype, layout, cases):
    """All that is wrong with one batch, as texts; and the number of NaN gradients."""
    exact = make_batch(shape, dtype, layout, cases)
    a = jnp.asarray(exact)
    width = a.astype(jnp.float32) if a.dtype.itemsize == 2 else a
    rng = np.random.default_rng(cases[0][2])
    order = rng.permutation(shape[0])
    k = min(shape)
    forms = (shape[0], k), (k,), (k, shape[1]), shape, (shape[0], shape[0])
    weights = [
        jnp.asarray(rng.standard_normal((BATCH, *form)), width.dtype) for form in forms
    ]
    found = decompose(a, order)
    gradients = differentiate(width, weights)
    as_float64 = exact.astype(np.float64)
    finite = np.isfinite(as_float64).all(axis=(-2, -1))
    info = jnp.finfo(width.dtype)
    limit = {"factor": 50 * float(info.eps) * max(shape), "tiny": float(info.tiny)}
    good = jax.tree.map(lambda x: np.asarray(x)[finite], found)
    values = reference_values(as_float64[finite])
    failures = []
    checks = [*check_invariance(good, values, limit)]
    for name in ("thin", "full", "truncated"):
        checks += check_factors(name, good[name], as_float64[finite], values, limit)
    kept = np.flatnonzero(finite)
    for what, failed in checks:
        failures += [(what, cases[kept[i]]) for i in np.flatnonzero(failed)]
    spoilt = jax.tree.leaves(jax.tree.map(lambda x: np.asarray(x)[~finite], found))
    if not all(np.isnan(part).all() for part in spoilt):
        failures.append(("not finite, but results are not NaN", None))
    if not finite.all() and not raises_value_error(thin_svd, a):
        failures.append(("not finite, but no error", None))
    for name, gradient in zip(
        "thin full norm tanh shrink".split(), gradients, strict=True
    ):
        bad = finite & ~np.isfinite(np.asarray(gradient)).all(axis=(-2, -1))
        failures += [(f"gradient of {name}", cases[i]) for i in np.flatnonzero(bad)]
    return failures


def raises_value_error(function, *args):
    """Whether a call does."""
    try:
        function(*args)
    except ValueError:
        return True
    return False


def assert_none(batch):
    """No violation in a batch, in either precision."""
    with jax.enable_x64(batch[1] == "float64"):
        failures = find_violations(*batch)
    texts = [
        f"{what}: {case and (case[0].__name__, *case[1:])}" for what, case in failures
    ]
    assert not texts, f"{batch[:3]}: {len(texts)} violations, such as {texts[:5]}"


def no_deadline(examples):
    """Settings for that many batches."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@no_deadline(6)
@given(draw_batches(((5, 3), (3, 5)), ("float32",)))
def test_svd_holds_on_300_matrices(batch):
    assert_none(batch)


@pytest.mark.slow
@no_deadline(200)
@given(draw_batches(SHAPES, DTYPES))
def test_svd_holds_on_10000_matrices(batch):
    assert_none(batch)


def test_compact_svd_keeps_the_rank_of_each_kind():
    for make in (make_zero, make_low_rank, make_repeated, make_constant, make_one):
        a = make(np.random.default_rng(0), 6, 4)
        svd = compact_svd(jnp.asarray(a, jnp.float32))
        rank = np.linalg.matrix_rank(a)
        np.testing.assert_equal(svd.s.shape, (rank,), err_msg=make.__name__)
        product = np.asarray(svd.u) * np.asarray(svd.s) @ np.asarray(svd.vt)
        np.testing.assert_allclose(product, a, atol=1e-5, err_msg=make.__name__)
