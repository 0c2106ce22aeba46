"""config.json decides allocations and arithmetic: what it may not say is refused by file and key."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints import config, random_checkpoint
from tests.export.refusal import refusal

NAN, INFINITY, HUGE, ENDLESS = float("nan"), float("inf"), 10**30, 10**400
ANYTHING = (NAN, INFINITY, -1, HUGE, ENDLESS, "12", [], {}, True)
COUNT = (*ANYTHING, 0, 1.5)
FACTOR = (*ANYTHING, 0, 1e-60)
FLAG = (NAN, 1, 0, "yes", [], {})
TOKENS = (NAN, INFINITY, -1, HUGE, ENDLESS, "12", {}, True, 1.5, 512, [-1], [1, "x"], [[1]], [NAN])
SECTION = (NAN, 1, True, False, "linear", [], [1], "")

FIELDS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "model_type": ("llama", (None, "", "mistral", 1, True, [], {}, ["llama"], "x" * 5000, NAN)),
    "hidden_size": ("llama", COUNT),
    "intermediate_size": ("llama", COUNT),
    "num_hidden_layers": ("llama", (*COUNT, 1025)),
    "num_attention_heads": ("llama", COUNT),
    "num_key_value_heads": ("llama", (*COUNT, 3, 8)),
    "head_dim": ("llama", (*COUNT, 20)),
    "vocab_size": ("llama", (*COUNT, 511)),
    "max_position_embeddings": ("llama", COUNT),
    "rms_norm_eps": ("llama", (*FACTOR, 1.5)),
    "rope_theta": ("llama", FACTOR),
    "tie_word_embeddings": ("llama", FLAG),
    "hidden_act": ("llama", (None, "gelu", 1, [], {}, NAN)),
    "attention_bias": ("llama", (True, "no", [], NAN)),
    "mlp_bias": ("llama", (True, "no", [], NAN)),
    "eos_token_id": ("llama", TOKENS),
    "bos_token_id": ("llama", TOKENS),
    "rope_scaling": ("llama", SECTION),
    "rope_parameters": ("llama", SECTION),
    "sliding_window": ("phi3", (NAN, -1, HUGE, ENDLESS, "12", [], {}, True, 1.5)),
    "original_max_position_embeddings": ("phi3", (*COUNT, 1)),
    "partial_rotary_factor": ("phi3", (*FACTOR, 1.01)),
    "embedding_multiplier": ("granite", FACTOR),
    "attention_multiplier": ("granite", FACTOR),
    "residual_multiplier": ("granite", FACTOR),
    "logits_scaling": ("granite", FACTOR),
}
CASES = [(field, value) for field, (_, values) in FIELDS.items() for value in values]


def name(value: object) -> str:
    return str(value)[:40]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("good")
    return {kind: random_checkpoint(place / kind, kind, num_hidden_layers=1) for kind in ("llama", "phi3", "granite")}


def changed(good: dict[str, Path], tmp_path: Path, kind: str, values: dict[str, Any]) -> Path:
    """A copy whose config.json says something else."""
    copy = shutil.copytree(good[kind], tmp_path / "model")
    content = config(kind, num_hidden_layers=1) | values
    (copy / "config.json").write_text(json.dumps(content))
    return copy


@pytest.mark.parametrize(("field", "value"), CASES, ids=name)
def test_a_field_with_an_impossible_value_is_refused_by_name(
    good: dict[str, Path], tmp_path: Path, field: str, value: Any
) -> None:
    message = refusal(changed(good, tmp_path, FIELDS[field][0], {field: value}))
    if "NaN" in json.dumps(value) or "Infinity" in json.dumps(value):
        assert "config.json" in message  # refused while reading, where the key is not known yet
    elif "tensor" not in message:
        assert field in message


REQUIRED = [
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "vocab_size",
    "max_position_embeddings",
    "rms_norm_eps",
]


@pytest.mark.parametrize("field", REQUIRED)
@pytest.mark.parametrize("how", ["absent", "null"])
def test_a_missing_field_is_named(good: dict[str, Path], tmp_path: Path, field: str, how: str) -> None:
    copy = shutil.copytree(good["llama"], tmp_path / "model")
    content = config("llama", num_hidden_layers=1) | {field: None}
    if how == "absent":
        del content[field]
    (copy / "config.json").write_text(json.dumps(content))
    assert refusal(copy) == f"config.json has no {field}"


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("llama", {"num_attention_heads": 6, "num_key_value_heads": 4}, "6 heads cannot share num_key_value_heads 4"),
        ("llama", {"head_dim": None, "num_attention_heads": 3, "num_key_value_heads": 1}, "hidden_size 128 cannot be"),
        ("llama", {"head_dim": 12}, "head_dim 12 is not a multiple of 8"),
        ("llama", {"head_dim": 24}, "24 of 24 head dimensions are rotated"),
        ("phi3", {"partial_rotary_factor": 0.1}, "6 of 64 head dimensions are rotated"),
        ("llama", {"hidden_size": 256}, "×"),
        ("llama", {"rope_theta": 1e-20}, "inv_freq"),
        ("llama", {"eos_token_id": list(range(100))}, "tokens.stop must hold 1 to 64 ids"),
        ("phi3", {"rope_scaling": {"type": "yarn", "factor": 2.0}}, "'yarn' is not supported"),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(
    good: dict[str, Path], tmp_path: Path, kind: str, changes: dict[str, Any], words: str
) -> None:
    assert words in refusal(changed(good, tmp_path, kind, changes))


BROKEN = {
    "empty": b"",
    "cut": b'{"model_type": "lla',
    "a list": b"[]",
    "null": b"null",
    "not UTF-8": b'{"a": "\xff"}',
    "a key twice": b'{"model_type": "llama", "model_type": "phi3"}',
    "a depth bomb": b'{"a":' * 100_000,
    "an integer of 10,000 digits": b'{"hidden_size": ' + b"1" * 10_000 + b"}",
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
def test_a_damaged_json_file_is_refused_by_name(good: dict[str, Path], tmp_path: Path, file: str, kind: str) -> None:
    copy = shutil.copytree(good["llama"], tmp_path / "model")
    (copy / file).write_bytes(BROKEN[kind])
    assert file in refusal(copy)


@pytest.mark.parametrize("value", TOKENS, ids=name)
def test_impossible_stop_tokens_of_the_generation_config_are_refused(
    good: dict[str, Path], tmp_path: Path, value: Any
) -> None:
    copy = shutil.copytree(good["llama"], tmp_path / "model")
    (copy / "generation_config.json").write_text(json.dumps({"eos_token_id": value}))
    assert "generation_config.json" in refusal(copy)


def test_a_missing_config_is_named(good: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(good["llama"], tmp_path / "model")
    (copy / "config.json").unlink()
    assert "config.json is missing" in refusal(copy)
