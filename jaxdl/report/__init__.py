"""Figures from plain arrays and from the rows of `metrics.jsonl`. Imports no JAX."""

from jaxdl.report.components import (
    ComponentCurves,
    plot_components,
    plot_scores,
)
from jaxdl.report.compression import CompressionCurve, plot_compression
from jaxdl.report.confusion import plot_confusion
from jaxdl.report.costs import CostCurve, plot_costs
from jaxdl.report.curves import plot_curves
from jaxdl.report.depth import plot_by_depth
from jaxdl.report.dropout import DropoutOutputs, plot_dropout
from jaxdl.report.feature_map import plot_feature_map
from jaxdl.report.federated import (
    ClientMixture,
    FederatedCurve,
    plot_clients,
    plot_federated,
)
from jaxdl.report.fields import FieldPicture, plot_fields
from jaxdl.report.functions import FunctionCurve, plot_functions
from jaxdl.report.gaps import plot_gaps
from jaxdl.report.histograms import Histogram, plot_histograms
from jaxdl.report.image_sheet import (
    SheetImage,
    plot_image_sheet,
)
from jaxdl.report.importance import plot_importance
from jaxdl.report.large_batches import (
    BatchSeries,
    NoiseCurve,
    plot_batch_tradeoff,
    plot_noise_scales,
)
from jaxdl.report.mistakes import plot_mistakes
from jaxdl.report.neighbors import plot_neighbors
from jaxdl.report.page import PageImage, PageSection, PageTable, write_page
from jaxdl.report.pictures import (
    Picture,
    plot_pictures,
)
from jaxdl.report.pooled_axes import plot_pooled_axes
from jaxdl.report.probes import plot_accuracy_bars, plot_accuracy_lines
from jaxdl.report.ranks import plot_ranks
from jaxdl.report.rate_distortion import (
    RankMark,
    plot_rate_distortion,
)
from jaxdl.report.rating_errors import plot_rating_errors
from jaxdl.report.rbf_centers import plot_activations, plot_purity
from jaxdl.report.rbf_classical import FunctionFit, plot_function_fits, plot_phases
from jaxdl.report.rbf_decisions import plot_decision
from jaxdl.report.rbf_embeddings import (
    EmbeddingSnapshot,
    plot_embeddings,
    plot_neighborhoods,
    write_embedding_animation,
)
from jaxdl.report.rbf_maps import QueryImage, RadialProfile, plot_center_map
from jaxdl.report.rbf_page import RBF_FIGURES, PageFigure, write_rbf_page
from jaxdl.report.rbf_retrieval import plot_retrieval
from jaxdl.report.rbf_sentences import (
    tell_center_use,
    tell_nearest_center,
    tell_unknown,
)
from jaxdl.report.rbf_studies import plot_head_gaps
from jaxdl.report.rbf_unknown import plot_unknown_scores
from jaxdl.report.refactor import (
    FunctionSteps,
    MatrixSteps,
    plot_function_steps,
    plot_matrix_steps,
)
from jaxdl.report.ridge_path import (
    RidgePath,
    plot_copied_feature,
    plot_ridge_path,
)
from jaxdl.report.rings import RingPlaces, place_on_rings
from jaxdl.report.scaling import MemoryBar, ScalingCurve, plot_scaling
from jaxdl.report.trials import TrialAxis, plot_trials
from jaxdl.report.twins import (
    plot_correlations,
    plot_twin_curves,
    plot_views,
)
from jaxdl.report.variants import Curve, plot_variants

__all__ = [
    "EmbeddingSnapshot",
    "PageFigure",
    "PageImage",
    "PageSection",
    "PageTable",
    "QueryImage",
    "RBF_FIGURES",
    "RadialProfile",
    "RingPlaces",
    "place_on_rings",
    "plot_activations",
    "plot_center_map",
    "plot_decision",
    "plot_embeddings",
    "FunctionFit",
    "plot_function_fits",
    "plot_phases",
    "plot_head_gaps",
    "plot_neighborhoods",
    "plot_purity",
    "plot_retrieval",
    "plot_unknown_scores",
    "tell_center_use",
    "tell_nearest_center",
    "tell_unknown",
    "write_embedding_animation",
    "write_page",
    "write_rbf_page",
    "plot_accuracy_bars",
    "plot_accuracy_lines",
    "plot_correlations",
    "plot_feature_map",
    "plot_neighbors",
    "plot_twin_curves",
    "plot_views",
    "plot_ranks",
    "plot_rating_errors",
    "RidgePath",
    "plot_ridge_path",
    "plot_copied_feature",
    "Picture",
    "plot_pictures",
    "RankMark",
    "plot_rate_distortion",
    "SheetImage",
    "plot_image_sheet",
    "ComponentCurves",
    "plot_components",
    "plot_scores",
    "FunctionSteps",
    "MatrixSteps",
    "plot_function_steps",
    "plot_matrix_steps",
    "CompressionCurve",
    "CostCurve",
    "Curve",
    "DropoutOutputs",
    "FieldPicture",
    "FunctionCurve",
    "Histogram",
    "TrialAxis",
    "plot_by_depth",
    "plot_compression",
    "plot_confusion",
    "plot_costs",
    "plot_curves",
    "plot_dropout",
    "plot_gaps",
    "BatchSeries",
    "NoiseCurve",
    "plot_batch_tradeoff",
    "plot_noise_scales",
    "ClientMixture",
    "FederatedCurve",
    "plot_clients",
    "plot_federated",
    "plot_fields",
    "plot_functions",
    "plot_histograms",
    "plot_importance",
    "plot_mistakes",
    "plot_pooled_axes",
    "plot_trials",
    "plot_variants",
    "MemoryBar",
    "ScalingCurve",
    "plot_scaling",
]
