"""What `edge eval` refuses before it loads a bundle, and what it says then."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge.errors import BundleError, EdgeError, InputError, UsageError
from edge.evaluation.results import Settings
from edge.evaluation.run import prepare
from tests.cli.child import assert_refused, edge


def write(folder: Path, *lines: Any) -> Path:
    (folder / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def refused(kind: type[EdgeError], words: str, *arguments: Any, **options: Any) -> None:
    with pytest.raises(kind) as caught:
        prepare(*arguments, **options)
    assert words in str(caught.value)
    assert caught.value.hint


def test_a_mistake_in_a_label_is_one_sentence_with_file_line_field_and_next_step(bundle: Path, folder: Path) -> None:
    write(folder, {"audio": "a.wav", "transcript": "x"}, {"audio": "gone.wav", "transcript": "x"})
    assert_refused(edge("eval", folder, "-b", bundle), 4, "labels.jsonl, line 2", "the field audio", "gone.wav")


def test_a_bundle_must_have_every_mode_that_the_labels_need(bundle: Path, phi3_bundle: Path, folder: Path) -> None:
    write(folder, {"prompt": "?", "answer": "x"}, {"audio": "a.wav", "answer": "x"})
    refused(InputError, "no mode speech, which line 2 needs", folder, [str(bundle), str(phi3_bundle)])


def test_bundles_tools_and_limits_are_checked_first(bundle: Path, folder: Path, tmp_path: Path) -> None:
    write(folder, {"prompt": "?", "answer": "x"})
    refused(BundleError, "no-bundle", folder, [str(tmp_path / "no-bundle")])
    refused(UsageError, "given twice", folder, [str(bundle), str(bundle)])
    refused(UsageError, "--max-tokens", folder, [str(bundle)], Settings(max_tokens=0))
    refused(UsageError, "--max-crops", folder, [str(bundle)], Settings(max_crops=1000))
    refused(InputError, "no.json", folder, [str(bundle)], tools=tmp_path / "no.json")
    refused(InputError, "nowhere does not exist", tmp_path / "nowhere", [str(bundle)])


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        ("--plot", "plot.jpg", "neither .svg nor .png"),
        ("--plot", "gone/plot.svg", "directory that does not exist"),
        ("--markdown", "inputs", "is a directory"),
        ("--out", "inputs", "already exists"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused_before_hours_of_work(
    bundle: Path, folder: Path, option: str, name: str, words: str
) -> None:
    write(folder, {"prompt": "?", "answer": "x"})
    assert_refused(edge("eval", folder, "-b", bundle, option, folder.parent / name), 2, words)


def test_without_the_extra_one_sentence_says_what_to_install(bundle: Path, folder: Path, tmp_path: Path) -> None:
    """The package is hidden by one that fails as a missing one does; only word errors need it."""
    (tmp_path / "jiwer.py").write_text("raise ModuleNotFoundError('hidden', name='jiwer')")
    write(folder, {"audio": "a.wav", "transcript": "x"})
    told = edge("eval", folder, "-b", bundle, PYTHONPATH=str(tmp_path))
    assert_refused(told, 2, "need the package jiwer")
    assert 'pip install "phi-edge[eval]"' in told.err
    write(folder, {"prompt": "?", "answer": "x"})
    assert edge("eval", folder, "-b", bundle, "-n", 1, PYTHONPATH=str(tmp_path)).code == 0
