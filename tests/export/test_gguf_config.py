from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import LlamaConfig, Phi3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from edge.errors import CheckpointError
from export.sources.gguf_file import GgufCheckpoint
from tests.export.gguf_files import HEAD_DIM, VOCAB, llama_weights, phi3_weights, write_gguf


def llama(tmp_path: Path, weights: dict[str, np.ndarray] | None = None, **metadata: Any) -> GgufCheckpoint:
    settings = {key.replace("__", "."): value for key, value in metadata.items()}
    return GgufCheckpoint(write_gguf(tmp_path / "m.gguf", weights or llama_weights(), settings))


def phi3(tmp_path: Path, rotary: int = HEAD_DIM, drop: str = "", **metadata: Any) -> GgufCheckpoint:
    weights = phi3_weights(rotary)
    weights.pop(drop, None)
    settings = {key.replace("__", "."): value for key, value in metadata.items()}
    settings = {"rope.dimension_count": rotary, "rope.scaling.original_context_length": 64} | settings
    return GgufCheckpoint(write_gguf(tmp_path / "m.gguf", weights, settings, "phi3"))


def test_llama_metadata_becomes_a_config_that_transformers_reads(tmp_path: Path) -> None:
    checkpoint = llama(tmp_path)
    config = LlamaConfig(**checkpoint.config)
    assert (config.model_type, config.hidden_size, config.intermediate_size) == ("llama", 64, 96)
    assert (config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads) == (2, 4, 2)
    assert (config.head_dim, config.vocab_size, config.max_position_embeddings) == (16, VOCAB, 256)
    assert not config.tie_word_embeddings
    assert checkpoint.config["rms_norm_eps"] == 1e-5, "not the nearest float32, 9.999999747378752e-06"
    assert checkpoint.config["rope_theta"] == 10000.0
    assert "rope_scaling" not in checkpoint.config
    assert "rope_freqs" not in checkpoint.config


def test_a_file_without_output_weight_has_a_tied_embedding(tmp_path: Path) -> None:
    weights = llama_weights()
    del weights["output.weight"]
    checkpoint = llama(tmp_path, weights)
    assert checkpoint.config["tie_word_embeddings"]
    assert "lm_head.weight" not in checkpoint.tensors


def test_a_head_size_apart_from_the_width_is_kept(tmp_path: Path) -> None:
    weights = llama_weights()
    for layer in range(2):
        weights[f"blk.{layer}.attn_q.weight"] = np.zeros((4 * 8, 64), np.float32)
        weights[f"blk.{layer}.attn_k.weight"] = np.zeros((2 * 8, 64), np.float32)
        weights[f"blk.{layer}.attn_v.weight"] = np.zeros((2 * 8, 64), np.float32)
        weights[f"blk.{layer}.attn_output.weight"] = np.zeros((64, 4 * 8), np.float32)
    lengths = {"attention__key_length": 8, "attention__value_length": 8, "rope__dimension_count": 8}
    assert llama(tmp_path, weights, **lengths).config["head_dim"] == 8


