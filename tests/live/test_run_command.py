"""Programs that calls start: what they get, what is kept of them, and that they are gone afterwards."""

import json
import os
import shutil
import signal
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from edge.live.child import run_child
from edge.live.outcome import MAX_OUTPUT_BYTES, Outcome
from edge.live.run_action import run_action
from tests.live.tools_files import PATIENCE_S, action, runs, until


def run(folder: Path, *command: str, timeout_s: float = 60, **arguments: Any) -> tuple[Outcome, dict[str, Any]]:
    """A call's outcome, and what the model reads of it."""
    made = action(folder, {"command": list(command), "timeout_s": timeout_s})
    outcome = run_action(made, arguments, threading.Event())
    told = json.loads(outcome.text)
    assert told["ok"] == outcome.ok
    return outcome, told


def script(text: str) -> str:
    """For a command of the tools file."""
    return text.replace("{", "{{").replace("}", "}}")


def test_the_output_of_a_program_goes_to_the_model(tmp_path: Path) -> None:
    outcome, told = run(tmp_path, "sh", "-c", "echo out; echo errors >&2")
    assert told == {"ok": True, "output": "out\nerrors"} and outcome.seconds > 0


def test_a_program_that_fails_says_how(tmp_path: Path) -> None:
    assert run(tmp_path, "sh", "-c", "echo why; exit 3")[1] == {"ok": False, "error": "exit code 3", "output": "why"}
    assert run(tmp_path, "sh", "-c", "kill -SEGV $$")[1]["error"] == "ended by SIGSEGV"


@pytest.mark.parametrize(
    "value", ["; touch FILE", "$(touch FILE)", "`touch FILE`", "a\ntouch FILE", "' && touch FILE #"]
)
def test_a_value_is_one_argument_whatever_is_in_it(tmp_path: Path, value: str) -> None:
    value = value.replace("FILE", str(tmp_path / "made"))
    _, told = run(tmp_path, "printf", "<%s>", "{note}", "end", note=value)
    assert told["output"] == f"<{value}><end>"
    assert not (tmp_path / "made").exists()


def test_a_refused_call_starts_nothing(tmp_path: Path) -> None:
    _, told = run(tmp_path, "touch", str(tmp_path / "made"), "{note}", note="--help")
    assert not told["ok"] and "option" in told["error"]
    assert not (tmp_path / "made").exists()


def test_a_program_gets_no_secrets_and_the_root_as_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "secret")
    _, told = run(tmp_path, "env")
    names = {line.split("=")[0] for line in told["output"].splitlines()}
    assert "PATH" in names and names <= {"PATH", "HOME", "LANG"}
    assert run(tmp_path, "pwd")[1]["output"] == "/"


def test_a_program_reads_neither_our_input_nor_our_terminal(tmp_path: Path) -> None:
    ours, never_written = os.pipe()
    before = os.dup(0)
    os.dup2(ours, 0)
    try:
        _, told = run(tmp_path, "sh", "-c", "cat; cut -d' ' -f6 /proc/self/stat", timeout_s=20)
    finally:
        os.dup2(before, 0)
        for descriptor in (ours, never_written, before):
            os.close(descriptor)
    assert int(told["output"]) != os.getsid(0), "a session of its own has no terminal"


