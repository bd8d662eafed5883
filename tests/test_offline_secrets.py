from pathlib import Path

import pytest

from kagglekit.offline import secrets
from tests.wheels_factory import make_wheel


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"username": "me", "key": "' + "0123456789abcdef" * 2 + '"}', "a Kaggle key"),
        ("KGAT_" + "0123456789abcdef" * 2, "a Kaggle key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        ("token = 'hf_" + "a" * 34 + "'", "a Hugging Face token"),
        ("ghp_" + "a" * 36, "a GitHub token"),
        ("AKIA" + "A" * 16, "an AWS key"),
        ("AIza" + "a" * 35, "a Google key"),
        ("sk-" + "a" * 40, "an API key"),
        ("https://me:secret@example.com/simple", "a password in an address"),
    ],
)
def test_keys_are_found_and_never_repeated(tmp_path: Path, text: str, kind: str) -> None:
    (tmp_path / "notes.txt").write_text(f"x = 1\n{text}\n")
    assert secrets.problems(tmp_path, []) == [f"`notes.txt` holds {kind}"]


@pytest.mark.parametrize("name", ["kaggle.json", ".netrc", ".env", "id_ed25519", "server.pem"])
def test_files_that_hold_keys_by_their_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    assert secrets.problems(tmp_path, []) == [f"`{name}` is a file that holds keys, by its name"]


def test_values_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "not-a-known-form")
    (tmp_path / "notes.txt").write_text("key = not-a-known-form")
    assert secrets.problems(tmp_path, []) == [
        "`notes.txt` holds the value of your environment variable KAGGLE_KEY"
    ]


@pytest.mark.parametrize("path", ["/home/anna/data/x", "/Users/anna/x", f"{Path.home()}/x"])
def test_paths_of_one_machine_in_an_own_wheel(tmp_path: Path, path: str) -> None:
    made = make_wheel(tmp_path / "elsewhere", "mine", body=f"DATA = {path!r}\n")
    start = path[: path.index("/", 7) + 1] if path.startswith(("/home", "/Users")) else path[:-1]
    assert secrets.problems(tmp_path, [made]) == [
        f"`{made.name}: mine/__init__.py` holds a path of one machine: {start}…"
    ]


def test_the_root_is_no_user_s_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/")
    (tmp_path / "notes.txt").write_text("https://example.com//x")
    assert secrets.problems(tmp_path, []) == []


def test_what_is_no_secret(tmp_path: Path) -> None:
    sound = "key = 'skill'\nhttps://example.com/a:b@c\n/kaggle/input/x\nhome = '/home'\nhf_hub\n"
    (tmp_path / "notes.txt").write_text(sound)
    (tmp_path / "binary").write_bytes(b"\0/home/anna/")
    make_wheel(tmp_path, "foreign", body="DATA = '/home/anna/x'\n")
    assert secrets.problems(tmp_path, []) == []
