"""edge run: what goes where, and what the JSON says."""

import json
import math
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.cli.child import COMMAND, ROOT, assert_refused, edge, environment

WEATHER = {
    "name": "get_weather",
    "description": "Weather in a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 8}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
    },
}


def test_the_answer_goes_to_stdout_and_nothing_else_does(phi3_bundle: Path) -> None:
    plain = edge("run", "-b", phi3_bundle, "hello", "-n", 8)
    told = edge("run", "-b", phi3_bundle, "hello", "-n", 8, "--json").json()
    assert (plain.code, plain.err) == (0, "")
    assert plain.out == told["text"] + "\n"


def test_argument_dash_and_pipe_are_the_same_prompt(phi3_bundle: Path) -> None:
    start = ("run", "-b", phi3_bundle, "-n", 12)
    argument = edge(*start, "héllo ✓").out
    assert argument == edge(*start, "-", stdin="héllo ✓\n".encode()).out
    assert argument == edge(*start, stdin="héllo ✓\n".encode()).out
    assert argument != edge(*start, "hello").out


def test_json_has_exactly_the_documented_fields_with_sane_values(phi3_bundle: Path) -> None:
    result = edge("run", "-b", phi3_bundle, "hello", "-n", 9, "--json")
    assert (result.code, result.err, result.out.count("\n")) == (0, "", 1)
    told = result.json()
    keys = "schema text tool_calls finish_reason mode usage timing memory compute bundle"
    assert list(told) == keys.split()
    assert (told["schema"], told["mode"], told["tool_calls"]) == (1, "text", [])
    assert told["finish_reason"] == "length"
    usage = {"prompt_tokens": 5 + 3, "image_tokens": 0, "audio_tokens": 0, "completion_tokens": 9, "reused_tokens": 0}
    assert told["usage"] == usage, "the tokenizer has one token per byte, the chat format adds three"
    assert told["timing"].keys() == {"load_s", "ttft_s", "encode_s", "prefill_tokens_per_s", "decode_tokens_per_s"}
    assert told["timing"].pop("encode_s") < told["timing"]["ttft_s"], "there was nothing to encode"
    assert all(value > 0 for value in told["timing"].values())
    assert 1e7 < told["memory"]["peak_rss_bytes"] < 1e11
    shown = edge("bundle", "show", phi3_bundle, "--json").json()
    assert told["bundle"] == {"name": shown["name"], "digest": shown["digest"]}


def test_a_seed_repeats_an_answer_and_another_seed_gives_another(phi3_bundle: Path) -> None:
    start = ("run", "-b", phi3_bundle, "hello", "-n", 20, "-t", 1)
    once = edge(*start, "--seed", 7).out
    assert once == edge(*start, "--seed", 7).out
    assert once != edge(*start, "--seed", 8).out


def test_max_tokens_is_exact_also_beyond_the_rotary_border(phi3_bundle: Path) -> None:
    told = edge("run", "-b", phi3_bundle, "hello", "-n", 100, "--json").json()
    assert (told["finish_reason"], told["usage"]["completion_tokens"]) == ("length", 100)


def test_without_max_tokens_a_reread_prompt_is_announced_on_stderr_only(phi3_bundle: Path) -> None:
    result = edge("run", "-b", phi3_bundle, "hello", "--json")
    assert result.code == 0
    assert result.err.startswith("reading all 65 tokens again")
    assert result.json()["finish_reason"] in ("stop", "length")


def test_the_answer_ends_before_a_stop_string(phi3_bundle: Path) -> None:
    start = ("run", "-b", phi3_bundle, "hello", "-n", 30, "--json")
    whole = edge(*start).json()["text"]
    assert len(whole) > 12
    stop = whole[7:10]
    told = edge(*start, "--stop", "never written", "--stop", stop).json()
    assert told["text"] == whole[: whole.index(stop)]
    assert told["finish_reason"] == "stop"


def test_logprobs_are_log_probabilities_of_the_tokens_shown(phi3_bundle: Path) -> None:
    told = edge("run", "-b", phi3_bundle, "hello", "-n", 10, "--logprobs", 4, "--json").json()
    entries = told["logprobs"]
    assert len(entries) == told["usage"]["completion_tokens"] == 10
    for entry in entries:
        values = [value for _, value in entry["top"]]
        assert len(values) == 4
        assert values == sorted(values, reverse=True)
        assert all(value <= 0 for value in values)
        assert sum(math.exp(value) for value in values) <= 1 + 1e-9
        assert entry["top"][0] == [entry["token"], entry["logprob"]], "greedy takes the most probable token"
    assert "".join(entry["text"] for entry in entries) == told["text"]


