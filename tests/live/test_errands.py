"""Calls of an answer: none runs that is not safe or was not confirmed, and none is forgotten."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.events import TextDelta, ToolCall
from edge.live.actions import Action
from tests.live.parts import GONE, Scene, StillCamera, utterance
from tests.live.tools_files import load, tool

UNLOCK = ToolCall("unlock", {"line": 3})
READ = ToolCall("read", {"note": "oven"})


@pytest.fixture
def actions(tmp_path: Path) -> dict[str, Action]:
    return load(
        tmp_path,
        tool({"command": ["echo", "door {line}"]}, name="unlock"),
        tool({"command": ["echo", "{note}"], "safe": True}, name="read"),
        tool({"command": ["echo", "{note}"], "safe": True}, ("note",), name="strict"),
    )


def results(scene: Scene) -> list[dict[str, object]]:
    return [json.loads(text) for text in scene.screen.all("outcome")]


def test_a_call_that_is_not_safe_runs_after_the_key_y_and_shows_exactly_what(actions: dict[str, Action]) -> None:
    scene = Scene(actions)
    scene.ask()
    scene.answer(UNLOCK)
    assert scene.state == "asking" and scene.hands.ran == []
    assert scene.screen.all("ask")[0].endswith("echo 'door 3'")
    for key in ("m", "space", "enter", "x", "Y"):
        scene.loop.key(key)
    assert scene.hands.ran == []
    scene.confirm()
    assert scene.hands.ran == [{"line": 3}] and scene.state == "acting"
    scene.ran("open")
    assert scene.state == "listening" and results(scene) == [{"ok": True, "output": "open"}]


REFUSALS: dict[str, Callable[[Scene], None]] = {
    "the person said no": lambda scene: scene.loop.key("n"),
    "the person said no ": lambda scene: scene.loop.key("escape"),
    "nobody said yes": lambda scene: scene.wait(30.5),
}


@pytest.mark.parametrize("words", REFUSALS)
def test_a_picture_or_a_recording_alone_unlocks_nothing(actions: dict[str, Action], words: str) -> None:
    """Whatever a sign in front of the camera or a voice on the radio makes the model say."""
    scene = Scene(actions, camera=StillCamera())
    scene.ask()
    scene.answer(UNLOCK)
    scene.wait(29.5)
    assert scene.state == "asking"
    REFUSALS[words](scene)
    assert scene.hands.ran == [] and scene.state == "listening" and not scene.ear.muted
    assert results(scene)[0]["error"] == f"not run: {words.strip()}"
    scene.loop.key("y")
    assert scene.hands.ran == [], "too late"


def test_a_second_yes_in_a_hurry_does_not_answer_the_next_question(actions: dict[str, Action]) -> None:
    scene = Scene(actions)
    scene.ask()
    scene.answer(UNLOCK, UNLOCK)
    scene.confirm()
    scene.ran()
    scene.loop.key("y")
    assert scene.state == "asking" and len(scene.hands.ran) == 1
    scene.confirm()
    assert len(scene.hands.ran) == 2


def test_a_yes_that_comes_after_the_time_is_up_runs_nothing(actions: dict[str, Action]) -> None:
    scene = Scene(actions)
    scene.ask()
    scene.answer(UNLOCK)
    scene.now_s += 31
    scene.loop.key("y")
    assert scene.hands.ran == [] and results(scene)[0]["error"] == "not run: nobody said yes"


def test_a_yes_before_the_question_does_not_count(actions: dict[str, Action]) -> None:
    scene = Scene(actions)
    scene.loop.key("y")
    said = scene.pause()
    scene.answer(UNLOCK)
    scene.loop.key("y")
    assert not scene.screen.all("ask"), "it is not even certain that all was said"
    scene.end(said)
    assert scene.state == "asking" and scene.hands.ran == []


def test_where_nobody_can_confirm_only_safe_calls_run(actions: dict[str, Action]) -> None:
    scene = Scene(actions, can_ask=False)
    scene.ask()
    scene.answer(UNLOCK, READ)
    assert not scene.screen.all("ask") and scene.hands.ran == [{"note": "oven"}]
    scene.ran()
    assert "nobody can confirm it here" in str(results(scene)[0]["error"]) and results(scene)[1]["ok"]


def test_several_calls_run_in_order_and_each_is_asked_about(actions: dict[str, Action]) -> None:
    scene = Scene(actions, reply=True)
    scene.ask()
    scene.answer(READ, UNLOCK, ToolCall("strict", {}), ToolCall("unlock", {"line": 4}), READ)
    assert scene.hands.ran == [READ.arguments] and scene.state == "acting"
    scene.ran("warm")
    assert scene.state == "asking" and len(scene.hands.ran) == 1
    scene.loop.key("n")
    assert scene.state == "asking" and scene.screen.all("ask")[-1].endswith("'door 4'")
    scene.confirm()
    scene.ran("open")
    scene.ran("hot")
    assert scene.hands.ran == [READ.arguments, {"line": 4}, READ.arguments]
    (told,) = [entry[1] for entry in scene.mind.log if entry[0] == "answer results"]
    assert [json.loads(one).get("error", "") for one in told] == [
        "not run: the person said no" if one == 1 else "not run: The argument 'note' is missing" if one == 2 else ""
        for one in range(5)
    ]
    assert told == scene.screen.all("outcome")


def test_a_function_that_nothing_runs_says_so_in_plain_words(actions: dict[str, Action]) -> None:
    scene = Scene(actions)
    scene.ask()
    scene.answer(ToolCall("dance", {}))
    assert results(scene)[0]["error"] == 'not run: the tools file has no "run" for it'
    assert scene.hands.ran == [] and scene.state == "listening"


def test_an_answer_with_a_thousand_calls_does_not_break_the_terminal(actions: dict[str, Action]) -> None:
    scene = Scene(actions)
    scene.ask()
    scene.answer(*[ToolCall("dance", {})] * 1000)
    assert len(results(scene)) == 1000 and scene.state == "listening"


def test_nothing_is_heard_while_a_call_is_asked_about_or_runs(actions: dict[str, Action]) -> None:
    scene = Scene(actions)
    scene.ask()
    scene.answer(UNLOCK)
    assert scene.ear.muted
    scene.confirm()
    assert scene.ear.muted
    scene.loop.microphone(GONE)
    assert scene.state == "acting"
    scene.ran()
    assert scene.state == "deaf" and not scene.ear.muted


def test_escape_ends_a_call_that_runs_and_those_after_it_do_not_begin(actions: dict[str, Action]) -> None:
    scene = Scene(actions)
    scene.ask()
    scene.answer(READ, READ, UNLOCK)
    scene.loop.key("escape")
    assert scene.hands.stopped == 1 and scene.state == "acting", "until it is gone"
    scene.ran("half")
    assert scene.state == "listening" and len(scene.hands.ran) == 1
    assert [one.get("error", "") for one in results(scene)] == ["", *["not run: the person stopped it"] * 2]
    scene.ask()
    scene.answer(READ)
    assert len(scene.hands.ran) == 2, "the next turn is another one"


def test_the_model_says_what_its_calls_brought(actions: dict[str, Action]) -> None:
    scene = Scene(actions, reply=True)
    scene.ask()
    scene.answer(READ)
    scene.ran("240")
    assert scene.state == "thinking" and not scene.ear.muted
    assert ("forget",) not in scene.mind.log, "the reply needs the question"
    scene.answer(TextDelta("It is 240 degrees."))
    assert scene.screen.all("text") == ["It is 240 degrees."] and len(scene.screen.all("turn")) == 2
    assert scene.state == "listening" and scene.mind.log.count(("forget",)) == 1


def test_a_reply_that_is_interrupted_is_still_a_turn_to_forget(actions: dict[str, Action]) -> None:
    scene = Scene(actions, reply=True)
    scene.ask()
    scene.answer(READ)
    scene.ran()
    scene.begin()
    assert scene.state == "hearing" and ("forget",) in scene.mind.log
    scene.end(utterance())
    scene.answer(TextDelta("Yes."))
    assert scene.screen.all("text") == ["Yes."]


def test_a_model_that_calls_again_and_again_is_ended(actions: dict[str, Action]) -> None:
    scene = Scene(actions, reply=True)
    scene.ask()
    for _ in range(20):
        if scene.state == "listening":
            break
        scene.answer(READ)
        scene.ran()
    assert scene.state == "listening" and len(scene.hands.ran) == 6
