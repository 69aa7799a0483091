"""What the layers that transform images share."""

from collections.abc import Mapping, Sequence
from typing import Any

from cornu import ops, random
from cornu.layers.configured import ConfiguredLayer, spatial_axes
from cornu.tensor import is_float_dtype
from cornu.utils import bounding_boxes as boxes_of

FILL_MODES = ("reflect", "wrap", "constant", "nearest")
INTERPOLATIONS = ("nearest", "bilinear")


def interval(
    value: Any, bounds: tuple[float, float], name: str = "factor", symmetric: bool = True
) -> tuple[Any, Any]:
    """Returns the interval that a number or a pair stands for.

    Args:
        value: a pair, or one number: from its negative, as far as the bounds allow it, to itself.
        bounds: the least and the greatest value that make sense.
        name: the argument's name, for errors.
        symmetric: False to let one number begin at 0.

    Raises:
        ValueError: if it is neither, or outside the bounds.
    """
    message = (
        f"The `{name}` argument should be a number (or a list of two numbers) in the range "
        f"[{bounds[0]}, {bounds[1]}]. Received: {name}={value}"
    )
    if isinstance(value, list | tuple):
        if len(value) != 2 or value[0] > bounds[1] or value[1] < bounds[0]:
            raise ValueError(message)
        return tuple(sorted(value))
    if not isinstance(value, int | float) or not bounds[0] <= value <= bounds[1]:
        raise ValueError(message)
    return max(-abs(value) if symmetric else 0, bounds[0]), abs(value)


def strict_interval(value: Any, bounds: tuple[float, float], name: str) -> tuple[Any, Any]:
    """Like `interval`, but both ends have to be within the bounds and one number goes both ways."""
    values = value if isinstance(value, list | tuple) else (value,)
    known = all(isinstance(v, int | float) for v in values)
    if len(values) > 2 or not known or any(not bounds[0] <= v <= bounds[1] for v in values):
        raise ValueError(
            f"The `{name}` argument should be a number (or a list of two numbers) in the range "
            f"[{bounds[0]}, {bounds[1]}]. Received: {name}={value}"
        )
    return tuple(sorted(values)) if len(values) == 2 else (-abs(value), abs(value))


def sorted_range(value_range: Any) -> list[Any]:
    """Returns a value range as a sorted list.

    Raises:
        ValueError: if it has not two numbers.
    """
    if not isinstance(value_range, list | tuple) or len(value_range) != 2:
        raise ValueError(
            "The `value_range` argument should be a list of two numbers. "
            f"Received: value_range={value_range}"
        )
    return sorted(value_range)


def known(value: Any, name: str, choices: Sequence[str]) -> str:
    """Returns a word that is among the choices.

    Raises:
        NotImplementedError: if it is not.
    """
    if value not in choices:
        raise NotImplementedError(f"Unknown `{name}` {value}. Expected one of {choices}.")
    return value


def moved_range(images: Any, source: Any, target: Any) -> Any:
    """Returns images with values of one range mapped onto another."""
    if tuple(source) == tuple(target):
        return images
    slope = (target[1] - target[0]) / (source[1] - source[0])
    return ops.add(ops.multiply(ops.subtract(images, source[0]), slope), target[0])


