"""From an image file's bytes to a uint8 array of a fixed shape."""

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from jaxdl.data.paths import show_reason
from jaxdl.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 80_000_000  # 240 MB as RGB; below the size at which Pillow warns


def decode_image(
    data: bytes, *, image_size: int | None, channels: int = 3, where: str
) -> UInt8[np.ndarray, "height width channels"]:
    """Decodes an image file and fits it into a square.

    EXIF rotation is applied, transparency laid on white, 16 bits reduced to 8; of an
    animation the first frame is used. The central square is resized (bilinear with
    antialiasing).

    Args:
      data: The file's content: JPEG, PNG or WebP, whatever its name says.
      image_size: Height and width of the result, in pixels; None keeps the image's.
      channels: 3 for RGB, 1 for grey.
      where: The file and its class, for messages.

    Returns:
      The pixels, in [0, 255].

    Raises:
      DataError: Not an image, damaged, truncated, or too large to be a photo.

    Example:
      >>> file = io.BytesIO()
      >>> Image.new("L", (30, 20), 200).save(file, "PNG")
      >>> decode_image(file.getvalue(), image_size=8, where="a.png").shape
      (8, 8, 3)
    """
    if not data:
        raise DataError(f"empty image file: {where}")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise DataError(
                    f"image too large: {where}: {width} x {height} pixels, "
                    f"more than {MAX_PIXELS}"
                )
            if image_size is not None:
                # JPEG decodes at 1/2, 1/4 or 1/8 for less; twice the target is
                # kept, so that the antialiasing still has the last word.
                image.draft(None, (2 * image_size, 2 * image_size))
            image = ImageOps.exif_transpose(image)
            image = _to_channels(image, channels)
            if image_size is not None:
                image = _fit_square(image, image_size)
            pixels = np.asarray(image)
    except DataError:
        raise
    except Image.UnidentifiedImageError:
        raise DataError(f"not a JPEG, PNG or WebP image: {where}") from None
    # Pillow's decoders raise what they happen to meet: OSError, SyntaxError, struct
    # and zlib errors, MemoryError, and its own error for decompression bombs.
    except Exception as error:
        reason = show_reason(error)
        raise DataError(f"can't decode image: {where}: {reason}") from error
    return pixels if pixels.ndim == 3 else pixels[..., None]


def resize_images(
    images: UInt8[np.ndarray, "num_examples height width channels"],
    image_size: int | None,
) -> UInt8[np.ndarray, "num_examples new_height new_width channels"]:
    """Resizes a stack of decoded images, as `decode_image` does.

    Args:
      images: Grey or RGB pixels in [0, 255].
      image_size: Height and width of the result, in pixels; None, or the size they
        have, returns the images as they are.

    Returns:
      The resized images.

    Raises:
      ValueError: image_size is below 1.

    Example:
      >>> resize_images(np.zeros((2, 8, 8, 1), np.uint8), 16).shape
      (2, 16, 16, 1)
    """
    check_image_size(image_size)
    num_examples, height, width, channels = images.shape
    if image_size is None or (height, width) == (image_size, image_size):
        return images
    resized = np.empty((num_examples, image_size, image_size, channels), np.uint8)
    for source, target in zip(images, resized, strict=True):
        pixels = source[..., 0] if channels == 1 else source
        square = np.asarray(_fit_square(Image.fromarray(pixels), image_size))
        target[...] = square.reshape(target.shape)
    return resized


def check_image_size(image_size: int | None) -> None:
    """Refuses a size that no image can have.

    Raises:
      ValueError: image_size is below 1.

    Example:
      >>> check_image_size(0)
      Traceback (most recent call last):
      ValueError: image_size must be at least 1 pixel, got 0
    """
    if image_size is not None and image_size < 1:
        raise ValueError(f"image_size must be at least 1 pixel, got {image_size}")


def _to_channels(image: Image.Image, channels: int) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        # Pillow would clip 16-bit grey at 255, to a white image.
        values = np.asarray(image, np.float64) / 257
        image = Image.fromarray(np.clip(values.round(), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("RGB" if channels == 3 else "L")


def _fit_square(image: Image.Image, image_size: int) -> Image.Image:
    # Cropping first keeps a 1 x 10000 image from growing before it is cut.
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize(
        (image_size, image_size),
        Image.Resampling.BILINEAR,
        box=(left, top, left + side, top + side),
    )
