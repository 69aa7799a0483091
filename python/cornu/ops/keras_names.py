"""What Keras's configs call the functions of `cornu.ops`, and which arguments are tensors.

An entry reads `function=Class:operands`. Without a class, it is the function's name in camel
case; without operands, they are the arguments that have no default. A function that is not listed
belongs to the module `numpy`.
"""

from typing import NamedTuple

_TABLE = {
    "numpy": """
        abs=Absolute allclose=AllClose arange:start,stop,step argpartition:x array_split:x
        average:x,weights broadcast_to:x clip:x dsplit:x einsum:operands expand_dims:x
        full:fill_value hsplit:x isclose:x1,x2,rtol,atol isin=IsIn moveaxis:x pad:x,constant_values
        repeat:x reshape:x
        roll:x searchsorted=SearchSorted select:condlist,choicelist,default split:x swapaxes:x
        tile:x unravel_index:indices vsplit:x where:condition,x1,x2""",
    "nn": """
        adaptive_average_pool:inputs adaptive_max_pool:inputs average_pool:inputs
        batch_normalization=BatchNorm:x,mean,variance,offset,scale binary_crossentropy
        categorical_crossentropy celu conv conv_transpose ctc_decode=CTCDecode ctc_loss=CTCLoss
        depth_to_space:x depthwise_conv dot_product_attention:query,key,value,bias,mask,scale elu
        fold:x gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh
        layer_normalization=LayerNorm:x,gamma,beta leaky_relu log_sigmoid log_softmax
        max_pool:inputs moments:x multi_hot:inputs normalize one_hot:x polar psnr=PSNR:x1,x2 relu
        relu6 rms_normalization=RMSNorm:x,scale selu separable_conv sigmoid silu soft_shrink
        softmax softplus softsign space_to_depth:x sparse_categorical_crossentropy sparse_plus
        sparse_sigmoid sparsemax squareplus tanh_shrink threshold:x unfold:x""",
    "core": """
        associative_scan cast:x cond convert_to_tensor fori_loop:init_val map saturate_cast:x
        scan:f,init,xs scatter:indices,values scatter_update slice:inputs,start_indices
        slice_update stop_gradient switch unstack vectorized_map:elements while_loop:loop_vars""",
    "math": """
        cdist=CDist erf erfc erfinv extract_sequences:x fft=FFT fft2=FFT2 ifft2=IFFT2
        in_top_k:targets,predictions irfft=IRFFT istft=ISTFT:x logdet logsumexp rfft=RFFT rsqrt
        segment_max segment_min segment_prod segment_sum stft=STFT:x top_k:x view_as_complex
        view_as_real""",
    "linalg": """
        cholesky cholesky_inverse det eig eigh inv jvp=JVP lstsq lu_factor matrix_rank norm pinv
        qr solve solve_triangular svd=SVD""",
    "einops": "rearrange:tensor",
    "image": """
        affine_transform:images,transform crop_images:images elastic_transform:images
        extract_patches:images extract_patches_3d=ExtractPatches3D:volumes gaussian_blur:images
        hsv_to_rgb=HSVToRGB map_coordinates:inputs,coordinates pad_images:images
        perspective_transform:images,start_points,end_points resize:images
        rgb_to_grayscale=RGBToGrayscale rgb_to_hsv=RGBToHSV
        scale_and_translate:images,scale,translation sobel_edges=SobelEdges ssim=SSIM""",
}

# The modules that calls belong to.
MODULES = tuple(_TABLE)


class Entry(NamedTuple):
    """What Keras calls a function: module and class of its calls, and its operands."""

    module: str
    class_name: str
    operands: tuple[str, ...] | None


def _camel(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _parse() -> dict[str, Entry]:
    entries = {}
    for module, listed in _TABLE.items():
        for text in listed.split():
            head, _, operands = text.partition(":")
            name, _, class_name = head.partition("=")
            entries[name] = Entry(
                f"keras.src.ops.{module}",
                class_name or _camel(name),
                tuple(operands.split(",")) if operands else None,
            )
    return entries


_entries = _parse()
_functions = {(entry.module, entry.class_name): name for name, entry in _entries.items()}


def entry(function_name: str) -> Entry:
    """Returns what Keras calls the function of this name."""
    return _entries.get(function_name) or Entry("keras.src.ops.numpy", _camel(function_name), None)


def function_name(module: str, class_name: str) -> str | None:
    """Returns the name of the function that Keras calls so, None if it can't be one."""
    from cornu.naming import to_snake_case

    if (module, class_name) in _functions:
        return _functions[module, class_name]
    return to_snake_case(class_name) if module == "keras.src.ops.numpy" else None
