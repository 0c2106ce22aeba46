import dataclasses
import hashlib
import json
import random
from typing import Any

import pytest

from edge.bundle.manifest import MAX_MANIFEST_BYTES, Manifest
from edge.errors import BundleError
from tests.bundle import sample

GOOD = sample.manifest(sample.contents())


def sealed(document: dict[str, Any]) -> bytes:
    """`document` as another writer of the format would seal it."""
    zeros = "0" * 64
    data = json.dumps({"seal": zeros} | {k: v for k, v in document.items() if k != "seal"}).encode()
    return data.replace(zeros.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def changed(path: str, value: Any) -> bytes:
    """The good manifest with the field at `path` ('decoder.rotary.dim') set to `value`, or removed if ..."""
    document = json.loads(GOOD.to_json())
    place = document
    *parents, last = path.split(".")
    for key in parents:
        place[key] = place[key] or {"token": 5, "width": 192}  # the good one has no encoders
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return sealed(document)


def refusal(data: bytes) -> str:
    with pytest.raises(BundleError) as caught:
        Manifest.from_json(data)
    assert caught.value.hint
    return str(caught.value)


def test_a_manifest_reads_back_as_it_was_written():
    assert Manifest.from_json(GOOD.to_json()) == GOOD


def test_a_vision_encoder_without_sizes_is_that_of_the_released_model():
    """Bundles made before other sizes were possible do not state them."""
    made = Manifest.from_json(changed("vision", {"token": 5, "width": 1152})).vision
    assert made and (made.patch_size, made.max_crops) == (14, 36)
    sizes = {"token": 5, "width": 192, "patch_size": 28, "max_crops": 2}
    told = Manifest.from_json(changed("vision", sizes))
    assert told.vision and (told.vision.patch_size, told.vision.max_crops) == (28, 2)
    assert Manifest.from_json(told.to_json()) == told


def test_a_bundle_that_does_not_speak_of_its_kv_cache_has_one_of_float32():
    """So do all that were made before there was another one, and older versions read new ones."""
    assert b"kv_bits" not in GOOD.to_json()
    old = Manifest.from_json(GOOD.to_json()).decoder
    assert old.kv_bits == 32 and old.kv_bytes_per_token == 2 * old.layers * old.kv_heads * old.head_size * 4
    small = Manifest.from_json(changed("decoder.kv_bits", 8)).decoder
    assert small.kv_bytes_per_token == old.kv_bytes_per_token / 4
    assert "decoder.kv_bits is 4, not one of (8, 32)" in refusal(changed("decoder.kv_bits", 4))


def test_a_key_of_a_later_version_is_tolerated_at_the_top_level():
    assert Manifest.from_json(changed("voices", {"a": 1})) == GOOD


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "../evil"),
        ("name", 3),
        ("modes", []),
        ("graphs", {}),
        ("graphs", {"text": "weights.bin"}),
        ("graphs", {"text": "absent.onnx"}),
        ("decoder", None),
        ("decoder.layers", 0),
        ("decoder.layers", 10**6),
        ("decoder.layers", True),
        ("decoder.layers", 2.0),
        ("decoder.layers", ...),
        ("decoder.surprise", 1),
        ("decoder.kv_heads", -1),
        ("decoder.head_size", "8"),
        ("decoder.vocab_size", 2**62),
        ("decoder.context_length", 0),
        ("decoder.rotary.dim", 10),
        ("decoder.rotary.inv_freq", [1.0]),
        ("decoder.rotary.inv_freq", [1.0, 0.1, 0.01, "x"]),
        ("decoder.rotary.inv_freq", [1.0, 0.1, 0.01, -1.0]),
        ("decoder.rotary.attention_factor", 0),
        ("decoder.rotary.long_inv_freq", [1.0, 0.1, 0.01, 0.001]),
        ("tokens.stop", []),
        ("tokens.stop", [256]),
        ("tokens.stop", [-1]),
        ("tokens.bos", 1000),
        ("tokens.first_unused", 0),
        ("vision.patch_size", 0),
        ("vision.patch_size", 16),
        ("vision.patch_size", 28.0),
        ("vision.max_crops", 0),
        ("vision.max_crops", 257),
        ("vision.max_crops", "2"),
        ("vision.crop_size", 336),
        ("speech.patch_size", 14),
        ("chat.format", "jinja"),
        ("quantisation", [{"name": "all", "bits": 0, "block": 0, "symmetric": True, "tensors": 1, "bytes": 1}]),
        ("files", ["weights.bin"]),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(path: str, value: Any):
    message = refusal(changed(path, value))
    assert path.split(".")[-1] in message


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/passwd",
        "a/../../x",
        "C:\\x",
        "C:x",
        "a\x00b",
        "",
        "a//b",
        "./a",
        "a/",
        "a/b/c/d",
        ".hidden",
        "n" * 4096,
        "caf\u00e9.bin",
        "a b",
        "a.",
        "*/_ORT_MEM_ADDR_/*",
        "WEIGHTS.BIN",
        "Bundle.json",
        "tokenizer.json/x",
    ],
)
def test_a_file_name_that_is_not_plain_or_unique_is_refused(name: str):
    document = json.loads(GOOD.to_json())
    document["files"][name] = {"size": 1, "sha256": "0" * 64}
    assert "files" in refusal(sealed(document))


