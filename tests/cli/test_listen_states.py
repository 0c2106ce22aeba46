"""Whatever `edge listen` is doing: a signal ends it with the signal's code, and no process or recording is left."""

import os
import signal
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.devices.sound_server import SoundServer
from edge.live.sentences import sentences
from tests.cli.child import DEADLINE
from tests.cli.listen_program import (
    SIGNALS,
    SPOKEN,
    Program,
    Start,
    command_of,
    descendants,
    leave_terminal,
    on_terminal,
    play,
    tools_file,
    voice,
    wait_for_the_end_of,
)
from tests.live.tools_files import until

BUSY = {"thinking": ("--prompt", "x" * 20_000), "answering": ("-n", "20000")}
"""Half a minute of reading, or of writing, for the slow bundle."""

FROM_OUTSIDE = SIGNALS[:2]
"""A closed terminal, SIGHUP, has a test of its own."""

Leave = Callable[[Program, signal.Signals], int]


@pytest.fixture
def leave(booth: SoundServer) -> Leave:
    """`Program.leave` of one that records; nobody does any more when it returns."""

    def end(program: Program, number: signal.Signals) -> int:
        assert len(booth.recordings()) == 1
        code = program.leave(number)
        until(lambda: not booth.recordings())
        return code

    return end


@pytest.mark.parametrize(("number", "code"), FROM_OUTSIDE)
def test_a_signal_while_somebody_speaks_ends_the_program(
    booth: SoundServer, start: Start, leave: Leave, number: signal.Signals, code: int
) -> None:
    program = start()
    program.until("state", state="listening")
    with booth.play(SPOKEN, "booth") as playing:
        program.until("state", state="hearing")
        assert leave(program, number) == code
        playing.kill()
    assert not program.told("answer")


@pytest.mark.parametrize("state", BUSY)
@pytest.mark.parametrize(("number", "code"), FROM_OUTSIDE)
def test_a_signal_while_the_model_is_at_work_ends_the_program(
    booth: SoundServer,
    start: Start,
    leave: Leave,
    slow_listening_bundle: Path,
    few_words: Path,
    state: str,
    number: signal.Signals,
    code: int,
) -> None:
    program = start("-b", slow_listening_bundle, *BUSY[state])
    program.until("state", state="listening")
    play(booth, few_words)
    program.until("state", state=state)
    assert leave(program, number) == code
    assert program.told("state")[-1]["state"] == state and not program.told("answer")


@pytest.mark.parametrize(("number", "code"), FROM_OUTSIDE)
def test_a_signal_while_an_answer_is_read_out_ends_the_voice(
    booth: SoundServer,
    start: Start,
    leave: Leave,
    few_words: Path,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    program = start("--speak", voice(tmp_path, "sleep 600"))
    program.until("state", state="listening")
    play(booth, few_words)
    first, *_ = sentences([program.until("answer")["text"]])
    program.until("state", state="speaking")
    until(lambda: b"sleep\x00600\x00" in map(command_of, program.descendants()))
    assert leave(program, number) == code
    assert (tmp_path / "said").read_text() == f"{first}\n"


@pytest.mark.parametrize(("number", "code"), FROM_OUTSIDE)
def test_a_signal_while_a_call_is_asked_about_is_a_no(
    booth: SoundServer, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    tools = tools_file(tmp_path, "touch", str(tmp_path / "done"), safe=False)
    with on_terminal("--tools", tools) as child:
        before = termios.tcgetattr(child.terminal)
        child.wait_for("● listening")
        play(booth, SPOKEN)
        child.wait_for("may this run?")
        assert len(booth.recordings()) == 1
        assert leave_terminal(child, number) == code
        until(lambda: not booth.recordings())
        assert termios.tcgetattr(child.terminal) == before
        assert child.seen.rfind("\x1b[?25h") > child.seen.rfind("\x1b[?25l"), "the cursor is back"
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("prefix", [("setsid", "--ctty"), ()], ids=["its own", "another's"])
def test_a_closed_terminal_ends_the_program(booth: SoundServer, few_words: Path, prefix: tuple[str, ...]) -> None:
    """With SIGHUP; only what is written fails where the terminal belongs to other programs."""
    with on_terminal(prefix=prefix) as child:
        child.wait_for("● listening")
        started = descendants(child.process)
        assert len(booth.recordings()) == 1
        with booth.play(few_words, "booth") as playing, Path(os.devnull).open("rb") as nothing:
            child.wait_for("hearing you")
            os.dup2(nothing.fileno(), child.terminal)
            assert child.process.wait(DEADLINE) == 129
            playing.kill()
        wait_for_the_end_of(started)
        until(lambda: not booth.recordings())


@pytest.mark.parametrize("what", ["voice", "call"])
def test_two_signals_at_once_leave_no_program_behind(
    booth: SoundServer, start: Start, tmp_path: Path, what: str
) -> None:
    """As when a terminal is closed: its shell passes SIGHUP on, and the system sends one as well."""
    stubborn = "trap '' TERM\nsleep 600"
    (tmp_path / "call.sh").write_text(stubborn)
    options = {
        "voice": ("--speak", voice(tmp_path, stubborn)),
        "call": ("--tools", tools_file(tmp_path, "sh", str(tmp_path / "call.sh"))),
    }
    program = start(*options[what])
    program.until("state", state="listening")
    play(booth, SPOKEN)
    until(lambda: b"sleep\x00600\x00" in map(command_of, program.descendants()))
    started = program.descendants()
    program.process.send_signal(signal.SIGHUP)
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(DEADLINE) == 143
    wait_for_the_end_of(started)
