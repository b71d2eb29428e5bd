import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from jaxdl.data import decode_image, resize_images
from jaxdl.data.image import MAX_PIXELS
from jaxdl.errors import DataError


def decode(data, **options):
    return decode_image(data, **{"image_size": None, "where": "a.png"} | options)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_decode_image_of_a_lossless_file_gives_its_pixels(make, kind):
    pixels = make.random_pixels(6, 7, 3)
    data = make.encode(pixels, kind, lossless=True)
    np.testing.assert_array_equal(decode(data), pixels)


def test_decode_image_of_a_jpeg_is_near_its_pixels(make):
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    pixels = np.broadcast_to(ramp[:, None, None], (64, 48, 3))
    decoded = decode(make.encode(pixels, "JPEG", quality=95)).astype(int)
    assert decoded.shape == (64, 48, 3) and np.abs(decoded - pixels).max() <= 3


def test_decode_image_gives_one_channel_when_asked(make):
    pixels = make.random_pixels(6, 7)
    data = make.encode(pixels)
    np.testing.assert_array_equal(decode(data, channels=1)[..., 0], pixels)
    np.testing.assert_array_equal(decode(data), np.stack([pixels] * 3, -1))


def test_decode_image_reduces_16_bits_instead_of_clipping(make):
    values = np.array([[0, 257, 30000, 65535]], np.uint16)
    decoded = decode(make.encode(values))
    expected = np.round(values / 257).astype(np.uint8)
    np.testing.assert_array_equal(decoded, np.stack([expected] * 3, -1))


def test_decode_image_lays_transparency_on_white(make):
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = [0, 255, 51]
    decoded = decode(make.encode(pixels))
    np.testing.assert_array_equal(decoded[0, :, 0], [255, 0, 204])


def test_decode_image_reads_palettes_with_and_without_transparency(make):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    np.testing.assert_array_equal(
        decode(make.encode(image)), [[[10, 20, 30], [40, 50, 60]]]
    )
    transparent = decode(make.encode(image, transparency=0))
    np.testing.assert_array_equal(transparent, [[[255, 255, 255], [40, 50, 60]]])


def test_decode_image_reads_cmyk(make):
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    decoded = decode(make.encode(image, "JPEG", quality=95))
    np.testing.assert_allclose(decoded[8, 8].astype(int), [255, 0, 0], atol=3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_decode_image_applies_exif_rotation(make, orientation):
    pixels = make.random_pixels(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    # The EXIF table: where the stored rows and columns belong on the screen.
    shown = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, -1),
        7: pixels.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(pixels),
    }[orientation]
    np.testing.assert_array_equal(decode(make.encode(pixels, exif=exif)), shown)


def test_decode_image_uses_the_first_frame_of_an_animation(make):
    frames = [Image.new("RGB", (4, 4), (20 * i, 0, 0)) for i in range(1, 4)]
    file = io.BytesIO()
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    assert decode(file.getvalue())[0, 0].tolist() == [20, 0, 0]


def test_decode_image_believes_the_content_not_the_name(make):
    data = make.encode(make.random_pixels(4, 4, 3), "PNG")
    assert decode(data, where="a.jpg").shape == (4, 4, 3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (300, 2), (8, 8), (50, 90)])
def test_decode_image_fits_any_shape_into_the_square(make, shape):
    data = make.encode(make.random_pixels(*shape, 3))
    assert decode(data, image_size=8).shape == (8, 8, 3)


def test_decode_image_takes_the_central_square(make):
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 255
    decoded = decode(make.encode(pixels), image_size=5)
    # The outer columns are smoothed with what lies beyond, as resizing first would.
    assert decoded[:, 1:-1].min() == 255 and decoded.min() > 200


def test_decode_image_averages_when_it_shrinks(make):
    checkerboard = np.indices((64, 64)).sum(0) % 2 * 255
    pixels = np.stack([checkerboard] * 3, -1).astype(np.uint8)
    decoded = decode(make.encode(pixels), image_size=8).astype(int)
    assert np.abs(decoded - 127.5).max() < 4