def test_llama_3_frequency_divisors_are_given_as_a_list(tmp_path: Path) -> None:
    divisors = np.linspace(1, 8, HEAD_DIM // 2, dtype=np.float32)
    checkpoint = llama(tmp_path, llama_weights() | {"rope_freqs.weight": divisors})
    assert checkpoint.config["rope_freqs"] == divisors.tolist()
    assert "rope_freqs.weight" not in checkpoint.tensors


def test_linear_scaling_is_kept_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    linear = llama(tmp_path, rope__scaling__type="linear", rope__scaling__factor=4.0)
    assert linear.config["rope_scaling"] == {"type": "linear", "rope_type": "linear", "factor": 4.0}
    assert "rope_scaling" not in llama(tmp_path, rope__scaling__type="none").config
    with pytest.raises(CheckpointError, match="yarn"):
        llama(tmp_path, rope__scaling__type="yarn", rope__scaling__factor=4.0)


def test_phi3_longrope_gives_the_frequencies_and_the_factor_of_transformers(tmp_path: Path) -> None:
    checkpoint = phi3(
        tmp_path,
        rotary=12,
        context_length=131072,
        rope__scaling__original_context_length=4096,
        rope__scaling__attn_factor=1.0,
    )
    assert checkpoint.config["partial_rotary_factor"] == 0.75
    config = Phi3Config(**checkpoint.config)
    frequencies, factor = ROPE_INIT_FUNCTIONS["longrope"](config, "cpu", seq_len=5000)
    assert factor == pytest.approx(1.1902381, abs=1e-6), "Phi-4-mini's, whatever attn_factor the file carries"
    divisors = np.linspace(1, 40, 6)
    expected = 1 / (divisors * 10000.0 ** (np.arange(0, 12, 2) / 12))
    np.testing.assert_allclose(frequencies.numpy(), expected, rtol=1e-5)
    assert config.original_max_position_embeddings == 4096
    assert config.tie_word_embeddings


def test_a_sliding_window_is_given_only_if_it_is_shorter_than_the_context(tmp_path: Path) -> None:
    assert "sliding_window" not in phi3(tmp_path, attention__sliding_window=256).config
    assert "sliding_window" not in phi3(tmp_path, attention__sliding_window=0).config
    assert phi3(tmp_path, attention__sliding_window=100).config["sliding_window"] == 100


@pytest.mark.parametrize("table", ["rope_factors_long.weight", "rope_factors_short.weight"])
def test_half_a_longrope_is_refused(tmp_path: Path, table: str) -> None:
    with pytest.raises(CheckpointError, match="LongRoPE"):
        phi3(tmp_path, drop=table)


def test_another_architecture_is_refused_with_a_list_of_those_supported(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", llama_weights(), architecture="qwen2")
    with pytest.raises(CheckpointError, match=r"'qwen2'.*llama and phi3"):
        GgufCheckpoint(path)


def test_one_part_of_a_split_model_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", llama_weights(), {"split.count": 3})
    with pytest.raises(CheckpointError, match="split"):
        GgufCheckpoint(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("block_count", 0),
        ("block_count", None),
        ("block_count", "two"),
        ("embedding_length", 0),
        ("attention.head_count", 7),
        ("attention.head_count", [4, 4]),
        ("attention.head_count_kv", 3),
        ("attention.layer_norm_rms_epsilon", float("nan")),
        ("attention.layer_norm_rms_epsilon", 0.0),
        ("attention.layer_norm_rms_epsilon", None),
        ("rope.freq_base", float("inf")),
        ("rope.freq_base", -1.0),
        ("rope.dimension_count", 5),
        ("rope.scaling.factor", float("nan")),
        ("context_length", 0),
        ("attention.value_length", 24),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_key(tmp_path: Path, key: str, value: Any) -> None:
    path = write_gguf(tmp_path / "m.gguf", llama_weights(), {key: value})
    with pytest.raises(CheckpointError) as caught:
        GgufCheckpoint(path)
    assert key in str(caught.value) or key == "attention.value_length"


def test_every_token_that_ends_an_answer_is_in_the_generation_config(tmp_path: Path) -> None:
    tokenizer = {
        "ggml.tokens": ["a", "<|endoftext|>", "<|end|>", "<|user|>", "<|im_end|>"],
        "ggml.token_type": [1, 3, 3, 3, 1],
        "ggml.bos_token_id": 1,
        "ggml.eos_token_id": 2,
        "chat_template": "{{ messages }}",
    }
    checkpoint = GgufCheckpoint(write_gguf(tmp_path / "m.gguf", llama_weights(), tokenizer=tokenizer))
    assert checkpoint.generation_config == {"bos_token_id": 1, "eos_token_id": [2, 1]}
    assert (checkpoint.config["bos_token_id"], checkpoint.config["eos_token_id"]) == (1, 2)
    assert checkpoint.chat_template() == "{{ messages }}"


def test_a_token_id_outside_the_vocabulary_is_refused(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", llama_weights(), tokenizer={"ggml.eos_token_id": VOCAB})
    with pytest.raises(CheckpointError, match="eos_token_id"):
        GgufCheckpoint(path)
