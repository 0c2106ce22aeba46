"""Damaged bundles are refused by whoever meets them, and verify finds the smallest damage."""

import shutil
from pathlib import Path

import pytest

from tests.cli.child import assert_refused, edge


@pytest.fixture
def copy(phi3_bundle: Path, tmp_path: Path) -> Path:
    """A bundle that a test may damage."""
    return Path(shutil.copytree(phi3_bundle, tmp_path / "bundle"))


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("verb", [("run", "hi", "-b"), ("bundle", "show"), ("bundle", "verify"), ("bundle", "install")])
@pytest.mark.parametrize(
    ("name", "size"), [("bundle.json", 0), ("weights.bin", 5000), ("text.onnx", 10), ("tokenizer.json", 0)]
)
def test_a_cut_file_is_refused_by_name(copy: Path, verb: tuple[str, ...], name: str, size: int) -> None:
    with (copy / name).open("r+b") as file:
        file.truncate(size)
    assert_refused(edge(*verb, copy), 3, name)


@pytest.mark.parametrize("name", ["bundle.json", "weights.bin", "text.onnx", "tokenizer.json"])
def test_verify_and_install_find_a_flipped_bit(copy: Path, own_home: Path, name: str) -> None:
    flip_a_bit(copy / name)
    assert_refused(edge("bundle", "verify", copy), 3, name)
    assert_refused(edge("bundle", "install", copy), 3)
    assert not list(own_home.glob("bundles/*"))


def test_doctor_shows_the_damage_in_red_and_fails(copy: Path) -> None:
    flip_a_bit(copy / "weights.bin")
    plain, told = edge("doctor", "-b", copy), edge("doctor", "-b", copy, "--json")
    assert plain.code == told.code == 1
    bad = [line for line in plain.out.splitlines() if line.startswith("✗")]
    assert len(bad) == 1
    assert "weights.bin" in bad[0]
    assert f"next: edge bundle verify {copy}" in plain.out
    failed = [check for check in told.json()["checks"] if check["needed"] and not check["ok"]]
    assert [check["name"] for check in failed] == ["bundle"]
    assert failed[0]["next_step"]


def test_a_name_in_the_manifest_is_not_read_as_markup(copy: Path) -> None:
    from edge.bundle.manifest import Manifest

    manifest = Manifest.from_json((copy / "bundle.json").read_bytes())
    manifest.provenance["source"] = "[/] [red]\x1b[2J"
    (copy / "bundle.json").write_bytes(manifest.to_json())
    result = edge("bundle", "show", copy)
    assert (result.code, result.err) == (0, "")
    assert "from [/] [red]\\x1b[2J;" in result.out
