"""Write the .ipynb beside each `# %%` notebook: `uv run python notebooks/generate.py`."""

from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).parent


def as_ipynb(source: Path) -> str:
    """Return a notebook's .ipynb text; the same for the same source, whoever writes it."""
    notebook = jupytext.read(source, fmt="py:percent")
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"  # jupytext draws random ones
        cell["metadata"] = {}
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return nbformat.writes(notebook, indent=1) + "\n"


def sources() -> list[Path]:
    """Return the notebooks' sources."""
    return sorted(path for path in HERE.glob("*.py") if path.stem.endswith(("_train", "_submit")))


if __name__ == "__main__":
    for path in sources():
        path.with_suffix(".ipynb").write_text(as_ipynb(path), encoding="utf-8")
        print(path.with_suffix(".ipynb").name)
