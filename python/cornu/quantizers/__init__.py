"""Weights and activations in few bits."""

from cornu.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        ".configs": """
            AWQConfig Float8QuantizationConfig GPTQConfig Int4QuantizationConfig
            Int8QuantizationConfig QuantizationConfig""",
        ".float8": """
            compute_float8_amax_history compute_float8_scale quantize_and_dequantize""",
        ".integers": """
            AbsMaxQuantizer Quantizer abs_max_quantize abs_max_quantize_grouped_with_zero_point
            dequantize_grouped fake_quant_with_min_max_vars pack_int4 unpack_int4""",
        ".registry": "deserialize get serialize",
    },
)