def test_decode_image_of_a_large_jpeg_is_near_the_full_decode(make):
    x, y = np.meshgrid(np.arange(640), np.arange(480))
    pixels = np.stack([x // 3, y // 2, (x + y) // 5], -1).astype(np.uint8)
    data = make.encode(pixels, "JPEG", quality=95)
    full = resize_images(decode(data)[None], 32)[0].astype(int)
    assert np.abs(decode(data, image_size=32) - full).max() <= 3


def png_header(width, height):
    """A PNG that claims a size and holds no pixels."""
    from zlib import crc32

    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    ending = struct.pack(">I", crc32(chunk))
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + ending
    return start + struct.pack(">I", 10) + b"IDAT"


@pytest.mark.parametrize("side", [9_000, 50_000, 2**31 - 1])
def test_decode_image_refuses_bombs_without_decoding(side):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=r"image.*: bomb\.png: .*pixels") as caught:
            decode(png_header(side, side), where="bomb.png")
    assert side * side > MAX_PIXELS and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "keep, message",
    [
        (0.0, "empty image file: a.png"),
        (0.5, "can't decode image: a.png: "),
        (0.95, "can't decode image: a.png: "),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_decode_image_refuses_truncated_files_in_one_line(make, kind, keep, message):
    data = make.encode(make.random_pixels(16, 16, 3), kind)
    with pytest.raises(DataError) as caught:
        decode(data[: int(keep * len(data))])
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_decode_image_of_damaged_bytes_gives_pixels_or_one_line(make, kind):
    data = make.encode(make.random_pixels(16, 16, 3), kind)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        damaged = bytearray(data)
        for position in rng.integers(0, len(data), 4):
            damaged[position] ^= 1 << rng.integers(8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and TIFF tags
            try:
                assert decode(bytes(damaged), image_size=8).shape == (8, 8, 3)
            except DataError as error:
                assert "a.png" in str(error) and "\n" not in str(error)
                refused += 1
    assert refused > 10  # a JPEG's pixels carry no checksum: most of it decodes


@pytest.mark.parametrize(
    "data", [b"<html>404</html>", b"\xff\xd8\xff", b"RIFF....WEBP"]
)
def test_decode_image_refuses_what_is_no_image(data):
    with pytest.raises(DataError, match="not a JPEG, PNG or WebP image: a.png"):
        decode(data)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_decode_image_refuses_other_formats(make, kind):
    data = make.encode(make.random_pixels(4, 4, 3), kind)
    with pytest.raises(DataError, match="not a JPEG, PNG or WebP image: a.jpg"):
        decode(data, where="a.jpg")


@pytest.mark.parametrize("channels", [1, 3])
def test_resize_images_equals_decoding_to_that_size(make, channels):
    pixels = make.random_pixels(9, 9, channels)
    flat = pixels[..., 0] if channels == 1 else pixels
    decoded = decode(make.encode(flat), image_size=20, channels=channels)
    np.testing.assert_array_equal(resize_images(pixels[None], 20)[0], decoded)


def test_resize_images_of_a_ramp_is_bilinear():
    ramp = np.arange(0, 160, 20, dtype=np.uint8)
    images = np.broadcast_to(ramp[None, None, :, None], (1, 8, 8, 1)).copy()
    row = resize_images(images, 16)[0, 5, :, 0].astype(float)
    # Pixel centres: target i lies at (i + 0.5) / 2 - 0.5 of the source.
    expected = np.interp((np.arange(16) + 0.5) / 2 - 0.5, np.arange(8), ramp)
    np.testing.assert_allclose(row, expected, atol=0.51)


def test_resize_images_returns_the_same_array_when_nothing_changes():
    images = np.zeros((2, 8, 8, 1), np.uint8)
    assert resize_images(images, None) is images and resize_images(images, 8) is images


def test_resize_images_refuses_size_zero():
    with pytest.raises(ValueError, match="image_size must be at least 1 pixel, got 0"):
        resize_images(np.zeros((2, 8, 8, 1), np.uint8), 0)
