"""The package as a whole: what it imports, what its wheel holds, what its floors are."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import kagglekit

ROOT = Path(__file__).parents[1]
HEAVY = ("numpy", "torch", "cv2", "rasterio", "pandas", "numba", "albumentations", "tqdm")


def run(code, *options):
    return subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, cwd=ROOT
    )


def test_importing_kagglekit_imports_nothing_heavy():
    done = run(f"import sys, kagglekit; print([m for m in {HEAVY} if m in sys.modules])")
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize(
    "module", ["errors", "mounts", "cli", "offline.command", "offline.check", "offline.install"]
)
def test_the_offline_side_runs_without_numpy_and_torch(module):
    absent = "; ".join(f"sys.modules[{name!r}] = None" for name in HEAVY)
    done = run(f"import sys; {absent}; import kagglekit.{module}")
    assert done.returncode == 0, done.stderr


def test_no_module_compiles_or_imports_numba_on_import():
    done = run("import sys, kagglekit.rle, kagglekit.regions; print('numba' in sys.modules)")
    assert done.stdout == "False\n", done.stderr


def test_importing_every_module_touches_no_network():
    code = """
import sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(watch)
import kagglekit
for name in kagglekit.__all__:
    getattr(kagglekit, name)
import kagglekit.rehearsal.rehearse
"""
    done = run(code, "-W", "error::DeprecationWarning:kagglekit")
    assert done.returncode == 0, done.stderr


def test_every_public_module_is_listed_and_opens():
    files = {
        path.stem if path.is_file() else path.name
        for path in (ROOT / "kagglekit").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert set(kagglekit.__all__) == files - {"__init__", "__main__", "cli"}
    assert kagglekit.__all__ == sorted(kagglekit.__all__)
    assert dir(kagglekit) == kagglekit.__all__
    assert kagglekit.mounts.find_input.__name__ == "find_input"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="^module 'kagglekit' has no attribute 'rel'$"):
        _ = kagglekit.rel


def test_every_module_has_its_tests():
    tests = "\n".join(path.name for path in (ROOT / "tests").glob("test_*.py"))
    for name in kagglekit.__all__:
        assert f"test_{name}" in tests, name


def test_no_file_is_too_long_to_read_in_one_sitting():
    lengths = {
        path.relative_to(ROOT): len(path.read_text().splitlines())
        for path in (ROOT / "kagglekit").rglob("*.py")
    }
    assert max(lengths.values()) <= 400, max(lengths, key=lengths.get)


@pytest.mark.network
def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    done = subprocess.run(
        ["uv", "build", "--wheel", "--out-dir", tmp_path, ROOT], capture_output=True, text=True
    )
    if done.returncode and "error sending request" in done.stderr:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "kagglekit").rglob("*")
        if path.suffix in (".html", ".py", ".toml", ".txt", ".typed") or path.name == "py.typed"
    }
    assert inside == wanted


def test_dependencies_have_lower_bounds_only():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        assert ">=" in requirement
        assert not set("<,!=~") & set(requirement.replace(">=", ""))
