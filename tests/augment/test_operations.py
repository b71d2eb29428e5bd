import itertools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from PIL import Image, ImageEnhance, ImageOps

from jaxdl.augment import OPERATIONS, apply_operations

NUMBER = {name: number for number, name in enumerate(OPERATIONS)}
FILL = 77
MOVES = {
    "shear_x": (0.0, 0.1, -0.23, 0.3, 0.99, -0.99),
    "shear_y": (0.0, 0.1, -0.23, 0.3, 0.99, -0.99),
    "translate_x": (0.0, 3.0, -4.9, 7.6, 20.0, -40.0),
    "translate_y": (0.0, 3.0, -4.9, 7.6, 30.0, -31.0),
    "rotate": (0.0, 10.0, -30.0, 90.0, 135.0, -131.0),
}
FACTORS = (0.0, 0.01, 0.46, 1.0, 1.3, 1.99)
CHANGES = {
    "identity": (0.0,),
    "auto_contrast": (0.0,),
    "invert": (0.0,),
    "equalize": (0.0,),
    "solarize": (0.0, 1.0, 127.5, 128.0, 255.0, 256.0),
    "posterize": (1.0, 2.0, 4.0, 7.0, 8.0),
    "contrast": FACTORS,
    "color": FACTORS,
    "brightness": FACTORS,
    "sharpness": FACTORS,
}


def draw_images(num_channels):
    """Noise, few levels, a slope of few pixels per level, and one color alone."""
    rng = np.random.default_rng(num_channels)
    shape = (31, 26, num_channels)
    slope = np.linspace(30, 180, 31)[:, None, None] + np.zeros(shape)
    images = [
        rng.integers(0, 256, shape),
        rng.integers(3, 9, shape) * 25,
        slope + rng.integers(0, 20, shape),
        np.full(shape, rng.integers(0, 256, num_channels)),
    ]
    return [image.astype(np.uint8) for image in images]


def change_by_pillow(image, name, amount):
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    fill = FILL if image.shape[-1] == 1 else (FILL,) * 3
    affine = {
        "shear_x": (1, amount, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, amount, 1, 0),
        "translate_x": (1, 0, -int(amount), 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, -int(amount)),
    }
    plain = {
        "identity": lambda: picture,
        "auto_contrast": lambda: ImageOps.autocontrast(picture),
        "invert": lambda: ImageOps.invert(picture),
        "equalize": lambda: ImageOps.equalize(picture),
        "solarize": lambda: ImageOps.solarize(picture, amount),
        "posterize": lambda: ImageOps.posterize(picture, int(amount)),
        "rotate": lambda: picture.rotate(amount, fillcolor=fill),
    }
    if name in affine:
        kind, how = Image.Transform.AFFINE, Image.Resampling.NEAREST
        result = picture.transform(
            picture.size, kind, affine[name], resample=how, fillcolor=fill
        )
    elif name in plain:
        result = plain[name]()
    else:
        result = getattr(ImageEnhance, name.title())(picture).enhance(amount)
    return np.asarray(result).reshape(image.shape)


@pytest.fixture(scope="module", params=[1, 3], ids=["gray", "color"])
def cases(request):
    """Every image by every operation and amount: name, before, after, Pillow's."""
    images = draw_images(request.param)
    table = MOVES | CHANGES
    rows = [
        (image, name, amount)
        for name, amounts in table.items()
        for image, amount in itertools.product(images, amounts)
    ]
    results = apply_operations(
        jnp.asarray(np.stack([image for image, _, _ in rows])),
        jnp.array([[NUMBER[name]] for _, name, _ in rows]),
        jnp.array([[amount] for _, _, amount in rows], jnp.float32),
        fill=FILL,
    )
    names = [name for _, name, _ in rows]
    expected = [change_by_pillow(*row) for row in rows]
    return list(zip(names, rows, np.asarray(results), expected, strict=True))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_apply_operations_equals_pillow(cases, operation):
    rows = [case[1:] for case in cases if case[0] == operation]
    assert rows
    # A stretched level that falls on a whole one, and a blend that does, may be off.
    inexact = ("auto_contrast", "contrast", "color", "brightness", "sharpness")
    for (_, _, amount), result, expected in rows:
        difference = np.abs(result.astype(int) - expected)
        assert difference.max() <= (operation in inexact), amount
        assert (difference > 0).mean() < 0.02, amount
    if operation != "identity" and (operation, rows[0][1].shape[-1]) != ("color", 1):
        assert any((row[0] != result).any() for row, result, _ in rows)


