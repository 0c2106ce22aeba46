"""What `import edge` offers, as the README shows it."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import edge
from tests.cli.child import ROOT


def test_all_names_exactly_what_a_reader_finds() -> None:
    assert edge.__all__ == sorted(edge.__all__)
    for name in edge.__all__:
        thing = getattr(edge, name)
        assert thing.__name__ == name
        assert inspect.getdoc(thing) or inspect.isclass(thing)
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = edge.nothing_such


def test_every_public_name_can_be_imported_from_a_fresh_interpreter() -> None:
    code = f"import sys; from edge import {', '.join(edge.__all__)}"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)


def test_importing_edge_alone_imports_nothing_heavy() -> None:
    code = "import sys, edge; print([n for n in ('numpy', 'onnxruntime', 'tokenizers') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_a_turn_yields_prefill_then_text_then_one_done(phi3_bundle: Path) -> None:
    model = edge.load(phi3_bundle)
    events = list(model.conversation().generate("Why is the sky blue?", edge.TurnOptions(max_tokens=12)))
    kinds = [type(event) for event in events]
    assert kinds[0] is edge.Prefill
    assert kinds[-1] is edge.Done
    assert kinds.count(edge.Done) == 1
    assert set(kinds[1:-1]) == {edge.TextDelta}
    done = events[-1]
    assert isinstance(done, edge.Done)
    assert "".join(event.text for event in events if isinstance(event, edge.TextDelta)) == done.text
    assert done.usage == edge.Usage(prompt_tokens=23, completion_tokens=12)


def test_a_conversation_remembers_and_computes_only_what_is_new(phi3_bundle: Path) -> None:
    conversation = edge.load(phi3_bundle).conversation(system="be brief")
    options = edge.TurnOptions(max_tokens=6)
    *_, first = conversation.generate("one", options)
    *_, second = conversation.generate("two", options)
    assert isinstance(first, edge.Done)
    assert isinstance(second, edge.Done)
    assert [message.role for message in conversation.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert conversation.messages[2].content == first.text
    known = first.usage.prompt_tokens + first.usage.completion_tokens
    assert known - 1 <= second.usage.reused_tokens <= known
    assert second.usage.prompt_tokens == known + len("two") + 4, "<|end|>, <|user|>, <|end|>, <|assistant|>"


def test_a_conversation_that_is_read_again_counts_nothing_as_reused(phi3_bundle: Path) -> None:
    """The miniature's position factors change beyond 64 tokens."""
    conversation = edge.load(phi3_bundle).conversation()
    options = edge.TurnOptions(max_tokens=6)
    list(conversation.generate("one", options))
    first, *_, done = conversation.generate("y" * 100, options)
    assert isinstance(first, edge.Reprefill)
    assert isinstance(done, edge.Done)
    assert done.usage.reused_tokens == 0
    assert first.tokens == done.usage.prompt_tokens


def test_sampling_is_reproducible_by_seed(phi3_bundle: Path) -> None:
    model = edge.load(phi3_bundle)

    def text(seed: int) -> str:
        sampling = edge.SamplingOptions(temperature=1.0, seed=seed)
        *_, done = model.conversation().generate("hello", edge.TurnOptions(sampling, max_tokens=20))
        assert isinstance(done, edge.Done)
        return done.text

    assert text(1) == text(1)
    assert text(1) != text(2)


def test_a_tool_call_is_answered_and_the_conversation_goes_on(phi3_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    path.write_text(json.dumps([{"name": "now", "description": "The time", "parameters": {}}]))
    conversation = edge.load(phi3_bundle).conversation(tools=edge.load_tools(path))
    sampling = edge.SamplingOptions(temperature=1.0, seed=1)
    options = edge.TurnOptions(sampling, max_tokens=200, tool_choice="required")
    *_, call, done = conversation.generate("what time is it?", options)
    assert isinstance(done, edge.Done)
    assert done.finish_reason == "tool_calls"
    assert call == done.tool_calls[-1] == edge.ToolCall("now", {})
    results = ["12:00"] * len(done.tool_calls)
    *_, after = conversation.answer_tools(results, edge.TurnOptions(max_tokens=4, tool_choice="none"))
    assert isinstance(after, edge.Done)
    assert after.usage.completion_tokens == 4


def test_errors_are_caught_by_their_base_and_carry_a_hint(phi3_bundle: Path) -> None:
    with pytest.raises(edge.EdgeError) as caught:
        edge.load("nowhere")
    assert caught.value.hint
    conversation = edge.load(phi3_bundle).conversation()
    for prompt in ("", "x" * 5000):
        with pytest.raises(edge.EdgeError) as caught:
            conversation.generate(prompt)
        assert caught.value.hint
    assert conversation.messages == []
