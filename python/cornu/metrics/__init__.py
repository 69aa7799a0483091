"""Metrics: values gathered over batches."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".registry": "get serialize deserialize",
        ".metric": "Metric",
        ".reductions": "Mean MeanMetricWrapper Sum",
        ".accuracy": (
            "Accuracy BinaryAccuracy CategoricalAccuracy SparseCategoricalAccuracy "
            "SparseTopKCategoricalAccuracy TopKCategoricalAccuracy binary_accuracy "
            "categorical_accuracy sparse_categorical_accuracy sparse_top_k_categorical_accuracy "
            "top_k_categorical_accuracy"
        ),
        ".functional": (
            "BinaryCrossentropy CategoricalCrossentropy CategoricalHinge ConcordanceCorrelation "
            "CosineSimilarity Hinge KLDivergence LogCoshError MeanAbsoluteError "
            "MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError "
            "PearsonCorrelation Poisson RootMeanSquaredError SparseCategoricalCrossentropy "
            "SquaredHinge concordance_correlation pearson_correlation"
        ),
        ".confusion": (
            "AUC FalseNegatives FalsePositives Precision PrecisionAtRecall Recall "
            "RecallAtPrecision SensitivityAtSpecificity SpecificityAtSensitivity TrueNegatives "
            "TruePositives"
        ),
        ".overlap": "BinaryIoU IoU MeanIoU OneHotIoU OneHotMeanIoU",
        ".scores": "F1Score FBetaScore R2Score",
        "cornu.losses.functional": (
            "binary_crossentropy binary_focal_crossentropy categorical_crossentropy "
            "categorical_focal_crossentropy categorical_hinge hinge huber kl_divergence log_cosh "
            "mean_absolute_error mean_absolute_percentage_error mean_squared_error "
            "mean_squared_logarithmic_error poisson sparse_categorical_crossentropy squared_hinge"
        ),
    },
)
