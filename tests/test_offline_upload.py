"""Uploads, with the official client and a stand-in of Kaggle's HTTP API on loopback."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kagglekit import cli
from kagglekit.errors import UploadError
from kagglekit.offline import bundle, kaggle, upload
from tests import local_kaggle
from tests.wheels_factory import make_wheel, tiny_image, use_index

Output = pytest.CaptureFixture[str]
NOTEBOOK = {"cells": [], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("upload")
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_wheel(use_index(monkeypatch, folder / "index"), "asked")
        return bundle.build(["asked"], tiny_image(), folder / "my-bundle", owner="me").folder


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[local_kaggle.Site]:
    monkeypatch.setattr(kaggle.time, "sleep", lambda _: None)
    with local_kaggle.serve(tmp_path / "client", monkeypatch) as site:
        yield site


def content(site: local_kaggle.Site, name: str) -> dict[str, object]:
    [found] = [sent for request, sent in site.sent if request == name]
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
def test_a_new_dataset_is_private_and_waited_for(
    made: Path, site: local_kaggle.Site, capsys: Output
) -> None:
    assert cli.main(["upload", str(made)]) == 0
    told = capsys.readouterr()
    assert told.out == "me/my-bundle: blobs_received, waiting\nme/my-bundle: ready to be attached\n"
    assert local_kaggle.KEY not in told.out + told.err
    sent = content(site, "CreateDataset")
    assert (sent["ownerSlug"], sent["slug"], sent["isPrivate"]) == ("me", "my-bundle", True)
    uploads = [sent["name"] for request, sent in site.sent if request == "StartBlobUpload"]
    assert sorted(uploads) == [
        "asked-1.0-py3-none-any.whl",
        "install.py",
        "kagglekit-bundle.json",
        "requirements.lock",
    ]
    bodies = [sent for _, sent in site.sent if isinstance(sent, bytes)]
    assert (made / "asked-1.0-py3-none-any.whl").read_bytes() in bodies
    assert not any(local_kaggle.KEY.encode() in body for body in bodies)


@pytest.mark.slow
def test_a_version_waits_for_the_one_before(made: Path, site: local_kaggle.Site) -> None:
    site.statuses = ["blobs_received", "blobs_received", "ready"]
    told: list[str] = []
    upload.upload(made, told.append)
    asked = [name for name in site.names() if name in ("GetDatasetStatus", "CreateDatasetVersion")]
    assert asked[:4] == ["GetDatasetStatus"] * 3 + ["CreateDatasetVersion"]
    assert "CreateDataset" not in site.names()


@pytest.mark.slow
def test_a_refusal_that_ends_with_status_0(made: Path, site: local_kaggle.Site) -> None:
    site.error = f"quota exceeded for {local_kaggle.KEY}"
    with pytest.raises(UploadError) as caught:
        upload.upload(made, lambda _: None)
    assert caught.value.exit_code == 22
    assert "Dataset creation error: quota exceeded for …" in str(caught.value)
    assert local_kaggle.KEY not in str(caught.value)


def notebook(folder: Path, name: str = "my_submit.ipynb") -> Path:
    (folder / name).write_text(json.dumps(NOTEBOOK))
    return folder / name


@pytest.mark.slow
def test_a_push_says_all_that_kaggle_would_guess(
    made: Path, site: local_kaggle.Site, tmp_path: Path, capsys: Output
) -> None:
    arguments = [
        "push",
        str(notebook(tmp_path)),
        "--competition",
        "the-comp",
        "--bundle",
        str(made),
    ]
    assert cli.main([*arguments, "--attach", "you/more", "--kernel", "me/my-train"]) == 0
    sent = content(site, "SaveKernel")
    expected = {
        "slug": "me/my-submit",
        "newTitle": "my submit",
        "language": "python",
        "kernelType": "notebook",
        "isPrivate": True,
        "enableGpu": True,
        "enableTpu": False,
        "enableInternet": False,
        "machineShape": "NvidiaTeslaT4",
        "dockerImagePinningType": "original",
        "datasetDataSources": ["me/my-bundle", "you/more"],
        "competitionDataSources": ["the-comp"],
        "kernelDataSources": ["me/my-train"],
    }
    assert {name: sent.get(name) for name in expected} == expected
    assert "Kernel version 1 successfully pushed" in capsys.readouterr().out


def test_dry_runs_print_the_exact_commands(made: Path, tmp_path: Path, capsys: Output) -> None:
    assert cli.main(["upload", str(made), "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        "kaggle datasets status me/my-bundle    # is it there already?\n"
        f"kaggle datasets create -p {made} -r zip    # if not; private\n"
        f"kaggle datasets version -p {made} -r zip -m 'new bundle'    # if it is, and ready\n"
        "kaggle datasets status me/my-bundle    # again, until it says ready\n"
    )
    arguments = [
        "push",
        str(notebook(tmp_path)),
        "--competition",
        "the-comp",
        "--bundle",
        str(made),
    ]
    assert cli.main([*arguments, "--cpu", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "kaggle kernels push -p DIR"
    sent = json.loads("\n".join(lines[1:-1]))
    assert (sent["enable_internet"], sent["enable_gpu"]) == (False, False)
    assert "machine_shape" not in sent


def test_a_damaged_bundle_is_not_uploaded(made: Path, tmp_path: Path, capsys: Output) -> None:
    copy = shutil.copytree(made, tmp_path / "my-bundle")
    (copy / "kaggle.json").touch()
    assert cli.main(["upload", str(copy), "--dry-run"]) == 18
    assert f"the bundle `{copy}` cannot be uploaded\n" in capsys.readouterr().err
    (copy / "install.py").write_text("")
    assert cli.main(["upload", str(copy), "--dry-run"]) == 18
    (copy / "dataset-metadata.json").write_text('{"id": "YOUR-KAGGLE-NAME/my-bundle"}')
    assert cli.main(["upload", str(copy), "--dry-run"]) == 22
    assert "does not say whose dataset it is" in capsys.readouterr().err
    (copy / "dataset-metadata.json").write_text("[]")
    assert cli.main(["upload", str(copy), "--dry-run"]) == 22
    assert "cannot be read: list indices must be integers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("ready", "ready"),
        ("Warning: Looks like you're using an outdated version\nready\n", "ready"),
        ("Warning\nready\n", "ready"),
        ("blobs_received\n", "blobs_received"),
        ("", ""),
    ],
)
def test_the_status_among_what_the_command_says(
    monkeypatch: pytest.MonkeyPatch, said: str, status: str
) -> None:
    monkeypatch.setattr(kaggle, "call", lambda _: said)
    assert kaggle.status("me/it") == status


def test_a_notebook_with_a_key_is_not_pushed(tmp_path: Path) -> None:
    path = tmp_path / "my_submit.ipynb"
    code = "os.environ['KAGGLE_KEY'] = '0123456789abcdef0123456789abcdef'"
    path.write_text(json.dumps(NOTEBOOK | {"cells": [{"cell_type": "code", "source": [code]}]}))
    with pytest.raises(UploadError) as caught:
        upload.Kernel(path, "me", "no such !").metadata()
    assert caught.value.problems == (
        "`my_submit.ipynb` holds a Kaggle key",
        "`no such !` is not a competition's slug",
    )
    key = "0123456789abcdef0123456789abcdef"
    for code, kind in (
        (f'!echo \'{{"username":"me","key":"{key}"}}\' > ~/.kaggle/kaggle.json', "a Kaggle key"),
        (f"json.dump({{'username': 'me', 'key': '{key}'}}, file)", "a Kaggle key"),
        (f"x = 1\nKAGGLE_KEY={key}\ny = 2", "a Kaggle key"),
        (f"x = 1\nhf_{key}\ny = 2", "a Hugging Face token"),
    ):
        for source in (code, code.splitlines(keepends=True)):
            cells = [{"cell_type": "code", "source": source}]
            path.write_text(json.dumps(NOTEBOOK | {"cells": cells}))
            with pytest.raises(UploadError) as caught:
                upload.Kernel(path, "me", "comp").metadata()
            assert caught.value.problems == (f"`my_submit.ipynb` holds {kind}",)
    output = {"output_type": "stream", "name": "stdout", "text": ["ok\n", f"KAGGLE_KEY={key}\n"]}
    cells = [{"cell_type": "code", "source": "x", "outputs": [output]}]
    path.write_text(json.dumps(NOTEBOOK | {"cells": cells}))
    with pytest.raises(UploadError, match="holds a Kaggle key"):
        upload.Kernel(path, "me", "comp").metadata()
    path.write_text("{}")
    with pytest.raises(UploadError) as caught:
        upload.Kernel(path, "me", "comp").metadata()
    assert caught.value.problems == (f"`{path}` is not a notebook: KeyError: 'cells'",)
    path.unlink()
    with pytest.raises(UploadError) as caught:
        upload.Kernel(path, "me", "comp").metadata()
    assert caught.value.problems == (f"`{path}` cannot be read: No such file or directory",)


def test_a_notebook_that_kaggle_would_refuse(tmp_path: Path) -> None:
    with pytest.raises(UploadError) as caught:
        upload.Kernel(tmp_path / "x.py", "me", "comp", datasets=["no owner"]).metadata()
    assert caught.value.problems == (
        f"`{tmp_path}/x.py` is not an .ipynb file",
        "the name `x` has 1 characters; Kaggle wants 5 to 50",
        "`no owner` is not owner/name",
    )


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kaggle.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UploadError) as caught:
        kaggle.call(["kaggle", "datasets", "list"])
    assert str(caught.value) == ("the `kaggle` command is missing\nhint: pip install kaggle six")


def test_keys_are_blotted_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("KAGGLE_KEY", "from-the-environment")
    (tmp_path / "kaggle.json").write_text('{"username": "me", "key": "from-the-file"}')
    (tmp_path / "access_token").write_text("from-the-token\n")
    text = "me from-the-environment from-the-file from-the-token"
    assert kaggle.redacted(text) == "me … … …"


@pytest.mark.parametrize("now", ["failed", "deleted"])
def test_a_dataset_that_kaggle_cannot_process(monkeypatch: pytest.MonkeyPatch, now: str) -> None:
    monkeypatch.setattr(kaggle, "status", lambda _: now)
    with pytest.raises(UploadError, match=f"could not process `me/it`: its status is {now}"):
        kaggle.wait("me/it", lambda _: None)
