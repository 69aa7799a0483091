"""Models as files: configs, `.keras` archives, weights, whole-model `.h5`.

Nothing that a file names is imported or run: names are looked up in tables of this package's own
classes and in what a program registered itself.
"""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".registration": """CustomObjectScope custom_object_scope get_custom_objects
            get_registered_name get_registered_object register_keras_serializable""",
        ".serialization": "deserialize_keras_object serialize_keras_object",
        ".editor": "KerasFileEditor",
        ".files": "load_model load_weights save_model save_weights",
    },
)
