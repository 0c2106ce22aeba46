import datetime
import json

import pytest

from edge.bundle.manifest import ChatInfo
from edge.errors import BundleError, InputError
from edge.events import ToolCall
from edge.prompt.chat import Message, Part, Special, chat_format
from edge.prompt.formats.chatml import ChatMLFormat
from edge.prompt.formats.granite import GraniteFormat
from edge.prompt.tool_calls import parse_calls
from edge.prompt.tools import parse_tools, to_openai
from tests.prompt.small_tokenizers import chatml_backend, tokenizer

SMOL = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
TOOLS = parse_tools('[{"name": "get_weather", "parameters": {"city": {"type": "str"}}}]')
CALL = ToolCall("get_weather", {"city": "Paris"})


def flat(parts: list[Part]) -> str:
    return "".join(part.content for part in parts)


def granite() -> GraniteFormat:
    return GraniteFormat(today=lambda: datetime.date(2026, 3, 7))


def test_chatml_gives_the_text_of_smollm2s_template() -> None:
    prompt = ChatMLFormat(SMOL).render([Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "?")])
    expected = (
        f"<|im_start|>system\n{SMOL}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\n?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert flat(prompt) == expected
    assert tokenizer("chatml").encode_parts(prompt) == chatml_backend().encode(expected).ids


def test_chatml_prefers_the_callers_system_text() -> None:
    prompt = flat(ChatMLFormat(SMOL).render([Message("system", "Be brief."), Message("user", "Hi")]))
    assert prompt.startswith("<|im_start|>system\nBe brief.<|im_end|>\n") and SMOL not in prompt


def test_chatml_without_an_opening_ends_after_the_last_turn() -> None:
    assert flat(ChatMLFormat().render([Message("user", "Hi")], open_assistant=False)).endswith("Hi<|im_end|>\n")


def test_chatml_lists_tools_in_the_system_text_and_shows_calls_as_the_parser_reads_them() -> None:
    messages = [Message("system", "Be brief."), Message("user", "?"), Message("assistant", "", (CALL,))]
    prompt = flat(ChatMLFormat(SMOL).render(messages, TOOLS))
    system = prompt[: prompt.index("<|im_end|>")]
    listing = system[system.index("<tools>") + 7 : system.index("</tools>")]
    assert system.startswith("<|im_start|>system\nBe brief.") and json.loads(listing) == to_openai(TOOLS)
    turn = prompt[prompt.index("<|im_start|>assistant\n") + 22 :]
    assert parse_calls(turn[: turn.index("<|im_end|>")], TOOLS) == [CALL]


def test_granite_tells_the_given_day_and_opens_the_assistant() -> None:
    prompt = flat(granite().render([Message("user", "Hi")]))
    assert prompt.startswith(
        "<|start_of_role|>system<|end_of_role|>Knowledge Cutoff Date: April 2024.\n"
        "Today's Date: March 07, 2026.\nYou are Granite, developed by IBM."
    )
    assert prompt.endswith(
        "<|start_of_role|>user<|end_of_role|>Hi<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>"
    )


def test_granite_by_default_tells_todays_date() -> None:
    assert str(datetime.date.today().year) in flat(GraniteFormat().render([Message("user", "Hi")]))


def test_granite_thinks_only_without_tools_and_without_an_own_system_text() -> None:
    user = Message("user", "Hi")
    marker = "Here is my thought process:"
    assert marker in flat(granite().render([user], thinking=True))
    assert marker not in flat(granite().render([user]))
    assert marker not in flat(granite().render([user], TOOLS, thinking=True))
    assert marker not in flat(granite().render([Message("system", "Brief."), user], thinking=True))


@pytest.mark.parametrize("here", ["Here is", "Here's"])
def test_granite_separates_thought_and_answer(here: str) -> None:
    text = f"{here} my thought process:\n2 and 2\n\n{here} my response:\nFour."
    assert granite().split_thought(text) == ("2 and 2", "Four.")
    assert granite().split_thought("Four.") == ("", "Four.")


def test_granite_lists_tools_in_their_own_role_and_names_the_call_token() -> None:
    parts = granite().render([Message("user", "?"), Message("assistant", "", (CALL,))], TOOLS)
    prompt = flat(parts)
    listing = prompt[prompt.index("<|start_of_role|>tools<|end_of_role|>") + 37 :]
    assert json.loads(listing[: listing.index("<|end_of_text|>")]) == to_openai(TOOLS)
    assert parts.count(Special("<|tool_call|>")) == 2
    assert parse_calls(prompt[prompt.rindex("<|tool_call|>") : prompt.rindex("<|end_of_text|>")], TOOLS) == [CALL]


def test_an_unknown_format_is_a_bundle_error(tmp_path) -> None:
    with pytest.raises(BundleError, match="vicuna"):
        chat_format(ChatInfo("vicuna"), tmp_path, tokenizer("chatml"))


def test_a_message_must_have_a_known_role_and_calls_belong_to_the_assistant() -> None:
    with pytest.raises(InputError, match="root"):
        Message("root", "x")
    with pytest.raises(InputError, match="tool calls"):
        Message("user", "x", (CALL,))
