"""A package index on loopback over a folder of wheels, which remembers what was asked of it."""

import hashlib
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, folder: Path, asked: list[str], *rest: object) -> None:
        self._folder, self._asked = folder, asked
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        name = self.path.strip("/").split("/")[-1]
        self._asked.append(name)
        if self.path.startswith("/simple/"):
            files = [p for p in sorted(self._folder.iterdir()) if _name(p) == name]
            links = [
                f'<a href="/files/{p.name}#sha256={hashlib.sha256(p.read_bytes()).hexdigest()}"'
                f' data-core-metadata="true">{p.name}</a>'
                for p in files
            ]
            self._answer("\n".join(links).encode() if files else None, "text/html")
        elif name.endswith(".metadata"):
            self._answer(_metadata(self._folder / name.removesuffix(".metadata")), "text/plain")
        else:
            path = self._folder / name
            self._answer(path.read_bytes() if path.is_file() else None, "application/zip")

    def _answer(self, body: bytes | None, kind: str) -> None:
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        """Tests read `asked` instead."""


def _metadata(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        [member] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return archive.read(member)


def _name(path: Path) -> str:
    return canonicalize_name(path.name.split("-")[0])


@contextmanager
def serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Serve `folder` and make it uv's and pip's only index; gives the list of what is asked for."""
    asked: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, folder, asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/simple"
    settings = folder.with_name("uv.toml")
    settings.write_text(f'[[index]]\nurl = "{address}"\ndefault = true\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(settings))
    monkeypatch.setenv("UV_CACHE_DIR", str(folder.with_name("uv-cache")))
    monkeypatch.setenv("PIP_INDEX_URL", address)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    for name in ("PIP_CONFIG_FILE", "PIP_FIND_LINKS", "PIP_NO_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
