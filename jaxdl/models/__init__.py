"""Networks, one family per file, and `MODELS`, by name.

`MODELS[name](num_classes=..., dtype=...)` makes a Linen module; `model.apply(variables,
images, train=...)` gives float32 logits, and in training updates `batch_stats`. With
`num_classes=0` it has no head and gives its features. With `method="extract"` it gives
the maps on the way too. `INPUTS[name]` says which images the network was made for.
`TwinNetwork` puts a `Projector` on one, for training without labels.
"""

import functools

from jaxdl.models.alexnet import AlexNet
from jaxdl.models.cifar_resnet import CifarResNet
from jaxdl.models.efficientnet import EfficientNet
from jaxdl.models.googlenet import GoogLeNet
from jaxdl.models.image_mlp import ImageMLP
from jaxdl.models.inception_v3 import InceptionV3
from jaxdl.models.inputs import InputSpec
from jaxdl.models.network import Family, Network
from jaxdl.models.projector import Projector
from jaxdl.models.rbf_network import RBFNetwork
from jaxdl.models.resnet import ResNet
from jaxdl.models.small_cnn import SmallCNN
from jaxdl.models.splits import Splits, list_splits, split_pair
from jaxdl.models.twins import TwinNetwork
from jaxdl.models.vgg import VGG

MODELS = {
    "alexnet": AlexNet,
    "efficientnet_b0": EfficientNet,
    "googlenet": GoogLeNet,
    "googlenet_aux": functools.partial(GoogLeNet, auxiliary=True),
    "inception_v3": InceptionV3,
    "mlp": ImageMLP,
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
    "resnet50_v1": functools.partial(ResNet, depth=50, version="v1"),
    "resnet101_v1": functools.partial(ResNet, depth=101, version="v1"),
    "resnet152_v1": functools.partial(ResNet, depth=152, version="v1"),
    "resnet18_v2": functools.partial(ResNet, depth=18, version="v2"),
    "resnet34_v2": functools.partial(ResNet, depth=34, version="v2"),
    "resnet50_v2": functools.partial(ResNet, depth=50, version="v2"),
    "resnet101_v2": functools.partial(ResNet, depth=101, version="v2"),
    "resnet152_v2": functools.partial(ResNet, depth=152, version="v2"),
    "small_cnn": SmallCNN,
    "vgg11": functools.partial(VGG, depth=11),
    "vgg13": functools.partial(VGG, depth=13),
    "vgg16": functools.partial(VGG, depth=16),
    "vgg19": functools.partial(VGG, depth=19),
    "vgg11_bn": functools.partial(VGG, depth=11, batch_norm=True),
    "vgg13_bn": functools.partial(VGG, depth=13, batch_norm=True),
    "vgg16_bn": functools.partial(VGG, depth=16, batch_norm=True),
    "vgg19_bn": functools.partial(VGG, depth=19, batch_norm=True),
}

INPUTS: dict[str, InputSpec] = {
    name: make(num_classes=1).describe_family().images for name, make in MODELS.items()
}
"""The images that each network's published weights want, by its name in `MODELS`."""

__all__ = [
    "INPUTS",
    "MODELS",
    "VGG",
    "AlexNet",
    "CifarResNet",
    "EfficientNet",
    "Family",
    "GoogLeNet",
    "ImageMLP",
    "InceptionV3",
    "InputSpec",
    "Network",
    "Projector",
    "RBFNetwork",
    "ResNet",
    "SmallCNN",
    "Splits",
    "TwinNetwork",
    "list_splits",
    "split_pair",
]
