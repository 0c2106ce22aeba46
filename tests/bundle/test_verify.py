import os
import random
import shutil
import socket
from pathlib import Path

import pytest

from edge.bundle.bundle import Bundle
from edge.bundle.verify import verify
from edge.errors import BundleError
from tests.bundle import sample

NAMES = ["bundle.json", "text.onnx", "tokenizer.json", "weights.bin"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return sample.write(tmp_path / "tiny")


def problems(path: Path) -> tuple[str, ...]:
    return verify(path).problems


def refused_by_both(path: Path, name: str) -> None:
    """Opening must not accept a layout that verify calls wrong."""
    assert any(name in problem for problem in problems(path)), problems(path)
    with pytest.raises(BundleError) as caught:
        Bundle.open(path)
    assert name in str(caught.value)


def test_a_whole_bundle_opens_and_verifies(bundle: Path):
    opened = Bundle.open(bundle)
    report = verify(opened)
    assert report.ok and report.files == 3 and report.digest == opened.digest
    assert opened.file("weights.bin").read_bytes() == sample.contents()["weights.bin"]
    with pytest.raises(BundleError):
        opened.file("../tiny/weights.bin")


def test_progress_reaches_the_size_of_the_bundle(bundle: Path):
    seen: list[tuple[str, int, int]] = []
    report = verify(bundle, lambda *step: seen.append(step))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][1] == seen[-1][2] == report.bytes == sum(len(data) for data in sample.contents().values())


def test_two_hundred_flipped_bits_are_found_two_hundred_times(bundle: Path):
    randomness = random.Random(200)
    sizes = [(bundle / name).stat().st_size for name in NAMES]
    # half the flips fall evenly over the files, half evenly over the bytes
    picks = [NAMES[i % len(NAMES)] for i in range(100)] + randomness.choices(NAMES, sizes, k=100)
    found = 0
    for name in picks:
        good = (bundle / name).read_bytes()
        bit = randomness.randrange(8 * len(good))
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        (bundle / name).write_bytes(damaged)
        found += any(name in problem for problem in problems(bundle))
        (bundle / name).write_bytes(good)
    assert found == 200
    assert verify(bundle).ok


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_another_length_is_refused_by_name(bundle: Path, name: str):
    good = (bundle / name).read_bytes()
    for cut in (b"", good[:1], good[: len(good) // 2], good[:-1], good + b"\0"):
        (bundle / name).write_bytes(cut)
        refused_by_both(bundle, name)
    (bundle / name).unlink()
    refused_by_both(bundle, name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["symlink", "inside symlink", "hard link", "pipe", "directory", "socket"])
def test_a_file_of_another_kind_is_refused_without_hanging(bundle: Path, tmp_path: Path, name: str, kind: str):
    file = bundle / name
    outside = tmp_path / "outside"
    shutil.copyfile(file, outside)
    file.unlink()
    match kind:
        case "symlink":
            file.symlink_to(outside)
        case "inside symlink":
            shutil.copyfile(outside, bundle / "README.md")
            file.symlink_to("README.md")
        case "hard link":
            file.hardlink_to(outside)
        case "pipe":
            os.mkfifo(file)
        case "directory":
            file.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(os.path.relpath(file))
    refused_by_both(bundle, name)


@pytest.mark.parametrize("extra", ["more.bin", "sub/more.bin", ".hidden", "run.py"])
def test_a_file_that_bundle_json_does_not_list_is_found(bundle: Path, extra: str):
    (bundle / extra).parent.mkdir(exist_ok=True)
    (bundle / extra).write_bytes(b"")
    refused_by_both(bundle, extra)


def test_names_from_a_stranger_cannot_write_to_the_terminal(bundle: Path):
    (bundle / "\x1b[2Jgone\n").write_bytes(b"")
    Path(os.fsdecode(bytes(bundle) + b"/\xff\xfe")).write_bytes(b"")
    found = problems(bundle)
    assert len(found) == 2
    assert all(problem.isascii() and problem.isprintable() for problem in found)


def test_readme_and_licence_may_lie_beside_the_listed_files(bundle: Path):
    (bundle / "README.md").write_text("hello")
    (bundle / "LICENSE").write_text("free")
    assert verify(Bundle.open(bundle)).ok


def test_files_in_directories_are_checked_and_linked_directories_refused(tmp_path: Path):
    files = sample.contents() | {"voices/en/one.bin": b"one"}
    path = sample.write(tmp_path / "deep", files=files)
    assert verify(Bundle.open(path)).ok
    (path / "voices").rename(tmp_path / "voices")
    (path / "voices").symlink_to(tmp_path / "voices")
    refused_by_both(path, "voices")


def test_files_of_one_bundle_with_the_manifest_of_another_are_refused(tmp_path: Path):
    one = sample.write(tmp_path / "one")
    other = sample.write(tmp_path / "other", files=sample.contents() | {"tokenizer.json": b'{"version":"2.0"}\n'})
    shutil.copyfile(one / "bundle.json", other / "bundle.json")
    assert verify(one).digest == verify(other).digest
    assert any("tokenizer.json" in problem for problem in problems(other))


def test_what_is_no_bundle_is_reported_and_not_raised(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "absent", tmp_path / "file", Path("/dev/null"), Path("/proc/self/mem")):
        assert not verify(path).ok
        with pytest.raises(BundleError) as caught:
            Bundle.open(path)
        assert caught.value.hint
