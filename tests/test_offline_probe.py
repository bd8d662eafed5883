import subprocess
import sys
from pathlib import Path

import pytest

from kagglekit import cli
from kagglekit.errors import KaggleImageError
from kagglekit.offline import image, probe


def printed(tmp_path: Path, python: str = sys.executable, **environment: str) -> str:
    """What the cell prints in a Python that has nothing but these two distributions."""
    for path, name in (("a", "Some_Thing"), ("b", "some-thing"), ("b", "torch")):
        info = tmp_path / path / f"{name}-{path}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Name: {name}\nVersion: {'1.0' if path == 'a' else '2.0'}\n"
        )
    (tmp_path / "b" / "torch.py").write_text(
        "class _C:\n    _cuda_getArchFlags = staticmethod(lambda: 'sm_70 sm_75')\n"
    )
    found = f"import sys; sys.path[:0] = [{str(tmp_path / 'a')!r}, {str(tmp_path / 'b')!r}]\n"
    found += "sys.path = [p for p in sys.path if 'site-packages' not in p]\n"
    command = [python, "-I", "-c", found + probe.CELL]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return done.stdout


def nvidia_smi(folder: Path, *capabilities: str) -> str:
    folder.mkdir()
    (folder / "nvidia-smi").write_text("#!/bin/sh\n" + "".join(f"echo {c}\n" for c in capabilities))
    (folder / "nvidia-smi").chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_what_the_cell_prints_is_a_list(tmp_path: Path) -> None:
    read = image.parse(printed(tmp_path, PATH="/usr/bin:/bin"), "mine")
    assert read.python == f"3.{sys.version_info.minor}"
    assert read.accelerator == "cpu"
    assert dict(read.packages) == {"some-thing": "1.0", "torch": "2.0"}


def test_the_gpu_is_told_too(tmp_path: Path) -> None:
    text = printed(tmp_path, PATH=nvidia_smi(tmp_path / "bin", "8.9", "7.5"))
    assert "# capability: 7.5\n# architectures: sm_70,sm_75\n" in text
    assert image.parse(text, "mine").accelerator == "gpu"


def test_a_gpu_that_the_image_does_not_serve(tmp_path: Path) -> None:
    text = printed(tmp_path, PATH=nvidia_smi(tmp_path / "bin", "6.0"))
    with pytest.raises(KaggleImageError) as caught:
        image.parse(text, "mine")
    assert caught.value.problems == (
        "its torch has nothing compiled for its GPU (compute capability 6.0): every operation there"
        " fails; choose another accelerator, such as GPU T4 x2",
    )


def test_the_command_prints_the_cell(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["probe"]) == 0
    told = capsys.readouterr().out
    assert told == probe.ADVICE + "\n" + probe.CELL + "\n"
    compile(told, "cell", "exec")


def test_the_command_lists_the_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["images"]) == 0
    assert capsys.readouterr().out == (
        "name                  date        Python  glibc  accelerator  packages\n"
        "colab-2026-08-cpu     2026-08-19  3.13    2.35   cpu               {}\n"
        "colab-2026-08-gpu     2026-08-19  3.13    2.35   gpu               {}\n"
        "kaggle-2026-06-cpu    2026-06-22  3.12    2.35   cpu               {}\n"
        "kaggle-2026-06-gpu    2026-06-22  3.12    2.35   gpu               {}   the default\n"
        "\n"
        "reconstructed from public sources; `kagglekit probe` shows how to list your own session's\n"
    ).format(*(len(image.load(n).packages) + len(image.load(n).unversioned) for n in image.names()))
