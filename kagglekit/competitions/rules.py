"""The sections of a profile, key by key as they stand in its TOML file."""

from dataclasses import dataclass
from typing import Literal

MetricName = Literal[
    "mean_dice",
    "global_dice",
    "instance_precision",
    "average_precision",
    "dice_and_hausdorff",
    "surface_dice",
    "f_beta",
    "iou_precision",
]


@dataclass(frozen=True)
class Tree:
    """Where the images lie in the competition's folder.

    The paths are templates for `kagglekit.competitions.template`: each `{field}` stands for a part
    of a name. One that ends in `/` says that an image is a folder with several files.

    Attributes:
        train_images: e.g. "train/{id}.tiff".
        test_images: e.g. "test/{id}.tiff".
        train_masks: where the truth also lies as images, 0 outside and anything else inside: one
            for each train image, e.g. "train_masks/{id}_mask.gif", or one for each object, e.g.
            "train/{id}/masks/{instance}.png".
        train_polygons: where the truth lies as outlines: a file of JSON lines.
        polygon_type: the only `type` of outline that counts.
        id: an image's id, made of the fields in its path.
        layers: the files in an image's folder, e.g. "band_{layer}.npy".
    """

    train_images: str
    test_images: str
    train_masks: str | None = None
    train_polygons: str | None = None
    polygon_type: str = ""
    id: str = "{id}"
    layers: str | None = None


@dataclass(frozen=True)
class Images:
    """What kind of images they are.

    Attributes:
        format: of the files: "TIFF", "PNG", "JPEG" or "NPY".
        dtype: NumPy's name of a pixel's type.
        channels: numbers per pixel in one file.
        smallest: (height, width) in pixels; no image is smaller in either.
        largest: (height, width) in pixels.
        layers: how many files make one image.
    """

    format: Literal["TIFF", "PNG", "JPEG", "NPY"]
    dtype: Literal["uint8", "uint16", "float32"]
    channels: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    layers: int = 1


@dataclass(frozen=True)
class Table:
    """The CSV file of the train masks.

    Attributes:
        path: its place in the tree; "" where the truth lies in other files only.
        id: the column of keys.
        rle: the column of masks.
        key: what stands in the column of keys, made of `{id}` and `{class}`.
        class_column: the column of classes, where they have one of their own.
        only_found: what has no row has no mask; otherwise that is an error.
    """

    path: str = ""
    id: str = ""
    rle: str = ""
    key: str = "{id}"
    class_column: str | None = None
    only_found: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that matter; a table may have others."""
        return (self.id, *((self.class_column,) if self.class_column else ()), self.rle)


@dataclass(frozen=True)
class SubmissionRules:
    """What submission.csv looks like.

    Attributes:
        sample: path of the sample submission in the tree.
        id: the column of keys.
        rle: the column of masks.
        order: "F" when pixels are counted down the columns, "C" along the rows.
        empty: what stands in a row for an image with nothing in it.
        rows: "one" for each image; one for each image and each of its "classes"; or one for each
            of its "instances" (and one with `empty` when it has none).
        key: what stands in the column of keys, made of `{id}` and `{class}`.
        class_column: the column of classes, where they have one of their own.
        classes: their names, where `rows` is "classes".
        size_columns: the columns of the image's height and width in pixels, where it has them.
        encoding: "runs" for pairs of start and length; "coco" for `0 confidence mask` of every
            instance in one cell, the mask being COCO's counts through zlib and base64. Instances
            in runs may not overlap, those with a confidence may.
    """

    sample: str
    id: str
    rle: str
    order: Literal["F", "C"]
    empty: str
    rows: Literal["one", "classes", "instances"]
    key: str = "{id}"
    class_column: str | None = None
    classes: tuple[str, ...] = ()
    size_columns: tuple[str, ...] = ()
    encoding: Literal["runs", "coco"] = "runs"

    @property
    def columns(self) -> tuple[str, ...]:
        """The header, in order."""
        classes = (self.class_column,) if self.class_column else ()
        return (self.id, *classes, *self.size_columns, self.rle)


@dataclass(frozen=True)
class Dialect:
    """Another way in which the same competition's tables come."""

    submission: SubmissionRules
    train_table: Table


@dataclass(frozen=True)
class Metric:
    """How a submission is scored.

    Attributes:
        name: a function of `kagglekit.metrics`; `submission.score` knows how to call it.
        empty: score of an image (or class of it) when neither prediction nor truth has anything
            in it; NaN where such images are left out.
    """

    name: MetricName
    empty: float


@dataclass(frozen=True)
class Groups:
    """Which images belong to one patient, car or scan, or are of one kind.

    Attributes:
        path: the CSV file in the tree; "" where ids say it.
        image: its column with the image.
        column: its column with the group.
        key: what stands in the column of the image, made of `{id}`.
        test_path: another such file, about the test images.
        ids: where ids say it: a regular expression for how they begin, whose group is the group.
        split: whether a group may be split between training and validation: true for kinds, which
            have thresholds of their own; false for images that show the same thing.
    """

    path: str = ""
    image: str = ""
    column: str = ""
    key: str = "{id}"
    test_path: str | None = None
    ids: str | None = None
    split: bool = False


@dataclass(frozen=True)
class Limits:
    """What the competition's rerun allows: hours of wall time, internet, RAM in GB (1e9 bytes)."""

    hours: float
    internet: bool
    ram_gb: float


@dataclass(frozen=True)
class Test:
    """How many images are in the test: seen when a notebook is saved, and in the rerun.

    Attributes:
        visible: those that everybody can download; 0 where there is no test until the rerun.
        hidden: those that count, about; where predictions were uploaded, the same as the visible.
    """

    __test__ = False  # not a pytest class

    visible: int
    hidden: int
