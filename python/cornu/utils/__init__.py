"""Helpers by the names that they have in `keras.utils`."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".arrays": "normalize to_categorical",
        ".audio_folders": "audio_dataset_from_directory",
        ".configuration": "Config",
        ".downloads": "get_file",
        ".feature_space": "FeatureSpace",
        ".image_folders": "image_dataset_from_directory",
        ".images": "array_to_img img_to_array load_img save_img",
        ".model_pictures": "model_to_dot plot_model",
        ".progbar": "Progbar",
        ".sequences": "pad_sequences",
        ".splitting": "split_dataset",
        ".text_folders": "text_dataset_from_directory",
        ".timeseries": "timeseries_dataset_from_array",
        "cornu.config": """
            disable_interactive_logging enable_interactive_logging
            is_interactive_logging_enabled""",
        "cornu.legacy": "legacy=saving",
        "cornu.legacy.modules": """
            data_utils=utils_data_utils generic_utils=utils_generic_utils
            layer_utils=utils_layer_utils np_utils=utils_np_utils vis_utils=utils_vis_utils""",
        "cornu.ops.function": "get_source_inputs",
        "cornu.ops.symbolic": "is_keras_tensor",
        "cornu.random": "set_random_seed",
        "cornu.saving": """
            CustomObjectScope custom_object_scope deserialize_keras_object get_custom_objects
            get_registered_name get_registered_object register_keras_serializable
            serialize_keras_object""",
        "cornu.scopes": "clear_session",
        "cornu.tensor": "standardize_dtype",
        "cornu.training.data": "pack_x_y_sample_weight unpack_x_y_sample_weight",
        "cornu.training.data.sequence": "PyDataset Sequence=PyDataset",
    },
    submodules="bounding_boxes",
)
