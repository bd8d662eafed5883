import json
from pathlib import Path

import pytest

from kagglekit.errors import RequirementsError
from kagglekit.offline import requirements
from tests.wheels_factory import tiny_image


def test_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "requirements.in"
    file.write_text(
        "# slides\nrasterio>=1.4  # newer reads more\n\nmonai[nibabel]; os_name=='posix'\n"
    )
    assert [str(line) for line in requirements.read(file)] == [
        "rasterio>=1.4",
        'monai[nibabel]; os_name == "posix"',
    ]


def test_a_file_as_windows_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "requirements.in"
    file.write_bytes(b"\xef\xbb\xbfrasterio\r\nmonai\r\n")
    assert [str(line) for line in requirements.read(file)] == ["rasterio", "monai"]


def test_every_bad_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "requirements.in"
    file.write_text("good\n-r other.txt\nbad >> 1\nmine @ https://example.invalid/mine.whl\n")
    with pytest.raises(RequirementsError) as caught:
        requirements.read(file)
    assert str(caught.value) == (
        f"`{file}` cannot be read\n"
        "  - line 2: `-r other.txt` is not a requirement: write the lines of that file here\n"
        "  - line 3: `bad >> 1` is not a requirement such as `rasterio>=1.4`\n"
        "  - line 4: `mine @ https://example.invalid/mine.whl` is an address;"
        " give a name from the index"
    )


def test_a_file_as_pip_tools_write_it(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(
        "ttach==0.0.3 \\\n    --hash=sha256:ab \\\n    --hash=sha256:cd\n    # via -r x.in\n"
        "zarr>=3; python_version >= '3.11' --hash sha256:ef\nmonai\\"
    )
    assert [str(line) for line in requirements.read(file)] == [
        "ttach==0.0.3",
        'zarr>=3; python_version >= "3.11"',
        "monai",
    ]


def test_a_comment_does_not_go_on_in_the_next_line() -> None:
    lines = ["# of slides \\", "numpy", "zarr \\", "# none"]
    assert [str(line) for line in requirements.read(lines)] == ["numpy", "zarr"]


def test_options_are_told_where_they_belong() -> None:
    lines = ["a \\", "  --hash=sha256:ab", "-c image.txt", "-e.", "--index-url=https://x.invalid"]
    with pytest.raises(RequirementsError) as caught:
        requirements.read(lines)
    assert list(caught.value.problems) == [
        "line 3: `-c image.txt` is not a requirement: the image's versions are the constraints",
        "line 4: `-e.` is not a requirement: give a project of yours with --project",
        "line 5: `--index-url=https://x.invalid` is not a requirement: options are settings of uv"
        " and pip: environment variables, configuration files",
    ]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RequirementsError) as caught:
        requirements.read(tmp_path / "none.in")
    assert str(caught.value) == (
        f"the requirements `{tmp_path / 'none.in'}` cannot be read:"
        f" [Errno 2] No such file or directory: '{tmp_path / 'none.in'}'"
    )


def test_an_extra_that_nobody_can_see() -> None:
    wanted = requirements.read(["there[more]", "absent[more]", "there"])
    with pytest.raises(RequirementsError) as caught:
        requirements.refuse_unseen_extras(wanted, tiny_image())
    assert str(caught.value) == (
        "what an extra adds cannot be told for a package that the Kaggle image has\n"
        "  - `there[more]`: tiny has `there` already\n"
        "hint: name the packages that the extra would add instead"
    )


HEADER = """\
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "rasterio>=1.4",
#   "zarr",
# ]
# ///
import zarr
"""


def test_the_header_of_a_script(tmp_path) -> None:
    path = tmp_path / "submit.py"
    path.write_text(HEADER)
    assert requirements.of_script(path) == ["rasterio>=1.4", "zarr"]


def test_the_header_in_a_notebooks_cell(tmp_path) -> None:
    path = tmp_path / "submit.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": [HEADER]}]}))
    assert requirements.of_script(path) == ["rasterio>=1.4", "zarr"]


@pytest.mark.parametrize(("text", "count"), [("import zarr\n", 0), (HEADER + HEADER, 2)])
def test_a_script_needs_one_header(tmp_path, text, count) -> None:
    path = tmp_path / "submit.py"
    path.write_text(text)
    with pytest.raises(RequirementsError) as caught:
        requirements.of_script(path)
    assert str(caught.value) == (
        f"`{path}` has {count} headers `# /// script`, and should have one\n"
        'hint: write `# /// script`, `# dependencies = ["rasterio>=1.4"]`, `# ///` at its top'
    )


def test_a_header_that_is_not_toml(tmp_path) -> None:
    path = tmp_path / "submit.py"
    path.write_text("# /// script\n# dependencies = [\n# ///\n")
    with pytest.raises(RequirementsError, match="the header of .* cannot be read: Invalid value"):
        requirements.of_script(path)


@pytest.mark.parametrize("value", ["[1, 2]", "'ttach'"])
def test_a_header_whose_dependencies_are_no_texts(tmp_path, value) -> None:
    path = tmp_path / "submit.py"
    path.write_text(f"# /// script\n# dependencies = {value}\n# ///\n")
    with pytest.raises(RequirementsError) as caught:
        requirements.of_script(path)
    assert str(caught.value) == (
        f"the header of `{path}` cannot be read: dependencies = {value} is no list of texts"
    )
