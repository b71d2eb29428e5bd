"""The published networks in PyTorch's layout, for comparison with those of jaxdl.

Over operations that compute (`torch_reference.py`) or only note which tensors are asked
for (`reference_cases.py`). Images are channels first; names are torchvision's, of the
CIFAR networks Y. Idelbayev's, of the pre-activation networks timm's.
"""

import math

_VGG = {11: (1, 1, 2, 2, 2), 13: (2,) * 5, 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_RESNET = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
# Scale of a residual branch's last norm: 50 blocks in a row stay of order 1.
_SMALL = 0.15
# Gain of the last layer: logits of order 1 keep the cross entropy from saturating.
_HEAD = 0.25


def run_network(ops, name, x, *, num_classes=10):
    """The maps of a network by name, in the order in which they are computed."""
    maps = {}
    for family, network in _FAMILIES.items():
        if name.startswith(family):
            network(ops, name, x, maps, num_classes)
            return maps
    raise KeyError(name)


def read_narrowing(name):
    """The network of a name such as "vgg11/8", and what its widths are divided by."""
    network, _, divisor = name.partition("/")
    return network, int(divisor or 1)


def _alexnet(ops, name, x, maps, num_classes):
    divisor = read_narrowing(name)[1]
    layers = ((64, 11, 4, 2), (192, 5, 1, 2), (384, 3, 1, 1), (256, 3, 1, 1))
    layers += (layers[-1],)
    for i, (features, kernel, stride, padding) in enumerate(layers):
        index = (0, 3, 6, 8, 10)[i]
        numbers = features // divisor, kernel, stride, padding
        x = ops.relu(ops.conv(x, f"features.{index}", *numbers, bias=True))
        if i in (0, 1, 4):
            maps[f"stage{(1, 2, 0, 0, 3)[i]}"] = x
            x = ops.max_pool(x, 3, 2)
    maps["pooled"] = x
    x = ops.flatten(ops.adaptive_average_pool(x, 6))
    x = ops.relu(ops.linear(x, "classifier.1", 4096 // divisor))
    x = maps["features"] = ops.relu(ops.linear(x, "classifier.4", 4096 // divisor))
    maps["logits"] = ops.linear(x, "classifier.6", num_classes, gain=_HEAD)


def _vgg(ops, name, x, maps, num_classes):
    name, divisor = read_narrowing(name)
    depth, has_norm = int(name[3:5]), name.endswith("_bn")
    index = 0
    for stage, count in enumerate(_VGG[depth]):
        for _ in range(count):
            features = (64, 128, 256, 512, 512)[stage] // divisor
            x = ops.conv(x, f"features.{index}", features, 3, 1, 1, bias=True)
            index += 1
            if has_norm:
                x = ops.norm(x, f"features.{index}")
                index += 1
            x = ops.relu(x)
            index += 1
        maps[f"stage{stage + 1}"] = x
        x = ops.max_pool(x, 2, 2)
        index += 1
    maps["pooled"] = x
    x = ops.flatten(ops.adaptive_average_pool(x, 7))
    x = ops.relu(ops.linear(x, "classifier.0", 4096 // divisor))
    x = maps["features"] = ops.relu(ops.linear(x, "classifier.3", 4096 // divisor))
    maps["logits"] = ops.linear(x, "classifier.6", num_classes, gain=_HEAD)


def _resnet(ops, name, x, maps, num_classes):
    depth, version = int(name[6:].split("_")[0]), name.partition("_")[2] or "v1.5"
    x = ops.conv(x, "conv1", 64, 7, 2, 3)
    x = maps["stem"] = ops.relu(ops.norm(x, "bn1"))
    x = ops.max_pool(x, 3, 2, 1)
    for stage, count in enumerate(_RESNET[depth]):
        for block in range(count):
            stride = 2 if stage and not block else 1
            prefix, width = f"layer{stage + 1}.{block}", 64 * 2**stage
            features = width if depth < 50 else 4 * width
            shortcut = x
            if stride == 2 or ops.channels(x) != features:
                shortcut = ops.conv(x, f"{prefix}.downsample.0", features, 1, stride)
                shortcut = ops.norm(shortcut, f"{prefix}.downsample.1")
            if depth < 50:
                layers = ((width, 3, stride), (width, 3, 1))
            elif version == "v1":
                layers = ((width, 1, stride), (width, 3, 1), (features, 1, 1))
            else:
                layers = ((width, 1, 1), (width, 3, stride), (features, 1, 1))
            for i, (out, kernel, step) in enumerate(layers, 1):
                is_last = i == len(layers)
                x = ops.conv(x, f"{prefix}.conv{i}", out, kernel, step, kernel // 2)
                x = ops.norm(x, f"{prefix}.bn{i}", scale=_SMALL if is_last else 1)
                x = x if is_last else ops.relu(x)
            x = ops.relu(x + shortcut)
        maps[f"stage{stage + 1}"] = x
    x = maps["features"] = ops.flatten(ops.adaptive_average_pool(x, 1))
    maps["logits"] = ops.linear(x, "fc", num_classes, gain=_HEAD)


def _resnet_preactivation(ops, name, x, maps, num_classes):
    depth = int(name[6:].split("_")[0])
    x = maps["stem"] = ops.conv(x, "stem.conv", 64, 7, 2, 3)
    x = ops.max_pool(x, 3, 2, 1)
    for stage, count in enumerate(_RESNET[depth]):
        for block in range(count):
            stride = 2 if stage and not block else 1
            prefix, width = f"stages.{stage}.blocks.{block}", 64 * 2**stage
            features = width if depth < 50 else 4 * width
            layers = ((width, 3, stride), (width, 3, 1))
            if depth >= 50:
                layers = ((width, 1, 1), (width, 3, stride), (features, 1, 1))
            shortcut, y = x, ops.relu(ops.norm(x, f"{prefix}.norm1"))
            if stride == 2 or ops.channels(x) != features:
                shortcut = ops.conv(
                    y, f"{prefix}.downsample.conv", features, 1, stride, gain=1
                )
            for i, (out, kernel, step) in enumerate(layers, 1):
                if i > 1:
                    y = ops.relu(ops.norm(y, f"{prefix}.norm{i}"))
                gain = math.sqrt(2) * (_SMALL if i == len(layers) else 1)
                y = ops.conv(
                    y, f"{prefix}.conv{i}", out, kernel, step, kernel // 2, gain=gain
                )
            x = y + shortcut
        maps[f"stage{stage + 1}"] = x
    x = maps["final"] = ops.relu(ops.norm(x, "norm"))
    x = maps["features"] = ops.flatten(ops.adaptive_average_pool(x, 1))
    maps["logits"] = ops.linear(
        x, "head.fc", num_classes, gain=_HEAD, is_convolution=True
    )


def _cifar_resnet(ops, name, x, maps, num_classes):
    kind, depth = name[:6].rstrip("0123456789"), name.removesuffix("_cifar")
    depth = int(depth.removeprefix(kind))
    x = maps["stem"] = ops.relu(ops.norm(ops.conv(x, "conv1", 16, 3, 1, 1), "bn1"))
    for stage in range(3):
        for block in range((depth - 2) // 6):
            stride = 2 if stage and not block else 1
            prefix, features = f"layer{stage + 1}.{block}", 16 * 2**stage
            y = ops.conv(x, f"{prefix}.conv1", features, 3, stride, 1)
            y = ops.relu(ops.norm(y, f"{prefix}.bn1"))
            y = ops.conv(y, f"{prefix}.conv2", features, 3, 1, 1)
            y = ops.norm(y, f"{prefix}.bn2", scale=_SMALL if kind == "resnet" else 1)
            if kind == "resnet":
                y = y + ops.subsample_and_pad(x, features, stride)
            x = ops.relu(y)
        maps[f"stage{stage + 1}"] = x
    x = maps["features"] = ops.flatten(ops.adaptive_average_pool(x, 1))
    maps["logits"] = ops.linear(x, "linear", num_classes, gain=_HEAD)


def _unit(ops, x, name, features, kernel, stride=1, padding=0):
    """Convolution, norm and ReLU as GoogLeNet and Inception-v3 have them."""
    x = ops.conv(x, f"{name}.conv", features, kernel, stride, padding)
    return ops.relu(ops.norm(x, f"{name}.bn", eps=1e-3))


_GOOGLENET = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _googlenet(ops, name, x, maps, num_classes):
    x = maps["stem"] = _unit(ops, x, "conv1", 64, 7, 2, 3)
    x = ops.max_pool(x, 3, 2, ceil_mode=True)
    x = _unit(ops, x, "conv2", 64, 1)
    x = maps["stage1"] = _unit(ops, x, "conv3", 192, 3, 1, 1)
    x = ops.max_pool(x, 3, 2, ceil_mode=True)
    for block, widths in _GOOGLENET.items():
        prefix, one, three, five = f"inception{block}", widths[0], widths[1:3], 3
        pool = ops.max_pool(x, 3, 1, 1, ceil_mode=True)
        branches = [_unit(ops, x, f"{prefix}.branch1", one, 1)]
        for branch, pair in (("branch2", three), ("branch3", widths[3:5])):
            y = _unit(ops, x, f"{prefix}.{branch}.0", pair[0], 1)
            # torchvision's "5x5" branch is 3x3, as its weights were trained.
            y = _unit(ops, y, f"{prefix}.{branch}.1", pair[1], five, 1, 1)
            branches.append(y)
        branches.append(_unit(ops, pool, f"{prefix}.branch4.1", widths[5], 1))
        x = ops.concatenate(branches)
        if block in ("3b", "4e", "5b"):
            maps[{"3b": "stage2", "4e": "stage3", "5b": "stage4"}[block]] = x
        if block in ("4a", "4d"):
            aux = "aux1" if block == "4a" else "aux2"
            if ops.train:
                maps[aux] = _googlenet_aux(ops, x, aux, num_classes)
        if block == "3b":
            x = ops.max_pool(x, 3, 2, ceil_mode=True)
        if block == "4e":
            x = ops.max_pool(x, 2, 2, ceil_mode=True)
    x = maps["features"] = ops.flatten(ops.adaptive_average_pool(x, 1))
    maps["logits"] = ops.linear(x, "fc", num_classes, gain=_HEAD)


def _googlenet_aux(ops, x, name, num_classes):
    x = _unit(ops, ops.adaptive_average_pool(x, 4), f"{name}.conv", 128, 1)
    x = ops.relu(ops.linear(ops.flatten(x), f"{name}.fc1", 1024))
    return ops.linear(x, f"{name}.fc2", num_classes)


def _inception_v3(ops, name, x, maps, num_classes):
    unit = lambda x, name, *numbers: _unit(ops, x, name, *numbers)
    x = unit(x, "Conv2d_1a_3x3", 32, 3, 2)
    x = unit(x, "Conv2d_2a_3x3", 32, 3)
    x = maps["stem"] = unit(x, "Conv2d_2b_3x3", 64, 3, 1, 1)
    x = ops.max_pool(x, 3, 2)
    x = unit(x, "Conv2d_3b_1x1", 80, 1)
    x = maps["stage1"] = unit(x, "Conv2d_4a_3x3", 192, 3)
    x = ops.max_pool(x, 3, 2)
    for block, make in _INCEPTION.items():
        prefix = f"Mixed_{block}"
        branches = make(ops, x, lambda x, n, *a, p=prefix: unit(x, f"{p}.{n}", *a))
        x = ops.concatenate(branches)
        if block in ("5d", "6e", "7c"):
            maps[{"5d": "stage2", "6e": "stage3", "7c": "stage4"}[block]] = x
        if block == "6e" and ops.train:  # small images are too small for it
            y = ops.average_pool(x, 5, 3, 0)
            y = unit(unit(y, "AuxLogits.conv0", 128, 1), "AuxLogits.conv1", 768, 5)
            y = ops.flatten(ops.adaptive_average_pool(y, 1))
            maps["aux"] = ops.linear(y, "AuxLogits.fc", num_classes)
    x = maps["features"] = ops.flatten(ops.adaptive_average_pool(x, 1))
    maps["logits"] = ops.linear(x, "fc", num_classes, gain=_HEAD)


def _chain(unit, x, *layers):
    for layer in layers:
        x = unit(x, *layer)
    return x


def _block_a(pool_features):
    def block(ops, x, unit):
        three = ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3, 1, 1)
        five = ("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5, 1, 2)
        pool = ops.average_pool(x, 3, 1, 1)
        return [
            unit(x, "branch1x1", 64, 1),
            _chain(unit, x, *five),
            _chain(unit, x, *three, ("branch3x3dbl_3", 96, 3, 1, 1)),
            unit(pool, "branch_pool", pool_features, 1),
        ]

    return block


def _block_b(ops, x, unit):
    three = ("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3, 1, 1)
    return [
        unit(x, "branch3x3", 384, 3, 2),
        _chain(unit, x, *three, ("branch3x3dbl_3", 96, 3, 2)),
        ops.max_pool(x, 3, 2),
    ]


_ROW, _COLUMN = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))


def _block_c(c7):
    def block(ops, x, unit):
        seven = ("branch7x7_1", c7, 1), ("branch7x7_2", c7, *_ROW)
        names = [f"branch7x7dbl_{i}" for i in range(1, 6)]
        double = (names[0], c7, 1), (names[1], c7, *_COLUMN), (names[2], c7, *_ROW)
        double += (names[3], c7, *_COLUMN), (names[4], 192, *_ROW)
        pool = ops.average_pool(x, 3, 1, 1)
        return [
            unit(x, "branch1x1", 192, 1),
            _chain(unit, x, *seven, ("branch7x7_3", 192, *_COLUMN)),
            _chain(unit, x, *double),
            unit(pool, "branch_pool", 192, 1),
        ]

    return block


def _block_d(ops, x, unit):
    row, column = ("branch7x7x3_2", 192, *_ROW), ("branch7x7x3_3", 192, *_COLUMN)
    first, last = ("branch7x7x3_1", 192, 1), ("branch7x7x3_4", 192, 3, 2)
    return [
        _chain(unit, x, ("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3, 2)),
        _chain(unit, x, first, row, column, last),
        ops.max_pool(x, 3, 2),
    ]


def _block_e(ops, x, unit):
    def fork(x, name):
        return [
            unit(x, f"{name}a", 384, (1, 3), 1, (0, 1)),
            unit(x, f"{name}b", 384, (3, 1), 1, (1, 0)),
        ]

    three = unit(x, "branch3x3_1", 384, 1)
    double = unit(unit(x, "branch3x3dbl_1", 448, 1), "branch3x3dbl_2", 384, 3, 1, 1)
    return [
        unit(x, "branch1x1", 320, 1),
        *fork(three, "branch3x3_2"),
        *fork(double, "branch3x3dbl_3"),
        unit(ops.average_pool(x, 3, 1, 1), "branch_pool", 192, 1),
    ]


_INCEPTION = {
    "5b": _block_a(32),
    "5c": _block_a(64),
    "5d": _block_a(64),
    "6a": _block_b,
    "6b": _block_c(128),
    "6c": _block_c(160),
    "6d": _block_c(160),
    "6e": _block_c(192),
    "7a": _block_d,
    "7b": _block_e,
    "7c": _block_e,
}


_EFFICIENTNET_B0 = (
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)
_SILU = 1.7
"""Gain that makes up for what SiLU takes from the size of normal numbers."""


def _efficientnet(ops, name, x, maps, num_classes):
    x = ops.conv(x, "features.0.0", 32, 3, 2, 1, gain=1)
    x = maps["stem"] = ops.silu(ops.norm(x, "features.0.1"))
    for stage, (kernel, expand, out, count, first) in enumerate(_EFFICIENTNET_B0, 1):
        for block in range(count):
            prefix, stride = f"features.{stage}.{block}.block", 1 if block else first
            x = _mobile_block(ops, x, prefix, kernel, expand, out, stride)
        maps[f"stage{stage}"] = x
    x = ops.conv(x, "features.8.0", 1280, 1, gain=1)
    x = maps["top"] = ops.silu(ops.norm(x, "features.8.1"))
    x = maps["features"] = ops.flatten(ops.adaptive_average_pool(x, 1))
    maps["logits"] = ops.linear(x, "classifier.1", num_classes, gain=_HEAD)


def _mobile_block(ops, x, prefix, kernel, expand, out, stride):
    channels, y, index = ops.channels(x), x, 0
    is_residual = stride == 1 and channels == out
    if expand > 1:
        y = ops.conv(y, f"{prefix}.0.0", expand * channels, 1, gain=1)
        y, index = ops.silu(ops.norm(y, f"{prefix}.0.1")), 1
    wide = expand * channels
    y = ops.conv(
        y, f"{prefix}.{index}.0", wide, kernel, stride, kernel // 2, wide, gain=_SILU
    )
    y = ops.silu(ops.norm(y, f"{prefix}.{index}.1"))
    squeeze = f"{prefix}.{index + 1}"
    z = ops.adaptive_average_pool(y, 1)
    z = ops.silu(ops.conv(z, f"{squeeze}.fc1", channels // 4, 1, bias=True))
    y = y * ops.sigmoid(ops.conv(z, f"{squeeze}.fc2", wide, 1, bias=True))
    # The gate halves what it passes on.
    y = ops.conv(y, f"{prefix}.{index + 2}.0", out, 1, gain=2.4)
    y = ops.norm(y, f"{prefix}.{index + 2}.1", scale=_SMALL if is_residual else 1)
    return y + x if is_residual else y


_FAMILIES = {
    "alexnet": _alexnet,
    "vgg": _vgg,
    "googlenet": _googlenet,
    "inception_v3": _inception_v3,
    "efficientnet": _efficientnet,
    "plain": _cifar_resnet,
    "resnet": lambda ops, name, *rest: (
        _cifar_resnet
        if name.endswith("_cifar")
        else _resnet_preactivation
        if name.endswith("_v2")
        else _resnet
    )(ops, name, *rest),
}
