"""Boxes around objects: formats, overlaps, moves, and the deltas that detectors predict.

Boxes are tensors of shape `(..., 4)`; a dict `{"boxes": ..., "labels": ...}` is taken where labels
matter. Relative formats measure in parts of the image's height and width.
"""

import math
from typing import Any

from cornu import ops

_ABSOLUTE_FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "center_yxhw")
FORMATS = (*_ABSOLUTE_FORMATS, "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")


def _parsed(name: str) -> tuple[str, bool]:
    """Returns the absolute format of a format, and whether it is relative."""
    name = name.lower()
    if name not in FORMATS:
        raise ValueError(f"Invalid source or target format: {name}. Supported formats: {FORMATS}")
    return name.removeprefix("rel_"), name.startswith("rel_")


def _columns(boxes: Any) -> list[Any]:
    return [boxes[..., i] for i in range(4)]


def _joined(*columns: Any) -> Any:
    return ops.stack(columns, axis=-1)


def _to_xyxy(boxes: Any, name: str) -> Any:
    a, b, c, d = _columns(boxes)
    match name:
        case "yxyx":
            return _joined(b, a, d, c)
        case "xywh":
            return _joined(a, b, a + c, b + d)
        case "center_xywh":
            return _joined(a - c / 2, b - d / 2, a + c / 2, b + d / 2)
        case "center_yxhw":
            return _joined(b - d / 2, a - c / 2, b + d / 2, a + c / 2)
    return boxes


def _from_xyxy(boxes: Any, name: str) -> Any:
    left, top, right, bottom = _columns(boxes)
    width, height = right - left, bottom - top
    x, y = (left + right) / 2, (top + bottom) / 2
    match name:
        case "yxyx":
            return _joined(top, left, bottom, right)
        case "xywh":
            return _joined(left, top, width, height)
        case "center_xywh":
            return _joined(x, y, width, height)
        case "center_yxhw":
            return _joined(y, x, height, width)
    return boxes


def _checked(boxes: Any) -> Any:
    boxes = ops.convert_to_tensor(boxes)
    if len(boxes.shape) == 0 or boxes.shape[-1] != 4:
        raise ValueError(
            "`boxes` must be a tensor with the last dimension of 4. "
            f"Received: boxes.shape={tuple(boxes.shape)}"
        )
    return boxes


def convert_format(
    boxes: Any,
    source: str,
    target: str,
    height: Any = None,
    width: Any = None,
    dtype: str = "float32",
) -> Any:
    """Writes boxes in another format.

    Args:
        boxes: tensor of shape `(..., 4)`, or a dict with it as `"boxes"`.
        source: format of the boxes: `"xyxy"`, `"yxyx"`, `"xywh"`, `"center_xywh"`,
            `"center_yxhw"`, `"rel_xyxy"`, `"rel_yxyx"`, `"rel_xywh"` or `"rel_center_xywh"`.
        target: format of the result.
        height, width: size of the images in pixels, which relative formats need; one number, or
            one for each image of a batch.
        dtype: dtype of the result.

    Returns:
        A tensor of that shape, or a dict like the one given.

    Raises:
        ValueError: for an unknown format, boxes without 4 numbers, or a size that is missing.

    >>> convert_format(np.array([[1.0, 2.0, 5.0, 8.0]]), "xyxy", "xywh")
    [[1. 2. 4. 6.]]
    """
    (before, relative_before), (after, relative_after) = _parsed(source), _parsed(target)
    if isinstance(boxes, dict):
        converted = convert_format(boxes["boxes"], source, target, height, width, dtype)
        return boxes | {"boxes": converted}
    boxes = ops.cast(_checked(boxes), dtype)
    if source.lower() == target.lower():
        return boxes
    if (relative_before or relative_after) and (height is None or width is None):
        raise ValueError(
            "convert_format() must receive `height` and `width` to transform between relative and "
            f"absolute formats. Received: source={source}, target={target}, height={height}, "
            f"width={width}"
        )
    boxes = _to_xyxy(boxes, before)
    if relative_before != relative_after:
        sides = _joined(*(_side(side, boxes) for side in (width, height, width, height)))
        boxes = boxes * sides if relative_before else boxes / sides
    return _from_xyxy(boxes, after)


def _side(size: Any, boxes: Any) -> Any:
    """Returns a height or width such that it goes with the columns of boxes."""
    size = ops.cast(size, boxes.dtype)
    return ops.reshape(size, (*size.shape, *(1,) * (len(boxes.shape) - 1 - len(size.shape))))


