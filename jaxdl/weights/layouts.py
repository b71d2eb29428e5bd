"""Where PyTorch's files keep the tensors of each network: names, shapes, order of axes.

A module is named by its path in the Flax tree (`stage1/block0/conv1`); a layout says
what the file calls it (`layer1.0.conv1`).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from jaxdl.layers.tables import choose
from jaxdl.models import MODELS

LEAF_NAMES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
"""What PyTorch calls the arrays of a module; its `weight` is a kernel or a scale."""

Names = dict[str, str]
"""Names of modules in a file by their paths in the tree."""


@dataclass(frozen=True)
class Layout:
    """How one kind of file holds a network.

    Attributes:
      name: whose files these are.
      name_modules: given the paths of all modules, their names in the file.
      sides: of the square images that the input of a dense layer was flattened from,
        by path; the others follow an average over all pixels.
      convolved: paths of dense layers that the file holds as convolutions.
      ignored: how the names of tensors begin that the network does without.
    """

    name: str
    name_modules: Callable[[Iterable[str]], Names]
    sides: Mapping[str, int] = field(default_factory=dict)
    convolved: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()

    def file_shape(self, path: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of an array in the file.

        Args:
          path: of its module.
          shape: of the array in the Flax tree.

        Returns:
          Features first for kernels of convolutions and dense layers.
        """
        if len(shape) == 4:
            height, width, channels, features = shape
            return features, channels, height, width
        if len(shape) != 2:
            return shape
        if path not in self.convolved:
            return shape[::-1]
        side = self.sides.get(path, 1)
        return shape[1], shape[0] // side**2, side, side

    def from_file(
        self, path: str, array: np.ndarray, shape: tuple[int, ...]
    ) -> np.ndarray:
        """An array of the file as the Flax tree holds it, of a given shape there."""
        if len(shape) not in (2, 4):
            return array
        # PyTorch flattens channels, rows, columns, Flax rows, columns, channels.
        side = self.sides.get(path, 1)
        images = array if array.ndim == 4 else array.reshape(len(array), -1, side, side)
        return images.transpose(2, 3, 1, 0).reshape(shape)

    def to_file(self, path: str, array: np.ndarray) -> np.ndarray:
        """An array of the Flax tree as the file holds it."""
        shape = self.file_shape(path, array.shape)
        if array.ndim == 2:
            side = self.sides.get(path, 1)
            array = array.reshape(side, side, -1, array.shape[1])
        return array.transpose(3, 2, 0, 1).reshape(shape) if array.ndim == 4 else array


def find_layouts(model_name: str) -> tuple[Layout, ...]:
    """The layouts in which a network's weights are published, the usual one first.

    Args:
      model_name: a key of `MODELS`.

    Returns:
      At least one; the first is the one that `to_torch_state` writes.

    Raises:
      ValueError: there is no network of that name, or no file format for it.

    Example:
      >>> layout = find_layouts("resnet18")[0]
      >>> layout.name, layout.name_modules(["stage1/block0/norm2", "head"])["head"]
      ('torchvision', 'fc')
    """
    choose(MODELS, model_name, what="model_name")
    for pattern, layouts in _LAYOUTS.items():
        if re.fullmatch(pattern, model_name):
            return layouts
    raise ValueError(f"{model_name}: no PyTorch layout is known for this network")


def _rename(*rules: tuple[str, str | Callable[[re.Match[str]], str]]):
    """Names by substitutions, one after the other; slashes then become dots."""

    def name_modules(paths: Iterable[str]) -> Names:
        names = {}
        for path in paths:
            name = path
            for pattern, replacement in rules:
                name = re.sub(pattern, replacement, name)
            names[path] = name.replace("/", ".")
        return names

    return name_modules


def _stage_from_zero(form: str) -> Callable[[re.Match[str]], str]:
    """Writes a stage's number from 0 on, as timm does; ours begin with 1."""
    return lambda match: form.format(int(match[1]) - 1, *match.groups()[1:])


_RESNET_BLOCKS = (
    (r"^stem_conv$", "conv1"),
    (r"^stem_norm$", "bn1"),
    (r"^stage(\d)/block(\d+)/", r"layer\1.\2."),
    (r"shortcut_conv$", "downsample.0"),
    (r"shortcut_norm$", "downsample.1"),
    (r"norm(\d)$", r"bn\1"),
)

_BLOCK_NORM = (r"/norm$", "/bn")


def _name_vgg(head: tuple[str, str, str]) -> Callable[[Iterable[str]], Names]:
    """VGG's convolutions, norms, activations and pools are numbered in one row."""

    def name_modules(paths: Iterable[str]) -> Names:
        paths = sorted(paths)  # as text: no stage has ten convolutions
        # A convolution and its activation, with the norm between them if there is one.
        step = 3 if any("/norm" in path for path in paths) else 2
        names: Names = dict(zip(("fc1", "fc2", "head"), head, strict=True))
        index, last_stage = 0, "stage1"
        for path in paths:
            stage, _, layer = path.partition("/")
            if not layer.startswith("conv"):
                continue
            index += stage != last_stage  # the pool between them
            last_stage = stage
            names[path] = f"features.{index}"
            names[path.replace("conv", "norm")] = f"features.{index + 1}"
            index += step
        return names

    return name_modules


