"""Numbers of a radial basis function head, read aloud in plain words."""

from collections.abc import Mapping

_FOLLOW, _IGNORE = 0.6, 0.2
"""Adjusted mutual information from which, and below which, a word is said."""


def tell_center_use(
    *,
    num_centers: int,
    used_centers: int,
    effective_centers: float,
    largest_center_share: float,
    adjusted_mutual_information: float,
    purity: float,
) -> str:
    """Says how many centres are in use, and whether they follow the classes.

    Args:
        num_centers: Of the head.
        used_centers: Those that are nearest to at least one image.
        effective_centers: The exponential of the entropy of the images' shares.
        largest_center_share: Of the images, at the centre with most of them; in
            [0, 1].
        adjusted_mutual_information: Of centre and class, at most 1.
        purity: Share of images that are of their centre's most frequent class.

    Returns:
        Two or three sentences.

    Example:
        >>> print(tell_center_use(
        ...     num_centers=10, used_centers=1, effective_centers=1.0,
        ...     largest_center_share=1.0, adjusted_mutual_information=0.0, purity=0.1,
        ... ))
        1 of 10 centres is in use: all images end there, whatever their class.
    """
    if used_centers == 1:
        return (
            f"1 of {num_centers} centres is in use: all images end there, whatever "
            "their class."
        )
    use = (
        f"{used_centers} of {num_centers} centres are in use, which by the spread of "
        f"the images count for {effective_centers:.1f} equally used ones; the most "
        f"used one has {largest_center_share:.0%} of the images."
    )
    information = adjusted_mutual_information
    if information >= _FOLLOW:
        words = "The clusters follow the classes"
    elif information < _IGNORE:
        words = "The clusters all but ignore the classes"
    else:
        words = "The clusters follow the classes in part"
    return (
        f"{use} {words}: purity {purity:.1%}, adjusted mutual information of centre "
        f"and class {information:.2f} (0 is chance; 1 needs a single centre for each "
        "class, so several pure ones per class stay below it)."
    )


def tell_nearest_center(
    *, nearest_center_accuracy: float, accuracy: float | None = None
) -> str:
    """Says what ending at the nearest centre is, and how often it is right.

    Args:
        nearest_center_accuracy: Of the test images, in [0, 1].
        accuracy: Of the whole network on the same images.

    Returns:
        Two sentences.

    Example:
        >>> tell_nearest_center(nearest_center_accuracy=0.914).split(". ")[-1]
        'That alone is right for 91.4% of the test images.'
    """
    whole = "" if accuracy is None else f", the whole network for {accuracy:.1%}"
    return (
        "One can also end at the cluster, without output weights and scores of "
        "classes: an image gets the class that most training images at its nearest "
        f"centre have. That alone is right for {nearest_center_accuracy:.1%} of the "
        f"test images{whole}."
    )


def tell_unknown(auroc: Mapping[str, float]) -> str:
    """Says how well the distance tells each kind of unknown images from known ones.

    Args:
        auroc: Area under the ROC curve in [0, 1], by what the images are.

    Returns:
        A sentence for each.

    Example:
        >>> tell_unknown({"noise": 0.951})
        'noise: 0.95, mostly told from the test images.'
    """
    return " ".join(
        f"{name}: {area:.2f}, {_rate(area)}." for name, area in auroc.items()
    )


def _rate(area: float) -> str:
    if area >= 0.99:
        return "told from the test images almost always"
    if area >= 0.8:
        return "mostly told from the test images"
    if area > 0.6:
        return "told from the test images now and then"
    if area >= 0.4:
        return "not told from the test images"
    return "taken for better known than the test images"
