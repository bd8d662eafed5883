"""The pairs of notebooks, each rehearsed as its user would, beside recipes done plainly.

    uv run python benchmarks/rehearsals.py                     # all five, prints the table
    uv run python benchmarks/rehearsals.py severstal carvana   # some of them
    uv run python benchmarks/rehearsals.py --minutes 0.1       # for a quick look

A row is what `kagglekit rehearse notebooks/<pair>_submit.ipynb` takes and scores: the replica of
Kaggle's image, the bundle, no network, training on the cores that there are. On the same images,
for the same minutes and afterwards, with nothing beside it, the plain recipe of `recipes.py`
trains and answers the hidden test. `all empty` is what an empty table scores there.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recipes import NOTEBOOKS, RECIPES, submit, train

from kagglekit import competitions, submission
from kagglekit.rehearsal import stage


def row(pair: str, minutes: float, scratch: Path) -> str:
    """Return a pair's row of the table."""
    recipe, out = RECIPES[pair], scratch / "rehearsal"
    command = [
        sys.executable,
        "-m",
        "kagglekit.cli",
        "rehearse",
        NOTEBOOKS / f"{pair}_submit.ipynb",
    ]
    started = time.monotonic()
    subprocess.run([*command, "--minutes", str(minutes), "--out", out], check=True)
    seconds = time.monotonic() - started
    verdicts = json.loads((out / "rehearsal.json").read_text())["verdicts"]
    ours = [verdicts[name]["score"] for name in ("visible", "hidden")]

    comp = competitions.load(recipe.slug)
    visible, hidden = stage.from_fake(comp, scratch / "trees")  # those of the rehearsal again
    model = train(comp.find_data(visible.tree), recipe, minutes)
    data = comp.find_data(hidden.tree)
    submit(model, recipe, data, scratch / "plain.csv")
    with submission.Writer(comp, data, scratch / "empty.csv"):
        pass
    others = [
        submission.score(scratch / name, comp, data, hidden.truth).value
        for name in ("plain.csv", "empty.csv")
    ]
    scores = " | ".join(f"{value:.3f}" for value in (*ours, *others))
    return f"| `{pair}` | {seconds:.0f} s | {scores} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="*", help=f"of {', '.join(RECIPES)}; default: all")
    parser.add_argument("--minutes", type=float, default=1, help="of training (default: 1)")
    given = parser.parse_args()
    unknown = sorted({*given.pairs} - RECIPES.keys())
    if unknown:
        parser.error(f"no such pair: {', '.join(unknown)}")
    rows = []
    for pair in given.pairs or RECIPES:
        with tempfile.TemporaryDirectory() as scratch:
            rows.append(row(pair, given.minutes, Path(scratch)))
    print(f"\n{given.minutes:g} minutes of training\n")
    print("| pair | rehearsed in | visible | hidden | plain recipe, hidden | all empty, hidden |")
    print("|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
