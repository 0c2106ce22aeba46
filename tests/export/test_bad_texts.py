"""The tokenizer and chat template of a checkpoint: missing, damaged, or another model's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edge.bundle.bundle import Bundle
from edge.errors import CheckpointError
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.checkpoints import random_checkpoint, tokenizer
from tests.export.refusal import refusal


@pytest.fixture
def copy(phi3_checkpoint: Path, tmp_path: Path) -> Path:
    return shutil.copytree(phi3_checkpoint, tmp_path / "model")


def test_a_missing_tokenizer_is_named(copy: Path) -> None:
    (copy / "tokenizer.json").unlink()
    assert "tokenizer.json is missing" in refusal(copy)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"\xff\xfe", b'{"model": 1}', b"null", b'{"a":' * 10_000])
def test_a_damaged_tokenizer_is_refused_by_name(copy: Path, data: bytes) -> None:
    (copy / "tokenizer.json").write_bytes(data)
    assert "tokenizer.json" in refusal(copy)


def test_a_tokenizer_cut_anywhere_is_refused(copy: Path) -> None:
    data = (copy / "tokenizer.json").read_bytes()
    for length in range(1, len(data) - 1, len(data) // 40):
        (copy / "tokenizer.json").write_bytes(data[:length])
        assert "tokenizer.json" in refusal(copy)


def test_flipped_bits_of_a_tokenizer_end_in_a_refusal_or_a_plan(copy: Path) -> None:
    random = np.random.default_rng(5)
    data = (copy / "tokenizer.json").read_bytes()
    for place, bit in zip(random.integers(0, len(data), 150), random.integers(0, 8, 150), strict=True):
        damaged = bytearray(data)
        damaged[place] ^= 1 << bit
        (copy / "tokenizer.json").write_bytes(damaged)
        try:
            plan_export(copy, ExportOptions())
        except CheckpointError as error:
            assert str(error).isprintable() and len(str(error)) < 400 and error.hint


def test_a_tokenizer_with_more_ids_than_the_model_has_rows_is_refused_with_both_numbers(copy: Path) -> None:
    bigger = tokenizer(600)
    bigger.save(str(copy / "tokenizer.json"))
    highest = max(bigger.get_vocab().values())
    message = refusal(copy)
    assert str(highest) in message and "512" in message


def test_a_model_without_any_token_that_ends_an_answer_is_refused(copy: Path) -> None:
    made = json.loads((copy / "tokenizer.json").read_text())
    made["added_tokens"] = [one for one in made["added_tokens"] if one["content"] != "<|end|>"]
    (copy / "tokenizer.json").write_text(json.dumps(made))
    (copy / "generation_config.json").unlink()
    assert "tokens.stop" in refusal(copy)


def test_a_template_that_is_not_utf8_is_refused_by_name(copy: Path) -> None:
    (copy / "chat_template.jinja").write_bytes(b"{{ '\xff' }}")
    assert "chat_template.jinja" in refusal(copy)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"chat_template": NaN}'])
def test_a_damaged_tokenizer_config_is_refused_by_name(copy: Path, data: bytes) -> None:
    (copy / "tokenizer_config.json").write_bytes(data)
    assert "tokenizer_config.json" in refusal(copy)


def test_a_whole_tokenizer_config_is_read(copy: Path, tmp_path: Path) -> None:
    (copy / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}", "x": [1]}))
    assert plan_export(copy, ExportOptions()).checkpoint.chat_template() == "{{ messages }}"
    run_export(plan_export(copy, ExportOptions()), tmp_path / "out")


def test_rows_without_a_token_are_marked_as_never_to_be_sampled(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(tmp_path / "model", "llama", num_hidden_layers=1)
    small = tokenizer(400)
    small.save(str(checkpoint / "tokenizer.json"))
    run_export(plan_export(checkpoint, ExportOptions()), tmp_path / "out")
    tokens = Bundle.open(tmp_path / "out").manifest.tokens
    assert tokens.first_unused == 1 + max(small.get_vocab().values()) < 512
