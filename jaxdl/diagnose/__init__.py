"""Read-only probes of functions, networks and trainings: what they cost and see."""

from jaxdl.diagnose.activations import (
    ActivationStatistics,
    activation_statistics,
    capture_outputs,
    measure_activations,
    output_gradients,
    root_mean_square,
)
from jaxdl.diagnose.batch_tradeoff import BatchTradeoff, fit_batch_tradeoff
from jaxdl.diagnose.cost import count_macs
from jaxdl.diagnose.effective_field import (
    FieldShape,
    describe_field,
    expected_std,
    measure_effective_fields,
)
from jaxdl.diagnose.layers import (
    LayerShapes,
    list_layer_shapes,
    list_split_sums,
    split_share,
)
from jaxdl.diagnose.noise_scale import (
    NoiseScale,
    estimate_noise,
    measure_noise,
    noise_scale,
)
from jaxdl.diagnose.receptive_field import (
    ReceptiveField,
    Window,
    count_stack_parameters,
    stack_windows,
    trace_receptive_fields,
)

__all__ = [
    "ActivationStatistics",
    "BatchTradeoff",
    "FieldShape",
    "LayerShapes",
    "NoiseScale",
    "ReceptiveField",
    "Window",
    "activation_statistics",
    "capture_outputs",
    "count_macs",
    "count_stack_parameters",
    "describe_field",
    "estimate_noise",
    "expected_std",
    "fit_batch_tradeoff",
    "list_layer_shapes",
    "list_split_sums",
    "measure_activations",
    "measure_effective_fields",
    "measure_noise",
    "noise_scale",
    "output_gradients",
    "root_mean_square",
    "split_share",
    "stack_windows",
    "trace_receptive_fields",
]
