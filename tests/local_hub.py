"""A model hub and a download site on loopback, with hand-made repositories.

The real huggingface_hub and torch.hub talk to it: `resolve` answers with the headers from which
they build their caches.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "7a57b34f723d2b8f4a0e0b4a4b2d1a0f5c6d7e8f"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, served: list[str], *rest: object) -> None:
        self._folder, self._served = folder, served
        super().__init__(*rest)  # type: ignore[arg-type]

    def do_HEAD(self) -> None:
        """Answer /OWNER/REPO/resolve/REVISION/FILE, and /FILE for torch.hub."""
        self._served.append(f"{self.command} {self.path}")
        parts = self.path.split("?")[0].strip("/").split("/")
        path = self._folder.joinpath(*(parts[:2] + parts[4:] if "resolve" in parts else parts))
        body = path.read_bytes() if path.is_file() else b""
        self.send_response(200 if path.is_file() else 404)
        self.send_header("Content-Length", str(len(body)))
        if "resolve" in parts:
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            revision = parts[parts.index("resolve") + 1]
            self.send_header("X-Repo-Commit", COMMIT if revision == "main" else revision)
            if not path.is_file():
                self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self) -> None:
        """The same, with a body."""
        self.do_HEAD()

    def log_message(self, *_: object) -> None:
        """Not in the tests' output."""


@contextmanager
def serve(folder: Path, served: list[str] | None = None) -> Iterator[str]:
    """Serve `folder`: OWNER/REPO/FILE as a hub, FILE as a download; gives the address.

    Each request is appended to `served`, method and path.
    """
    handler = partial(_Handler, folder, [] if served is None else served)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
