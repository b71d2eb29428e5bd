"""Read-only probes of functions and networks: what they cost and what they see."""

from jaxdl.diagnose.activations import (
    ActivationStatistics,
    activation_statistics,
    capture_outputs,
    measure_activations,
    output_gradients,
    root_mean_square,
)
from jaxdl.diagnose.cost import count_macs
from jaxdl.diagnose.effective_field import (
    FieldShape,
    describe_field,
    expected_std,
    measure_effective_fields,
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
    "FieldShape",
    "ReceptiveField",
    "Window",
    "activation_statistics",
    "capture_outputs",
    "count_macs",
    "count_stack_parameters",
    "describe_field",
    "expected_std",
    "measure_activations",
    "measure_effective_fields",
    "output_gradients",
    "root_mean_square",
    "stack_windows",
    "trace_receptive_fields",
]
