"""With media as without: beyond the original context the long position factors apply, announced and exact."""

from pathlib import Path

import numpy as np
import pytest

import edge
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.multimodal.reference import Reference
from tests.multimodal.turns import (
    STEPS,
    TOLERANCE,
    RecordedConversation,
    apart,
    ask,
    clips_of,
    picture,
    pictures_of,
    recording,
    worst_difference,
)
from tests.multimodal_checkpoints import write_native

SHORT = 300
"""Tokens of the original context, less than one picture costs."""


@pytest.fixture(scope="module")
def short_native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_native(tmp_path_factory.mktemp("crossing") / "native", original_context=SHORT, max_context=2048)


@pytest.fixture(scope="module")
def crossing(short_native: Path) -> Reference:
    return Reference(short_native)


@pytest.fixture
def chat(short_native: Path) -> RecordedConversation:
    out = short_native.with_name("float")
    if not out.exists():
        run_export(plan_export(short_native, ExportOptions(bits=32)), out)
    return RecordedConversation(edge.load(out, threads=1))


def test_a_prompt_that_crosses_because_of_its_picture_is_announced_and_exact(
    chat: RecordedConversation, crossing: Reference
) -> None:
    source = picture(448, 448)
    turn = ask(chat, images=[source], bounded=False)
    assert turn.of(edge.LongContext) == [edge.LongContext(len(turn.prompt), SHORT)]
    assert not turn.of(edge.Reprefill)
    assert worst_difference(crossing, turn, pictures=pictures_of(source)) <= TOLERANCE


def test_an_answer_to_a_recording_that_crosses_reads_everything_again_and_stays_exact(
    chat: RecordedConversation, crossing: Reference
) -> None:
    source = recording(22.0)
    turn = ask(chat, audio=[source], bounded=False, limit=STEPS)
    start, clips = len(turn.prompt), clips_of(source)
    assert SHORT - STEPS < start < SHORT
    again = turn.of(edge.Reprefill)
    assert [event.tokens for event in again] == [SHORT + 1] and str(SHORT) in again[0].reason
    ids = turn.prompt + turn.answer[:-1]
    before = crossing.logits("speech", ids[:SHORT], clips)[start - 1 :]
    after = crossing.logits("speech", ids, clips)[SHORT:]
    print(
        f"before {apart(turn.logits[: len(before)], before):.1e}, after {apart(turn.logits[len(before) :], after):.1e}"
    )
    assert apart(turn.logits, np.concatenate([before, after])) <= TOLERANCE


def test_an_answer_said_to_cross_has_the_long_factors_from_the_start(
    chat: RecordedConversation, crossing: Reference
) -> None:
    source = recording(22.0)
    turn = ask(chat, audio=[source])
    assert turn.of(edge.LongContext) and not turn.of(edge.Reprefill)
    assert len(turn.prompt) < SHORT < len(turn.prompt) + STEPS
    assert worst_difference(crossing, turn, clips_of(source)) <= TOLERANCE
    short = crossing.logits("speech", turn.prompt, clips_of(source))[-1:]
    assert apart(turn.logits[:1], short) > 100 * TOLERANCE, "the two regimes should differ here"


def test_a_picture_in_a_later_turn_makes_the_whole_conversation_long(
    chat: RecordedConversation, crossing: Reference
) -> None:
    heard, seen = recording(5.0), picture(300, 300)
    ask(chat, "first", audio=[heard], limit=5, bounded=False)
    turn = ask(chat, "second", images=[seen], bounded=False)
    assert turn.of(edge.ModeSwitch) and len(turn.of(edge.LongContext) + turn.of(edge.Reprefill)) == 1
    assert worst_difference(crossing, turn, clips_of(heard), pictures_of(seen)) <= TOLERANCE
