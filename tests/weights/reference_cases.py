"""The comparisons made: networks, images and weights, drawn without PyTorch."""

import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.weights.reference_networks import run_network

CASES = {
    "alexnet/8": (95, 63),
    "vgg11/8": (64, 35),
    "vgg13_bn/8": (36, 32),
    "alexnet": (95, 63),
    "efficientnet_b0": (41, 36),
    "googlenet": (45, 38),
    "inception_v3": (79, 75),
    "resnet18": (41, 36),
    "resnet34": (41, 36),
    "resnet50": (41, 36),
    "resnet101": (35, 33),
    "resnet152": (35, 33),
    "resnet50_v1": (41, 36),
    "resnet18_v2": (41, 36),
    "resnet50_v2": (41, 36),
    "resnet20_cifar": (15, 18),
    "plain20_cifar": (15, 18),
    "vgg11": (64, 35),
    "vgg13": (36, 32),
    "vgg16": (36, 32),
    "vgg19": (36, 32),
    "vgg11_bn": (36, 32),
    "vgg13_bn": (36, 32),
    "vgg16_bn": (36, 32),
    "vgg19_bn": (36, 32),
}
"""The networks compared, with the height and width of the images: small, unequal, and
odd where that changes what padding and pooling do. Of "vgg11/8" all widths are divided
by 8."""

VECTORS = Path(__file__).parent / "vectors"

TRAINING_CASES = {"googlenet_aux": (4, 3, 107, 101), "inception_v3": (2, 3, 299, 299)}
"""Networks whose auxiliary heads are compared, which only training computes, with the
images for it: more pixels, as the statistics of few amplify rounding."""


@dataclass(frozen=True)
class Tensor:
    """What a network asks of a tensor of its file: the shape, and how to draw it."""

    shape: tuple[int, ...]
    low: float
    high: float


@dataclass(frozen=True)
class _Shape:
    """An activation of which only the channels (and side, once pooled) are known."""

    channels: int
    side: int = 1

    def __add__(self, other):
        assert self.channels == other.channels
        return self

    __mul__ = __add__


class _Recorder:
    """Operations that compute nothing and note the tensors asked for."""

    train = True

    def __init__(self):
        self.tensors = {}

    def channels(self, x):
        return x.channels

    def conv(self, x, name, features, kernel, stride=1, padding=0, groups=1, **options):
        gain = options.get("gain", math.sqrt(2))
        window = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        shape = (features, x.channels // groups, *window)
        self._add_kernel(name, shape, gain, bias=options.get("bias", False))
        return _Shape(features, x.side)

    def linear(self, x, name, features, is_convolution=False, gain=2**0.5):
        shape = (features, x.channels, *(1, 1) * is_convolution)
        self._add_kernel(name, shape, gain, bias=True)
        return _Shape(features)

    def _add_kernel(self, name, shape, gain, *, bias):
        bound = gain * math.sqrt(3 / math.prod(shape[1:]))  # std: gain / sqrt(fan in)
        self.tensors[f"{name}.weight"] = Tensor(shape, -bound, bound)
        if bias:
            self.tensors[f"{name}.bias"] = Tensor(shape[:1], -0.1, 0.1)

    def norm(self, x, name, eps=1e-5, scale=1.0):
        shape = (x.channels,)
        self.tensors |= {
            f"{name}.weight": Tensor(shape, 0.5 * scale, 1.5 * scale),
            f"{name}.bias": Tensor(shape, -0.2, 0.2),
            f"{name}.running_mean": Tensor(shape, -0.2, 0.2),
            f"{name}.running_var": Tensor(shape, 0.5, 1.5),
            f"{name}.num_batches_tracked": Tensor((), 0, 0),
        }
        return x

    def relu(self, x, *numbers, **options):
        return x

    silu = sigmoid = max_pool = average_pool = relu

    def adaptive_average_pool(self, x, size):
        return _Shape(x.channels, size)

    def flatten(self, x):
        return _Shape(x.channels * x.side**2)

    def concatenate(self, xs):
        return _Shape(sum(x.channels for x in xs))

    def subsample_and_pad(self, x, features, stride):
        return _Shape(features)


def list_tensors(name, *, num_classes=10):
    """The tensors of a network's file by name, in order."""
    recorder = _Recorder()
    run_network(recorder, name, _Shape(3), num_classes=num_classes)
    return recorder.tensors


def draw_state(name, *, num_classes=10, seed=0):
    """Float32 arrays for every tensor of a network; activations stay of order 1."""
    return {
        tensor: _draw(spec, seed, tensor)
        for tensor, spec in list_tensors(name, num_classes=num_classes).items()
    }


def _draw(spec, seed, name):
    if spec.shape == ():
        return np.zeros((), np.int64)
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    values = generator.random(spec.shape, np.float32)
    values *= np.float32(spec.high - spec.low)
    values += np.float32(spec.low)
    return values


def draw_case(name, *, train=False):
    """The file's tensors, float32 images, channels first, and their labels."""
    shape = TRAINING_CASES[name] if train else (2, 3, *CASES[name])
    images = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    return draw_state(name), images, np.arange(len(images))


def thin_out(array, *, count=256):
    """At most `count` values of a map, spread over all of it, in float32."""
    flat = np.ravel(array)
    step = max(1, flat.size // count)
    step += step % 2 == 0  # odd: else a power of two would meet the same channel only
    return flat[::step][:count].astype(np.float32)


def vectors_file(name, *, train=False):
    """What the file of a case's values is called."""
    return f"{name.replace('/', '_narrowed_')}{'_training' * train}.npz"
