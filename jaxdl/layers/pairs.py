"""One number for both axes of an image, or one for each."""

Pair = int | tuple[int, int]
"""Of a window, stride, padding or dilation: (vertical, horizontal), or both alike."""


def as_pair(value: Pair) -> tuple[int, int]:
    """The number for each axis.

    Args:
      value: one number or (vertical, horizontal).

    Returns:
      (vertical, horizontal).

    Example:
      >>> as_pair(3), as_pair((1, 7))
      ((3, 3), (1, 7))
    """
    return value if isinstance(value, tuple) else (value, value)
