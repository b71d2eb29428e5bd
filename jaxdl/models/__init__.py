"""Networks, one family per file, and `MODELS`, by name.

`MODELS[name](num_classes=..., dtype=...)` makes a Linen module; `model.apply(variables,
images, train=...)` gives float32 logits, and in training updates `batch_stats`.
"""

import functools

from jaxdl.models.cifar_resnet import CifarResNet
from jaxdl.models.resnet import ResNet

MODELS = {
    "plain8_cifar": functools.partial(CifarResNet, depth=8, residual=False),
    "plain20_cifar": functools.partial(CifarResNet, depth=20, residual=False),
    "plain32_cifar": functools.partial(CifarResNet, depth=32, residual=False),
    "plain44_cifar": functools.partial(CifarResNet, depth=44, residual=False),
    "plain56_cifar": functools.partial(CifarResNet, depth=56, residual=False),
    "plain110_cifar": functools.partial(CifarResNet, depth=110, residual=False),
    "resnet8_cifar": functools.partial(CifarResNet, depth=8),
    "resnet20_cifar": functools.partial(CifarResNet, depth=20),
    "resnet32_cifar": functools.partial(CifarResNet, depth=32),
    "resnet44_cifar": functools.partial(CifarResNet, depth=44),
    "resnet56_cifar": functools.partial(CifarResNet, depth=56),
    "resnet110_cifar": functools.partial(CifarResNet, depth=110),
    "resnet18": functools.partial(ResNet, depth=18),
    "resnet34": functools.partial(ResNet, depth=34),
    "resnet50": functools.partial(ResNet, depth=50),
    "resnet101": functools.partial(ResNet, depth=101),
    "resnet152": functools.partial(ResNet, depth=152),
}

__all__ = ["MODELS", "CifarResNet", "ResNet"]
