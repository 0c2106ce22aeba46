"""Damaged, incomplete and foreign weight files are refused by name, or read as what they were."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from edge.errors import CheckpointError
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from export.sources.safetensors_dir import SafetensorsCheckpoint
from tests.checkpoints import config, random_checkpoint, tensors, write_checkpoint
from tests.export.refusal import refusal

SMALL: dict[str, Any] = {"num_hidden_layers": 1, "hidden_size": 128, "vocab_size": 512}
NORM = "model.norm.weight"
FILE = "model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good checkpoint; tests copy it."""
    return random_checkpoint(tmp_path_factory.mktemp("whole") / "model", "llama", **SMALL)


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "model")


def header(file: Path) -> tuple[dict[str, Any], bytes]:
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def rewrite(file: Path, change: Callable[[dict[str, Any]], Any], extra: bytes = b"") -> None:
    """Writes the file again with another header over the same tensor bytes."""
    entries, data = header(file)
    raw = change(entries)
    if not isinstance(raw, bytes):
        raw = json.dumps(entries).encode()
    file.write_bytes(len(raw).to_bytes(8, "little") + raw + data + extra)


def test_an_undamaged_copy_is_exported(copy: Path, tmp_path: Path) -> None:
    run_export(plan_export(copy, ExportOptions()), tmp_path / "out")
    assert (tmp_path / "out" / "bundle.json").is_file()


