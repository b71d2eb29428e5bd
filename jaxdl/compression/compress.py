"""Replacing the layers of a trained network by layers of low rank."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from jaxdl.compression.network import FactoredLayer, FactoredNetwork
from jaxdl.compression.report import CompressionReport, LayerReport
from jaxdl.compression.rules import Candidate, RankRule, choose_ranks
from jaxdl.compression.tracing import (
    TracedLayer,
    count_layer_macs,
    layer_params,
    measure_grams,
    trace_layers,
)
from jaxdl.diagnose import count_macs
from jaxdl.layers import Conv
from jaxdl.layers.factored import FactoredConv, FactoredDense
from jaxdl.linalg.factor import (
    ConvMethod,
    Factors,
    factor_conv,
    factor_dense,
    kernel_spectra,
)
from jaxdl.models import Network
from jaxdl.trees import count_parameters, mask_by_path, named_leaves
from jaxdl.typing import Array


class Compressed(NamedTuple):
    """A smaller network.

    Attributes:
      model: applied, trained and saved as the original one.
      variables: its variables, those of layers left alone being the same arrays.
      report: what changed.
    """

    model: FactoredNetwork
    variables: dict[str, Any]
    report: CompressionReport


def compress(
    variables: Mapping[str, Any],
    model: nn.Module,
    rank_rule: RankRule,
    *,
    method: ConvMethod = "channel",
    inputs: Any = None,
    activation_aware: bool = False,
    include: str = "",
    exclude: str | None = None,
) -> Compressed:
    """Factors the kernels of a trained network into ones of low rank.

    Best fine-tuned a little afterwards, as any network is trained, at a learning rate
    below that of the training. Runs eagerly: singular value decompositions of all
    kernels, and for `activation_aware` one pass over the inputs.

    Args:
      variables: of the network, with `"params"`.
      model: made of `jaxdl.layers.Conv` and `Dense`, called as
        `model.apply(variables, images, train=False)`.
      rank_rule: `KeepParameters(0.5)`, `KeepEnergy(0.95)`, ranks by path, or a
        function; see `RankRule`. Layers which it would not make smaller stay as they
        are, unless their rank is given by path; so do layers not named there.
      method: of convolutions, see `jaxdl.linalg.factor_conv`; dense layers and 1x1
        convolutions are split in two by any.
      inputs: a batch of images as the network takes them, or its
        `jax.ShapeDtypeStruct`; None for the size that a `jaxdl.models.Network` was
        made for.
      activation_aware: choose factors that change the layers' outputs for these inputs
        least, not the kernels; not for `tucker2`. A few hundred images do.
      include: regular expression searched in the paths of layers, such as
        "stage1/block0/conv1"; all of them by default.
      exclude: likewise, of those to leave alone.

    Returns:
      The smaller network, its variables and the report.

    Raises:
      ValueError: no layer is left to factor, a pattern is no regular expression, the
        rule does not fit (see `RankRule`), or inputs are wanted and missing.

    Example:
      >>> from jaxdl.compression import KeepParameters
      >>> from jaxdl.models import ImageMLP
      >>> model = ImageMLP(num_classes=3, hidden_size=32)
      >>> images = jnp.ones((1, 8, 8, 1))
      >>> variables = model.init(jax.random.key(0), images, train=False)
      >>> small = compress(variables, model, KeepParameters(0.5), inputs=images)
      >>> report = small.report
      >>> report.parameters_before, report.parameters_after
      (3235, 1571)
    """
    images = _find_inputs(model, inputs)
    if activation_aware:
        if method == "tucker2":
            raise ValueError(
                "compress: activation_aware is for method 'channel' or 'spatial', got "
                "'tucker2'"
            )
        if inputs is None or isinstance(inputs, jax.ShapeDtypeStruct):
            raise ValueError(
                f"compress: activation_aware wants inputs, a batch of images, got "
                f"{inputs}"
            )
    traced = _select(trace_layers(model, variables, images.shape[1:]), include, exclude)
    grams: Mapping[str, Array] = {}
    if activation_aware:
        grams = measure_grams(model, variables, inputs, traced)
    candidates = [_make_candidate(layer, method, grams) for layer in traced]
    ranks = choose_ranks(rank_rule, candidates)
    factored, factors = [], {}
    for candidate in candidates:
        path, rank = candidate.path, ranks[candidate.path]
        if rank is not None:
            factored.append(FactoredLayer(path, candidate.method, rank))
            factors[path] = _factor(candidate, rank, grams.get(path))
    smaller = FactoredNetwork(model, tuple(factored))
    params = _replace(variables["params"], factors)
    new = {**variables, "params": params}
    rows = tuple(
        _report_layer(layer, candidate, ranks, factors, variables["params"], params)
        for layer, candidate in zip(traced, candidates, strict=True)
    )
    image = jax.ShapeDtypeStruct((1, *images.shape[1:]), jnp.float32)
    macs = [
        count_macs(lambda v, x, m=m: m.apply(v, x, train=False), v, image)
        for m, v in ((model, variables), (smaller, new))
    ]
    counts = [count_parameters(v["params"]) for v in (variables, new)]
    return Compressed(smaller, new, CompressionReport(rows, *counts, *macs))


def _find_inputs(model, inputs):
    if inputs is not None:
        if len(inputs.shape) != 4:
            raise ValueError(
                "compress: inputs must be images (batch, height, width, channels), got "
                f"shape {inputs.shape}"
            )
        return inputs
    if not isinstance(model, Network):
        raise ValueError(
            "compress: inputs is None, wanted a batch of images for "
            f"{type(model).__name__}"
        )
    spec = model.describe_family().images
    shape = (1, spec.image_size, spec.image_size, spec.channels)
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _select(layers: list[TracedLayer], include, exclude) -> list[TracedLayer]:
    by_path = {layer.path: 0 for layer in layers}
    is_in = mask_by_path(by_path, include)
    is_out = dict.fromkeys(by_path, False)
    if exclude is not None:
        is_out = mask_by_path(by_path, exclude)
    chosen = [x for x in layers if is_in[x.path] and not is_out[x.path]]
    if not chosen:
        raise ValueError(
            f"compress: include={include!r} and exclude={exclude!r} leave no layer to "
            f"factor; there are {', '.join(by_path) or 'none'}"
        )
    return chosen


def _make_candidate(traced: TracedLayer, method, grams) -> Candidate:
    kernel = traced.kernel
    is_small = kernel.ndim == 2 or kernel.shape[:2] == (1, 1)
    method = "channel" if is_small else method
    spectra = kernel_spectra(
        kernel,
        method=method,
        groups=traced.groups,
        inputs_gram=grams.get(traced.path),
    )
    return Candidate(
        traced.path,
        method,
        traced.groups,
        kernel,
        tuple(np.asarray(s, np.float64) for s in spectra),
        kernel.shape[-1] if traced.layer.use_bias else 0,
    )


def _factor(candidate: Candidate, rank, gram) -> Factors:
    kernel, groups = candidate.kernel, candidate.groups
    if kernel.ndim == 2:
        return factor_dense(kernel, rank, inputs_gram=gram)
    return factor_conv(
        kernel, rank, method=candidate.method, groups=groups, inputs_gram=gram
    )


def _replace(params, factors: Mapping[str, Factors]) -> dict[str, Any]:
    """The parameters with kernels in the place of those that were factored."""
    flat: dict[str, Any] = named_leaves(params)
    for path, (kernels, _) in factors.items():
        dtype = flat.pop(f"{path}/kernel").dtype
        names = ("first", *("core",) * (len(kernels) - 2), "second")
        for name, kernel in zip(names, kernels, strict=True):
            flat[f"{path}/{name}/kernel"] = kernel.astype(dtype)
        if f"{path}/bias" in flat:
            flat[f"{path}/second/bias"] = flat.pop(f"{path}/bias")
    return unflatten_dict(flat, sep="/")


def _report_layer(
    traced: TracedLayer, candidate: Candidate, ranks, factors, before, after
) -> LayerReport:
    path, rank = traced.path, ranks[traced.path]
    before, after = layer_params(before, path), layer_params(after, path)
    macs = count_layer_macs(traced.layer, before, traced.input_shapes)
    smaller = traced.layer
    if rank is not None:
        smaller = _make_twin(traced.layer, candidate.method, rank)
    error = float(factors[path].relative_error) if rank is not None else 0.0
    return LayerReport(
        path=path,
        shape=traced.kernel.shape,
        method=candidate.method if rank is not None else None,
        rank=rank,
        parameters_before=count_parameters(before),
        parameters_after=count_parameters(after),
        macs_before=macs,
        macs_after=count_layer_macs(smaller, after, traced.input_shapes),
        relative_error=error,
    )


def _make_twin(layer, method, rank):
    """The factored layer that stands for a layer, as a module of its own."""
    names = {f.name for f in dataclasses.fields(layer)} - {"parent", "name"}
    options = {name: getattr(layer, name) for name in names}
    if not isinstance(layer, Conv):
        return FactoredDense(**options, rank=rank)
    options["standardize"] = False
    return FactoredConv(**options, rank=rank, method=method)
