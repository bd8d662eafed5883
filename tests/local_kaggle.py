"""Kaggle's HTTP API on loopback, as far as uploads need it; it remembers what the client sends.

The official client knows only its own addresses; a `sitecustomize` gives it this one instead.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

REDIRECT = """
import os
from kagglesdk import kaggle_env
kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = os.environ["KAGGLEKIT_TEST_SITE"]
"""
KEY = "0123456789abcdef0123456789abcdef"


class Site:
    """What is on the site, and what was sent to it: (request, content)."""

    def __init__(self) -> None:
        self.statuses: list[str | None] = [None]
        self.sent: list[tuple[str, Any]] = []
        self.error = ""
        self.address = ""

    def names(self) -> list[str]:
        return [name for name, _ in self.sent]

    def answer(self, name: str, body: bytes) -> tuple[int, dict[str, Any]]:
        self.sent.append((name, json.loads(body) if body.startswith(b"{") else body))
        if name == "GetDatasetStatus":
            status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            return (200, {"status": status.upper()}) if status else (404, {"message": "Not found"})
        if name == "StartBlobUpload":
            token = f"token-{len(self.sent)}"
            return 200, {"token": token, "createUrl": f"{self.address}/blob/{token}"}
        if name in ("CreateDataset", "CreateDatasetVersion"):
            self.statuses = ["blobs_received", "ready"]
            status = "error" if self.error else "ok"
            return 200, {"status": status, "error": self.error, "url": "there"}
        return 200, {"versionNumber": 1, "url": "there", "error": self.error}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, site: Site, *rest: object) -> None:
        self._site = site
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        code, content = self._site.answer(self.path.split("/")[-1], body)
        text = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_PUT(self) -> None:
        self.do_POST()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Tests read `sent` instead."""


@contextmanager
def serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serve a site, and make it the one that the client uses, with a made-up key."""
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, site))
    site.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(REDIRECT)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("KAGGLEKIT_TEST_SITE", site.address)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(folder))
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("KAGGLE_API_TOKEN", raising=False)
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
