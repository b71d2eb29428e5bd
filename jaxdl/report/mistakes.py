"""The images that a classifier got wrong and was most sure of."""

import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Integer, Shaped
from matplotlib.axes import Axes

from jaxdl.report.figures import (
    QUIET,
    make_figure,
    save_figure,
    shorten_name,
    write_note,
)


def plot_mistakes(
    images: Shaped[np.ndarray, "batch height width channels"],
    labels: Integer[np.ndarray, " batch"],
    predictions: Integer[np.ndarray, " batch"],
    confidences: Float[np.ndarray, " batch"],
    class_names: Sequence[str],
    path: str | os.PathLike[str],
    *,
    max_images: int = 25,
) -> None:
    """Plots the mistakes with the highest confidence first, as "true → predicted".

    Args:
        images: uint8, or floats in [0, 1]; one, three or four channels.
        labels: The true class of each image.
        predictions: The predicted class; images where it's right are left out.
        confidences: The probability of the predicted class, in [0, 1].
        class_names: One name per class.
        path: The PNG to write, in a folder that exists.
        max_images: How many mistakes to show at most.

    Raises:
        ValueError: The images have a number of channels that can't be shown, or
            `max_images` is below 1.

    Example:
        >>> import os
        >>> images = np.zeros((2, 8, 8, 1), np.uint8)
        >>> labels, predictions = np.array([0, 1]), np.array([1, 1])
        >>> confidences = np.array([0.9, 0.8])
        >>> names = ["cat", "dog"]
        >>> plot_mistakes(images, labels, predictions, confidences, names, os.devnull)
    """
    if images.shape[-1] not in (1, 3, 4):
        raise ValueError(f"images have {images.shape[-1]} channels, wanted 1, 3 or 4")
    if max_images < 1:
        raise ValueError(f"max_images is {max_images}, wanted at least 1")
    wrong = np.flatnonzero(labels != predictions)
    # A stable sort keeps equal confidences in the order of the data.
    order = np.argsort(-np.nan_to_num(confidences[wrong]), kind="stable")
    shown = wrong[order][:max_images]
    if len(shown) == 0:
        figure = make_figure(5.0, 3.0)
        write_note(figure.subplots(), f"No mistakes in {len(labels):,} examples.")
        save_figure(figure, path)
        return

    num_columns = min(5, len(shown))
    num_rows = -(-len(shown) // num_columns)
    # Wide enough for the title even when a single mistake makes a single column.
    figure = make_figure(max(1.9 * num_columns, 4.8), 2.2 * num_rows + 0.5)
    panels = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, index in zip(panels, shown, strict=False):
        _show_image(axes, images[index])
        true = class_names[int(labels[index])]
        predicted = class_names[int(predictions[index])]
        axes.set_title(
            f"{shorten_name(true, max_length=12)} → "
            f"{shorten_name(predicted, max_length=12)}\n{confidences[index]:.3f}",
            fontsize=8,
            color=QUIET,
            parse_math=False,
        )
    count = f"{len(wrong):,} mistake{'s' if len(wrong) > 1 else ''}"
    if len(shown) < len(wrong):
        count = f"{len(shown)} most confident of {count}"
    figure.suptitle(
        f"{count}: true → predicted, confidence",
        fontsize=11,
        color=QUIET,
    )
    save_figure(figure, path)


def _show_image(axes: Axes, image: np.ndarray) -> None:
    top = 255 if image.dtype == np.uint8 else 1
    if image.shape[-1] == 1:
        axes.imshow(image[..., 0], cmap="gray", vmin=0, vmax=top)
    else:
        axes.imshow(np.clip(image, 0, top))
