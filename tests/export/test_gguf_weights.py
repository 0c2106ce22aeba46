import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Type
from transformers import LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

from edge.errors import CheckpointError
from export.sources.gguf_file import CHUNK_BYTES, GgufCheckpoint
from tests.export.gguf_files import (
    HEAD_DIM,
    HEADS,
    HIDDEN,
    INNER,
    KV_HEADS,
    LAYERS,
    METADATA,
    VOCAB,
    llama_weights,
    phi3_weights,
    write_gguf,
)

TO_GGUF = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "embed_tokens": "token_embd",
    "norm": "output_norm",
}


def gguf_name(name: str) -> str:
    name = name.removesuffix(".weight").removeprefix("model.")
    if name == "lm_head":
        return "output.weight"
    if name.startswith("layers."):
        _, layer, part = name.split(".", 2)
        return f"blk.{layer}.{TO_GGUF[part]}.weight"
    return f"{TO_GGUF[name]}.weight"


def as_llama_cpp_stores(name: str, weight: np.ndarray, heads: int) -> np.ndarray:
    """The converter's definition: each head's two halves become neighbouring rows."""
    if not name.endswith(("q_proj.weight", "k_proj.weight")):
        return weight
    rows = weight.shape[0]
    halves = weight.reshape(heads, 2, rows // heads // 2, *weight.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(weight.shape))


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    torch.manual_seed(1)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCAB,
            hidden_size=HIDDEN,
            intermediate_size=INNER,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
        )
    )


def whole(checkpoint: GgufCheckpoint) -> dict[str, np.ndarray]:
    return {name: checkpoint.rows(name, 0, info.shape[0]) for name, info in checkpoint.tensors.items()}


def test_a_llama_model_comes_back_under_its_hugging_face_names_with_its_own_row_order(
    llama: LlamaForCausalLM, tmp_path: Path
) -> None:
    state = {name: value.numpy() for name, value in llama.state_dict().items()}
    stored = {
        gguf_name(name): as_llama_cpp_stores(name, value, KV_HEADS if "k_proj" in name else HEADS)
        for name, value in state.items()
    }
    checkpoint = GgufCheckpoint(write_gguf(tmp_path / "m.gguf", stored))
    found = whole(checkpoint)
    assert found.keys() == state.keys()
    for name, value in state.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
        assert checkpoint.tensors[name].shape == value.shape
        assert checkpoint.tensors[name].bytes == value.nbytes


def test_any_range_of_rows_is_that_part_of_the_whole(llama: LlamaForCausalLM, tmp_path: Path) -> None:
    state = {name: value.numpy() for name, value in llama.state_dict().items()}
    stored = {
        gguf_name(name): as_llama_cpp_stores(name, value, KV_HEADS if "k_proj" in name else HEADS)
        for name, value in state.items()
    }
    checkpoint = GgufCheckpoint(write_gguf(tmp_path / "m.gguf", stored))
    for name in ("layers.1.self_attn.q_proj", "layers.0.self_attn.k_proj", "layers.0.mlp.up_proj", "norm"):
        value = state[f"model.{name}.weight"]
        for start in range(0, len(value) + 1, 3):
            for stop in (start, min(start + 1, len(value)), min(start + HEAD_DIM + 3, len(value)), len(value)):
                found = checkpoint.rows(f"model.{name}.weight", start, stop)
                np.testing.assert_array_equal(found, value[start:stop])


def test_a_phi3_model_loads_into_transformers_and_computes_the_same(tmp_path: Path) -> None:
    torch.manual_seed(2)
    rotary = HEAD_DIM // 2
    stored = phi3_weights(rotary)
    settings = {"rope.dimension_count": rotary, "rope.scaling.original_context_length": 32}
    checkpoint = GgufCheckpoint(write_gguf(tmp_path / "m.gguf", stored, settings, "phi3"))
    model = Phi3ForCausalLM(Phi3Config(**checkpoint.config)).eval()
    state = {name: torch.from_numpy(value) for name, value in whole(checkpoint).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], []), "the tied head is the only one not in the file"
    model.tie_weights()
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(
            value.numpy(), stored[gguf_name(name) if name != "lm_head.weight" else "token_embd.weight"]
        )
    assert torch.isfinite(model(torch.arange(5)[None]).logits).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_plain_floats_keep_their_values(tmp_path: Path, dtype: type) -> None:
    weights = {name: value.astype(dtype) for name, value in llama_weights().items()}
    checkpoint = GgufCheckpoint(write_gguf(tmp_path / "m.gguf", weights))
    found = checkpoint.rows("lm_head.weight", 7, 90)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, weights["output.weight"][7:90].astype(np.float32))


