import os
import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from edge.errors import CheckpointError
from export.sources.gguf_file import GgufCheckpoint
from tests.export.gguf_files import LAYERS, llama_weights, write_gguf

TOKENIZER = {
    "ggml.model": "gpt2",
    "ggml.pre": "gpt-2",
    "ggml.tokens": ["a", "b", "ab", "<|end|>"],
    "ggml.token_type": [1, 1, 1, 3],
    "ggml.merges": ["a b"],
    "ggml.eos_token_id": 3,
}
HEAD_LIMIT = 8 << 20


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "m.gguf"
    return write_gguf(path, llama_weights(), tokenizer=TOKENIZER).read_bytes()


def weights_of(path: Path) -> dict[str, np.ndarray]:
    checkpoint = GgufCheckpoint(path)
    return {name: checkpoint.rows(name, 0, info.shape[0]) for name, info in checkpoint.tensors.items()}


def refusal(path: Path) -> CheckpointError:
    """The error for `path`; fails if opening it allocates more than a few MB on the way."""
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            weights_of(path)
        assert tracemalloc.get_traced_memory()[1] < HEAD_LIMIT
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def test_an_undamaged_file_is_read(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(good)
    assert len(weights_of(path)) == 3 + 9 * LAYERS


def test_a_missing_path_a_directory_and_a_pipe_are_refused_at_once(tmp_path: Path) -> None:
    refusal(tmp_path / "missing.gguf")
    refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe.gguf")
    refusal(tmp_path / "pipe.gguf")


@pytest.mark.parametrize("start", [b"", b"G", b"GGUF", b"GGML" + bytes(100), b"PK\x03\x04" + bytes(100)])
def test_a_file_that_is_empty_or_something_else_is_refused(start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(start)
    refusal(path)


@pytest.mark.parametrize("version", [0, 1, 4, 0xFFFFFFFF, 3 << 24])
def test_other_versions_and_byte_orders_are_refused(good: bytes, tmp_path: Path, version: int) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(good[:4] + struct.pack("<I", version) + good[8:])
    refusal(path)


def test_a_file_cut_anywhere_is_refused(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    points = [*range(0, 3000, 37), *range(3000, len(good) - 32, len(good) // 40), len(good) - 33]
    for size in points:
        path.write_bytes(good[:size])
        refusal(path)


def test_a_file_with_something_appended_is_refused(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(good + bytes(100))
    refusal(path)


def test_a_flipped_bit_in_the_head_is_refused_or_changes_no_weight(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(good)
    expected = weights_of(path)
    generator = random.Random(7)
    refused = 0
    for _ in range(300):
        bit = generator.randrange(8 * 4096)
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            checkpoint = GgufCheckpoint(path)
            found = {n: checkpoint.rows(n, 0, i.shape[0]) for n, i in checkpoint.tensors.items()}
            checkpoint.fingerprint()
            checkpoint.chat_template()
            checkpoint.tokenizer_json()
        except CheckpointError:
            refused += 1
            continue
        for name, value in found.items():
            if bit // 8 < head_size(good):
                np.testing.assert_array_equal(value, expected[name])
        assert found.keys() == expected.keys()
    assert refused > 100


def head_size(data: bytes) -> int:
    """Where the last tensor description ends: its name, rank, two dimensions, type and offset."""
    name = f"blk.{LAYERS - 1}.ffn_down.weight".encode()
    return data.index(name) + len(name) + 4 + 16 + 4 + 8


def text(value: str | bytes, length: int | None = None) -> bytes:
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data) if length is None else length) + data


def head(tensors: int, keys: int, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + rest


def tensor(name: str, dims: list[int], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


U32, STRING, ARRAY = (struct.pack("<I", kind) for kind in (4, 8, 9))
BAD_HEADS = {
    "2^60 tensors": head(1 << 60, 0),
    "all tensors": head((1 << 64) - 1, 0),
    "2^60 keys": head(0, 1 << 60),
    "key of 2^62 bytes": head(0, 1, text("a", 1 << 62)),
    "key of 2^64 - 1 bytes": head(0, 1, text("a", (1 << 64) - 1)),
    "text of 2^40 bytes": head(0, 1, text("a") + STRING + text("b", 1 << 40)),
    "list of 2^61 numbers": head(0, 1, text("a") + ARRAY + U32 + struct.pack("<Q", 1 << 61)),
    "list of 2^61 texts": head(0, 1, text("a") + ARRAY + STRING + struct.pack("<Q", 1 << 61)),
    "list of lists": head(0, 1, text("a") + ARRAY * 2 + struct.pack("<Q", 1) + ARRAY * 9),
    "unknown value type": head(0, 1, text("a") + struct.pack("<I", 77)),
    "key that is not UTF-8": head(0, 1, text(b"\xff\xfe") + U32 * 2),
    "key twice": head(0, 2, (text("a") + U32 * 2) * 2),
    "alignment 0": head(0, 1, text("general.alignment") + U32 + struct.pack("<I", 0)),
    "alignment 33": head(0, 1, text("general.alignment") + U32 + struct.pack("<I", 33)),
    "alignment 2^31": head(0, 1, text("general.alignment") + U32 + struct.pack("<I", 1 << 31)),
    "alignment as text": head(0, 1, text("general.alignment") + STRING + text("32")),
    "tensor without dimensions": head(1, 0, tensor("a", [])),
    "tensor of 5 dimensions": head(1, 0, tensor("a", [1] * 5)),
    "tensor of no elements": head(1, 0, tensor("a", [4, 0])),
    "tensor of 2^64 elements": head(1, 0, tensor("a", [1 << 32, 1 << 32])),
    "tensor larger than the file": head(1, 0, tensor("a", [1 << 20])),
    "tensor beyond the file": head(1, 0, tensor("a", [8], offset=1 << 50)),
    "tensor of unknown type": head(1, 0, tensor("a", [8], kind=4)),
    "row that is no multiple of the block": head(1, 0, tensor("a", [8, 8], kind=8)),
    "tensor twice": head(2, 0, tensor("a", [8]) + tensor("a", [8], offset=32)),
    "tensors at the same place": head(2, 0, tensor("a", [8]) + tensor("b", [8])),
}


@pytest.mark.parametrize("case", BAD_HEADS)
def test_an_impossible_count_length_or_place_is_refused(case: str, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(BAD_HEADS[case] + bytes(4096))
    assert "damaged" in str(refusal(path)) or "cut off" in str(refusal(path))


def test_a_list_longer_than_the_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(BAD_HEADS["list of 2^61 texts"])
    os.truncate(path, 32 << 20)  # zeros, that is four million empty texts
    refusal(path)


def test_a_tensor_moved_onto_another_is_refused(good: bytes, tmp_path: Path) -> None:
    """The offset of the last weight is made that of the one before: both exist, and the file has the right size."""
    path = tmp_path / "m.gguf"
    changed = bytearray(good)
    end = head_size(good)
    (offset,) = struct.unpack_from("<Q", good, end - 8)
    struct.pack_into("<Q", changed, end - 8, offset - 32)
    path.write_bytes(changed)
    assert "ffn_down" in str(refusal(path))


def test_a_number_of_layers_that_cannot_be_is_refused(tmp_path: Path) -> None:
    for layers in (3, 1 << 20, (1 << 31) - 1):
        refusal(write_gguf(tmp_path / "m.gguf", llama_weights(), {"block_count": layers}))


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    weights = llama_weights()
    del weights["blk.1.ffn_gate.weight"]
    error = refusal(write_gguf(tmp_path / "m.gguf", weights))
    assert "model.layers.1.mlp.gate_proj.weight" in str(error)


@pytest.mark.parametrize("name", ["blk.0.ffn_gate_exps.weight", "blk.2.attn_q.weight", "cls.weight"])
def test_a_weight_without_a_place_is_refused_and_not_left_out(tmp_path: Path, name: str) -> None:
    weights = llama_weights() | {name: np.zeros((4, 32), np.float32)}
    assert name in str(refusal(write_gguf(tmp_path / "m.gguf", weights)))


@pytest.mark.parametrize("name", ["token_embd", "blk.0.attn_q", "blk.1.attn_k"])
def test_a_weight_of_another_shape_than_the_metadata_says_is_refused(tmp_path: Path, name: str) -> None:
    weights = llama_weights() | {f"{name}.weight": np.zeros((48, 80), np.float32)}
    assert name in str(refusal(write_gguf(tmp_path / "m.gguf", weights)))