def test_apply_operations_takes_steps_in_their_order():
    image = draw_images(3)[0]
    steps = [("equalize", 0.0), ("rotate", 25.0), ("solarize", 100.0)]
    orders = list(itertools.permutations(steps))
    results = apply_operations(
        jnp.asarray(np.stack([image] * 6)),
        jnp.array([[NUMBER[name] for name, _ in order] for order in orders]),
        jnp.array([[amount for _, amount in order] for order in orders]),
        fill=FILL,
    )
    for result, order in zip(results, orders, strict=True):
        expected = image
        for name, amount in order:
            expected = change_by_pillow(expected, name, amount)
        np.testing.assert_array_equal(result, expected)


def draw_float_images():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    steps = jnp.array([[NUMBER["invert"], NUMBER["identity"]]])
    return levels, levels.astype(np.float32) / 255, steps, jnp.zeros((1, 2))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_apply_operations_knows_every_level_of_a_float_image(dtype):
    levels, floats, steps, amounts = draw_float_images()
    result = apply_operations(jnp.asarray(floats).astype(dtype), steps, amounts)
    assert result.dtype == dtype
    tolerance = 1e-7 if dtype == jnp.float32 else 2e-3  # one rounding
    expected = (255 - levels) / 255
    np.testing.assert_allclose(result.astype(jnp.float32), expected, atol=tolerance)


def test_apply_operations_rounds_floats_to_levels():
    _, floats, steps, amounts = draw_float_images()
    noise = np.random.default_rng(0).uniform(-0.49, 0.49, floats.shape) / 255
    noisy = jnp.asarray(floats + noise.astype(np.float32))
    exact, rounded = (
        apply_operations(x, steps, amounts) for x in (jnp.asarray(floats), noisy)
    )
    np.testing.assert_array_equal(rounded, exact)


def test_apply_operations_of_a_single_pixel_stays_in_bounds():
    images = jnp.full((len(OPERATIONS), 1, 1, 3), 200, jnp.uint8)
    steps = jnp.arange(len(OPERATIONS))[:, None]
    results = apply_operations(images, steps, jnp.ones(steps.shape), fill=0)
    solid = {"invert": 55, "solarize": 55, "posterize": 128}
    expected = [solid.get(name, 200) for name in OPERATIONS]
    expected[NUMBER["translate_x"]] = expected[NUMBER["translate_y"]] = 0
    # The middle of the pixel comes from the border itself, and so from outside.
    expected[NUMBER["shear_x"]] = expected[NUMBER["shear_y"]] = 0
    np.testing.assert_array_equal(results[:, 0, 0, 0], expected)


def test_apply_operations_is_the_same_on_eight_devices_without_a_collective():
    images = jnp.asarray(np.stack(draw_images(3) * 4))
    steps = jnp.arange(16)[:, None] % len(OPERATIONS)
    operands = (images, steps, jnp.full((16, 1), 0.4))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("data"))
    on_eight = jax.jit(apply_operations, out_shardings=split)
    on_eight = on_eight.lower(*jax.device_put(operands, split)).compile()
    result = on_eight(*jax.device_put(operands, split))
    np.testing.assert_array_equal(result, apply_operations(*operands))
    text = on_eight.as_text()
    assert "num_partitions=8" in text
    for collective in ("all-gather", "all-reduce", "all-to-all", "permute("):
        assert collective not in text


def test_apply_operations_under_vmap_equals_a_loop():
    images = jnp.asarray(np.stack(draw_images(3)))
    steps = jnp.arange(8).reshape(2, 4, 1)
    amounts = jnp.full((2, 4, 1), 0.4)
    together = jax.vmap(lambda *row: apply_operations(images, *row))(steps, amounts)
    one_by_one = [
        apply_operations(images, *row) for row in zip(steps, amounts, strict=True)
    ]
    np.testing.assert_array_equal(together, one_by_one)


def test_apply_operations_is_the_same_where_images_go_together(monkeypatch):
    images = jnp.asarray(np.stack(draw_images(3) * 4))
    steps = jnp.arange(16).reshape(16, 1) % len(OPERATIONS)
    operands = (images, steps, jnp.full((16, 1), 0.4))
    expected = apply_operations(*operands)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    together = jax.jit(lambda *operands: apply_operations.__wrapped__(*operands))
    np.testing.assert_array_equal(together(*operands), expected)


@pytest.mark.parametrize(
    ("images", "fill", "message"),
    [
        (np.zeros((1, 2, 2, 4), np.uint8), 0, "must have 1 or 3 channels, got 4"),
        (np.zeros((1, 2, 2, 3), np.int32), 0, "must be uint8, or floats.*got int32"),
        (np.zeros((1, 2, 2, 3), np.uint8), 256, "fill must be in 0 to 255, got 256"),
    ],
)
def test_apply_operations_names_a_bad_operand(images, fill, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as for users
    steps = jnp.zeros((1, 1), jnp.int32)
    with pytest.raises(ValueError, match=f"apply_operations: .*{message}"):
        apply_operations(jnp.asarray(images), steps, jnp.zeros((1, 1)), fill=fill)
