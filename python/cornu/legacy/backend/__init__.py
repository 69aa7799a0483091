"""The functions that Keras 2 has in `keras.backend`, over `cornu.ops`.

Most programs call it `K`. Shapes are tuples, and a symbolic tensor is what layers give on an
`Input`, so `K.function` and `K.gradients` work on the graph of a model.
"""

from cornu.lazy import attach

_SAME = """
    abs clip cos cumprod cumsum equal exp greater greater_equal less less_equal log
    maximum minimum not_equal round sigmoid sign sin softmax softplus softsign sqrt
    square squeeze stack stop_gradient tanh tile"""
_SETTINGS = """
    backend epsilon floatx image_data_format set_epsilon set_floatx set_image_data_format"""

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "cornu.ops": _SAME,
        "cornu.config": _SETTINGS,
        "cornu.naming": "get_uid name_scope reset_uids=forget_names",
        "cornu.ops.symbolic": "is_keras_tensor",
        "cornu.scopes": "clear_session",
        ".arrays": """
            all any arange argmax argmin batch_dot batch_flatten cast cast_to_floatx concatenate
            count_params dot dtype expand_dims flatten gather int_shape is_sparse l2_normalize max
            mean min ndim one_hot permute_dimensions pow prod repeat repeat_elements reshape
            reverse shape std sum to_dense transpose var""",
        ".graphs": """
            eval foldl foldr function gradients in_test_phase in_train_phase learning_phase
            learning_phase_scope map_fn placeholder print_tensor rnn set_learning_phase switch""",
        ".images": """
            bias_add conv1d conv2d conv2d_transpose conv3d depthwise_conv2d local_conv1d
            local_conv2d pool2d pool3d resize_images resize_volumes separable_conv2d
            spatial_2d_padding spatial_3d_padding temporal_padding""",
        ".networks": """
            batch_normalization binary_crossentropy binary_focal_crossentropy
            categorical_crossentropy categorical_focal_crossentropy ctc_batch_cost ctc_decode
            dropout elu hard_sigmoid in_top_k normalize_batch_in_training relu
            sparse_categorical_crossentropy""",
        ".variables": """
            batch_get_value batch_set_value constant eye get_value manual_variable_initialization
            moving_average_update ones ones_like random_bernoulli random_binomial random_normal
            random_normal_variable random_uniform random_uniform_variable set_value
            truncated_normal update update_add update_sub variable zeros zeros_like""",
    },
)
