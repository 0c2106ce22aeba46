"""HTTP to a server on this machine: no proxies, no redirects, no names to look up, no other machine."""

import contextlib
import http.client
import socket
import threading
import time

from edge.live.actions import Request
from edge.live.outcome import MAX_OUTPUT_BYTES, Outcome, failed, succeeded

_TICK_S = 0.02


def send(request: Request, target: str, body: str, cancelled: threading.Event) -> Outcome:
    """Sends `body` to `target` (path with query) and reads the answer; what goes wrong is in the outcome.

    Returns soon after `cancelled` is set or `request.timeout_s` have passed, whatever the server does.
    """
    began = time.monotonic()
    exchange = _Exchange(request, target, body)
    exchange.start()
    stopped = ""
    while not exchange.finished.wait(_TICK_S):
        if cancelled.is_set():
            stopped = "cancelled"
        elif time.monotonic() - began >= request.timeout_s:
            stopped = f"timed out after {request.timeout_s:g} s"
        if stopped:
            exchange.give_up()
            break
    return exchange.outcome(stopped, time.monotonic() - began)


class _Exchange(threading.Thread):
    """One request and its answer. A thread, because each byte of a slow server would start a socket's timeout anew."""

    def __init__(self, request: Request, target: str, body: str) -> None:
        super().__init__(name="request", daemon=True)
        self._request, self._target, self._body = request, target, body
        self._lock = threading.Lock()
        self._given_up = False
        self._socket: socket.socket | None = None
        self._status = 0
        self._error = ""
        self._answer = b""
        self.finished = threading.Event()

    def give_up(self) -> None:
        """Cuts the connection off; a request that was not sent yet will not be."""
        with self._lock:
            self._given_up = True
            if self._socket:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)

    def outcome(self, stopped: str, seconds: float) -> Outcome:
        answer, error = self._answer, stopped or self._error
        if not error and not 200 <= self._status < 300:
            error = f"HTTP status {self._status}"
            if 300 <= self._status < 400:
                error += ", redirects are not followed"
        text, truncated = answer[:MAX_OUTPUT_BYTES].decode("utf-8", "replace"), len(answer) > MAX_OUTPUT_BYTES
        return failed(error, seconds, text, truncated) if error else succeeded(text, seconds, truncated)

    def run(self) -> None:
        try:
            with self._connected() as connected:
                self._talk(connected)
        except TimeoutError:
            self._error = f"timed out after {self._request.timeout_s:g} s"
        except OSError as error:
            self._error = f"no answer from the server: {error.strerror or error}"
        except (http.client.HTTPException, ValueError) as error:
            self._error = f"the server's answer is no HTTP: {type(error).__name__}"
        finally:
            self.finished.set()

    def _connected(self) -> socket.socket:
        """Raises OSError when no address of this machine answers."""
        *earlier, last = self._request.url.addresses
        for address in earlier:
            with contextlib.suppress(ConnectionError):
                return self._connect(address)
        return self._connect(last)

    def _connect(self, address: str) -> socket.socket:
        connected = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        try:
            connected.settimeout(self._request.timeout_s)
            connected.connect((address, self._request.url.port))
        except BaseException:
            connected.close()
            raise
        return connected

    def _talk(self, connected: socket.socket) -> None:
        with self._lock:
            if self._given_up:
                return
            self._socket = connected  # from here on give_up() makes each call below fail
        connection = http.client.HTTPConnection(self._request.url.addresses[0])
        connection.sock, connection.auto_open = connected, 0
        headers = {"Host": self._request.url.origin.removeprefix("http://"), "Connection": "close"}
        if self._body:
            headers["Content-Type"] = "application/json"
        connection.request(self._request.method, self._target, self._body.encode() or None, headers)
        with connection.getresponse() as response:
            self._status = response.status
            while len(self._answer) <= MAX_OUTPUT_BYTES and (data := response.read1(MAX_OUTPUT_BYTES)):
                self._answer += data
