"""docs/tuning.md runs as it stands, on a synthetic tree with two folds that learnt nothing."""

import re
from pathlib import Path

import pytest
import torch

from kagglekit import competitions, models, submission
from kagglekit.competitions import fake

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "tuning.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.filterwarnings("ignore:too few images to tune on")
def test_the_page_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    slug = "hubmap-organ-segmentation"
    comp, tree = competitions.load(slug), tmp_path / "input" / "competitions" / slug
    truth = fake.make(comp, tree, train=6, test=2, size=(300, 280))
    monkeypatch.setenv("KAGGLEKIT_INPUT", str(tmp_path / "input"))
    monkeypatch.chdir(tmp_path)
    for k in range(2):
        torch.manual_seed(k)
        recipe = models.Recipe("unet", {"width": 4, "depth": 2}, scale=4, window=64, stride=4)
        models.save(models.build(recipe), tmp_path / f"fold{k}.safetensors")
    names = {}
    for block in BLOCKS:
        # Folds that learnt nothing are sure of nothing: keep their images all the same.
        exec(block.replace("most=0.5", "most=1.0").replace("< 0.02", "<= 1"), names)
    assert capsys.readouterr().out.startswith("mean dice ")
    assert (tmp_path / "plateaus.png").is_file()
    data = names["data"]
    assert submission.validate(tmp_path / "submission.csv", comp, data) == []
    score = submission.score(tmp_path / "submission.csv", comp, data, truth)
    assert set(score.per_image) == set(truth)
    assert set(names["labels"].truth) == set(truth)
    drawn = [names["index"].picture[draw.tile] for draw in names["sampler"]]
    assert len(drawn) == 2000
    assert sum(which >= len(names["images"]) for which in drawn) == 600
    pixels, masks = names["dataset"][0]
    assert (pixels.shape, masks.shape) == ((3, 128, 128), (1, 128, 128))


def test_links_lead_somewhere():
    for page in ("tuning.md", "inference.md"):
        text = (ROOT / "docs" / page).read_text()
        for target in re.findall(r"\]\(([^)#]+)", text):
            assert (ROOT / "docs" / target).exists(), target
