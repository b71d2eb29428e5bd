"""Two views of each image by Pillow, in several processes."""

import math
import multiprocessing
import random
import time
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

Settings = dict[str, Any]
"""The fields of a `jaxdl.augment.View`."""


def draw_images(num_images: int, size: int) -> np.ndarray:
    """Smooth images of any colours, as bytes."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (num_images, 6, 6, 3), np.uint8)
    images = [Image.fromarray(image).resize((size, size)) for image in coarse]
    return np.stack([np.asarray(image) for image in images])


class PillowPipeline:
    """Processes that make the views of their shares of a batch, again and again."""

    def __init__(
        self, images: np.ndarray, views: list[Settings], *, size: int, processes: int
    ):
        """Starts the processes; they end with this one."""
        self._cpu_times = [0.0] * processes
        self._pipes = []
        # A forked process would hold this one's pipes, and not notice its end.
        context = multiprocessing.get_context("spawn")
        for seed, share in enumerate(np.array_split(images, processes)):
            ours, theirs = context.Pipe()
            arguments = (theirs, share, views, size, seed)
            context.Process(target=_work, args=arguments, daemon=True).start()
            theirs.close()
            self._pipes.append(ours)

    def __call__(self) -> None:
        """Makes all views and leaves them where they were made."""
        for pipe in self._pipes:
            pipe.send("time")
        self._cpu_times = [pipe.recv() for pipe in self._pipes]

    def read_views(self) -> np.ndarray:
        """The views of the last call: view, image, height, width, channel."""
        for pipe in self._pipes:
            pipe.send("views")
        return np.concatenate([pipe.recv() for pipe in self._pipes], axis=1)

    def read_cpu_time(self) -> float:
        """Seconds that this process and the others have computed so far."""
        return time.process_time() + sum(self._cpu_times)


def _work(pipe, images, views, size, seed) -> None:
    generator = random.Random(seed)
    results = np.zeros((len(views), len(images), size, size, 3), np.uint8)
    while True:
        try:
            wanted = pipe.recv()
        except EOFError:
            return
        if wanted == "views":
            pipe.send(results)
            continue
        for pixels, *places in zip(images, *results, strict=True):
            image = Image.fromarray(pixels)
            for view, place in zip(views, places, strict=True):
                place[:] = np.asarray(_make_view(image, view, size, generator))
        pipe.send(time.process_time())


def _make_view(image, view: Settings, size: int, generator: random.Random):
    """One view, as torchvision's transforms of Pillow images would make it."""
    happens = lambda name: generator.random() < view[f"{name}_probability"]
    top, left, height, width = _draw_box(image, view, generator)
    image = image.crop((left, top, left + width, top + height))
    kernel = Image.Resampling[view["interpolation"].upper()]
    image = image.resize((size, size), kernel)
    if happens("flip"):
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if happens("jitter"):
        image = _jitter(image, view, generator)
    if happens("grayscale"):
        image = image.convert("L").convert("RGB")
    if happens("blur"):
        sigma = generator.uniform(*view["blur_sigma"])
        image = image.filter(ImageFilter.GaussianBlur(sigma))
    if happens("solarize"):
        image = ImageOps.solarize(image, round(255 * view["solarize_threshold"]))
    return image


def _draw_box(image, view: Settings, generator: random.Random):
    low, high = (math.log(bound) for bound in view["crop_ratio"])
    for _ in range(10):
        area = generator.uniform(*view["crop_scale"]) * image.width * image.height
        ratio = math.exp(generator.uniform(low, high))
        width = round(math.sqrt(area * ratio))
        height = round(math.sqrt(area / ratio))
        if 0 < width <= image.width and 0 < height <= image.height:
            top = generator.randint(0, image.height - height)
            return top, generator.randint(0, image.width - width), height, width
    return 0, 0, image.height, image.width  # these images are square


def _jitter(image, view: Settings, generator: random.Random):
    enhancers = {
        "brightness": ImageEnhance.Brightness,
        "contrast": ImageEnhance.Contrast,
        "saturation": ImageEnhance.Color,
    }
    steps = [*enhancers, "hue"]
    generator.shuffle(steps)
    for step in steps:
        if step == "hue":
            image = _turn_hue(image, generator.uniform(-view["hue"], view["hue"]))
        else:
            factor = generator.uniform(max(0, 1 - view[step]), 1 + view[step])
            image = enhancers[step](image).enhance(factor)
    return image


def _turn_hue(image, turn: float):
    hue, saturation, value = image.convert("HSV").split()
    table = [(level + int(255 * turn)) % 256 for level in range(256)]
    planes = (hue.point(table), saturation, value)
    return Image.merge("HSV", planes).convert("RGB")
