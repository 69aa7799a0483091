"""Pictures of what models are given and what they find: galleries, boxes, segmentation masks.

Galleries need matplotlib, and words on boxes need Pillow; both are imported when they are used.
"""

import importlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cornu import config
from cornu.utils.bounding_boxes import convert_format

Color = tuple[int, int, int]
_EXTRAS = {"matplotlib": "plots", "pillow": "images"}


def _needed(module: str, package: str, function: str) -> Any:
    """Imports a module of an optional package."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(
            f"`{function}` needs {package}: `pip install cornu[{_EXTRAS[package]}]`."
        ) from None


def _channels_last(images: Any, data_format: str | None, name: str = "images") -> np.ndarray:
    """Returns a batch as an array with the channels last."""
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(
            f"`{name}` must be batched 4D tensor. Received: {name}.shape={images.shape}"
        )
    if config.standardize_data_format(data_format) == "channels_first":
        images = np.moveaxis(images, 1, -1)
    return images


def _as_bytes(images: np.ndarray, value_range: Any = (0, 255)) -> np.ndarray:
    low, high = value_range
    images = (images.astype("float32") - low) * (255 / (high - low))
    return np.clip(images, 0, 255).astype("uint8")


def draw_segmentation_masks(
    images: Any,
    segmentation_masks: Any,
    num_classes: int | None = None,
    color_mapping: Mapping[int, Color] | None = None,
    alpha: float = 0.8,
    blend: bool = True,
    ignore_index: int = -1,
    data_format: str | None = None,
) -> np.ndarray:
    """Colours the classes of segmentation masks on images.

    Args:
        images: a batch of images with values from 0 to 255.
        segmentation_masks: a batch of masks of one channel, integers.
        num_classes: classes from 0 to one less are drawn; by default, up to the greatest there is.
        color_mapping: the colour of each class, red, green and blue; by default they differ.
        alpha: how opaque the colours are, from 0 to 1.
        blend: whether images shine through; else colours cover them.
        ignore_index: the class that is not drawn.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.

    Returns:
        The images, channels last.

    Raises:
        ValueError: if images or masks are not a batch.
        TypeError: if the masks are not integers.
    """
    images = _channels_last(images, data_format)
    masks = _channels_last(segmentation_masks, data_format, "segmentation_masks")
    if masks.dtype.kind not in "iu":
        raise TypeError(
            "`segmentation_masks` must be in integer dtype. "
            f"Received: segmentation_masks.dtype={masks.dtype}"
        )
    if num_classes is None:
        num_classes = int(masks.max())
    if color_mapping is None:
        # Steps that 255 does not divide give neighbouring classes colours that differ.
        color_mapping = {i: (i % 255, i * 127 % 255, i * 31 % 255) for i in range(num_classes)}
    images = _as_bytes(images)
    colored = images.astype("float32")
    for index in range(num_classes):
        if index != ignore_index:
            colored = np.where(masks == index, np.float32(color_mapping[index]), colored)
    if not blend:
        return colored
    blended = images.astype("float32") * np.float32(1 - alpha) + colored * np.float32(alpha)
    return blended.clip(0, 255).astype("uint8")


def _frame(image: np.ndarray, corners: np.ndarray, color: Color, thickness: int) -> None:
    """Draws a rectangle of lines into an image."""
    height, width = image.shape[:2]
    left, top, right, bottom = (round(float(corner)) for corner in corners)
    before, after = thickness // 2, thickness - thickness // 2

    def line(position: int, limit: int) -> slice:
        return slice(max(position - before, 0), min(max(position + after, 0), limit))

    across = slice(line(left, width).start, line(right, width).stop)
    down = slice(line(top, height).start, line(bottom, height).stop)
    for row in (top, bottom):
        image[line(row, height), across] = color
    for column in (left, right):
        image[down, line(column, width)] = color


def _write(
    image: np.ndarray, text: str, place: tuple[float, float], color: Color, scale: float, bold: int
) -> np.ndarray:
    """Returns an image with a text above a place."""
    image_module = _needed("PIL.Image", "pillow", "draw_bounding_boxes")
    drawing = _needed("PIL.ImageDraw", "pillow", "draw_bounding_boxes")
    fonts = _needed("PIL.ImageFont", "pillow", "draw_bounding_boxes")
    picture = image_module.fromarray(image)
    size = 12 * scale
    drawing.Draw(picture).text(
        (place[0], max(place[1] - size - 2, 0)),
        text,
        fill=tuple(color),
        font=fonts.load_default(size),
        stroke_width=bold - 1,
    )
    return np.asarray(picture).copy()


def draw_bounding_boxes(
    images: Any,
    bounding_boxes: Mapping[str, Any],
    bounding_box_format: str,
    class_mapping: Mapping[int, str] | None = None,
    color: Color = (128, 128, 128),
    line_thickness: int = 2,
    text_thickness: int = 1,
    font_scale: float = 1.0,
    data_format: str | None = None,
) -> np.ndarray:
    """Draws boxes on images.

    Args:
        images: a batch of images with values from 0 to 255.
        bounding_boxes: a dict of `"boxes"`, of shape `(batch, n, 4)`, `"labels"`, of shape
            `(batch, n)` with -1 for no box, and, where it is known, `"confidence"`.
        bounding_box_format: format of the boxes, as `utils.bounding_boxes` names it.
        class_mapping: names of classes, which are written above the boxes; this needs Pillow.
        color: red, green and blue of lines and words.
        line_thickness: in pixels.
        text_thickness: 1 for plain words, more for bolder ones.
        font_scale: factor of the size of words.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.

    Returns:
        The images as bytes, channels last.

    Raises:
        ValueError: if the images are not a batch or boxes or labels are missing.
    """
    images = _as_bytes(_channels_last(images, data_format)).copy()
    for key in ("boxes", "labels"):
        if key not in bounding_boxes:
            raise ValueError(
                "`bounding_boxes` should be a dict with keys 'boxes' and 'labels'. "
                f"Received: {sorted(bounding_boxes)}"
            )
    height, width = images.shape[1:3]
    boxes = np.asarray(
        convert_format(bounding_boxes["boxes"], bounding_box_format, "xyxy", height, width)
    )
    labels = np.asarray(bounding_boxes["labels"]).astype("int64")
    scores = bounding_boxes.get("confidence")
    for sample in range(len(images)):
        for place, (corners, label) in enumerate(zip(boxes[sample], labels[sample], strict=True)):
            if label == -1:
                continue
            _frame(images[sample], corners, color, line_thickness)
            if class_mapping is not None and int(label) in class_mapping:
                text = class_mapping[int(label)]
                if scores is not None:
                    text = f"{text}, {float(np.asarray(scores)[sample][place]):.2f}"
                images[sample] = _write(
                    images[sample], text, corners[:2], color, font_scale, text_thickness
                )
    return images


def plot_image_gallery(
    images: Any,
    y_true: Any = None,
    y_pred: Any = None,
    label_map: Mapping[Any, str] | None = None,
    rows: int | None = None,
    cols: int | None = None,
    value_range: Any = (0, 255),
    scale: float = 2,
    path: str | None = None,
    show: bool | None = None,
    transparent: bool = True,
    dpi: int = 60,
    legend_handles: Any = None,
    data_format: str | None = None,
) -> Any:
    """Shows images in rows and columns, with their labels.

    Args:
        images: a batch of images.
        y_true: the labels that are right, written below the images.
        y_pred: the labels that a model found.
        label_map: names of labels.
        rows, cols: how many; by default so that the gallery is about square.
        value_range: least and greatest value of the images.
        scale: size of an image in inches.
        path: where the picture is saved; it is not shown then.
        show: whether the picture is shown; by default, unless it is saved.
        transparent: whether the background of the saved picture is.
        dpi: dots in an inch.
        legend_handles: what matplotlib makes a legend of.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.

    Returns:
        matplotlib's figure if it is neither saved nor shown.

    Raises:
        ImportError: without matplotlib.
        ValueError: if it is to be both saved and shown.
    """
    plots = _needed("matplotlib.pyplot", "matplotlib", "plot_image_gallery")
    if path is not None and show:
        raise ValueError("plot_image_gallery() takes either `path` or `show=True`, not both.")
    show = path is None if show is None else show
    images = _as_bytes(_channels_last(images, data_format), value_range)
    count = len(images)
    rows = rows or (math.ceil(count / cols) if cols else math.ceil(math.sqrt(count)))
    cols = cols or math.ceil(count / rows)
    figure = plots.figure(figsize=(cols * scale, rows * scale), layout="tight", dpi=dpi)
    if legend_handles is not None:
        figure.legend(handles=legend_handles, loc="lower center")
    for place in range(min(count, rows * cols)):
        axes = figure.add_subplot(rows, cols, place + 1)
        axes.imshow(images[place])
        axes.axis("off")
        title = [
            f"{word}: {_label(labels, place, label_map)}"
            for word, labels in (("Actual", y_true), ("Predicted", y_pred))
            if labels is not None
        ]
        if title:
            axes.set_title("\n".join(title), fontsize=8)
    if path is not None:
        figure.savefig(path, transparent=transparent, dpi=dpi)
        plots.close(figure)
        return None
    if show:
        plots.show()
        plots.close(figure)
        return None
    return figure


def _label(labels: Any, place: int, names: Mapping[Any, str] | None) -> Any:
    label = np.asarray(labels)[place]
    label = label.item() if label.ndim == 0 else label.tolist()
    return label if names is None else names[label]


def plot_bounding_box_gallery(
    images: Any,
    bounding_box_format: str,
    y_true: Mapping[str, Any] | None = None,
    y_pred: Mapping[str, Any] | None = None,
    value_range: Any = (0, 255),
    true_color: Color = (0, 188, 212),
    pred_color: Color = (255, 235, 59),
    line_thickness: int = 2,
    font_scale: float = 1.0,
    text_thickness: int | None = None,
    class_mapping: Mapping[int, str] | None = None,
    ground_truth_mapping: Mapping[int, str] | None = None,
    prediction_mapping: Mapping[int, str] | None = None,
    legend: bool = False,
    legend_handles: Any = None,
    rows: int | None = None,
    cols: int | None = None,
    data_format: str | None = None,
    **kwargs: Any,
) -> Any:
    """Shows images with their boxes: the right ones and those that a model found.

    Args:
        images: a batch of images.
        bounding_box_format: format of the boxes, as `utils.bounding_boxes` names it.
        y_true, y_pred: the boxes, as `draw_bounding_boxes` takes them.
        value_range: least and greatest value of the images.
        true_color, pred_color: red, green and blue of either.
        line_thickness, font_scale, text_thickness: as in `draw_bounding_boxes`.
        class_mapping: names of classes.
        ground_truth_mapping, prediction_mapping: names for one of both alone.
        legend: whether a legend tells the colours.
        legend_handles: what the legend is made of, if not of these two.
        rows, cols: how many; by default so that the gallery is about square.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        kwargs: more arguments of `plot_image_gallery`.

    Returns:
        What `plot_image_gallery` does.

    Raises:
        ImportError: without matplotlib.
        ValueError: for a legend of given handles that is not asked for.
    """
    if legend_handles is not None and not legend:
        raise ValueError("`legend_handles` needs `legend=True`.")
    patches = _needed("matplotlib.patches", "matplotlib", "plot_bounding_box_gallery")
    pictures = _as_bytes(_channels_last(images, data_format), value_range)
    for boxes, color, names in (
        (y_true, true_color, ground_truth_mapping or class_mapping),
        (y_pred, pred_color, prediction_mapping or class_mapping),
    ):
        if boxes is not None:
            pictures = draw_bounding_boxes(
                pictures, boxes, bounding_box_format, names, color, line_thickness,
                text_thickness or 1, font_scale, "channels_last",
            )  # fmt: skip
    if legend and legend_handles is None:
        legend_handles = [
            patches.Patch(color=np.asarray(color) / 255.0, label=label)
            for color, label in ((true_color, "Ground Truth"), (pred_color, "Prediction"))
        ]
    return plot_image_gallery(
        pictures, legend_handles=legend_handles, rows=rows, cols=cols,
        data_format="channels_last", **kwargs,
    )  # fmt: skip


def plot_segmentation_mask_gallery(
    images: Any,
    num_classes: int,
    value_range: Any = (0, 255),
    y_true: Any = None,
    y_pred: Any = None,
    color_mapping: Mapping[int, Color] | None = None,
    blend: bool = True,
    alpha: float = 0.8,
    ignore_index: int = -1,
    data_format: str | None = None,
    **kwargs: Any,
) -> Any:
    """Shows each image beside it with its masks: the right one and the one that a model found.

    Args:
        images: a batch of images.
        num_classes: number of classes.
        value_range: least and greatest value of the images.
        y_true, y_pred: the masks, as `draw_segmentation_masks` takes them.
        color_mapping, blend, alpha, ignore_index: as in `draw_segmentation_masks`.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
        kwargs: more arguments of `plot_image_gallery`.

    Returns:
        What `plot_image_gallery` does.

    Raises:
        ImportError: without matplotlib.
    """
    pictures = _as_bytes(_channels_last(images, data_format), value_range)
    columns = [pictures]

    def draw(masks: Any) -> np.ndarray:
        masks = _channels_last(masks, data_format, "segmentation_masks")
        return draw_segmentation_masks(
            pictures, masks, num_classes, color_mapping, alpha, blend, ignore_index,
            "channels_last",
        )  # fmt: skip

    columns += [draw(masks) for masks in (y_true, y_pred) if masks is not None]
    rows = np.concatenate(columns, axis=2)
    return plot_image_gallery(rows, data_format="channels_last", **kwargs)
