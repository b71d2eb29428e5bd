"""Augmentation on the device: pure functions of a batch of images and a key.

Images are batches with channels last. Each image of a batch gets its own draw, and
the draws are the same however the batch is split over devices.
"""

from jaxdl.augment.geometry import make_augment, random_crop, random_flip
from jaxdl.augment.scaling import normalize, to_float

__all__ = ["make_augment", "normalize", "random_crop", "random_flip", "to_float"]
