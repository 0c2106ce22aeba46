"""Spoken answers, with programs in place of a loudspeaker that write down what they would say."""

import shlex
import threading
from pathlib import Path

import pytest

from edge.errors import DeviceError, UsageError
from edge.live import voice as voice_module
from edge.live.voice import Voice
from tests.live.tools_files import PATIENCE_S, runs, until


def voice(script: str, *arguments: object) -> Voice:
    return Voice(["sh", "-c", script, *map(str, arguments)])


def test_texts_are_spoken_one_after_the_other(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    speaker = voice('read -r text; sleep 0.05; echo "begin $text" >> $0; sleep 0.05; echo end >> $0', heard)
    for text in ("Größe eins.", "two", "three"):
        speaker.say(text)
    assert speaker.speaking
    assert speaker.wait(PATIENCE_S) and not speaker.speaking
    assert heard.read_text() == "begin Größe eins.\nend\nbegin two\nend\nbegin three\nend\n"
    assert speaker.fault == ""


def test_a_command_line_is_split_but_no_shell_runs_it(tmp_path: Path) -> None:
    speaker = Voice(f"tee {shlex.quote(str(tmp_path / 'a b'))} '$HOME;' ".replace("$HOME;", f"{tmp_path}/$HOME;"))
    speaker.say("; touch made")
    assert speaker.wait(PATIENCE_S)
    assert {path.name for path in tmp_path.glob("*[b;]")} == {"a b", "$HOME;"}
    assert (tmp_path / "a b").read_text() == "; touch made\n"


def test_stop_ends_the_program_its_children_and_what_waits(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    speaker = voice('trap "" TERM; sleep 600 & echo $$ $! > $0.new; mv $0.new $0; wait; sleep 600', pids)
    speaker.say("first")
    speaker.say("second")
    until(pids.exists)
    first = [int(pid) for pid in pids.read_text().split()]
    pids.unlink()
    speaker.stop()
    assert not speaker.speaking
    for pid in first:
        until(lambda pid=pid: not runs(pid))
    assert speaker.wait(PATIENCE_S) and not pids.exists(), "the second was not begun"
    assert speaker.fault == ""


def test_after_a_stop_new_texts_are_spoken(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    speaker = voice('read -r text; echo "$text" >> $0; [ "$text" = end ] || sleep 600', heard)
    for _ in range(3):
        speaker.say("long")
        until(heard.exists)
        speaker.stop()
        heard.unlink()
    speaker.say("end")
    assert speaker.wait(PATIENCE_S)
    assert heard.read_text() == "end\n"


def test_say_does_not_wait_for_a_program_that_never_reads_a_long_text() -> None:
    speaker = voice("sleep 600")
    speaker.say("long " * 100_000)
    assert not speaker.wait(0.1) and speaker.speaking
    speaker.stop()
    assert not speaker.speaking


def test_stop_and_wait_without_a_word_return() -> None:
    speaker = voice("cat")
    speaker.stop()
    speaker.say(" \n")
    assert speaker.wait(0) and not speaker.speaking


def test_texts_from_several_threads_are_all_spoken(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    speaker = voice("cat >> $0", heard)
    threads = [threading.Thread(target=speaker.say, args=(str(i),)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert speaker.wait(PATIENCE_S)
    assert sorted(map(int, heard.read_text().split())) == list(range(20))


def test_the_first_failure_is_told_and_later_texts_are_tried(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    speaker = voice('cat >> $0; echo "no card $(wc -l < $0)\033[2J" >&2; exit 7', heard)
    speaker.say("one")
    speaker.say("two")
    assert speaker.wait(PATIENCE_S)
    assert speaker.fault == r"The voice sh failed: exit code 7 (no card 1\x1b[2J)."
    assert heard.read_text() == "one\ntwo\n"


def test_a_program_that_vanishes_is_a_fault(tmp_path: Path) -> None:
    program = tmp_path / "speak"
    program.symlink_to("/bin/cat")
    speaker = Voice([str(program)])
    program.unlink()
    speaker.say("text")
    assert speaker.wait(PATIENCE_S)
    assert speaker.fault == f"The voice {program} cannot be started: No such file or directory."


def test_a_program_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_module, "START_S", 0.2)
    speaker = voice("sleep 600")
    speaker.say("x")
    assert speaker.wait(PATIENCE_S)
    assert speaker.fault == "The voice sh was ended after 1 s."


def test_a_missing_program_says_what_to_install() -> None:
    with pytest.raises(DeviceError, match="'no-such-voice' is not a program") as refused:
        Voice("no-such-voice --model x")
    assert "install" in refused.value.hint


@pytest.mark.parametrize("command", ["", "  ", "piper 'x"])
def test_a_command_line_that_names_nothing_is_refused(command: str) -> None:
    with pytest.raises(UsageError) as refused:
        Voice(command)
    assert refused.value.hint
