"""edge bundle tune: a faster start, the same answers, and never another answer."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import edge as phi_edge
from edge.bundle.bundle import Bundle
from edge.runtime.tune import RECORD, tuned_directory, tuned_graph
from tests.cli.child import assert_refused, edge

IDS = [1, 2, 3, 300, 301]


@pytest.fixture
def copy(phi3_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(phi3_bundle, tmp_path / "bundle"))


@pytest.fixture
def tuned(copy: Path) -> Path:
    """The bundle's tuned copy."""
    assert edge("bundle", "tune", copy).code == 0
    return tuned_directory(Bundle.open(copy))


def logits(bundle: Path) -> np.ndarray:
    decoder = phi_edge.load(bundle).decoder
    decoder.reserve(len(IDS))
    return decoder.prefill(IDS)


def weights_are_lost(bundle: Path) -> None:
    """What the bundle itself would compute is now wrong, and only hashing its weights would find out."""
    weights = bundle / "weights.bin"
    weights.write_bytes(bytes(weights.stat().st_size))


def used(bundle: Path) -> bool:
    return tuned_graph(Bundle.open(bundle), "text.onnx") is not None


def test_a_tuned_start_computes_the_same_logits_from_the_tuned_copy(copy: Path) -> None:
    before = logits(copy)
    assert edge("bundle", "tune", copy).code == 0
    weights_are_lost(copy)
    assert np.array_equal(logits(copy), before)


def test_tuning_twice_keeps_the_first_copy(copy: Path, tuned: Path) -> None:
    first = {file.name: file.stat().st_mtime_ns for file in tuned.iterdir()}
    again = edge("bundle", "tune", copy)
    assert (again.code, again.out) == (0, "")
    assert again.err.startswith("already there")
    assert {file.name: file.stat().st_mtime_ns for file in tuned.iterdir()} == first


@pytest.mark.parametrize("damage", ["cut", "overwritten", "graph", "no weights", "no record", "record", "deep record"])
def test_a_damaged_copy_is_ignored_and_made_again(copy: Path, tuned: Path, damage: str) -> None:
    before, weights = logits(copy), tuned / "tuned.bin"
    match damage:
        case "cut":
            os.truncate(weights, weights.stat().st_size - 1)
        case "overwritten":
            weights.write_bytes(bytes(weights.stat().st_size))
        case "graph":
            data, info = bytearray((tuned / "text.onnx").read_bytes()), (tuned / "text.onnx").stat()
            data[len(data) // 2] ^= 1
            (tuned / "text.onnx").write_bytes(data)
            os.utime(tuned / "text.onnx", ns=(info.st_atime_ns, info.st_mtime_ns))
        case "no weights":
            weights.unlink()
        case "no record":
            (tuned / RECORD).unlink()
        case "record":
            (tuned / RECORD).write_bytes(b'{"made_from": 3, "files": []}')
        case "deep record":
            (tuned / RECORD).write_bytes(b"[" * 500_000)
    assert not used(copy)
    assert np.array_equal(logits(copy), before)
    told = edge("doctor", "-b", copy)
    assert told.code == 1
    assert f"next: edge bundle tune {copy}" in told.out
    assert edge("bundle", "tune", copy).err.startswith("made")
    assert used(copy)
    assert np.array_equal(logits(copy), before)


@pytest.mark.parametrize("key", ["digest", "cpu", "onnxruntime"])
def test_a_copy_made_elsewhere_is_ignored(copy: Path, tuned: Path, key: str) -> None:
    record = json.loads((tuned / RECORD).read_text())
    record["made_from"][key] = "another"
    (tuned / RECORD).write_text(json.dumps(record))
    assert not used(copy)


def test_a_flipped_bit_in_tuned_weights_that_left_no_trace_is_found_by_doctor(copy: Path, tuned: Path) -> None:
    weights, info = tuned / "tuned.bin", (tuned / "tuned.bin").stat()
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    os.utime(weights, ns=(info.st_atime_ns, info.st_mtime_ns))
    told = edge("doctor", "-b", copy, "--json")
    assert told.code == 1
    assert "tuned.bin" in next(one["detail"] for one in told.json()["checks"] if one["name"] == "bundle")
    assert edge("bundle", "tune", copy).err.startswith("made")
    assert edge("doctor", "-b", copy).out.count("✗") == 0


def test_another_version_of_a_bundle_does_not_use_the_copy(copy: Path, tuned: Path, phi3_float_bundle: Path) -> None:
    assert used(copy)
    assert not used(phi3_float_bundle)


def test_a_damaged_bundle_is_not_tuned(copy: Path) -> None:
    weights_are_lost(copy)
    assert_refused(edge("bundle", "tune", copy), 3, "weights.bin")
    assert not tuned_directory(Bundle.open(copy)).exists()