def test_schema_output_is_valid_under_the_schema(phi3_bundle: Path, a_file: Callable[[str], Path]) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 5}, "age": {"type": "integer", "maximum": 99}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    path = a_file(json.dumps(schema))
    for seed in range(3):
        told = edge("run", "-b", phi3_bundle, "who?", "--schema", path, "-t", 1, "--seed", seed, "--json").json()
        assert told["finish_reason"] == "stop"
        jsonschema.validate(json.loads(told["text"]), schema)


def test_required_calls_are_calls_of_the_given_tools_with_valid_arguments(
    phi3_bundle: Path, a_file: Callable[[str], Path]
) -> None:
    path = a_file(json.dumps([WEATHER, {"type": "function", "function": {"name": "stop_machine"}}]))
    schemas = {"get_weather": WEATHER["parameters"], "stop_machine": {"type": "object", "maxProperties": 0}}
    start = ("run", "-b", phi3_bundle, "rain?", "--tools", path, "--tool-choice", "required", "-t", 1)
    finished = 0
    for seed in range(4):
        told = edge(*start, "--seed", seed, "--json").json()
        if told["finish_reason"] == "length":
            continue  # the context was full in the middle of a call
        finished += 1
        assert told["finish_reason"] == "tool_calls"
        assert told["tool_calls"]
        for call in told["tool_calls"]:
            assert call.keys() == {"name", "arguments"}
            jsonschema.validate(call["arguments"], schemas[call["name"]])
    assert finished


def test_without_json_each_call_is_one_line_of_json(phi3_bundle: Path, a_file: Callable[[str], Path]) -> None:
    path = a_file('[{"name": "f"}]')
    start = ("run", "-b", phi3_bundle, "x", "--tools", path, "--tool-choice", "required", "-t", 1, "--seed", 1)
    calls = edge(*start, "--json").json()["tool_calls"]
    assert calls
    assert [json.loads(line) for line in edge(*start).out.splitlines()] == calls


@pytest.mark.parametrize("verb", ["run", "run --json", "--help", "bundle show"])
def test_a_reader_that_leaves_early_is_no_error(phi3_bundle: Path, verb: str) -> None:
    arguments = [*verb.split(), "-b", phi3_bundle, "hello"] if "run" in verb else [*verb.split(), phi3_bundle]
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
    )
    assert process.stdout and process.stderr
    if verb == "run":
        assert len(process.stdout.read(1)) == 1
    process.stdout.close()
    with process.stderr:
        said = process.stderr.read().decode()
    assert process.wait() == 0
    assert all(line.startswith("reading all") for line in said.splitlines()), said


def test_a_full_disk_behind_stdout_is_told_once(phi3_bundle: Path) -> None:
    script = 'exec "$@" >/dev/full'
    result = edge("run", "-b", phi3_bundle, "hello", "-n", 5, prefix=("sh", "-c", script, "sh"))
    assert_refused(result, 6, "No space left on device")


def test_messages_never_reach_stdout_when_stderr_is_closed(phi3_bundle: Path) -> None:
    start = ("run", "-b", phi3_bundle, "hello")
    noisy = edge(*start)
    assert noisy.err
    assert edge(*start, prefix=("sh", "-c", 'exec "$@" 2>&-', "sh")).out == noisy.out


def test_a_closed_stdout_ends_well(phi3_bundle: Path) -> None:
    result = edge("run", "-b", phi3_bundle, "hello", "-n", 5, prefix=("sh", "-c", 'exec "$@" >&-', "sh"))
    assert (result.code, result.err) == (0, "")


def test_an_output_encoding_without_the_answers_letters_is_no_error(phi3_bundle: Path) -> None:
    start = ("run", "-b", phi3_bundle, "hello", "-t", 1, "--seed", 1, "-n", 60)
    told = edge(*start, "--json", PYTHONIOENCODING="ascii").json()
    assert not told["text"].isascii(), "a random model writes broken UTF-8, shown as U+FFFD"
    assert told["text"] == edge(*start, "--json").json()["text"]
    assert edge(*start, PYTHONIOENCODING="ascii").code == 0