def clip_to_image_size(
    bounding_boxes: dict[str, Any],
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> dict[str, Any]:
    """Cuts boxes at the borders of the image; the label of an empty one becomes -1.

    Args:
        bounding_boxes: dict of `"boxes"`, of shape `(..., 4)`, and `"labels"`, of shape `(...)`.
        height, width: size of the images in pixels, which `"xyxy"` needs.
        bounding_box_format: `"xyxy"` or `"rel_xyxy"`.

    Returns:
        A dict like the one given.

    Raises:
        NotImplementedError: for another format.
        ValueError: if the size is missing.
    """
    if bounding_box_format not in ("xyxy", "rel_xyxy"):
        raise NotImplementedError(
            "clip_to_image_size() works on the formats 'xyxy' and 'rel_xyxy'. "
            f"Received: bounding_box_format={bounding_box_format}"
        )
    if bounding_box_format == "rel_xyxy":
        height = width = 1.0
    elif height is None or width is None:
        raise ValueError("`height` and `width` must be set if `format='xyxy'`.")
    boxes, labels = (ops.convert_to_tensor(bounding_boxes[key]) for key in ("boxes", "labels"))
    left, top, right, bottom = _columns(boxes)
    left, right = ops.clip(left, 0, width), ops.clip(right, 0, width)
    top, bottom = ops.clip(top, 0, height), ops.clip(bottom, 0, height)
    empty = ops.less_equal((right - left) * (bottom - top), 0)
    return bounding_boxes | {
        "boxes": _joined(left, top, right, bottom),
        "labels": ops.where(empty, ops.full_like(labels, -1), labels),
    }


def _only_xyxy(function: str, bounding_box_format: str) -> None:
    if bounding_box_format != "xyxy":
        raise NotImplementedError(
            f"{function}() works on the format 'xyxy'. "
            f"Received: bounding_box_format={bounding_box_format}"
        )


def crop(
    boxes: Any,
    top: Any,
    left: Any,
    height: Any,
    width: Any,
    bounding_box_format: str = "xyxy",
) -> Any:
    """Moves boxes into a part of their image and cuts them at its borders.

    Args:
        boxes: tensor of shape `(..., 4)`.
        top, left: where the part begins.
        height, width: its size.
        bounding_box_format: `"xyxy"`.

    Returns:
        A tensor of that shape.

    Raises:
        NotImplementedError: for another format.
    """
    _only_xyxy("crop", bounding_box_format)
    x0, y0, x1, y1 = _columns(ops.convert_to_tensor(boxes))
    return _joined(
        ops.clip(x0 - left, 0, width),
        ops.clip(y0 - top, 0, height),
        ops.clip(x1 - left, 0, width),
        ops.clip(y1 - top, 0, height),
    )


def pad(
    boxes: Any,
    top: Any,
    left: Any,
    height: Any = None,
    width: Any = None,
    bounding_box_format: str = "xyxy",
) -> Any:
    """Moves boxes into an image that a border was put around.

    Args:
        boxes: tensor of shape `(..., 4)`.
        top, left: size of the border above and on the left.
        height, width: size of the new image; not needed for `"xyxy"`.
        bounding_box_format: `"xyxy"`.

    Returns:
        A tensor of that shape.

    Raises:
        NotImplementedError: for another format.
    """
    _only_xyxy("pad", bounding_box_format)
    x0, y0, x1, y1 = _columns(ops.convert_to_tensor(boxes))
    return _joined(x0 + left, y0 + top, x1 + left, y1 + top)


def corners(boxes: Any) -> tuple[Any, Any]:
    """Returns x and y of the four corners of boxes in `"xyxy"`, each of shape `(..., 4)`."""
    x0, y0, x1, y1 = _columns(boxes)
    return _joined(x0, x1, x1, x0), _joined(y0, y0, y1, y1)


def around(x: Any, y: Any) -> Any:
    """Returns the boxes, as `"xyxy"`, around points of which x and y are given: `(..., n)`."""
    low, high = ((fold(x, axis=-1), fold(y, axis=-1)) for fold in (ops.min, ops.max))
    return _joined(*low, *high)


def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Any,
    width: Any,
    center_x: Any = None,
    center_y: Any = None,
    bounding_box_format: str = "xyxy",
) -> Any:
    """Turns, moves, scales and shears images' boxes; the results are around the new corners.

    Args:
        boxes: tensor of shape `(batch, n, 4)`.
        angle: degrees, anticlockwise; this and the next are numbers or have shape `(batch,)`.
        translate_x, translate_y: moves, in parts of `width - 1` and `height - 1`.
        scale: factor of the sizes.
        shear_x, shear_y: angles of the shear in degrees.
        height, width: size of the images in pixels.
        center_x, center_y: the point that stays, in parts of the image; the middle by default.
        bounding_box_format: `"xyxy"`.

    Returns:
        A tensor of that shape.

    Raises:
        NotImplementedError: for another format.
    """
    _only_xyxy("affine_transform", bounding_box_format)
    boxes = ops.convert_to_tensor(boxes)
    boxes = boxes if "float" in str(boxes.dtype) else ops.cast(boxes, "float32")

    def number(value: Any) -> Any:
        """Returns a number, or one for each image, as what goes with corners."""
        return ops.reshape(ops.cast(value, boxes.dtype), (-1, 1, 1))

    turn, lean_x, lean_y = (number(x) * (math.pi / 180) for x in (angle, shear_x, shear_y))
    scale, right, down = number(scale), number(width) - 1, number(height) - 1
    middle_x = right * number(0.5 if center_x is None else center_x)
    middle_y = down * number(0.5 if center_y is None else center_y)
    cosine, sine = (f(turn - lean_y) / ops.cos(lean_y) for f in (ops.cos, ops.sin))
    x, y = corners(boxes)
    x = x - middle_x + number(translate_x) * right
    y = y - middle_y + number(translate_y) * down
    across = (ops.cos(turn) + ops.tan(lean_x) * sine) * x
    across = across + (ops.sin(turn) + ops.tan(lean_x) * cosine) * y
    return around(scale * across + middle_x, scale * (cosine * y - sine * x) + middle_y)


