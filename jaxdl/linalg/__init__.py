"""Singular value decompositions and what they are good for."""

from jaxdl.linalg.alternating import alternating_least_squares
from jaxdl.linalg.approximation import (
    Polar,
    low_rank_approximation,
    polar,
)
from jaxdl.linalg.completion import SoftImpute, soft_impute
from jaxdl.linalg.duplicates import (
    NearDuplicates,
    find_correlated_rows,
    find_near_duplicates,
    group_pairs,
)
from jaxdl.linalg.eigen import (
    Eigenpairs,
    top_eigenpairs,
)
from jaxdl.linalg.factor import (
    ConvMethod,
    Factors,
    factor_conv,
    factor_dense,
    kernel_spectra,
)
from jaxdl.linalg.factorization import biased_matrix_factorization
from jaxdl.linalg.incremental_pca import (
    IncrementalPCAState,
    finish_incremental_pca,
    init_incremental_pca,
    update_incremental_pca,
)
from jaxdl.linalg.kmeans import (
    KMeans,
    assign_clusters,
    choose_centers,
    kmeans,
)
from jaxdl.linalg.least_squares import (
    LeastSquares,
    lstsq,
    pinv,
)
from jaxdl.linalg.operators import (
    LinearOperator,
    as_operator,
)
from jaxdl.linalg.pagerank import PageRank, pagerank
from jaxdl.linalg.principal_components import (
    PCA,
    inverse_transform,
    pca,
    transform,
)
from jaxdl.linalg.randomized import (
    estimate_residual,
    randomized_range_finder,
    randomized_svd,
)
from jaxdl.linalg.rank import (
    choose_rank,
    condition_number,
    numerical_rank,
)
from jaxdl.linalg.ratings import MatrixFactorization, fit_biases, predict_ratings
from jaxdl.linalg.refactor import (
    Refactored,
    RefactoredMatrix,
    refactor,
    refactor_matrix,
)
from jaxdl.linalg.ridge import (
    Ridge,
    ridge,
)
from jaxdl.linalg.robust_pca import RobustPCA, robust_pca
from jaxdl.linalg.spectral import (
    nuclear_norm,
    singular_value_threshold,
    spectral_function,
)
from jaxdl.linalg.svd import (
    SVD,
    compact_svd,
    fix_signs,
    full_svd,
    thin_svd,
    truncated_svd,
)
from jaxdl.linalg.tall_skinny import (
    tall_skinny_qr,
    tall_skinny_svd,
)

__all__ = [
    "PCA",
    "SVD",
    "ConvMethod",
    "Eigenpairs",
    "Factors",
    "IncrementalPCAState",
    "KMeans",
    "LeastSquares",
    "LinearOperator",
    "NearDuplicates",
    "PageRank",
    "Polar",
    "Refactored",
    "RefactoredMatrix",
    "Ridge",
    "RobustPCA",
    "SoftImpute",
    "soft_impute",
    "MatrixFactorization",
    "alternating_least_squares",
    "biased_matrix_factorization",
    "fit_biases",
    "predict_ratings",
    "as_operator",
    "assign_clusters",
    "choose_centers",
    "choose_rank",
    "compact_svd",
    "condition_number",
    "estimate_residual",
    "factor_conv",
    "factor_dense",
    "find_correlated_rows",
    "find_near_duplicates",
    "finish_incremental_pca",
    "fix_signs",
    "full_svd",
    "group_pairs",
    "init_incremental_pca",
    "inverse_transform",
    "kernel_spectra",
    "kmeans",
    "low_rank_approximation",
    "lstsq",
    "nuclear_norm",
    "numerical_rank",
    "pagerank",
    "pca",
    "pinv",
    "polar",
    "randomized_range_finder",
    "randomized_svd",
    "refactor",
    "refactor_matrix",
    "ridge",
    "robust_pca",
    "singular_value_threshold",
    "spectral_function",
    "tall_skinny_qr",
    "tall_skinny_svd",
    "thin_svd",
    "top_eigenpairs",
    "transform",
    "truncated_svd",
    "update_incremental_pca",
]
