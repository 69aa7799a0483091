"""Keras 2's tokenizer and its kin."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "cornu.legacy.text": """
            Tokenizer hashing_trick one_hot text_to_word_sequence tokenizer_from_json""",
    },
)