def _absolute(boxes: Any, bounding_box_format: str, image_shape: Any) -> list[Any]:
    """Returns left, top, right and bottom in pixels."""
    height, width = (None, None) if image_shape is None else tuple(image_shape)[:2]
    if _parsed(bounding_box_format)[1] and image_shape is None:
        raise ValueError(
            f"Relative bounding box formats such as `{bounding_box_format}` need the argument "
            f"`image_shape`. Received: image_shape={image_shape}"
        )
    return _columns(convert_format(boxes, bounding_box_format, "xyxy", height, width))


def _overlap(first: list[Any], second: list[Any]) -> tuple[Any, Any]:
    """Returns the areas that boxes have in common and that they cover together."""
    common = 1
    for low, high in ((0, 2), (1, 3)):
        side = ops.minimum(first[high], second[high]) - ops.maximum(first[low], second[low])
        common = common * ops.maximum(side, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return common, areas[0] + areas[1] - common


def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: Any = -1,
    image_shape: Any = None,
) -> Any:
    """Computes how much each box overlaps with each other: intersection over union.

    Args:
        boxes1: tensor of shape `(n, 4)` or `(batch, n, 4)`.
        boxes2: tensor of shape `(m, 4)` or `(batch, m, 4)`.
        bounding_box_format: format of both.
        use_masking: whether boxes with a negative coordinate count as none.
        mask_val: the result for those.
        image_shape: `(height, width, channels)`, which relative formats need.

    Returns:
        A tensor of shape `(n, m)` or `(batch, n, m)`.

    Raises:
        ValueError: if a rank is neither 2 nor 3, or the image's shape is missing.
    """
    boxes1, boxes2 = ops.convert_to_tensor(boxes1), ops.convert_to_tensor(boxes2)
    ranks = len(boxes1.shape), len(boxes2.shape)
    for name, rank in zip(("boxes1", "boxes2"), ranks, strict=True):
        if rank not in (2, 3):
            raise ValueError(
                f"compute_iou() expects {name} to have rank 2 or, in a batch, 3. "
                f"Received len(boxes1.shape)={ranks[0]}, len(boxes2.shape)={ranks[1]}."
            )
    first, second = (_absolute(b, bounding_box_format, image_shape) for b in (boxes1, boxes2))
    first = [ops.expand_dims(column, -1) for column in first]
    second = [ops.expand_dims(column, -2) for column in second]
    common, union = _overlap(first, second)
    overlap = ops.divide_no_nan(common, union)
    if not use_masking:
        return overlap
    masked = [ops.less(ops.max(ops.stack(box), axis=0), 0.0) for box in (first, second)]
    return ops.where(ops.logical_or(*masked), ops.cast(mask_val, overlap.dtype), overlap)


