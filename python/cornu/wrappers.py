"""Models as estimators of scikit-learn (the extra `scikit-learn`)."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from cornu.models import Model, clone_model

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
    from sklearn.preprocessing import OneHotEncoder
    from sklearn.utils.multiclass import type_of_target
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    # The classes exist without it, and tell so when one is made.
    BaseEstimator = ClassifierMixin = RegressorMixin = TransformerMixin = object
    OneHotEncoder = None


class _Estimator(BaseEstimator):
    """What the wrappers share.

    Args:
        model: a compiled model, which is cloned for each fit; or a function of `X`, `y` and
            `model_kwargs` that returns one.
        warm_start: whether a fit goes on with the model of the last one.
        model_kwargs: arguments of the function.
        fit_kwargs: arguments of `Model.fit`.

    Raises:
        ImportError: if scikit-learn is not installed.
    """

    def __init__(
        self,
        model: Any,
        warm_start: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        fit_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if OneHotEncoder is None:
            raise ImportError(
                f"{type(self).__name__} needs scikit-learn 1.6 or newer: "
                "`pip install scikit-learn`."
            )
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __sklearn_clone__(self) -> _Estimator:
        """Returns an estimator that is not fitted, with a copy of the model."""
        model = copy.deepcopy(self.model) if isinstance(self.model, Model) else self.model
        arguments = {**self.get_params(deep=False), "model": model}
        return type(self)(**arguments)

    @property
    def epoch_(self) -> Any:
        """The epochs of the last fit."""
        return getattr(self, "history_", None) and self.history_.epoch

    def set_fit_request(self, **kwargs: Any) -> _Estimator:
        """Asks for metadata of `fit`; needs scikit-learn's metadata routing.

        Raises:
            RuntimeError: if that is not enabled.
        """
        import sklearn
        from sklearn.utils.metadata_routing import MetadataRequest

        if not sklearn.get_config().get("enable_metadata_routing", False):
            raise RuntimeError(
                "This method is only available when metadata routing is enabled. You can enable "
                "it using sklearn.set_config(enable_metadata_routing=True)."
            )
        self._metadata_request = MetadataRequest(owner=type(self).__name__)
        for name, alias in kwargs.items():
            self._metadata_request.fit.add_request(param=name, alias=alias)
        return self

    def _new_model(self, X: np.ndarray, y: np.ndarray) -> Model:
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if not isinstance(self.model, Model):
            return self.model(X=X, y=y, **(self.model_kwargs or {}))
        if self.warm_start:
            return self.model
        model = clone_model(self.model)
        model.compile_from_config(self.model.get_compile_config())
        return model

    def fit(self, X: Any, y: Any, **kwargs: Any) -> _Estimator:
        """Trains a model.

        Args:
            X: samples, `(samples, features)`.
            y: targets.
            kwargs: arguments of `Model.fit`; they go before `fit_kwargs`.

        Raises:
            RuntimeError: if the model is not compiled.
        """
        X, y = validate_data(self, X, y, multi_output=True)
        y = self._encoded(y, reset=True)
        model = self._new_model(X, y)
        if not model.compiled or model.loss is None or model.optimizer is None:
            raise RuntimeError(
                "Given model needs to be compiled, and have a loss and an optimizer."
            )
        self.history_ = model.fit(X, y, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self.model_.predict(validate_data(self, X, reset=False))

    def predict(self, X: Any) -> np.ndarray:
        """Returns the predictions for samples."""
        return self._decoded(self._outputs(X))

    def _encoded(self, y: np.ndarray, reset: bool = False) -> np.ndarray:
        """The targets as the model takes them: two axes."""
        if type_of_target(y) == "unknown":
            raise ValueError(f"Unknown label type for data: {y!r}")
        self._target_rank = y.ndim
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def _decoded(self, y: np.ndarray) -> np.ndarray:
        """The model's outputs as the targets were given."""
        return y[:, 0] if self._target_rank == 1 and y.ndim == 2 and y.shape[1] == 1 else y


class SKLearnClassifier(ClassifierMixin, _Estimator):
    __doc__ = f"""A classifier: the model's targets are one-hot.

    {_Estimator.__doc__.partition("Args:")[1]}{_Estimator.__doc__.partition("Args:")[2]}"""

    def decision_function(self, X: Any) -> np.ndarray:
        """Returns the model's outputs."""
        return self._outputs(X)

    def _encoded(self, y: np.ndarray, reset: bool = False) -> np.ndarray:
        kind = type_of_target(y)
        if kind == "unknown":
            raise ValueError(f"Unknown label type for data: {y!r}")
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                f"Only binary and multiclass target types are supported. Target type: {kind}"
            )
        if reset:
            self._target_rank = y.ndim
            self.classes_ = np.unique(y)
            if len(self.classes_) == 1:
                raise ValueError("Classifier can't train when only one class is present.")
            self._encoder = OneHotEncoder(sparse_output=False).fit(y.reshape(-1, 1))
        return self._encoder.transform(y.reshape(-1, 1))

    def _decoded(self, y: np.ndarray) -> np.ndarray:
        return super()._decoded(self._encoder.inverse_transform(y))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class SKLearnRegressor(RegressorMixin, _Estimator):
    __doc__ = f"""A regressor.

    {_Estimator.__doc__.partition("Args:")[1]}{_Estimator.__doc__.partition("Args:")[2]}"""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(TransformerMixin, _Estimator):
    __doc__ = f"""A transformer: `transform` gives the model's outputs.

    {_Estimator.__doc__.partition("Args:")[1]}{_Estimator.__doc__.partition("Args:")[2]}"""

    def transform(self, X: Any) -> np.ndarray:
        """Returns the model's outputs for samples."""
        return self._outputs(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
