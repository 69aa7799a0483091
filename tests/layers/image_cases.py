"""The table of layers that transform images."""

import dataclasses
from typing import Any

SIZE = (8, 9)


@dataclasses.dataclass(frozen=True, eq=False)
class ImageCase:
    """A layer and what is to be expected of it.

    Attributes:
        layer: its name.
        options: arguments of the constructor.
        neutral: arguments with which nothing changes, if there are such.
        moves: whether pixels move, and with them boxes and masks.
        boxes: whether boxes may be given.
        own_draws: whether what is drawn has another form than Keras's.
        tolerance: of values, in parts of the value range.
    """

    layer: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    neutral: dict[str, Any] | None = None
    moves: bool = False
    boxes: bool = True
    own_draws: bool = False
    tolerance: float = 1e-5

    def __str__(self) -> str:
        return "-".join([self.layer, *map(str, self.options.values())])

    def make(self, library: Any, **more: Any) -> Any:
        return getattr(library.layers, self.layer)(**self.options | more)

    @property
    def value_range(self) -> tuple[float, float]:
        return tuple(self.options.get("value_range", (0, 255)))


def _c(layer: str, neutral: Any = None, **options: Any) -> ImageCase:
    fields = {f.name for f in dataclasses.fields(ImageCase)} - {"options"}
    given = {key: options.pop(key) for key in fields & set(options)}
    return ImageCase(layer, options, neutral, **given)


_MOVES = {"moves": True, "tolerance": 1e-4}
_ROUNDED = {"tolerance": 5e-3}  # to one of 256 levels, and Keras rounds halves elsewhere
_UNIT = {"value_range": (0, 1)}
_SIGNED = {"value_range": (-1, 1)}

IMAGE_CASES = [
    _c("RandomBrightness", {"factor": 0}, factor=(-0.2, 0.6)),
    _c("RandomBrightness", {"factor": 0}, factor=0.5, **_SIGNED),
    _c("RandomContrast", {"factor": (0, 0)}, factor=(0.2, 0.6)),
    _c("RandomContrast", {"factor": 0}, factor=0.9, **_UNIT),
    _c("RandomColorDegeneration", {"factor": 0}, factor=(0.2, 0.6)),
    _c("RandomHue", {"factor": 0}, factor=(0.2, 0.6)),
    _c("RandomHue", {"factor": 0}, factor=0.5, **_UNIT),
    _c("RandomSaturation", {"factor": (0.5, 0.5)}, factor=(0.2, 0.6)),
    _c("RandomSaturation", {"factor": (0.5, 0.5)}, factor=0.9, **_UNIT),
    _c("RandomGrayscale", {"factor": 0.0}, factor=0.5),
    _c("RandomInvert", {"factor": 0}, factor=1.0),
    _c("RandomInvert", {"factor": 0}, factor=(0.5, 1), value_range=(0, 300)),
    _c("RandomColorJitter", {}, brightness_factor=0.5, contrast_factor=0.5, hue_factor=0.2),
    _c("RandomColorJitter", {}, saturation_factor=(0.3, 0.6), **_UNIT),
    _c("RandomSharpness", {"factor": (0.5, 0.5)}, factor=(0.1, 1)),
    _c("RandomSharpness", {"factor": (0.5, 0.5)}, factor=1, **_SIGNED),
    _c("RandomGaussianBlur", {"factor": 0}, kernel_size=(3, 5), sigma=(0.3, 1)),
    _c("AutoContrast"),
    _c("AutoContrast", **_SIGNED),
    _c("Equalization", **_ROUNDED),
    _c("Equalization", bins=16, **_ROUNDED, **_UNIT),
    _c("ContrastLimitedAdaptiveHistogramEqualization", tolerance=1e-4),
    _c(
        "ContrastLimitedAdaptiveHistogramEqualization",
        clip_limit=2.0,
        tile_grid_size=(2, 3),
        tolerance=1e-4,
        **_SIGNED,
    ),
    _c("RandomPosterization", factor=3),
    _c("RandomPosterization", factor=(2, 6), **_UNIT),
    _c("Solarization", addition_factor=0.3, threshold_factor=(0.2, 0.9)),
    _c("Solarization", threshold_factor=0.6, **_SIGNED),
    _c("RandomErasing", {"factor": 0}, factor=(1, 1)),
    _c("RandomErasing", {"factor": 0}, scale=0.3, fill_value=7, value_range=(0, 9)),
    _c("CutMix", boxes=False),
    _c("MixUp", alpha=0.4),
    _c("RandomRotation", {"factor": 0}, factor=0.3, **_MOVES),
    _c(
        "RandomRotation",
        {"factor": 0},
        factor=(-0.1, 0.1),
        fill_mode="constant",
        fill_value=3.0,
        interpolation="nearest",
        **_MOVES,
    ),
    _c(
        "RandomTranslation",
        {"height_factor": 0, "width_factor": 0},
        height_factor=0.4,
        width_factor=(-0.3, -0.1),
        **_MOVES,
    ),
    _c("RandomZoom", {"height_factor": 0}, height_factor=0.4, fill_mode="wrap", **_MOVES),
    _c(
        "RandomZoom",
        {"height_factor": 0, "width_factor": 0},
        height_factor=(-0.5, 0.1),
        width_factor=(0.1, 0.5),
        **_MOVES,
    ),
    _c("RandomShear", {}, x_factor=(0.1, 0.5), y_factor=(0.2, 0.3), **_MOVES),
    _c("RandomPerspective", {"factor": 0}, factor=(1, 1), **_MOVES),
    _c("RandomPerspective", {"factor": 0}, scale=0.4, fill_value=2.0, **_MOVES),
    _c("RandomElasticTransform", {"factor": 0}, factor=(1, 1), boxes=False, own_draws=True),
    _c("RandomFlip", **_MOVES),
    _c("RandomFlip", mode="horizontal", **_MOVES),
    _c("RandomCrop", {"height": 8, "width": 9}, height=5, width=6, seed=3, moves=True),
    _c("RandomCrop", height=10, width=6, seed=3, **_MOVES),
    _c("CenterCrop", {"height": 8, "width": 9}, height=5, width=6, moves=True),
    _c("CenterCrop", height=10, width=6, **_MOVES),
    _c("Resizing", {"height": 8, "width": 9}, height=4, width=12, **_MOVES),
    _c("Resizing", height=4, width=12, crop_to_aspect_ratio=True, **_MOVES),
    _c("Resizing", height=4, width=12, pad_to_aspect_ratio=True, **_MOVES),
    _c("RandAugment", **_ROUNDED),
    _c("RandAugment", num_ops=3, factor=(0.1, 0.9), **_ROUNDED, **_UNIT),
    _c("AugMix", own_draws=True, **_ROUNDED),
    _c("AugMix", num_chains=2, chain_depth=1, all_ops=False, own_draws=True, **_UNIT),
]