def compute_ciou(
    boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Any = None
) -> Any:
    """Computes the complete intersection over union of pairs of boxes (Zheng et al., 2020).

    It also counts how far the centres are apart and how the proportions differ.

    Args:
        boxes1, boxes2: tensors of shapes `(..., 4)` that go together.
        bounding_box_format: format of both.
        image_shape: `(height, width, channels)`, which relative formats need.

    Returns:
        A tensor of shape `(...)`.

    Raises:
        ValueError: if the image's shape is missing.
    """
    tiny = 1e-7
    first, second = (_absolute(b, bounding_box_format, image_shape) for b in (boxes1, boxes2))
    common, union = _overlap(first, second)
    overlap = common / (union + tiny)
    distance, diagonal, slants = 0, tiny, []
    for low, high in ((0, 2), (1, 3)):
        distance += (first[low] + first[high] - second[low] - second[high]) ** 2 / 4
        span = ops.maximum(first[high], second[high]) - ops.minimum(first[low], second[low])
        diagonal += span**2
    for left, top, right, bottom in (first, second):
        slants.append(ops.arctan((right - left) / (bottom - top + tiny)))
    proportion = 4 / math.pi**2 * (slants[1] - slants[0]) ** 2
    weight = proportion / (proportion - overlap + 1 + tiny)
    return overlap - distance / diagonal - weight * proportion


_ENCODINGS = ("center_xywh", "center_yxhw")


def _encoding(name: str, given: str, variance: Any, image_shape: Any) -> tuple[Any, Any, Any]:
    """Returns the variance as a tensor, the height and the width."""
    if variance is not None:
        variance = ops.cast(variance, "float32")
        if tuple(variance.shape) != (4,):
            raise ValueError(
                f"`variance` must have 4 entries. Received: shape {tuple(variance.shape)}"
            )
    if given not in _ENCODINGS:
        raise ValueError(f"`{name}` should be one of {_ENCODINGS}. Received: {name}={given}")
    height, width = (None, None) if image_shape is None else tuple(image_shape)[:2]
    return variance, height, width


def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Any = None,
) -> Any:
    """Writes boxes as what a detector predicts: how anchors must be moved and resized.

    Moves are in parts of the anchor's size, sizes are logarithms of factors (Girshick, 2014).

    Args:
        anchors: tensor of shape `(n, 4)`, or a dict of such by level.
        boxes: tensor of shape `(n, 4)` or `(batch, n, 4)`.
        anchor_format, box_format: their formats.
        encoding_format: order of the deltas, `"center_yxhw"` or `"center_xywh"`.
        variance: 4 numbers that the deltas are divided by.
        image_shape: `(height, width, channels)`, which relative formats need.

    Returns:
        The deltas, of the boxes' shape.

    Raises:
        ValueError: for another encoding, or a variance that has not 4 numbers.
    """
    variance, height, width = _encoding("encoding_format", encoding_format, variance, image_shape)
    if isinstance(anchors, dict):
        anchors = ops.concatenate(list(anchors.values()), axis=0)
    boxes = convert_format(boxes, box_format, encoding_format, height, width)
    anchors = convert_format(anchors, anchor_format, encoding_format, height, width)
    place, size = anchors[..., :2], ops.maximum(anchors[..., 2:], 1e-7)
    deltas = ops.concatenate(
        [
            (boxes[..., :2] - place) / size,
            ops.log(ops.maximum(boxes[..., 2:], 1e-7) / size),
        ],
        axis=-1,
    )
    return deltas if variance is None else deltas / variance


def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Any = None,
) -> Any:
    """Moves and resizes anchors as predicted; undoes `encode_box_to_deltas`.

    Args:
        anchors: tensor of shape `(n, 4)`, or a dict of such by level.
        boxes_delta: the deltas, `(n, 4)` or `(batch, n, 4)`, or a dict of such by level.
        anchor_format, box_format: formats of the anchors and of the result.
        encoded_format: order of the deltas, `"center_yxhw"` or `"center_xywh"`.
        variance: 4 numbers that the deltas are multiplied by.
        image_shape: `(height, width, channels)`, which relative formats need.

    Returns:
        The boxes, of the deltas' shape, or a dict of them by level.

    Raises:
        ValueError: for another encoding, or a variance that has not 4 numbers.
    """
    if isinstance(anchors, dict):
        rest = (anchor_format, box_format, encoded_format, variance, image_shape)
        return {
            level: decode_deltas_to_boxes(anchors[level], deltas, *rest)
            for level, deltas in boxes_delta.items()
        }
    variance, height, width = _encoding("encoded_format", encoded_format, variance, image_shape)
    deltas = ops.cast(_checked(boxes_delta), "float32")
    deltas = deltas if variance is None else deltas * variance
    anchors = convert_format(anchors, anchor_format, encoded_format, height, width)
    place, size = anchors[..., :2], anchors[..., 2:]
    boxes = ops.concatenate(
        [deltas[..., :2] * size + place, ops.exp(deltas[..., 2:]) * size], axis=-1
    )
    return convert_format(boxes, encoded_format, box_format, height, width)
