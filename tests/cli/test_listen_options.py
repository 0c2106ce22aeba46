"""What the options of `edge listen` change, with a real microphone process on a real sound server."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.devices.sound_server import SoundServer
from edge.live.loop import ANSWERS
from edge.live.sentences import sentences
from tests.cli.listen_program import SPOKEN, Program, Start, play, tools_file, voice


@pytest.fixture
def keyboard() -> Iterator[tuple[int, int]]:
    """A terminal: the side on which keys are pressed, and the program's."""
    ours, theirs = os.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def sentences_of(program: Program) -> list[str]:
    return [sentence for answer in program.told("answer") for sentence in sentences([answer["text"]])]


def test_the_sentences_of_an_answer_are_read_out_in_their_order(
    booth: SoundServer, start: Start, slow_listening_bundle: Path, few_words: Path, tmp_path: Path
) -> None:
    program = start("-b", slow_listening_bundle, "-n", 300, "--speak", voice(tmp_path, ":"))
    program.until("state", state="listening")
    play(booth, few_words)
    program.until("state", state="speaking")
    program.until("state", state="listening")
    assert program.leave(signal.SIGTERM) == 143
    spoken = sentences_of(program)
    assert len(spoken) > 1
    assert (tmp_path / "said").read_text().split("\n") == [*spoken, ""]


def test_nobody_is_heard_while_an_answer_is_read_out(
    booth: SoundServer, start: Start, few_words: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "gate")
    program = start("--speak", voice(tmp_path, f"cat {tmp_path / 'gate'}"))
    program.until("state", state="listening")
    play(booth, few_words)
    program.until("state", state="speaking")
    play(booth, few_words)
    (tmp_path / "gate").write_text("the end of the answer")
    program.until("state", state="listening")
    assert len(program.told("state", state="hearing")) == len(program.told("answer")) == 1
    with booth.play(few_words, "booth") as playing:
        program.until("state", state="hearing")
        playing.kill()
    assert program.leave(signal.SIGTERM) == 143


def test_a_voice_that_fails_is_told_once_and_answers_go_on(
    booth: SoundServer, start: Start, few_words: Path, tmp_path: Path
) -> None:
    program = start("--speak", voice(tmp_path, "echo no loudspeaker >&2; exit 3"))
    program.until("state", state="listening")
    for _ in range(2):
        play(booth, few_words)
        program.until("answer")
        program.until("state", state="speaking")
        program.until("state", state="listening")
    assert program.leave(signal.SIGTERM) == 143
    (note,) = program.told("note")
    assert note["text"] == "The voice sh failed: exit code 3 (no loudspeaker)."
    assert (tmp_path / "said").read_text().split("\n") == [*sentences_of(program), ""]


def test_with_reply_the_model_answers_to_what_its_call_brought(
    booth: SoundServer, start: Start, tmp_path: Path
) -> None:
    """Without, one answer is all; see the tests of a spoken command."""
    program = start("--reply", "--tools", tools_file(tmp_path, "echo", "done"))
    program.until("state", state="listening")
    play(booth, SPOKEN)
    called = program.until("answer")["usage"]
    program.until("outcome", ok=True)
    replied = program.until("answer")["usage"]
    assert replied["prompt_tokens"] > called["prompt_tokens"] + called["completion_tokens"]
    assert replied["reused_tokens"] >= called["prompt_tokens"]
    program.until("state", state="listening")
    assert program.leave(signal.SIGTERM) == 143
    assert 2 <= len(program.told("answer")) <= 1 + ANSWERS


def test_so_many_turns_are_remembered_as_were_asked_for(booth: SoundServer, start: Start, few_words: Path) -> None:
    programs = [start("--remember", turns) for turns in (0, 1)]
    for program in programs:
        program.until("state", state="listening")
    for _ in range(2):
        play(booth, few_words)
        for program in programs:
            program.until("answer")
            program.until("state", state="listening")
    for program in programs:
        assert program.leave(signal.SIGTERM) == 143
    forgetful, mindful = ([answer["usage"] for answer in program.told("answer")] for program in programs)
    assert words(forgetful[1]) == words(forgetful[0]) == words(mindful[0])
    assert words(mindful[1]) == 2 * words(mindful[0]) + mindful[0]["completion_tokens"]
    assert mindful[1]["audio_tokens"] > forgetful[1]["audio_tokens"] + forgetful[1]["audio_tokens"] // 2


def words(usage: dict[str, int]) -> int:
    """Tokens of the prompt that are no recording, whose length differs a little from time to time."""
    return usage["prompt_tokens"] - usage["audio_tokens"]


def test_with_push_to_talk_only_what_is_said_between_two_spaces_is_answered(
    booth: SoundServer, start: Start, few_words: Path, keyboard: tuple[int, int]
) -> None:
    ours, theirs = keyboard
    program = start("--push-to-talk", stdin=theirs)
    program.until("state", state="listening")
    play(booth, few_words)
    os.write(ours, b" ")
    program.until("state", state="hearing")
    play(booth, few_words)
    os.write(ours, b" ")
    assert program.until("answer")["spoken_s"] > 0.9
    program.until("state", state="listening")
    assert program.leave(signal.SIGTERM) == 143
    assert len(program.told("state", state="hearing")) == len(program.told("answer")) == 1
