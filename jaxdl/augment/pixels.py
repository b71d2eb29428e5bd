"""Changes of colour, for images whose channels are along any axis.

All are right for one image and for a batch, in float32: the last three axes are an
image's, and a factor has the shape of the rest, followed by ones.
"""

import jax.numpy as jnp

_IMAGE = (-3, -2, -1)


def change_brightness(x, factor):
    """Multiplies by a factor."""
    return jnp.clip(x * factor, 0.0, 1.0)


def change_contrast(x, factor, *, channel_axis):
    """Moves away from the mean of the grayscale image by a factor."""
    gray = mix_channels(x, channel_axis) if x.shape[channel_axis] == 3 else x
    mean = gray.mean(axis=_IMAGE, keepdims=True)
    return jnp.clip(factor * x + (1.0 - factor) * mean, 0.0, 1.0)


def change_saturation(x, factor, *, channel_axis):
    """Moves away from the grayscale image by a factor."""
    gray = mix_channels(x, channel_axis)
    return jnp.clip(factor * x + (1.0 - factor) * gray, 0.0, 1.0)


def change_hue(x, turn, *, channel_axis):
    """Turns the hue, a full turn being 1, at the same saturation and value."""
    red, green, blue = _split(x, channel_axis)
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    # Sixths of a turn, counted from red over green to blue.
    sixths = jnp.where(
        value == red,
        green - blue,
        jnp.where(value == green, blue - red, red - green),
    ) / jnp.where(chroma == 0.0, 1.0, chroma)
    start = jnp.where(value == red, 0.0, jnp.where(value == green, 2.0, 4.0))
    hue = sixths + start + 6.0 * turn
    channels = []
    for offset in (5.0, 3.0, 1.0):
        place = hue + offset
        place = place - 6.0 * jnp.floor(place / 6.0)
        share = jnp.clip(jnp.minimum(place, 4.0 - place), 0.0, 1.0)
        channels.append(value - chroma * share)
    return jnp.concatenate(channels, axis=channel_axis)


def remove_color(x, *, channel_axis):
    """Puts the grayscale image in all three channels."""
    return jnp.broadcast_to(mix_channels(x, channel_axis), x.shape)


def invert_bright(x, *, threshold):
    """Inverts what is not below the threshold."""
    return jnp.where(x >= threshold, 1.0 - x, x)


def mix_channels(x, channel_axis):
    """Grayscale by the weights of ITU-R BT.601, with one channel."""
    red, green, blue = _split(x, channel_axis)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _split(x, channel_axis):
    return jnp.split(x, 3, axis=channel_axis)