def packed_rows(kind: Type, rows: int, columns: int) -> np.ndarray:
    """Random blocks of a type; the 16-bit scales are kept finite, all other bits are free."""
    block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    generator = np.random.default_rng(int(kind))
    blocks = generator.integers(0, 256, (rows, columns // block, block_bytes), np.uint8)
    scales = {"Q4_0": [0], "Q8_0": [0], "Q4_1": [0, 2], "Q4_K": [0, 2], "Q6_K": [208], "BF16": [0]}[kind.name]
    for at in scales:
        blocks[..., at + 1] &= 0x3F  # clears the top exponent bit of a little-endian half
    return blocks.reshape(rows, -1)


@pytest.mark.parametrize("kind", [Type.BF16, Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q4_K, Type.Q6_K])
def test_a_packed_type_decodes_to_the_same_values_in_any_row_range(tmp_path: Path, kind: Type) -> None:
    rows, columns = 2 * CHUNK_BYTES // (4 * 256) + 5, 256  # more than two chunks
    weights = llama_weights() | {"token_embd.weight": packed_rows(kind, rows, columns)}
    del weights["output.weight"]
    for name, value in llama_weights().items():
        if value.shape[-1] == HIDDEN and name in weights and name != "token_embd.weight":
            weights[name] = np.resize(value, (*value.shape[:-1], columns))
    path = write_gguf(
        tmp_path / "m.gguf",
        weights,
        {"embedding_length": columns, "attention.key_length": HEAD_DIM},
        types={"token_embd.weight": kind},
    )
    checkpoint = GgufCheckpoint(path)
    expected = gguf.quants.dequantize(weights["token_embd.weight"], kind)
    assert checkpoint.tensors["model.embed_tokens.weight"].shape == (rows, columns)
    assert checkpoint.tensors["model.embed_tokens.weight"].dtype == kind.name
    for start, stop in ((0, rows), (1, 2), (rows - 3, rows), (CHUNK_BYTES // 1024 - 1, rows - 1)):
        found = checkpoint.rows("model.embed_tokens.weight", start, stop)
        np.testing.assert_array_equal(found, expected[start:stop])


def test_q8_0_is_a_half_scale_times_32_signed_bytes(tmp_path: Path) -> None:
    blocks = packed_rows(Type.Q8_0, VOCAB, HIDDEN).reshape(VOCAB, 2, 34)
    scale = blocks[..., :2].copy().view(np.float16).astype(np.float32)
    expected = (scale * blocks[..., 2:].view(np.int8)).reshape(VOCAB, HIDDEN)
    weights = llama_weights() | {"output.weight": blocks.reshape(VOCAB, -1)}
    path = write_gguf(tmp_path / "m.gguf", weights, types={"output.weight": Type.Q8_0})
    np.testing.assert_array_equal(GgufCheckpoint(path).rows("lm_head.weight", 0, VOCAB), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_refused_by_name(tmp_path: Path, bad: float) -> None:
    weights = llama_weights()
    weights["blk.1.ffn_up.weight"][5, 6] = bad
    checkpoint = GgufCheckpoint(write_gguf(tmp_path / "m.gguf", weights))
    checkpoint.rows("model.layers.0.mlp.up_proj.weight", 0, INNER)
    with pytest.raises(CheckpointError, match=r"blk\.1\.ffn_up\.weight.*NaN or infinite"):
        checkpoint.rows("model.layers.1.mlp.up_proj.weight", 0, INNER)


def test_a_type_that_cannot_be_read_is_refused_with_tensor_and_type(tmp_path: Path) -> None:
    weights = llama_weights()
    weights["blk.0.attn_v.weight"] = gguf.quants.quantize(weights["blk.0.attn_v.weight"], Type.Q5_0)
    path = write_gguf(tmp_path / "m.gguf", weights, types={"blk.0.attn_v.weight": Type.Q5_0})
    with pytest.raises(CheckpointError, match=r"blk\.0\.attn_v\.weight.*Q5_0"):
        GgufCheckpoint(path)


def test_rows_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    checkpoint = GgufCheckpoint(write_gguf(tmp_path / "m.gguf", llama_weights()))
    with pytest.raises(CheckpointError, match=r"model\.nothing"):
        checkpoint.rows("model.nothing", 0, 1)
    for start, stop in ((-1, 2), (0, VOCAB + 1), (3, 2)):
        with pytest.raises(CheckpointError, match="do not exist"):
            checkpoint.rows("lm_head.weight", start, stop)


def test_a_file_replaced_after_opening_is_not_mixed_in(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", llama_weights())
    checkpoint = GgufCheckpoint(path)
    write_gguf(tmp_path / "other.gguf", llama_weights(seed=1)).replace(path)
    with pytest.raises(CheckpointError, match="changed"):
        checkpoint.rows("lm_head.weight", 0, 1)


def test_the_fingerprint_follows_the_content_and_not_the_place(tmp_path: Path) -> None:
    first = GgufCheckpoint(write_gguf(tmp_path / "a.gguf", llama_weights()))
    again = GgufCheckpoint(write_gguf(tmp_path / "b.gguf", llama_weights()))
    tuned = GgufCheckpoint(write_gguf(tmp_path / "c.gguf", llama_weights(seed=1)))
    longer = GgufCheckpoint(write_gguf(tmp_path / "d.gguf", llama_weights(), {"context_length": 512}))
    assert first.fingerprint() == again.fingerprint()
    assert len({c.fingerprint() for c in (first, tuned, longer)}) == 3


MEASURE = r"""
import re, sys
from pathlib import Path
from export.sources.gguf_file import GgufCheckpoint
small, large = GgufCheckpoint(sys.argv[1]), GgufCheckpoint(sys.argv[2])
small.rows("lm_head.weight", 0, 300)
# of this process alone: getrusage's peak is inherited from the parent
peak = lambda: int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
before = peak()
rows = large.tensors["lm_head.weight"].shape[0]
for start in range(0, rows, 8192):
    assert not large.rows("lm_head.weight", start, min(start + 8192, rows)).any()
slabs = peak() - before
large.rows("lm_head.weight", 0, 1 << 18)
print(rows, slabs, peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to measure memory")
def test_memory_stays_at_the_size_of_the_rows_asked_for(tmp_path: Path) -> None:
    small = write_gguf(tmp_path / "small.gguf", llama_weights())
    rows = 1 << 21  # 256 MiB of half floats, a hole on disk
    large = tmp_path / "large.gguf"
    writer = gguf.GGUFWriter(large, "llama")
    for key, value in METADATA.items():
        (writer.add_uint32 if isinstance(value, int) else writer.add_float32)(f"llama.{key}", value)
    for name, weight in llama_weights().items():
        shape = (rows, HIDDEN) if name == "output.weight" else weight.shape
        writer.add_tensor_info(name, shape, np.dtype(np.float16), int(np.prod(shape)) * 2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    head = -(-large.stat().st_size // 32) * 32
    sizes = [2 * weight.size for name, weight in llama_weights().items() if name != "output.weight"]
    with large.open("r+b") as file:
        file.truncate(head + sum(sizes) + 2 * rows * HIDDEN)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(small), str(large)], capture_output=True, text=True, check=True
    )
    read, slabs_kib, whole_kib = map(int, done.stdout.split())
    assert read == rows
    assert slabs_kib < 24 << 10, "8192 rows of 64 floats are 2 MiB"
    assert whole_kib < (64 + 24) << 10, "2^18 rows of 64 floats are 64 MiB; nothing else may be of that size"
