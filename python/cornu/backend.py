"""What `keras.backend` names: settings, dtypes, names, and the functions of Keras 2."""

from cornu.lazy import attach
from cornu.legacy import backend as keras_2

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "cornu.legacy.backend": " ".join(keras_2.__all__),
        "cornu._cornu": "result_type",
        "cornu.config": """
            backend epsilon floatx image_data_format set_epsilon set_floatx
            set_image_data_format""",
        "cornu.naming": "get_uid name_scope",
        "cornu.ops.symbolic": "is_keras_tensor",
        "cornu.scopes": "clear_session",
        "cornu.tensor": "is_float_dtype is_int_dtype is_tensor standardize_dtype",
    },
)
