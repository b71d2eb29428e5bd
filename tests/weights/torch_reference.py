"""The networks of `reference_networks.py` computed by PyTorch in float64.

    python -m tests.weights.torch_reference

writes the vectors that are compared with where PyTorch is not installed. Takes a few
minutes; needs the extra `torch`.
"""

import numpy as np
import torch
import torch.nn.functional as F

from tests.weights.reference_cases import (
    CASES,
    TRAINING_CASES,
    VECTORS,
    draw_case,
    thin_out,
    vectors_file,
)
from tests.weights.reference_networks import run_network


class TorchOperations:
    """Operations on tensors, with the weights of a file."""

    def __init__(self, state, *, dtype=torch.float64, train=False):
        self.state = {
            name: torch.from_numpy(array).to(dtype) for name, array in state.items()
        }
        self.train = train

    def channels(self, x):
        return x.shape[1]

    def conv(self, x, name, features, kernel, stride=1, padding=0, groups=1, **options):
        weight, bias = self.state[f"{name}.weight"], self.state.get(f"{name}.bias")
        assert (bias is not None) == options.get("bias", False)
        return F.conv2d(x, weight, bias, stride, padding, groups=groups)

    def linear(self, x, name, features, is_convolution=False, gain=None):
        weight = self.state[f"{name}.weight"].flatten(1)
        return F.linear(x, weight, self.state[f"{name}.bias"])

    def norm(self, x, name, eps=1e-5, scale=1.0):
        parts = ("running_mean", "running_var", "weight", "bias")
        tensors = [self.state[f"{name}.{part}"] for part in parts]
        if self.train:
            tensors[:2] = None, None
        return F.batch_norm(x, *tensors, training=self.train, eps=eps)

    def max_pool(self, x, window, stride, padding=0, ceil_mode=False):
        return F.max_pool2d(x, window, stride, padding, ceil_mode=ceil_mode)

    def average_pool(self, x, window, stride, padding):
        return F.avg_pool2d(x, window, stride, padding)

    def adaptive_average_pool(self, x, size):
        return F.adaptive_avg_pool2d(x, size)

    def flatten(self, x):
        return torch.flatten(x, 1)

    def concatenate(self, xs):
        return torch.cat(xs, 1)

    def subsample_and_pad(self, x, features, stride):
        extra = (features - x.shape[1]) // 2
        return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, extra, extra))

    relu, silu = staticmethod(F.relu), staticmethod(F.silu)
    sigmoid = staticmethod(torch.sigmoid)


def compute_reference(name):
    """Every map of a case, channels last, and the gradient of a loss by the images."""
    state, images, labels = draw_case(name)
    x = torch.from_numpy(images).double().requires_grad_()
    maps = run_network(TorchOperations(state), name, x)
    F.cross_entropy(maps["logits"], torch.from_numpy(labels)).backward()
    maps["gradient"] = x.grad
    channels_last = lambda array: array.detach().movedim(1, -1).numpy()
    return {key: channels_last(array) for key, array in maps.items()}


@torch.no_grad()
def compute_training_reference(name):
    """The logits of all heads in training, and how far float32 puts PyTorch off them.

    The statistics of a batch amplify rounding, so that says what is to be expected.
    """
    state, images, _ = draw_case(name, train=True)
    maps, rounded = (
        run_network(
            TorchOperations(state, dtype=dtype, train=True),
            name,
            torch.from_numpy(images).to(dtype),
        )
        for dtype in (torch.float64, torch.float32)
    )
    heads = {key: a.numpy() for key, a in maps.items() if key[:3] in ("aux", "log")}
    errors = {
        f"{key}_rounding": np.abs(rounded[key].numpy() - logits).max()
        for key, logits in heads.items()
    }
    return heads | errors


def write_vectors(folder):
    """Writes a file of thinned-out maps for each network."""
    folder.mkdir(exist_ok=True)
    cases = {vectors_file(name): compute_reference(name) for name in CASES}
    for name in TRAINING_CASES:
        cases[vectors_file(name, train=True)] = compute_training_reference(name)
    for file, maps in cases.items():
        thinned = {key: thin_out(array) for key, array in maps.items()}
        np.savez_compressed(folder / file, **thinned)
        print(file, {key: f"{array.std():.2g}" for key, array in maps.items()})


if __name__ == "__main__":
    write_vectors(VECTORS)
