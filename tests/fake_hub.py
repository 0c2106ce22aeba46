"""A real HTTP server on loopback that speaks the part of the Hugging Face hub's API that a pull needs."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """`files` of the repository owner/`repo`; names in `large` are kept in LFS, so that their SHA-256 is told.

    `drop_after`: file -> bytes after which the connection is cut, once for each entry of the list.
    `corrupt`: file -> index of a byte that is sent wrong. `status`: path prefix -> status to answer instead.
    """

    files: dict[str, bytes]
    repo: str = "owner/tiny"
    large: tuple[str, ...] = ()
    drop_after: dict[str, list[int]] = field(default_factory=dict)
    corrupt: dict[str, int] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    requests: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def info(self) -> bytes:
        siblings = []
        for name, data in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entry = {"rfilename": name, "size": len(data), "blobId": blob}
            if name in self.large:
                digest = hashlib.sha256(data).hexdigest()
                entry |= {"lfs": {"size": len(data), "sha256": digest, "pointerSize": 134}}
            siblings.append(entry)
        return json.dumps({"id": self.repo, "sha": COMMIT, "siblings": siblings}).encode()

    def fetched(self) -> list[str]:
        """Names of the files whose contents were asked for, in order."""
        return [path.split(f"/resolve/{COMMIT}/")[1] for path, _ in self.requests if "/resolve/" in path]


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            wanted = self.headers.get("Range", "")
            hub.requests.append((path, wanted))
            for prefix, status in hub.status.items():
                if path.startswith(prefix):
                    return self.answer(status, b"{}")
            if path == f"/api/models/{hub.repo}/revision/main":
                return self.answer(200, hub.info())
            name = path.removeprefix(f"/{hub.repo}/resolve/{COMMIT}/")
            if name not in hub.files:
                return self.answer(404, b"{}")
            return self.send_file(name, wanted)

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def send_file(self, name: str, wanted: str) -> None:
            data = bytearray(hub.files[name])
            if name in hub.corrupt:
                data[hub.corrupt[name]] ^= 1
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and hub.ranges else 0
            self.send_response(206 if start else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("Content-Length", str(len(data) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            drops = hub.drop_after.get(name)
            if drops:
                self.wfile.write(data[start : start + drops.pop(0)])
                self.close_connection = True
            else:
                self.wfile.write(data[start:])

    return Handler


@contextmanager
def serve(hub: FakeHub) -> Iterator[FakeHub]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        hub.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
