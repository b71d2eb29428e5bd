"""Small images that can be told apart in a figure."""

import numpy as np

NAMES = ["cat", "dog", "<b>$x"]


def paint(count):
    """Images that differ: image i is grey all over, with the value i."""
    return np.arange(count, dtype=np.uint8)[:, None, None, None] + np.zeros(
        (1, 6, 6, 1), np.uint8
    )


def find_thumbnails(axes):
    """By its grey value, the middle of each 6 by 6 image of the axes."""
    places = {}
    for image in axes.images:
        pixels = np.asarray(image.get_array())
        if pixels.shape == (6, 6, 3):
            left, right, bottom, top = image.get_extent()
            value = int(round(255 * float(pixels[0, 0, 0])))
            places[value] = ((left + right) / 2, (bottom + top) / 2)
    return places
