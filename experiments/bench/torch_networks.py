"""The networks of `training_step.py` as PyTorch modules, to be timed beside ours."""

import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]


class Block(nn.Module):
    """A basic block or a bottleneck, with a projection where the shape changes."""

    def __init__(self, inputs: int, width: int, stride: int, *, bottleneck: bool):
        """Makes the layers of a block of `width` (4 * `width` out of a bottleneck)."""
        super().__init__()
        if bottleneck:
            outputs = 4 * width
            shapes = [(inputs, width, 1, 1), (width, width, 3, stride)]
            shapes.append((width, outputs, 1, 1))
        else:
            outputs = width
            shapes = [(inputs, width, 3, stride), (width, width, 3, 1)]
        self.branch = nn.ModuleList(_conv_norm(*shape) for shape in shapes)
        changes = stride > 1 or inputs != outputs
        self.shortcut = _conv_norm(inputs, outputs, 1, stride) if changes else None

    def forward(self, x):
        """Runs the block."""
        y = x
        for layer in self.branch[:-1]:
            y = F.relu(layer(y))
        y = self.branch[-1](y)
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


def make_resnet(depth: int, *, small_images: bool) -> nn.Module:
    """ResNet-18 or -50; for small images with a 3x3 stem and no max-pool."""
    bottleneck = depth == 50
    counts = (3, 4, 6, 3) if bottleneck else (2, 2, 2, 2)
    stem = [_conv_norm(3, 64, 3, 1) if small_images else _conv_norm(3, 64, 7, 2)]
    stem.append(nn.ReLU())
    if not small_images:
        stem.append(nn.MaxPool2d(3, 2, 1))
    blocks, inputs = [], 64
    for stage, count in enumerate(counts):
        for index in range(count):
            stride = 2 if stage and index == 0 else 1
            width = 64 * 2**stage
            blocks.append(Block(inputs, width, stride, bottleneck=bottleneck))
            inputs = 4 * width if bottleneck else width
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10)]
    return nn.Sequential(*stem, *blocks, *pool)


def make_vgg11() -> nn.Module:
    """VGG-11 without normalisation and without dropout."""
    layers, inputs = [], 3
    for width in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
        if width:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        else:
            layers.append(nn.MaxPool2d(2, 2))
    head = [nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(512 * 49, 4096)]
    head += [nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 10)]
    return nn.Sequential(*layers, *head)


def make_separable(channels: int) -> nn.Module:
    """ReLU, 3x3 depthwise, 1x1, BatchNorm: a node of a randomly wired network."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    )


def make_call(case: str, batch: int, side: int, *, mode: str, threads: int):
    """A function without arguments that does once what is timed.

    Args:
      case: a key of `CASES` in `training_step.py`.
      batch: images.
      side: of an image, in pixels.
      mode: `"torch"` runs eagerly, `"torch.compile"` compiles first.
      threads: that PyTorch may use.

    Returns:
      The function; channels-last memory throughout.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    channels = 78 if case == "separable" else 3
    model = {
        "resnet18": lambda: make_resnet(18, small_images=True),
        "resnet50": lambda: make_resnet(50, small_images=False),
        "vgg11_forward": make_vgg11,
        "separable": lambda: make_separable(channels),
    }[case]().to(memory_format=torch.channels_last)
    x = torch.randn(batch, channels, side, side).to(memory_format=torch.channels_last)
    labels = torch.arange(batch) % 10
    compiled = torch.compile(model) if mode == "torch.compile" else model
    if case == "vgg11_forward":

        def forward():
            with torch.no_grad():
                compiled(x)

        model.eval()
        return forward
    if case == "separable":
        x.requires_grad_()

        def forward_and_backward():
            model.zero_grad(set_to_none=True)
            x.grad = None
            compiled(x).square().sum().backward()

        return forward_and_backward
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(compiled(x), labels).backward()
        optimizer.step()

    return step


def _conv_norm(inputs: int, outputs: int, size: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )
