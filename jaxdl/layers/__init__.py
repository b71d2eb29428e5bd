"""Building blocks of networks: Linen modules and the functions behind them."""

from jaxdl.layers.convolution import Conv, convolve
from jaxdl.layers.initializers import kaiming_normal, torch_uniform
from jaxdl.layers.normalization import BatchNorm
from jaxdl.layers.pooling import global_average_pool, max_pool
from jaxdl.layers.residual import BasicBlock, Bottleneck, Stage, subsample_and_pad

__all__ = [
    "BasicBlock",
    "BatchNorm",
    "Bottleneck",
    "Conv",
    "Stage",
    "convolve",
    "global_average_pool",
    "kaiming_normal",
    "max_pool",
    "subsample_and_pad",
    "torch_uniform",
]
