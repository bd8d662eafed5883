import pytest

from kagglekit.offline.imports import imports, installs


@pytest.mark.parametrize(
    "cell",
    [
        "files = !ls /kaggle/input\nimport ttach",
        "d['x'] = !ls\nimport ttach",
        "import ttach\ndf?",
        "?df\nimport ttach",
        "import ttach\nttach.Compose??",
        "import ttach\n!pip install a \\\n  b",
        "import ttach\ntook = %timeit -o 1",
        "%%time\nimport ttach",
        "if True:\n    !ls\n    import ttach",
        "rest = 5 % 3\nimport ttach\n%matplotlib inline",
    ],
)
def test_what_ipython_knows_beside_python_hides_no_import(cell: str) -> None:
    assert imports(cell) == ({"ttach"}, set())


def test_what_is_not_python() -> None:
    with pytest.raises(SyntaxError):
        imports("library(ggplot2) x")


@pytest.mark.parametrize(
    "caught",
    ["except ImportError", "except ModuleNotFoundError as e", "except", "except Exception",
     "except (OSError, ImportError)", "except* ImportError"],
)  # fmt: skip
def test_optional_imports(caught: str) -> None:
    code = f"try:\n    if 1:\n        from a.b import c\n    import d\n{caught}:\n    import e\n"
    assert imports(code) == ({"e"}, {"a", "d"})
    assert imports(code + "import d") == ({"d", "e"}, {"a"})


@pytest.mark.parametrize(
    "rest",
    ["except OSError:\n    pass", "finally:\n    pass", "except ImportError:\n    raise",
     "except ImportError as e:\n    print(e)\n    raise SystemExit(1) from e",
     "except lib.Error:\n    pass"],
)  # fmt: skip
def test_imports_in_a_try_that_the_code_cannot_do_without(rest: str) -> None:
    assert imports(f"try:\n    import a\n{rest}") == ({"a"}, set())


@pytest.mark.parametrize(
    ("context", "optional"),
    [
        ("suppress(ImportError)", True),
        ("contextlib.suppress(OSError, ModuleNotFoundError)", True),
        ("suppress(OSError)", False),
        ("warnings.catch_warnings(), suppress(Exception)", True),
        ("warnings.catch_warnings()", False),
        ("lib.suppress(ImportError)", False),
        ("lock", False),
    ],
)
def test_imports_whose_failure_is_suppressed(context: str, optional: bool) -> None:
    code = f"with {context}:\n    import a\nimport b"
    assert imports(code) == (({"b"}, {"a"}) if optional else ({"a", "b"}, set()))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("!pip install ttach", ["ttach"]),
        ("    %pip install -q --upgrade ttach zarr>=3", ["ttach", "zarr>=3"]),
        ("! python -m pip install ttach  # for TTA", ["ttach"]),
        ("!python3.11 -m pip install ttach", ["ttach"]),
        ("!{sys.executable} -m pip install -qU ttach", ["ttach"]),
        ("!pip -q install ttach", ["ttach"]),
        ("!uv pip install --system ttach > /dev/null", ["ttach"]),
        ("!pip3 install ttach && ls", ["ttach"]),
        ("!pip install ttach&&echo install done", ["ttach"]),
        ("!pip install ttach; pip install zarr", ["ttach", "zarr"]),
        ("!pip install 'ttach'; echo done", ["ttach"]),
        ("!(pip install ttach|tail -n 1)", ["ttach"]),
        ("!pip install ttach 2>&1 | tail -1", ["ttach"]),
        ("!ls | grep install", []),
        ("!pip install a \\\n  b", ["a", "b"]),
        ("!pip install 'a[extra] >= 1' -i https://x.y -c c.txt --no-deps", ["a[extra] >= 1"]),
        ("!pip install a --progress-bar off --no-binary :all: -d /tmp/x", ["a"]),
        ("!pip install --upgrade-strategy eager --timeout=100 a", ["a"]),
        ("!pip install a -f https://x.y/wheels", ["a"]),
        ("!pip install --no-index a", []),
        ("!pip install a -f ../input/wheels", []),
        ("!pip install --find-links=../input/wheels a", []),
        ("# !pip install a", []),
        ("!pip list", []),
        ("!pip install 'a", []),
        ("print('!pip install a')", []),
    ],
)
def test_lines_that_install(line: str, expected: list[str]) -> None:
    assert installs(f"import os\n{line}\nimport sys") == (expected, [])


@pytest.mark.parametrize(
    ("line", "names", "others"),
    [
        ("!pip install -qr wanted.txt tqdm", ["tqdm"], ["-qr wanted.txt"]),
        ("!pip install --requirement=wanted.txt", [], ["--requirement=wanted.txt"]),
        ("!pip install -e . a", ["a"], ["-e ."]),
        ("!pip install --of-tomorrow b a", ["a"], ["--of-tomorrow b"]),
    ],
)
def test_what_is_not_understood_is_told(line: str, names: list[str], others: list[str]) -> None:
    assert installs(line) == (names, others)