@pytest.mark.parametrize(
    ("info", "field"),
    [
        ({"size": -1, "sha256": "0" * 64}, "size"),
        ({"size": 1, "sha256": "0" * 63}, "sha256"),
        ({"size": 1, "sha256": "G" * 64}, "sha256"),
        ({"size": 1}, "sha256"),
        ({"size": 2**60, "sha256": "0" * 64}, "size"),
    ],
)
def test_a_file_entry_without_a_sound_size_and_hash_is_refused(info: dict[str, Any], field: str):
    document = json.loads(GOOD.to_json())
    document["files"]["more.bin"] = info
    assert field in refusal(sealed(document))


def test_a_newer_schema_is_told_from_a_damaged_one():
    assert "newer phi-edge" in refusal(changed("schema", 3))
    assert "schema" in refusal(changed("schema", 0))
    assert "schema" in refusal(changed("schema", "1"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        b'{"schema": 1, "schema": 1}',
        b'{"schema": 1, "x": NaN}',
        b'{"schema": 1, "x": -Infinity}',
        b'{"schema": 1, "x": 1e999}',
        b'{"schema": 1, "x": "\\ud800"}',
        b'{"schema": 1, "x": ' + b"9" * 30 + b"}",
        b'{"schema": 1, "x": ' + b"9" * 10_000 + b"}",
        b'{"schema": 1, "x": ' + b"[" * 20 + b"]" * 20 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"schema": 1, "x": "' + b"y" * MAX_MANIFEST_BYTES + b'"}',
        b"{" + b",".join(b'"%d": 1' % i for i in range(200_000)) + b',"7": 1}',
    ],
    ids=lambda data: repr(data[:24]),
)
def test_hostile_json_is_refused_with_a_sentence(data: bytes):
    assert refusal(data)


def test_any_flipped_bit_of_the_manifest_is_found():
    data = GOOD.to_json()
    randomness = random.Random(2)
    for _ in range(300):
        bit = randomness.randrange(8 * len(data))
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        assert refusal(bytes(damaged)), f"bit {bit}"


def test_a_manifest_with_a_number_that_is_not_finite_cannot_be_written():
    rotary = dataclasses.replace(GOOD.decoder.rotary, attention_factor=float("nan"))
    broken = dataclasses.replace(GOOD, decoder=dataclasses.replace(GOOD.decoder, rotary=rotary))
    with pytest.raises(ValueError):
        broken.to_json()
