"""Augmentation on the device: pure functions of a batch of images and a key.

Images are batches with channels last. Each image of a batch gets its own draw, and
the draws are the same however the batch is split over devices. Each random function
has one beside it that takes what was drawn.
"""

from jaxdl.augment.blur import blur_images, gaussian_blur
from jaxdl.augment.color import (
    COLOR_STEPS,
    change_colors,
    color_jitter,
    random_grayscale,
    random_solarize,
    solarize,
)
from jaxdl.augment.geometry import make_augment, random_crop, random_flip
from jaxdl.augment.operations import OPERATIONS, apply_operations
from jaxdl.augment.policies import (
    POLICIES,
    auto_augment,
    rand_augment,
    trivial_augment,
)
from jaxdl.augment.resized_crop import (
    crop_and_resize,
    draw_crop_boxes,
    random_resized_crop,
)
from jaxdl.augment.scaling import normalize, to_float
from jaxdl.augment.views import (
    BARLOW_TWINS_VIEWS,
    CIFAR_VIEWS,
    GRAYSCALE_VIEWS,
    View,
    make_two_views,
    make_view,
)

__all__ = [
    "BARLOW_TWINS_VIEWS",
    "CIFAR_VIEWS",
    "COLOR_STEPS",
    "GRAYSCALE_VIEWS",
    "OPERATIONS",
    "POLICIES",
    "View",
    "apply_operations",
    "auto_augment",
    "blur_images",
    "change_colors",
    "color_jitter",
    "crop_and_resize",
    "draw_crop_boxes",
    "gaussian_blur",
    "make_augment",
    "make_two_views",
    "make_view",
    "normalize",
    "rand_augment",
    "random_crop",
    "random_flip",
    "random_grayscale",
    "random_resized_crop",
    "random_solarize",
    "solarize",
    "to_float",
    "trivial_augment",
]
