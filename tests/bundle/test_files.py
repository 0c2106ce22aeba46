from pathlib import Path

import pytest

from edge.bundle.files import durable_rename_dir, open_regular, size_text, write_bytes_durably
from edge.errors import BundleError, CheckpointError, UsageError


def test_a_durable_write_replaces_the_contents_and_leaves_only_the_file(tmp_path: Path):
    path = tmp_path / "state.json"
    write_bytes_durably(path, b"one")
    write_bytes_durably(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_durable_write_that_cannot_be_done_is_a_usage_error(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "absent" / "x", tmp_path / "file" / "x", tmp_path / ("n" * 300)):
        with pytest.raises(UsageError) as caught:
            write_bytes_durably(path, b"data")
        assert caught.value.hint
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_directory_is_never_renamed_onto_an_existing_one(tmp_path: Path):
    for name in ("new", "empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "x").write_bytes(b"x")
    (tmp_path / "dangling").symlink_to("nowhere")
    for final in ("empty", "full", "dangling"):
        with pytest.raises(UsageError, match="already exists"):
            durable_rename_dir(tmp_path / "new", tmp_path / final)
    durable_rename_dir(tmp_path / "new", tmp_path / "final")
    assert (tmp_path / "final").is_dir() and not (tmp_path / "new").exists()


def test_a_replaced_directory_keeps_its_contents_under_the_other_name(tmp_path: Path):
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(b"")
    durable_rename_dir(tmp_path / "new", tmp_path / "old", replace=True)
    assert (tmp_path / "old" / "new").exists() and (tmp_path / "new" / "old").exists()


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", ".", "a//b", "a/../../secret", "up/secret"])
def test_nothing_outside_the_root_can_be_opened(tmp_path: Path, name: str):
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "up").symlink_to("..")
    with pytest.raises(BundleError):
        open_regular(tmp_path / "root", name)


def test_the_caller_chooses_the_class_of_the_error(tmp_path: Path):
    with pytest.raises(CheckpointError, match="missing"):
        open_regular(tmp_path, "absent", CheckpointError)


def test_sizes_are_shown_with_one_decimal():
    assert [size_text(n) for n in (0, 999, 1234, 2_100_000_000)] == ["0 bytes", "999 bytes", "1.2 kB", "2.1 GB"]