class BaseImagePreprocessingLayer(ConfiguredLayer):
    """A layer that transforms images, and with them labels, boxes and segmentation masks.

    It is called with images, one or a batch, or with a dict of `"images"` and, where there are
    such, `"labels"`, `"bounding_boxes"` (a dict of `"boxes"` and `"labels"`) and
    `"segmentation_masks"`. What is drawn at random for a call is made once, by
    `get_random_transformation`, and handed to the `transform_...` methods, which a subclass
    overrides. By default they change nothing.

    Args:
        factor: how strong the transformation is: an interval, or the end of one.
        bounding_box_format: format of the boxes, as `utils.bounding_boxes` names it.
        data_format: `"channels_last"` or `"channels_first"`; None for the global setting.
    """

    _USE_BASE_FACTOR = True
    _FACTOR_BOUNDS: tuple[float, float] = (-1, 1)
    _random = True

    def __init__(
        self,
        factor: Any = None,
        bounding_box_format: str | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bounding_box_format = bounding_box_format
        self._keep(data_format=data_format)
        if self._USE_BASE_FACTOR:
            self._set_factor(factor or 0.0)
        elif factor is not None:
            raise ValueError(
                f"Layer {type(self).__name__} does not take a `factor` argument. "
                f"Received: factor={factor}"
            )

    def _set_factor(self, factor: Any) -> None:
        self.factor = interval(factor, self._FACTOR_BOUNDS)

    def _keep_seed(self, seed: Any) -> None:
        """Keeps the seed and makes the generator that transformations are drawn from."""
        self._keep(seed=seed)
        self.generator = random.SeedGenerator(seed)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.bounding_box_format is not None:
            config["bounding_box_format"] = self.bounding_box_format
        return config

    # What a transformation is drawn for.

    def _is_batched(self, images: Any) -> bool:
        rank = len(images.shape)
        if rank not in (3, 4):
            raise ValueError(
                "Expected image tensor to have rank 3 (single image) or 4 (batch of images). "
                f"Received: data.shape={tuple(images.shape)}"
            )
        return rank == 4

    def _shape(self, data: Any) -> tuple[Any, ...]:
        """Returns the shape of the images of a call."""
        return tuple((data["images"] if isinstance(data, Mapping) else data).shape)

    def _count(self, shape: tuple[Any, ...]) -> Any:
        """Returns how many images there are: 1 if they are not in a batch."""
        return 1 if len(shape) == 3 else shape[0]

    def _size(self, shape: tuple[Any, ...]) -> tuple[Any, Any]:
        """Returns the height and the width of images of a shape, in a batch or not."""
        row, column = self._axes()
        return shape[row], shape[column]

    def _axes(self) -> tuple[int, int]:
        """Returns the axes of the rows and of the columns, counted from the end."""
        row, column = (axis - 4 for axis in spatial_axes(self.data_format, 2))
        return row, column

    def _middle(self, size: Any) -> Any:
        """Returns the place in the middle of so many pixels, in the compute dtype."""
        return ops.cast(size - 1, self._float_dtype) / 2

    def _uniform(self, shape: Any, low: Any, high: Any, seed: Any) -> Any:
        """Draws numbers in the compute dtype."""
        seed = self.generator if seed is None else seed
        return random.uniform(shape, low, high, dtype=self._float_dtype, seed=seed)

    @property
    def _float_dtype(self) -> str:
        return self.compute_dtype if is_float_dtype(self.compute_dtype) else "float32"

    def _chance(self, count: Any, factor: tuple[Any, Any], seed: Any) -> Any:
        """Draws for each image whether it is changed, with a probability drawn from `factor`."""
        probability = self._uniform((), factor[0], factor[1], seed)
        return ops.less(self._uniform((count,), 0.0, 1.0, seed), probability)

    def _each(self, values: Any) -> Any:
        """Returns one value for each image such that it goes with images."""
        values = ops.convert_to_tensor(values)
        return ops.reshape(values, (-1, 1, 1, 1))

    def _cast(self, images: Any) -> Any:
        return ops.cast(images, self.compute_dtype)

    # What subclasses say.

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """Draws what happens to the images of a call.

        Args:
            data: the images, or the dict that the layer was called with.
            training: whether this is training.
            seed: an integer or a `SeedGenerator`; the layer's own by default.

        Returns:
            A structure that the `transform_...` methods understand; None for no transformation.
        """
        return None

    def _transform_images(self, images: Any, transformation: Any, interpolation: str) -> Any:
        """Moves the pixels of images or masks; for layers of which both go the same way."""
        return images

    def transform_images(
        self, images: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Transforms a batch of images."""
        images = self._cast(images)
        if not training or (self._random and transformation is None):
            return images
        return self._transform_images(
            images, transformation, getattr(self, "interpolation", "bilinear")
        )

    def transform_labels(
        self, labels: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Transforms the labels of a batch."""
        return labels

    def transform_bounding_boxes(
        self, bounding_boxes: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Transforms the boxes of a batch, a dict of `"boxes"` and `"labels"`."""
        return bounding_boxes

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Transforms a batch of segmentation masks; classes are never mixed."""
        if not training or (self._random and transformation is None):
            return segmentation_masks
        return self._transform_images(segmentation_masks, transformation, "nearest")

    def _single(self, transform: Any, value: Any, transformation: Any, training: bool) -> Any:
        value = ops.expand_dims(value, axis=0)
        value = transform(value, transformation=transformation, training=training)
        return ops.squeeze(value, axis=0)

    def transform_single_image(
        self, image: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Transforms one image."""
        return self._single(self.transform_images, image, transformation, training)

    def transform_single_label(
        self, label: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Transforms one label."""
        return self._single(self.transform_labels, label, transformation, training)

    def transform_single_bounding_box(
        self, bounding_box: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Transforms the boxes of one image."""
        batch = {key: ops.expand_dims(value, axis=0) for key, value in bounding_box.items()}
        batch = self.transform_bounding_boxes(batch, transformation, training=training)
        return {key: ops.squeeze(value, axis=0) for key, value in batch.items()}

    def transform_single_segmentation_mask(
        self, segmentation_mask: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        """Transforms the mask of one image."""
        return self._single(
            self.transform_segmentation_masks, segmentation_mask, transformation, training
        )

    # The call.

    def call(self, data: Any, training: bool = True) -> Any:
        parts = dict(data) if isinstance(data, Mapping) else {"images": data}
        batched = self._is_batched(parts["images"])
        transformation = self.get_random_transformation(data, training=training)
        if "bounding_boxes" in parts:
            parts["bounding_boxes"] = self._checked_boxes(parts["bounding_boxes"], parts["images"])
        for name, many, one in (
            ("images", self.transform_images, self.transform_single_image),
            (
                "bounding_boxes",
                self.transform_bounding_boxes,
                self.transform_single_bounding_box,
            ),
            ("labels", self.transform_labels, self.transform_single_label),
            (
                "segmentation_masks",
                self.transform_segmentation_masks,
                self.transform_single_segmentation_mask,
            ),
        ):
            if name in parts:
                transform = many if batched else one
                parts[name] = transform(
                    parts[name], transformation=transformation, training=training
                )
        return parts if isinstance(data, Mapping) else parts["images"]

    def _checked_boxes(self, bounding_boxes: Any, images: Any) -> dict[str, Any]:
        """Returns boxes and labels as tensors, for each image of a batch."""
        if not self.bounding_box_format:
            raise ValueError(
                f"The input has 'bounding_boxes', but the layer {self.name} knows no format of "
                f"them. Pass `bounding_box_format` to {type(self).__name__}, for example "
                "`bounding_box_format='xyxy'`."
            )
        if not isinstance(bounding_boxes, Mapping) or not {"boxes", "labels"} <= set(
            bounding_boxes
        ):
            raise ValueError(
                "Expected `bounding_boxes` to be a dict with keys 'boxes' and 'labels'. "
                f"Received: bounding_boxes={bounding_boxes}"
            )
        boxes = ops.cast(bounding_boxes["boxes"], self._float_dtype)
        labels = ops.convert_to_tensor(bounding_boxes["labels"])
        if len(boxes.shape) == 0 or boxes.shape[-1] != 4:
            raise ValueError(
                "`boxes` must be a tensor with the last dimension of 4. "
                f"Received: boxes.shape={tuple(boxes.shape)}"
            )
        if len(images.shape) == 4 and len(boxes.shape) == 2:
            boxes = ops.broadcast_to(boxes, (images.shape[0], *boxes.shape))
        if len(labels.shape) < len(boxes.shape) - 1 or any(n == 1 for n in labels.shape):
            labels = ops.broadcast_to(labels, tuple(boxes.shape[:-1]))
        return {"boxes": boxes, "labels": labels}

    def _with_boxes(
        self, bounding_boxes: Any, change: Any, size: tuple[Any, Any], clip: Any
    ) -> Any:
        """Changes boxes as left, top, right and bottom in pixels, and cuts them at the borders.

        Args:
            bounding_boxes: boxes and labels.
            change: takes and returns a tensor of boxes.
            size: height and width of the images before.
            clip: height and width after.
        """
        source, dtype = self.bounding_box_format, self._float_dtype
        boxes = boxes_of.convert_format(bounding_boxes["boxes"], source, "xyxy", *size, dtype=dtype)
        changed = bounding_boxes | {"boxes": change(boxes)}
        clipped = boxes_of.clip_to_image_size(changed, *clip)
        return boxes_of.convert_format(clipped, "xyxy", source, *clip, dtype=dtype)
