"""Functions of tensors: `keras.ops`.

They take tensors, variables, arrays and numbers; with a `KerasTensor` among the arguments they
record an operation of a functional model instead of computing.
"""

from cornu.lazy import attach

_FAMILIES = {
    ".activation": (
        "celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu "
        "log_sigmoid log_softmax relu relu6 selu sigmoid silu soft_shrink softmax softplus "
        "softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh_shrink threshold"
    ),
    ".attention": "dot_product_attention",
    ".complex_numbers": "angle conj conjugate imag isreal real",
    ".convolution": (
        "adaptive_average_pool adaptive_max_pool average_pool conv conv_transpose depth_to_space "
        "depthwise_conv fold max_pool separable_conv space_to_depth unfold"
    ),
    ".core": (
        "associative_scan cast cond convert_to_numpy convert_to_tensor custom_gradient dtype "
        "fori_loop is_tensor map ndim saturate_cast scan scatter scatter_update shape size slice "
        "slice_update stop_gradient switch unstack vectorized_map while_loop"
    ),
    ".creation": (
        "arange array bartlett blackman empty empty_like eye full full_like geomspace hamming "
        "hanning identity kaiser linspace logspace meshgrid ones ones_like tri tril triu vander "
        "zeros zeros_like"
    ),
    ".ctc": "ctc_decode ctc_loss",
    ".elementwise": (
        "abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt ceil clip cos "
        "cosh deg2rad divide divide_no_nan equal erf erfc erfinv exp exp2 expm1 fabs floor "
        "floor_divide fmax fmin fmod gcd greater greater_equal heaviside hypot i0 isfinite isinf "
        "isnan isneginf isposinf lcm ldexp less less_equal log log10 log1p log2 logaddexp "
        "logaddexp2 maximum minimum mod multiply nan_to_num negative nextafter not_equal power "
        "rad2deg reciprocal round rsqrt sign signbit sin sinc sinh sqrt square subtract tan tanh "
        "true_divide trunc"
    ),
    ".indexing": "get_item",
    ".linalg": (
        "cdist cholesky cholesky_inverse det eig eigh inv jvp logdet lstsq lu_factor matrix_rank "
        "norm pinv qr slogdet solve solve_triangular svd"
    ),
    ".logic": (
        "bitwise_and bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift "
        "bitwise_xor isclose left_shift logical_and logical_not logical_or logical_xor "
        "right_shift"
    ),
    ".losses": (
        "binary_crossentropy categorical_crossentropy multi_hot one_hot psnr "
        "sparse_categorical_crossentropy"
    ),
    ".manipulation": (
        "append array_split broadcast_to concatenate copy diag diagflat diagonal dsplit dstack "
        "expand_dims flip fliplr flipud hsplit hstack moveaxis pad ravel repeat reshape roll "
        "rot90 split squeeze stack swapaxes tile transpose unravel_index view vsplit vstack"
    ),
    ".nan_reduction": (
        "nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmin nanprod nanstd nansum "
        "nanvar"
    ),
    ".normalization": (
        "batch_normalization layer_normalization moments normalize rms_normalization"
    ),
    ".products": "correlate corrcoef cross dot einsum inner kron matmul outer tensordot vdot",
    ".quantiles": "median nanmedian nanpercentile nanquantile percentile quantile",
    ".rearrangement": "rearrange",
    ".reduction": (
        "all allclose amax amin any argmax argmin average count_nonzero cumprod cumsum diff "
        "logsumexp max mean min prod ptp std sum trace trapezoid var"
    ),
    ".segments": "segment_max segment_min segment_prod segment_sum",
    ".selection": (
        "argpartition argsort bincount digitize histogram in_top_k isin nonzero searchsorted "
        "select sort take take_along_axis top_k unique vectorize where"
    ),
    ".signal": (
        "extract_sequences fft fft2 ifft2 irfft istft polar rfft stft view_as_complex view_as_real"
    ),
}

__getattr__, __dir__, __all__ = attach(__name__, _FAMILIES, submodules="image linalg nn numpy")

# Tensors find their operators as soon as there are functions of them.
from cornu.ops import operators  # noqa: E402, F401
