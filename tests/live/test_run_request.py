"""Requests that calls send to servers on this machine, which may redirect, dawdle or never end."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.live.outcome import MAX_OUTPUT_BYTES
from edge.live.run_action import run_action
from tests.live.tools_files import PATIENCE_S, action, until


class Handler(http.server.BaseHTTPRequestHandler):
    server: "Server"

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.seen.append((self.command, self.path, self.headers["Host"], body))
        path = self.path.split("?")[0]
        if path == "/silent":
            self.server.closing.wait(PATIENCE_S)
            return
        self.send_response({"/redirect": 302, "/broken": 500}.get(path, 200))
        if path == "/redirect":
            self.send_header("Location", "/secret")
        self.end_headers()
        try:
            self.wfile.write(b"done\xff")
            while path in ("/endless", "/slow") and not self.server.closing.is_set():
                self.wfile.write(b"x" * (1000 if path == "/endless" else 1))
                if path == "/slow":
                    self.server.closing.wait(0.05)
        except OSError:
            self.server.cut_off.set()

    do_GET = do_POST = do_PUT = do_DELETE = _answer


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str, str, str]] = []
        self.closing, self.cut_off = threading.Event(), threading.Event()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.closing.set()
        made.shutdown()
        thread.join()


def send(
    folder: Path,
    server: Server,
    path: str,
    arguments: dict[str, Any] | None = None,
    host: str = "127.0.0.1",
    **run: Any,
) -> dict[str, Any]:
    url = f"http://{host}:{server.server_port}{path}"
    outcome = run_action(action(folder, {"url": url, **run}), arguments or {}, threading.Event())
    told = json.loads(outcome.text)
    assert told["ok"] == outcome.ok
    return told


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_request_sends_the_arguments_and_returns_the_answer(tmp_path: Path, server: Server, method: str) -> None:
    told = send(tmp_path, server, "/stop?s={speed}", {"line": 3, "speed": "a b"}, method=method)
    assert told == {"ok": True, "output": "done\ufffd"}
    host = f"127.0.0.1:{server.server_port}"
    assert server.seen == [(method, "/stop?s=a%20b", host, '{"line": 3, "speed": "a b"}')]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_methods_without_a_body_send_none(tmp_path: Path, server: Server, method: str) -> None:
    assert send(tmp_path, server, "/stop", {"line": 3}, method=method)["ok"]
    assert [(seen[0], seen[3]) for seen in server.seen] == [(method, "")]


def test_a_value_cannot_add_fields_or_headers(tmp_path: Path, server: Server) -> None:
    send(tmp_path, server, "/stop?s={speed}", {"speed": "1&admin=1 HTTP/1.1\r\nHost: example.com#"}, method="GET")
    assert server.seen[0][1:3] == (
        "/stop?s=1%26admin%3D1%20HTTP%2F1.1%0D%0AHost%3A%20example.com%23",
        f"127.0.0.1:{server.server_port}",
    )


def test_redirects_are_not_followed(tmp_path: Path, server: Server) -> None:
    told = send(tmp_path, server, "/redirect")
    assert told["error"] == "HTTP status 302, redirects are not followed"
    assert [path for _, path, _, _ in server.seen] == ["/redirect"]


def test_a_server_that_reports_an_error_makes_the_call_fail(tmp_path: Path, server: Server) -> None:
    assert send(tmp_path, server, "/broken") == {"ok": False, "error": "HTTP status 500", "output": "done\ufffd"}


def test_proxies_and_name_servers_are_not_asked(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))
    assert send(tmp_path, server, "/stop", host="localhost")["ok"]


def test_localhost_is_found_on_ipv6_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "address_family", socket.AF_INET6)
    monkeypatch.setattr(Server, "server_bind", lambda self: self.socket.bind(("::1", 0)))
    try:
        made = Server()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with made:
        made.server_port = made.socket.getsockname()[1]
        threading.Thread(target=made.handle_request).start()
        assert send(tmp_path, made, "/stop", host="localhost")["ok"]


def test_an_endless_answer_is_cut(tmp_path: Path, server: Server) -> None:
    told = send(tmp_path, server, "/endless", timeout_s=300)
    assert told["ok"] and told["truncated"]
    assert len(told["output"]) == MAX_OUTPUT_BYTES
    until(server.cut_off.is_set)


@pytest.mark.parametrize(("path", "output"), [("/slow", "done"), ("/silent", "")])
def test_a_slow_server_is_left_when_the_time_is_over(tmp_path: Path, server: Server, path: str, output: str) -> None:
    told = send(tmp_path, server, path, timeout_s=1)
    assert told["error"] == "timed out after 1 s" and told["output"].startswith(output)


def test_a_request_is_cut_off_by_a_cancel(tmp_path: Path, server: Server) -> None:
    made = action(tmp_path, {"url": f"http://localhost:{server.server_port}/slow", "timeout_s": 300})
    cancelled, outcomes = threading.Event(), []
    runner = threading.Thread(target=lambda: outcomes.append(run_action(made, {}, cancelled)))
    runner.start()
    until(lambda: server.seen)
    cancelled.set()
    runner.join(PATIENCE_S)
    assert json.loads(outcomes[0].text)["error"] == "cancelled"
    until(server.cut_off.is_set)


def test_a_port_that_nobody_listens_on_is_an_outcome(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://localhost:{taken.getsockname()[1]}/"
        outcome = run_action(action(tmp_path, {"url": url}), {}, threading.Event())
    assert "no answer from the server" in json.loads(outcome.text)["error"]


@pytest.mark.parametrize(
    "answer", [b"", b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"]
)
def test_an_answer_that_is_no_http_is_an_outcome(tmp_path: Path, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        outcome = run_action(action(tmp_path, {"url": url}), {}, threading.Event())
        thread.join()
    assert not outcome.ok and json.loads(outcome.text)["error"]