_VGG_TORCHVISION = ("classifier.0", "classifier.3", "classifier.6")
_VGG_TIMM = ("pre_logits.fc1", "pre_logits.fc2", "head.fc")


def _name_efficientnet(paths: Iterable[str]) -> Names:
    """Names of torchvision's EfficientNet: the parts of a block are numbered."""
    paths = list(paths)
    names = _rename(
        (r"^stem/conv$", "features.0.0"),
        (r"^stem/norm$", "features.0.1"),
        (r"^top/conv$", "features.8.0"),
        (r"^top/norm$", "features.8.1"),
        (r"^head$", "classifier.1"),
    )(paths)
    for path in paths:
        if not path.startswith("stage"):
            continue
        stage, block, part, layer = path.split("/")
        parts = ["expand", "depthwise", "squeeze_excitation", "project"]
        if f"{stage}/{block}/expand/conv" not in paths:
            del parts[0]
        place = f"features.{stage[5:]}.{block[5:]}.block.{parts.index(part)}"
        names[path] = f"{place}.{ {'conv': '0', 'norm': '1'}.get(layer, layer) }"
    return names


_TIMM_PARTS = {
    "expand/conv": "conv_pw",
    "expand/norm": "bn1",
    "depthwise/conv": "conv_dw",
    "depthwise/norm": "bn2",
    "squeeze_excitation/fc1": "se.conv_reduce",
    "squeeze_excitation/fc2": "se.conv_expand",
    "project/conv": "conv_pwl",
    "project/norm": "bn3",
}
_TIMM_PARTS_UNEXPANDED = {
    **_TIMM_PARTS,
    "depthwise/norm": "bn1",
    "project/conv": "conv_pw",
    "project/norm": "bn2",
}


def _name_efficientnet_timm(paths: Iterable[str]) -> Names:
    """Names of timm's EfficientNet: the parts of a block are counted by kind."""
    paths = list(paths)
    names = _rename(
        (r"^stem/conv$", "conv_stem"),
        (r"^stem/norm$", "bn1"),
        (r"^top/conv$", "conv_head"),
        (r"^top/norm$", "bn2"),
        (r"^head$", "classifier"),
    )(paths)
    for path in paths:
        if not path.startswith("stage"):
            continue
        stage, block, part = path.split("/", 2)
        expands = f"{stage}/{block}/expand/conv" in paths
        parts = _TIMM_PARTS if expands else _TIMM_PARTS_UNEXPANDED
        names[path] = f"blocks.{int(stage[5:]) - 1}.{block[5:]}.{parts[part]}"
    return names


_LAYOUTS: dict[str, tuple[Layout, ...]] = {
    r"alexnet": (
        Layout(
            "torchvision",
            _rename(
                (r"^conv1$", "features.0"),
                (r"^conv2$", "features.3"),
                (r"^conv3$", "features.6"),
                (r"^conv4$", "features.8"),
                (r"^conv5$", "features.10"),
                (r"^fc1$", "classifier.1"),
                (r"^fc2$", "classifier.4"),
                (r"^head$", "classifier.6"),
            ),
            sides={"fc1": 6},
        ),
    ),
    r"vgg.*": (
        Layout("torchvision", _name_vgg(_VGG_TORCHVISION), sides={"fc1": 7}),
        Layout(
            "timm",
            _name_vgg(_VGG_TIMM),
            sides={"fc1": 7},
            convolved=frozenset({"fc1", "fc2"}),
        ),
    ),
    r"(resnet|plain)\d+_cifar": (
        Layout("CIFAR ResNet", _rename(*_RESNET_BLOCKS, (r"^head$", "linear"))),
    ),
    r"resnet\d+_v2": (
        Layout(
            "timm",
            _rename(
                (r"^stem_conv$", "stem.conv"),
                (r"^stage(\d)/block", _stage_from_zero("stages.{}.blocks.")),
                (r"shortcut_conv$", "downsample.conv"),
                (r"^final_norm$", "norm"),
                (r"^head$", "head.fc"),
            ),
            convolved=frozenset({"head"}),
        ),
    ),
    r"resnet.*": (Layout("torchvision", _rename(*_RESNET_BLOCKS, (r"^head$", "fc"))),),
    # The published files of these two hold auxiliary heads, which only training uses.
    r"googlenet(_aux)?": (
        Layout(
            "torchvision",
            _rename(
                _BLOCK_NORM,
                (r"(branch\d)_(\d)", r"\1.\2"),
                (r"^(aux\d)/head$", r"\1.fc2"),
                (r"^head$", "fc"),
            ),
            sides={"aux1/fc1": 4, "aux2/fc1": 4},
            ignored=("aux1.", "aux2."),
        ),
    ),
    r"inception_v3": (
        Layout(
            "torchvision",
            _rename(
                _BLOCK_NORM,
                (r"^aux/head$", "AuxLogits.fc"),
                (r"^aux/", "AuxLogits/"),
                (r"^head$", "fc"),
            ),
            ignored=("AuxLogits.",),
        ),
    ),
    r"efficientnet_b0": (
        Layout("torchvision", _name_efficientnet),
        Layout("timm", _name_efficientnet_timm),
    ),
}
