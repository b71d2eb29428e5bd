"""Building blocks of networks: Linen modules and the functions behind them."""

from jaxdl.layers.activations import ACTIVATIONS, gelu_tanh, make_activation
from jaxdl.layers.conv import Conv, Dense
from jaxdl.layers.conv_block import ConvBlock, SeparableConv
from jaxdl.layers.conv_steps import convolve_and_normalize, make_conv
from jaxdl.layers.convolution import convolve
from jaxdl.layers.distances import squared_distances
from jaxdl.layers.dropout import Dropout, DropoutForm, StochasticDepth, dropout
from jaxdl.layers.factored import FactoredConv, FactoredDense, apply_factored
from jaxdl.layers.inception import Branch, ConvStep, Inception, PoolStep
from jaxdl.layers.initializers import (
    INITIALIZERS,
    BiasInitializer,
    calculate_gain,
    fixed_normal,
    kaiming_normal,
    kaiming_uniform,
    lecun_normal,
    lecun_uniform,
    orthogonal,
    torch_uniform,
    torch_uniform_bias,
    truncated_normal,
    xavier_normal,
    xavier_uniform,
    zeros_bias,
)
from jaxdl.layers.inverted_residual import InvertedResidual
from jaxdl.layers.lora import apply_lora, init_lora, merge_lora
from jaxdl.layers.moments import (
    moments,
    normalize,
    normalize_with_moments,
    standardize,
    standardize_weights,
)
from jaxdl.layers.normalization import (
    NORMS,
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    Norm,
)
from jaxdl.layers.pairs import Pair
from jaxdl.layers.pooling import (
    adaptive_average_pool,
    average_pool,
    global_average_pool,
    max_pool,
)
from jaxdl.layers.radial_kernels import RADIAL_KERNELS, RadialKernel
from jaxdl.layers.rbf import (
    METRICS,
    RBFHead,
    RBFOutputs,
    RBFParts,
    weigh_activations,
)
from jaxdl.layers.residual import BasicBlock, Bottleneck, Stage, subsample_and_pad
from jaxdl.layers.squeeze_excitation import SqueezeExcitation
from jaxdl.layers.style import NoNorm, Style

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "METRICS",
    "NORMS",
    "RADIAL_KERNELS",
    "BasicBlock",
    "BatchNorm",
    "BiasInitializer",
    "Bottleneck",
    "Branch",
    "Conv",
    "ConvBlock",
    "ConvStep",
    "Dense",
    "Dropout",
    "DropoutForm",
    "FactoredConv",
    "FactoredDense",
    "GroupNorm",
    "Inception",
    "InstanceNorm",
    "InvertedResidual",
    "LayerNorm",
    "NoNorm",
    "Norm",
    "Pair",
    "PoolStep",
    "RBFHead",
    "RBFOutputs",
    "RBFParts",
    "RadialKernel",
    "SeparableConv",
    "SqueezeExcitation",
    "Stage",
    "StochasticDepth",
    "Style",
    "adaptive_average_pool",
    "apply_factored",
    "apply_lora",
    "average_pool",
    "calculate_gain",
    "convolve",
    "convolve_and_normalize",
    "dropout",
    "fixed_normal",
    "gelu_tanh",
    "global_average_pool",
    "init_lora",
    "kaiming_normal",
    "kaiming_uniform",
    "lecun_normal",
    "lecun_uniform",
    "make_activation",
    "make_conv",
    "max_pool",
    "merge_lora",
    "moments",
    "normalize",
    "normalize_with_moments",
    "orthogonal",
    "squared_distances",
    "standardize",
    "standardize_weights",
    "subsample_and_pad",
    "torch_uniform",
    "torch_uniform_bias",
    "truncated_normal",
    "weigh_activations",
    "xavier_normal",
    "xavier_uniform",
    "zeros_bias",
]
