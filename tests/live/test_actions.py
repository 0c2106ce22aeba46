"""Which tools files are taken, and which are refused before anything runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge.errors import InputError
from edge.live.actions import Command, Request
from edge.live.calls import describe
from edge.prompt.tools import load_tools
from tests.live.tools_files import action, load, tool


def test_openai_and_flat_tools_run_what_stands_beside_their_names(tmp_path: Path) -> None:
    flat = {"name": "flat", "parameters": {"x": {"type": "str"}}, "run": {"command": ["echo", "{x}"], "safe": True}}
    silent = {"name": "silent", "parameters": {}}
    request = tool({"url": "http://127.0.0.1:8080/stop", "timeout_s": 2.5}, name="request")
    actions = load(tmp_path, flat, silent, request)
    assert set(actions) == {"flat", "request"}
    assert isinstance(actions["flat"], Command) and isinstance(actions["request"], Request)
    assert (actions["flat"].safe, actions["flat"].timeout_s) == (True, 10.0)
    assert (actions["request"].safe, actions["request"].timeout_s) == (False, 2.5)


def test_the_model_reads_the_same_tools_with_and_without_run(tmp_path: Path) -> None:
    with_run = tool({"command": ["echo"]})
    load(tmp_path, with_run)
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps([{key: value for key, value in with_run.items() if key != "run"}]))
    assert load_tools(tmp_path / "tools.json") == load_tools(plain)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (None, "neither a command nor a request"),
        ({"safe": True}, "neither a command nor a request"),
        ({"command": ["echo"], "url": "http://127.0.0.1/"}, "neither a command nor a request"),
        ({"command": "echo {note}"}, "not a list of texts"),
        ({"command": []}, "not a list of texts"),
        ({"command": ["echo", 1]}, "not a list of texts"),
        ({"command": ["echo", "a\0"]}, "NUL"),
        ({"command": ["echo"], "shell": True}, "unknown key 'shell'"),
        ({"command": ["echo"], "method": "GET"}, "unknown key 'method'"),
        ({"command": ["echo"], "safe": "yes"}, "'safe' as 'yes'"),
        ({"command": ["echo"], "timeout_s": 0}, "timeout_s 0"),
        ({"command": ["echo"], "timeout_s": 301}, "timeout_s 301"),
        ({"command": ["echo"], "timeout_s": True}, "timeout_s True"),
        ({"command": ["echo", "{other}"]}, "placeholder {other}"),
        ({"command": ["echo", "{note.__class__}"]}, "placeholder {note.__class__}"),
        ({"command": ["echo", "{note"]}, "single {"),
        ({"command": ["echo", "note}"]}, "single }"),
        ({"command": ["{note}"]}, "lets the model choose the program"),
        ({"command": ["/bin/{note}"]}, "lets the model choose the program"),
        ({"command": ["./echo"]}, "relative program"),
        ({"command": ["no-such-program"]}, "cannot be run here"),
        ({"command": ["/etc/passwd"]}, "cannot be run here"),
        ({"url": "http://127.0.0.1/", "method": "TRACE"}, "method 'TRACE'"),
        ({"url": "http://127.0.0.1/{note}"}, "optional argument 'note' in the path"),
        ({"url": "http://127.0.0.1/?x={other}"}, "placeholder {other}"),
        ({"url": "http://127.0.0.1:0/"}, "port 0"),
        ({"url": "http://127.0.0.1:99999/"}, "port 99999"),
        ({"url": ["http://127.0.0.1/"]}, "URL that is not text"),
    ],
)
def test_a_run_that_could_not_work_is_refused_when_the_file_is_read(tmp_path: Path, run: Any, message: str) -> None:
    with pytest.raises(InputError) as refused:
        action(tmp_path, run)
    assert message in str(refused.value) and "entry 0 (act)" in str(refused.value)
    assert refused.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1@example.com/",
        "http://user:word@127.0.0.1/",
        "http://localhost.example.com/",
        "http://127.1/",
        "http://127.0.0.999/",
        "http://127.0.0.01/",
        "http://2130706433/",
        "http://0.0.0.0/",
        "http://192.168.0.1/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://{note}/",
        "http://localhost:{line}/",
        "http://localhost{note}/",
        "{note}://localhost/",
        "https://localhost/",
        "file:///etc/passwd",
        "//localhost/",
        "http://localhost\\@example.com/",
        "http://localhost/#part",
        "http://localhost/a b",
        "http://localhost/\r\nHost: example.com",
        "http://127.0.0.１/",
    ],
)
def test_only_urls_of_this_machine_are_taken(tmp_path: Path, url: str) -> None:
    with pytest.raises(InputError, match=r"entry 0 \(act\)"):
        action(tmp_path, {"url": url})


@pytest.mark.parametrize("url", ["http://localhost", "http://127.9.8.7:1", "http://[::1]:80/x", "http://127.0.0.1?x=1"])
def test_all_names_of_this_machine_are_taken(tmp_path: Path, url: str) -> None:
    assert url.split("?")[0] in describe(action(tmp_path, {"url": url}), {})


def test_a_run_inside_the_function_is_refused_instead_of_ignored(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='inside "function"'):
        load(tmp_path, {"type": "function", "function": {"name": "act", "run": {"command": ["echo"]}}})