def test_a_file_cut_anywhere_is_refused(copy: Path) -> None:
    file = copy / FILE
    data = file.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    ends = {start + entry["data_offsets"][1] for entry in header(file)[0].values() if "dtype" in entry}
    lengths = {0, 1, 7, 8, 9, start // 2, start - 1, start, start + 1, len(data) // 2, len(data) - 1}
    for length in sorted(lengths | {end + d for end in ends for d in (-1, 0, 1)} - {len(data)}):
        file.write_bytes(data[:length] if length < len(data) else data + b"\0")
        assert FILE in refusal(copy), length


def test_flipped_header_bits_never_change_a_weight_silently(whole: Path, copy: Path) -> None:
    """200 random flips: refused, or every tensor still is what it was."""
    random = np.random.default_rng(3)
    file = copy / FILE
    data = file.read_bytes()
    size = 8 + int.from_bytes(data[:8], "little")
    original = tensors(config("llama", **SMALL))
    survived = 0
    for place, bit in zip(random.integers(0, size, 200), random.integers(0, 8, 200), strict=True):
        damaged = bytearray(data)
        damaged[place] ^= 1 << bit
        file.write_bytes(damaged)
        try:
            plan = plan_export(copy, ExportOptions())
        except CheckpointError as error:
            assert str(error).isprintable() and error.hint
            continue
        survived += 1
        for weight in plan.weights:
            for part in weight.source.parts:
                np.testing.assert_array_equal(plan.checkpoint.rows(part.tensor, 0, part.rows), original[part.tensor])
    assert survived < 20, "nearly every byte of a header means something"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("tensor", [NORM, "model.embed_tokens.weight", "model.layers.0.mlp.down_proj.weight"])
def test_nan_and_infinity_among_the_weights_are_found_and_named(whole: Path, tmp_path: Path, tensor: str, value: float):
    weights = tensors(config("llama", **SMALL))
    weights[tensor].flat[-1] = value
    checkpoint = write_checkpoint(tmp_path / "model", config("llama", **SMALL), weights)
    message = refusal(checkpoint)
    assert tensor in message and FILE in message and "NaN or infinity" in message


def shift(entries: dict[str, Any], begin: int, end: int) -> None:
    offsets = entries[NORM]["data_offsets"]
    offsets[0] += begin
    offsets[1] += end


HEADERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "overlap": lambda h: shift(h, -4, -4),
    "hole": lambda h: shift(h, 4, 4),
    "longer than its shape": lambda h: shift(h, 0, 4),
    "end before begin": lambda h: h[NORM].update(data_offsets=h[NORM]["data_offsets"][::-1]),
    "negative": lambda h: h[NORM].update(data_offsets=[-512, 0]),
    "beyond the file": lambda h: h[NORM].update(data_offsets=[1 << 50, (1 << 50) + 512]),
    "one offset": lambda h: h[NORM].update(data_offsets=[0]),
    "three offsets": lambda h: h[NORM].update(data_offsets=[0, 512, 512]),
    "no offsets": lambda h: h[NORM].pop("data_offsets"),
    "offsets as text": lambda h: h[NORM].update(data_offsets=["0", "512"]),
    "fractional offsets": lambda h: h[NORM].update(data_offsets=[0.0, 512.0]),
    "boolean offsets": lambda h: h[NORM].update(data_offsets=[False, True]),
    "negative shape": lambda h: h[NORM].update(shape=[-128]),
    "huge shape": lambda h: h[NORM].update(shape=[1 << 62, 1 << 62]),
    "shape as a number": lambda h: h[NORM].update(shape=128),
    "entry as a list": lambda h: h.update({NORM: [1, 2, 3]}),
    "no header at all": lambda h: b"[]",
    "not JSON": lambda h: b"{'a': 1}",
    "not UTF-8": lambda h: b'{"\xff": 1}',
    "NaN": lambda h: json.dumps({"a": float("nan")}).encode(),
    "a depth bomb": lambda h: b"[" * 100_000,
    "an integer of 10,000 digits": lambda h: b'{"a": ' + b"9" * 10_000 + b"}",
    "the same name twice": lambda h: json.dumps(h).replace("model.norm", "model.layers.0.input_layernorm").encode(),
    "terminal escapes in a name": lambda h: h.update(
        {"\x1b[2J\n" * 50: {"dtype": "F32", "shape": [1], "data_offsets": [9, 9]}}
    ),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_header_that_lies_is_refused_and_the_file_named(copy: Path, kind: str) -> None:
    rewrite(copy / FILE, HEADERS[kind])
    assert FILE in refusal(copy)


@pytest.mark.parametrize("length", [0, 1, (1 << 64) - 1, 1 << 40, 101 << 20])
def test_an_absurd_header_length_is_refused_without_allocating_it(copy: Path, length: int) -> None:
    data = (copy / FILE).read_bytes()
    (copy / FILE).write_bytes(length.to_bytes(8, "little") + data[8:])
    assert FILE in refusal(copy)


def test_bytes_behind_the_last_tensor_are_refused(copy: Path) -> None:
    rewrite(copy / FILE, lambda h: None, extra=b"payload")
    assert FILE in refusal(copy)


@pytest.mark.parametrize("dtype", ["I64", "F8_E4M3", "U8", "BOOL", "F4", "float32"])
def test_a_tensor_of_another_type_is_refused_by_name(copy: Path, dtype: str) -> None:
    rewrite(copy / FILE, lambda h: h[NORM].update(dtype=dtype))
    message = refusal(copy)
    assert NORM in message and dtype in message


@pytest.mark.parametrize("dtype", ["F16", "F64"])
def test_a_type_whose_size_does_not_fit_is_refused(copy: Path, dtype: str) -> None:
    rewrite(copy / FILE, lambda h: h[NORM].update(dtype=dtype))
    assert NORM in refusal(copy)


def save(checkpoint: Path, weights: dict[str, np.ndarray]) -> Path:
    save_file(weights, checkpoint / FILE)
    return checkpoint


@pytest.mark.parametrize("tensor", sorted(tensors(config("llama", **SMALL))))
def test_a_missing_tensor_is_named(copy: Path, tensor: str) -> None:
    weights = tensors(config("llama", **SMALL))
    del weights[tensor]
    message = refusal(save(copy, weights))
    assert tensor in message and "missing" in message


@pytest.mark.parametrize("tensor", sorted(tensors(config("llama", **SMALL))))
@pytest.mark.parametrize("kind", ["a row more", "another rank", "empty"])
def test_a_wrong_shape_is_refused_with_both_shapes(copy: Path, tensor: str, kind: str) -> None:
    weights = tensors(config("llama", **SMALL))
    rows, *rest = weights[tensor].shape
    shape = {"a row more": (rows + 1, *rest), "another rank": (rows, *rest, 1), "empty": (0, *rest)}[kind]
    weights[tensor] = np.zeros(shape, np.float32)
    message = refusal(save(copy, weights))
    assert tensor in message and "shape" in message


def test_tensors_that_no_part_needs_are_allowed_and_listed(copy: Path, tmp_path: Path) -> None:
    weights = tensors(config("llama", **SMALL))
    extra = {"lm_head.weight": weights["model.embed_tokens.weight"], "model.rotary.inv_freq": np.ones(16, np.float32)}
    plan = plan_export(save(copy, weights | extra), ExportOptions())
    assert plan.unused == ["lm_head.weight", "model.rotary.inv_freq"]
    run_export(plan, tmp_path / "out")


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    cfg = config("llama", **SMALL)
    return write_checkpoint(tmp_path / "model", cfg, tensors(cfg), shards=3)


def test_shards_give_the_same_bundle_as_one_file(sharded: Path, whole: Path, tmp_path: Path) -> None:
    reports = [
        run_export(plan_export(c, ExportOptions()), tmp_path / f"out{i}") for i, c in enumerate((sharded, whole))
    ]
    assert reports[0].weights_sha256 == reports[1].weights_sha256


def test_a_missing_shard_is_named(sharded: Path) -> None:
    (sharded / "model-00002-of-00003.safetensors").unlink()
    assert "model-00002-of-00003.safetensors is missing" in refusal(sharded)


def test_a_tensor_in_two_shards_is_refused_with_both_files(sharded: Path) -> None:
    weights = tensors(config("llama", **SMALL))
    index = sharded / "model.safetensors.index.json"
    weight_map = json.loads(index.read_text())["weight_map"]
    save_file({NORM: weights[NORM]}, sharded / "more.safetensors")
    index.write_text(json.dumps({"weight_map": weight_map | {"other": "more.safetensors"}}))
    message = refusal(sharded)
    assert NORM in message and "more.safetensors" in message and weight_map[NORM] in message


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"weight_map": []}', b'{"weight_map": {}}', b'{"weight_map": {"a": 1}}', b"\xff\xfe"],
)
def test_a_damaged_index_is_refused(sharded: Path, content: bytes) -> None:
    (sharded / "model.safetensors.index.json").write_bytes(content)
    refusal(sharded)


