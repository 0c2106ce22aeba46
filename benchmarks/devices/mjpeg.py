"""Cameras that misbehave on command: MJPEG over HTTP on this machine, and MJPEG into a named pipe."""

import contextlib
import itertools
import os
import select
import threading
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Literal

import cv2
import numpy as np

Look = Literal["live", "hang", "frozen", "black", "green", "large"]

RATE = 10.0
_GREEN = (0, 135, 0)  # what decoders make of a picture that is all zeros


@cache
def pictures(look: Look) -> list[bytes]:
    """JPEG files to be shown in turn: a scene with a sensor's noise, unless it is to be none."""
    chance = np.random.default_rng(0)
    width, height = (800, 608) if look == "large" else (640, 480)
    if look in ("black", "green"):
        colour = _GREEN if look == "green" else (0, 0, 0)
        noisy = [np.full((height, width, 3), colour, np.uint8)]
    else:
        coarse = chance.integers(40, 216, (height // 32, width // 32, 3)).astype(np.float32)
        scene = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        noise = [chance.normal(0, 2, scene.shape) for _ in range(1 if look == "frozen" else 8)]
        noisy = [np.clip(scene + one, 0, 255).astype(np.uint8) for one in noise]
    return [cv2.imencode(".jpg", one)[1].tobytes() for one in noisy]


class Show:
    """What a camera shows at the moment. `look` may be changed at any time."""

    def __init__(self) -> None:
        self.look: Look = "live"
        self.ended = threading.Event()

    def __iter__(self) -> Iterator[bytes | None]:
        """A JPEG file at a time, in the camera's pace; None while it hangs; ends with `ended`."""
        for number in itertools.count():
            if self.ended.wait(1 / RATE):
                return
            look = self.look
            yield None if look == "hang" else pictures(look)[number % len(pictures(look))]


class NetworkCamera:
    """`url` of a camera that `leave()` takes off the network and `come_back()` puts there again."""

    def __init__(self) -> None:
        self.show = Show()
        self._port = 0
        self.come_back()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/video.mjpg"

    def come_back(self) -> None:
        self.show.ended.clear()
        show = self.show

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
                self.end_headers()
                with contextlib.suppress(OSError):
                    for jpeg in show:
                        if jpeg:
                            head = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                            self.wfile.write(head + jpeg + b"\r\n")
                        elif select.select([self.connection], [], [], 0)[0]:
                            return  # the other side is gone

            def log_message(self, format: str, *arguments: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = False  # so that closing the server waits for them
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def leave(self) -> None:
        self.show.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "NetworkCamera":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.leave()


class PipeCamera:
    """A program that writes pictures into the named pipe `path`."""

    def __init__(self, path: Path) -> None:
        self.path, self.show = path, Show()
        os.mkfifo(path)
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)  # does not wait for a reader
        try:
            for jpeg in self.show:
                rest = memoryview(jpeg or b"")
                while rest and not self.show.ended.is_set():
                    if select.select([], [descriptor], [], 0.1)[1]:
                        rest = rest[os.write(descriptor, rest[:4096]) :]
        finally:
            os.close(descriptor)

    def __enter__(self) -> "PipeCamera":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.show.ended.set()
        self._thread.join()
