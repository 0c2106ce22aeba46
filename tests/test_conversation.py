"""Turns through the Python API: what is reused, what is computed again, and that it never changes an answer."""

from pathlib import Path

import pytest

import edge
from edge.errors import InputError, UsageError
from edge.events import Event
from edge.runtime.decoder import CHUNK
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.checkpoints import ORIGINAL_CONTEXT


def run(conversation: edge.Conversation, prompt: str, **options: object) -> tuple[list[Event], edge.Done]:
    events = list(conversation.generate(prompt, edge.TurnOptions(**options)))  # type: ignore[arg-type]
    done = events[-1]
    assert isinstance(done, edge.Done)
    return events, done


def test_a_second_turn_reuses_the_first_and_answers_like_a_fresh_model(phi3_float_bundle: Path) -> None:
    model = edge.load(phi3_float_bundle, threads=1)
    conversation = model.conversation()
    _, first = run(conversation, "Hi", max_tokens=6)
    _, second = run(conversation, "More", max_tokens=6)
    assert second.usage.reused_tokens >= first.usage.prompt_tokens + first.usage.completion_tokens - 2
    fresh_model = edge.load(phi3_float_bundle, threads=1)
    ids = model.sequence.ids
    fresh_model.decoder.reserve(len(ids), False)
    logits = fresh_model.decoder.prefill(ids[:-1])
    assert int(logits[0][: model.manifest.tokens.first_unused].argmax()) == ids[-1]


def test_two_conversations_on_one_model_do_not_leak_into_each_other(phi3_bundle: Path) -> None:
    model = edge.load(phi3_bundle, threads=1)
    alone = run(edge.load(phi3_bundle, threads=1).conversation(), "What?", max_tokens=8)[1].text
    one, other = model.conversation(system="abc"), model.conversation()
    run(one, "Something else entirely", max_tokens=8)
    assert run(other, "What?", max_tokens=8)[1].text == alone
    run(one, "and on", max_tokens=8)
    assert run(model.conversation(), "What?", max_tokens=8)[1].text == alone


def test_crossing_the_original_context_is_announced_once(phi3_bundle: Path) -> None:
    conversation = edge.load(phi3_bundle, threads=1).conversation()
    long_prompt = "x" * (ORIGINAL_CONTEXT - 10)
    stop_never = run(conversation, long_prompt)[0]
    announced = [event for event in stop_never if isinstance(event, edge.Reprefill)]
    assert len(announced) <= 1
    total = stop_never[-1].usage.prompt_tokens + stop_never[-1].usage.completion_tokens  # type: ignore[union-attr]
    assert len(announced) == (total > ORIGINAL_CONTEXT + 1)


def test_a_bounded_answer_chooses_the_regime_before_and_announces_nothing(phi3_bundle: Path) -> None:
    conversation = edge.load(phi3_bundle, threads=1).conversation()
    events, _ = run(conversation, "x" * (ORIGINAL_CONTEXT - 10), max_tokens=40)
    assert not any(isinstance(event, edge.Reprefill) for event in events)


def test_a_prompt_over_the_context_is_refused_with_both_counts(phi3_bundle: Path) -> None:
    model = edge.load(phi3_bundle, threads=1)
    with pytest.raises(InputError, match=r"603 tokens.*512"):
        model.conversation().generate("y" * 600)
    assert model.decoder.length == 0


@pytest.mark.parametrize("bits", [4, 8, 32])
def test_a_prompt_longer_than_one_chunk_is_answered_in_every_format(
    phi3_checkpoint: Path, tmp_path: Path, bits: int
) -> None:
    run_export(plan_export(phi3_checkpoint, ExportOptions(bits=bits)), tmp_path / "bundle")
    model = edge.load(tmp_path / "bundle", threads=1)
    events, done = run(model.conversation(), "z" * (CHUNK + 50), max_tokens=4)
    assert [event.done for event in events if isinstance(event, edge.Prefill)] == [CHUNK, done.usage.prompt_tokens]
    assert done.usage.completion_tokens >= 1


def test_an_empty_prompt_is_refused(phi3_bundle: Path) -> None:
    with pytest.raises(UsageError, match="empty"):
        edge.load(phi3_bundle, threads=1).conversation().generate("  \n")


def test_deltas_joined_are_the_text_of_done(phi3_bundle: Path) -> None:
    events, done = run(edge.load(phi3_bundle, threads=1).conversation(), "Hello", max_tokens=50)
    assert "".join(event.text for event in events if isinstance(event, edge.TextDelta)) == done.text
    assert done.finish_reason in ("length", "stop")
    assert done.usage.completion_tokens <= 50


def test_a_single_call_is_asked_for_with_one_flag(phi3_bundle: Path) -> None:
    lamp = edge.Tool("lamp", "Switch the lamp.", {"type": "object", "properties": {"on": {"type": "boolean"}}})
    model = edge.load(phi3_bundle, threads=1)

    def calls(parallel: bool, seed: int) -> int:
        sampling = edge.SamplingOptions(temperature=1.0, seed=seed)
        options = {"tool_choice": "required", "parallel_calls": parallel, "max_tokens": 200, "sampling": sampling}
        _, done = run(model.conversation(tools=[lamp]), "on", **options)
        return len(done.tool_calls)

    assert [calls(False, seed) for seed in range(6)] == [1] * 6
    assert any(calls(True, seed) > 1 for seed in range(20))
