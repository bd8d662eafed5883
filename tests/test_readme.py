"""The README's promises that a test can hold it to."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from kagglekit import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_two_commands_and_no_more_for_a_fresh_machine():
    commands = re.findall(r"^    pip install uv && (.*)$", README, re.MULTILINE)
    assert commands == ["uv run kagglekit rehearse", "uv run pytest"]
    assert "uv run pytest" in (ROOT / ".ci" / "run").read_text()


def test_links_lead_somewhere():
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_code_names_only_what_exists(block):
    tree = ast.parse(block)
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                source = importlib.import_module(node.module)
                modules[alias.asname or alias.name] = getattr(source, alias.name)
    used = [
        (node.value.id, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in modules
    ]
    assert used
    assert [name for name in used if not hasattr(modules[name[0]], name[1])] == []


def test_the_mask_example_runs():
    [block] = [block for block in BLOCKS if "from_text" in block]
    names = {}
    exec(block, names)
    assert names["mask"].area == 8


def test_the_box_lists_modules_that_exist():
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", README, re.MULTILINE)
    modules = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(modules) > 15
    for name in modules:
        importlib.import_module(f"kagglekit.{name}")


@pytest.mark.parametrize("command", ["rehearse", "check", "score", "fake", "build"])
def test_commands_exist(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: kagglekit {command}" in capsys.readouterr().out