@pytest.mark.parametrize("file", ["../other.safetensors", "/etc/passwd", "a/b.safetensors", "..", ""])
def test_an_index_may_not_point_outside_the_checkpoint(sharded: Path, file: str) -> None:
    (sharded / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {NORM: file}}))
    refusal(sharded)


def test_a_weight_file_that_is_a_directory_or_unreadable_is_refused(copy: Path) -> None:
    (copy / FILE).unlink()
    (copy / FILE).mkdir()
    assert FILE in refusal(copy)


def test_a_weight_file_that_shrinks_while_it_is_read_is_refused(copy: Path) -> None:
    checkpoint = SafetensorsCheckpoint(copy)
    file = copy / FILE
    last = max(
        (name for name, entry in header(file)[0].items() if "dtype" in entry),
        key=lambda name: header(file)[0][name]["data_offsets"],
    )
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match=f"ended inside tensor {last}"):
        checkpoint.rows(last, 0, checkpoint.tensors[last].shape[0])


def test_a_weight_file_that_vanishes_after_the_plan_is_named_as_the_cause(copy: Path, tmp_path: Path) -> None:
    plan = plan_export(copy, ExportOptions())
    (copy / FILE).unlink()
    with pytest.raises(CheckpointError, match=FILE):
        run_export(plan, tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


@pytest.mark.parametrize("kind", ["an empty directory", "nothing", "a text file", "one .safetensors file", "a pipe"])
def test_a_source_that_is_no_checkpoint_is_refused(whole: Path, tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    match kind:
        case "an empty directory":
            source.mkdir()
        case "a text file":
            source.write_text("hello")
        case "one .safetensors file":
            source = whole / FILE
        case "a pipe":
            os.mkfifo(source)
    refusal(source)