def test_a_flood_is_cut_and_does_not_fill_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    _, told = run(tmp_path, "yes", timeout_s=0.5)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (told["error"], told["truncated"]) == ("timed out after 0.5 s", True)
    assert told["output"] == "y\n" * (MAX_OUTPUT_BYTES // 2 - 1) + "y"
    assert most < 4_000_000


def test_a_program_with_much_output_is_not_held_up(tmp_path: Path) -> None:
    _, told = run(tmp_path, "sh", "-c", "head -c 10000000 /dev/zero; echo done > " + str(tmp_path / "made"))
    assert told["ok"] and told["truncated"]
    assert (tmp_path / "made").read_text() == "done\n"


def test_output_that_is_no_text_is_readable_all_the_same(tmp_path: Path) -> None:
    assert run(tmp_path, "printf", r"a\377b")[1]["output"] == "a\ufffdb"


def test_a_program_that_closes_its_output_is_waited_for_without_work(tmp_path: Path) -> None:
    before = time.thread_time()
    assert run(tmp_path, "sh", "-c", "exec >&- 2>&-; sleep 1; exit 4")[1]["error"] == "exit code 4"
    assert time.thread_time() - before < 0.2, "seconds of computing"


def test_the_last_words_of_a_program_are_not_lost(tmp_path: Path) -> None:
    began, go_on = tmp_path / "began", tmp_path / "go on"

    class Slow(threading.Event):
        """The program speaks and ends while its runner looks elsewhere."""

        def is_set(self) -> bool:
            until(began.exists)
            go_on.touch()
            until(lambda: not runs(int(began.read_text())))
            return False

    text = 'echo $$ > "$0.new"; mv "$0.new" "$0"; while [ ! -e "$1" ]; do sleep 0.01; done; echo last words'
    ended = run_child(["sh", "-c", text, str(began), str(go_on)], Slow(), 60, 4096)
    assert (ended.how, ended.status, ended.output) == ("exited", 0, "last words\n")


def test_what_a_program_leaves_in_the_background_is_neither_waited_for_nor_ended(tmp_path: Path) -> None:
    _, told = run(tmp_path, "sh", "-c", "sleep 600 & echo $!", timeout_s=300)
    pid = int(told["output"])
    assert told["ok"] and runs(pid)
    os.kill(pid, signal.SIGKILL)


STUBBORN = 'trap "" TERM; sleep 600 & echo $$ $! > $0.new; mv $0.new $0; while :; do sleep 1; done'
"""Ignores the request to end, as does its child, and tells both of their numbers in a file."""


def test_a_stubborn_program_and_its_children_are_gone_after_the_timeout(tmp_path: Path) -> None:
    told_pids = tmp_path / "pids"
    outcome, told = run(tmp_path, "sh", "-c", script(STUBBORN), str(told_pids), timeout_s=4)
    assert told["error"] == "timed out after 4 s" and outcome.seconds >= 4
    for pid in map(int, told_pids.read_text().split()):
        until(lambda pid=pid: not runs(pid))


def test_a_stubborn_program_and_its_children_are_gone_after_a_cancel(tmp_path: Path) -> None:
    told_pids, cancelled, outcomes = tmp_path / "pids", threading.Event(), []
    made = action(tmp_path, {"command": ["sh", "-c", script(STUBBORN), str(told_pids)], "timeout_s": 300})
    runner = threading.Thread(target=lambda: outcomes.append(run_action(made, {}, cancelled)))
    runner.start()
    until(told_pids.exists)
    cancelled.set()
    runner.join(PATIENCE_S)
    assert json.loads(outcomes[0].text) == {"ok": False, "error": "cancelled", "output": ""}
    for pid in map(int, told_pids.read_text().split()):
        until(lambda pid=pid: not runs(pid))


def test_a_program_may_tidy_up_when_it_is_cancelled(tmp_path: Path) -> None:
    tidy, cancelled = tmp_path / "tidy", threading.Event()
    text = script('trap "mv $0 $0.done; exit" TERM; : > $0; while :; do sleep 0.01; done')
    made = action(tmp_path, {"command": ["sh", "-c", text, str(tidy)]})
    runner = threading.Thread(target=run_action, args=(made, {}, cancelled))
    runner.start()
    until(tidy.exists)
    cancelled.set()
    runner.join(PATIENCE_S)
    until(lambda: (tmp_path / "tidy.done").exists())


def test_a_call_that_was_cancelled_before_it_began_starts_nothing(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    outcome = run_action(action(tmp_path, {"command": ["touch", str(tmp_path / "made")]}), {}, cancelled)
    assert not outcome.ok and not (tmp_path / "made").exists()


def test_a_program_that_has_vanished_since_the_file_was_read_is_an_outcome(tmp_path: Path) -> None:
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    made = action(tmp_path, {"command": [str(program)]})
    program.unlink()
    outcome = run_action(made, {}, threading.Event())
    assert json.loads(outcome.text)["error"] == f"{program} cannot be started: No such file or directory"


def test_a_tool_without_run_does_nothing_and_says_so() -> None:
    outcome = run_action(None, {"line": 1}, threading.Event())
    assert json.loads(outcome.text) == {"ok": True, "output": 'not run: the tools file has no "run" for it'}
