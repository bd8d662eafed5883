"""Every profile, by the synthetic tree that is made of it: read back it says what was drawn."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from kagglekit import competitions, submission
from kagglekit.competitions import fake, template
from kagglekit.competitions.fake import bowl, gallery, kidney
from kagglekit.competitions.profile import Profile
from kagglekit.errors import DataError
from kagglekit.rle import RLE

SEVERSTAL = competitions.load("severstal-steel-defect-detection")
EVERY = [competitions.load(slug) for slug in competitions.slugs()] + [SEVERSTAL.in_dialect(1)]
NAMES = [comp.slug for comp in EVERY[:-1]] + ["severstal, the other dialect"]
every = pytest.mark.parametrize("comp", EVERY, ids=NAMES)
SMALL = (90, 110)


def load(name: str) -> Profile:
    return next(comp for comp in EVERY if comp.slug.startswith(name))


def draw(comp: Profile, root: Path, **options) -> tuple[competitions.Data, dict[str, list[RLE]]]:
    options = {"train": 3, "test": 3, "size": SMALL} | options
    truth = fake.make(comp, root, **options)
    return comp.find_data(root), truth


def dense(masks: list[RLE]) -> list[list[list[int]]]:
    return [mask.to_mask().tolist() for mask in masks]


# Facts that would cost a score


def test_orders_empties_and_limits() -> None:
    along = {comp.slug for comp in EVERY if comp.submission.order == "C"}
    assert along == {
        "blood-vessel-segmentation",
        "carvana-image-masking-challenge",
        "uw-madison-gi-tract-image-segmentation",
        "vesuvius-challenge-ink-detection",
    }
    signs = {comp.slug: comp.submission.empty for comp in EVERY if comp.submission.empty}
    assert signs == {
        "blood-vessel-segmentation": "1 0",
        "google-research-identify-contrails-reduce-global-warming": "-",
    }
    assert {comp.slug for comp in EVERY if comp.limits.hours != 9} == {SEVERSTAL.slug}
    assert SEVERSTAL.limits.hours == 1
    assert not any(comp.limits.internet for comp in EVERY)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("hubmap-kidney", ("id", "predicted")),
        ("hubmap-organ", ("id", "rle")),
        ("severstal", ("ImageId_ClassId", "EncodedPixels")),
        ("carvana", ("img", "rle_mask")),
        ("data-science", ("ImageId", "EncodedPixels")),
        ("hubmap-hacking", ("id", "height", "width", "prediction_string")),
        ("blood", ("id", "rle")),
        ("uw-madison", ("id", "class", "predicted")),
        ("google", ("record_id", "encoded_pixels")),
        ("tgs", ("id", "rle_mask")),
        ("vesuvius", ("Id", "Predicted")),
    ],
)
def test_header_of_the_submission(name: str, header: tuple[str, ...]) -> None:
    assert load(name).submission.columns == header


@every
def test_a_profile_does_not_contradict_itself(comp: Profile) -> None:
    rules, tree = comp.submission, comp.tree
    assert bool(rules.classes) == (rules.rows == "classes")
    for table in (rules, comp.train_table):
        in_key = "{class}" in table.key
        assert (in_key or bool(table.class_column)) == (rules.rows == "classes" and table.id != "")
        assert "{id}" in table.key
    assert comp.train_table.path or tree.train_masks or tree.train_polygons
    assert tree.train_images.endswith("/") == (comp.images.layers > 1) == bool(tree.layers)
    pairs = zip(comp.images.smallest, comp.images.largest, strict=True)
    assert all(0 < small <= large for small, large in pairs)
    assert 0 <= comp.test.visible <= comp.test.hidden or comp.slug.startswith("kidney")
    if comp.groups:
        assert bool(comp.groups.path) != bool(comp.groups.ids)


# A profile of one's own


def test_a_profile_from_a_file(tmp_path: Path) -> None:
    source = Path(competitions.__file__).with_name("hubmap-kidney-segmentation.toml")
    own = tmp_path / "mine.toml"
    own.write_text(source.read_text().replace('slug = "hubmap-kidney', 'slug = "my-kidney'))
    comp = competitions.load(own)
    assert comp.slug == "my-kidney-segmentation"
    assert comp.submission == load("hubmap-kidney").submission
    assert competitions.load(str(own)) == comp


def test_everything_wrong_with_a_profile_is_said_at_once(tmp_path: Path) -> None:
    source = Path(competitions.__file__).with_name("hubmap-kidney-segmentation.toml").read_text()
    for old, new in (
        ('order = "F"', 'order = "G"'),
        ('empty = ""', 'emtpy = ""'),
        ("hours = 9", 'hours = "nine"'),
        ("internet = false", "internet = 0"),
        ("smallest = [14844, 13013]", "smallest = [14844]"),
        ("[test]", "[tests]"),
        ('title = "HuBMAP - Hacking the Kidney"', ""),
        ("visible = 5", "visible = true"),
    ):
        assert old in source
        source = source.replace(old, new, 1)
    own = tmp_path / "mine.toml"
    own.write_text(source)
    with pytest.raises(DataError) as caught:
        competitions.load(own)
    assert str(caught.value) == (
        f"`{own}` is not a profile\n"
        "  - `tests`: no such key or section\n"
        "  - `title` is missing, a text\n"
        "  - [images] `smallest` is [14844], expected a list of 2 whole numbers\n"
        '  - [submission] `order` is \'G\', expected one of "F", "C"\n'
        "  - [submission] `emtpy`: no such key, did you mean `empty`?\n"
        "  - [submission] `empty` is missing\n"
        "  - [limits] `hours` is 'nine', expected a number\n"
        "  - [limits] `internet` is 0, expected true or false\n"
        "  - [test] is missing\n"
        "hint: docs/add-a-competition.md explains every key"
    )


def test_a_profile_that_is_no_toml(tmp_path: Path) -> None:
    own = tmp_path / "mine.toml"
    with pytest.raises(DataError, match=r"^`.*/mine\.toml` cannot be read as a profile: "):
        competitions.load(own)
    own.write_text("slug = ")
    with pytest.raises(DataError, match=r"cannot be read as a profile: Invalid value"):
        competitions.load(own)


# Trees


@every
@pytest.mark.parametrize("hidden", [False, True])
def test_truth_read_back_is_the_truth_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comp: Profile, hidden: bool
) -> None:
    drawn: dict[str, list[RLE]] = {}
    for maker in (bowl, gallery, kidney):
        write = maker.write_tables

        def remember(comp, root, train, test, about=None, write=write):
            drawn.update(train)
            write(comp, root, train, test, about)

        monkeypatch.setattr(maker, "write_tables", remember)
    data, _ = draw(comp, tmp_path, train=5, test=1, hidden=hidden)
    assert data.rules == comp.submission
    assert data.train_rules == comp.train_table
    assert data.train_images().keys() == drawn.keys()
    assert sum(mask.area for masks in drawn.values() for mask in masks)
    for image_id, path in data.train_images().items():
        masks = data.truth(image_id)
        assert dense(masks) == dense(drawn[image_id])
        assert {mask.shape for mask in masks} <= {data.shape(path)}
        assert {mask.order for mask in masks} <= {comp.submission.order}


@pytest.mark.parametrize("name", ["carvana", "blood", "tgs", "data-science"])
def test_masks_say_what_the_table_says(tmp_path: Path, name: str) -> None:
    comp = load(name)
    data, _ = draw(comp, tmp_path)
    by_table = {image_id: dense(data.truth(image_id)) for image_id in data.train_images()}
    (tmp_path / comp.train_table.path).unlink()
    again = comp.find_data(tmp_path)
    for image_id, masks in by_table.items():
        assert sorted(dense(again.truth(image_id))) == sorted(masks)


@every
def test_a_submission_of_the_truth_says_the_same(tmp_path: Path, comp: Profile) -> None:
    data, truth = draw(comp, tmp_path / "tree", test=5, hidden=True)
    path = tmp_path / "submission.csv"
    submission.write_truth(path, comp, truth, data)
    assert submission.validate(path, comp, data) == []
    again = submission.read_truth(path, comp, data)
    assert {i: dense(masks) for i, masks in again.items()} == {
        i: dense(masks) for i, masks in truth.items()
    }


@every
def test_the_same_seed_gives_the_same_tree_and_hidden_another(
    tmp_path: Path, comp: Profile
) -> None:
    trees, truths = [], []
    for name, hidden in (("a", False), ("b", False), ("c", True)):
        options = {"hidden": hidden, "test": None} if comp.test.visible else {"hidden": hidden}
        data, truth = draw(comp, tmp_path / name, **options)
        files = [path for path in sorted(data.root.rglob("*")) if path.is_file()]
        trees.append({path.relative_to(data.root): path.read_bytes() for path in files})
        truths.append(truth)
    assert trees[0] == trees[1]
    assert not truths[0].keys() & truths[2].keys()
    if comp.test.visible:
        assert len(truths[2]) == len(truths[0]) + 2
    images = [path for path in trees[0].keys() & trees[2].keys() if len(path.parts) > 1]
    assert images == []


@every
def test_what_is_hidden_is_unpleasant(tmp_path: Path, comp: Profile) -> None:
    count, size = (2, None) if _fixed(comp) else (9, (100, 130))
    data, truth = draw(comp, tmp_path, train=0, test=count, hidden=True, size=size)
    if not comp.slug.startswith("carvana"):
        assert any(not sum(mask.area for mask in masks) for masks in truth.values())
    shapes = {data.shape(path) for path in data.test_images().values()}
    if _fixed(comp):
        assert shapes == {comp.images.smallest}
    else:
        assert any(height % 2 and width % 2 for height, width in shapes)
        assert any(max(shape) < 64 for shape in shapes)
        assert any(width > 2 * height for height, width in shapes)


def _fixed(comp: Profile) -> bool:
    return comp.images.smallest == comp.images.largest


@pytest.mark.parametrize("layout", ["{}", "competitions/{}"])
@every
def test_both_mounts_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comp: Profile, layout: str
) -> None:
    root = tmp_path / layout.format(comp.slug)
    root.mkdir(parents=True)
    (root / comp.submission.sample).touch()
    monkeypatch.setenv("KAGGLEKIT_INPUT", str(tmp_path))
    assert comp.find_data().root == root


@every
def test_a_folder_without_anything_of_it(tmp_path: Path, comp: Profile) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").touch()
    tables = [path for path in (comp.train_table.path, comp.submission.sample) if path]
    with pytest.raises(DataError) as caught:
        comp.find_data(tmp_path)
    assert str(caught.value) == (
        f"`{tmp_path}` is not the tree of `{comp.slug}`: neither `{comp.tree.train_images}` nor "
        f"`{comp.tree.test_images}` matches a file\n"
        "  - found notes\n"
        "  - found notes/a.txt\n"
        f"hint: give the folder that holds {' and '.join(f'`{path}`' for path in tables)}"
    )


# The form of the files


def test_files_are_those_of_the_competition(tmp_path: Path) -> None:
    kinds = {}
    for comp in EVERY:
        data, _ = draw(comp, tmp_path / comp.slug / comp.train_table.id)
        path = next(iter(data.train_images().values()))
        if path.is_dir():
            layers = data.layers(path)
            assert len(layers) == comp.images.layers
            path = layers[min(layers)]
        if comp.images.format == "NPY":
            pixels = np.load(path)
        elif comp.images.format == "TIFF":
            pixels = tifffile.imread(path).squeeze()
        else:
            pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        kinds[comp.slug] = path.suffix
        assert pixels.dtype == comp.images.dtype
        channels = 1 if pixels.ndim == 2 else min(pixels.shape)
        assert channels == comp.images.channels
    assert set(kinds.values()) == {".tif", ".tiff", ".jpg", ".png", ".npy"}


def test_both_dialects_of_severstal(tmp_path: Path) -> None:
    headers, rows = [], []
    for number in (0, 1):
        comp = SEVERSTAL.in_dialect(number)
        data, _ = draw(comp, tmp_path / str(number))
        # Read by the usual rules, whose header tells which dialect it is.
        usual = SEVERSTAL.find_data(data.root)
        assert usual.train_rules == comp.train_table
        assert usual.rules == comp.submission
        for image_id in data.train_images():
            assert usual.truth(image_id) == data.truth(image_id)
            assert len(usual.truth(image_id)) == 4
        with (data.root / "train.csv").open(newline="") as file:
            header, *cells = csv.reader(file)
        headers.append(header)
        rows.append(cells)
    assert headers == [
        ["ImageId_ClassId", "EncodedPixels"],
        ["ImageId", "ClassId", "EncodedPixels"],
    ]
    assert len(rows[0]) == 4 * 3
    assert all(text for *_, text in rows[1])
    assert len(rows[1]) == sum(bool(text) for *_, text in rows[0])
    assert rows[0][0][0].endswith(".jpg_1")
    assert rows[1][0][0].endswith(".jpg")


@pytest.mark.parametrize("number", [0, 1])
def test_the_order_is_seen_in_both_dialects(tmp_path: Path, number: int) -> None:
    draw(SEVERSTAL.in_dialect(number), tmp_path, train=6)
    data = SEVERSTAL.find_data(tmp_path)
    found, problems = submission.validate_train_table(data)
    assert (found.order, problems) == ("F", [])
    wrong = replace(SEVERSTAL.submission, order="C")
    turned = replace(SEVERSTAL, submission=wrong, dialects=())
    if number == 0:
        _, problems = submission.validate_train_table(turned.find_data(tmp_path))
        assert len(problems) == 1
        assert problems[0].startswith("the masks are counted down the columns, expected along the")


def test_cells_of_a_table_that_there_is_not(tmp_path: Path) -> None:
    data, _ = draw(load("vesuvius"), tmp_path, size=(40, 50))
    with pytest.raises(DataError) as caught:
        data.train_texts  # noqa: B018
    assert str(caught.value) == "`vesuvius-challenge-ink-detection` has no table of train masks"


def test_keys_that_are_no_keys_are_named(tmp_path: Path) -> None:
    data, _ = draw(SEVERSTAL, tmp_path)
    image_id = next(iter(data.train_images()))
    rows = f"ImageId_ClassId,EncodedPixels\n{image_id}.jpg_1,1 1\n{image_id}.jpg_5,\n{image_id},\n"
    (tmp_path / "train.csv").write_text(rows)
    with pytest.raises(DataError) as caught:
        data.truth(image_id)
    assert str(caught.value) == (
        f"`{tmp_path}/train.csv` has keys that are not `{{id}}.jpg_{{class}}` with one of the classes "
        f"1, 2, 3, 4\n  - `{image_id}.jpg_5`\n  - `{image_id}`"
    )


@pytest.mark.parametrize(
    ("name", "group"),
    [("carvana", r"[0-9a-f]{12}"), ("blood", r"kidney_\d+"), ("uw-madison", r"case\d+")],
)
def test_groups_out_of_ids(tmp_path: Path, name: str, group: str) -> None:
    data, _ = draw(load(name), tmp_path)
    groups = data.groups()
    assert groups.keys() == {*data.train_images(), *data.test_images()}
    for image_id, found in groups.items():
        assert re.fullmatch(group, found)
        assert image_id.startswith(found)


def test_groups_of_organs_are_in_both_tables(tmp_path: Path) -> None:
    data, _ = draw(load("hubmap-organ"), tmp_path)
    assert data.groups().keys() == {*data.train_images(), *data.test_images()}
    assert set(data.groups().values()) <= set(gallery.ORGANS)


def test_layers_where_there_are_none(tmp_path: Path) -> None:
    data, _ = draw(SEVERSTAL, tmp_path)
    with pytest.raises(DataError) as caught:
        data.layers(tmp_path)
    assert str(caught.value) == (
        "images of `severstal-steel-defect-detection` are single files, not folders"
    )
    sky, _ = draw(load("google"), tmp_path / "sky")
    with pytest.raises(DataError, match=r"^no file matches `band_{layer}\.npy` in `"):
        sky.layers(tmp_path)


def test_outlines_that_cannot_be_read(tmp_path: Path) -> None:
    data, _ = draw(load("hubmap-hacking"), tmp_path)
    image_id = next(iter(data.train_images()))
    with (tmp_path / "polygons.jsonl").open("a") as file:
        file.write('{"id": "a"}\n')
    with pytest.raises(DataError) as caught:
        data.truth(image_id)
    assert str(caught.value) == (
        f"`{tmp_path}/polygons.jsonl`, line 4, is not an image's outlines: KeyError('annotations')"
    )


def test_names_taken_apart() -> None:
    whole = "{case}_{day}_slice_{n}"
    assert template.match(whole, "case1_day2_slice_0003") == {
        "case": "case1", "day": "day2", "n": "0003",
    }  # fmt: skip
    assert template.match(whole, "case1_slice_0003") is None
    assert template.match("{a}/{a}", "x/y") is None
    assert template.match("{id}_{class}", "a_1_2", {"class": ["1", "2"]}) == {
        "id": "a_1", "class": "2",
    }  # fmt: skip


@pytest.mark.parametrize("slug", sorted(gallery.FAMILIES))
def test_pictures_tell_where_the_masks_are(slug: str) -> None:
    """Inside and outside differ somewhere, or nothing could be learned from them."""
    family = gallery.FAMILIES[slug]
    shape = (256, 300)
    picture = family.draw(np.random.default_rng(3), shape, 1.0)
    layers = picture.pixels
    pixels = (
        layers["15" if slug.startswith("google") else "32"] if isinstance(layers, dict) else layers
    )
    grey = pixels[..., 4] if slug.startswith("google") else pixels.reshape(*shape, -1).mean(-1)
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1)
    rough = cv2.GaussianBlur(np.abs(grey - smooth).astype(np.float32), (0, 0), 3)
    mask = np.any(picture.masks, axis=0)
    assert 0.002 < mask.mean() < 0.7
    differences = [
        abs(feature[mask].mean() - feature[~mask].mean()) / feature.std()
        for feature in (smooth, rough)
    ]
    assert max(differences) > 0.25
