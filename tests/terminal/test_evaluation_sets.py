"""Evaluation sets: the same everywhere, spoken by voices that nothing was trained on, readable by `edge eval`."""

import inspect
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.terminal.evaluation.__main__ import write_sets
from benchmarks.terminal.evaluation.drawn import DRAWN, SEED
from benchmarks.terminal.evaluation.example import write_wav
from benchmarks.terminal.language import talk
from benchmarks.terminal.language.numbers import DIGITS
from benchmarks.terminal.speech.talkers import talkers
from benchmarks.terminal.speech.utterance import draw_no_speech
from benchmarks.terminal.speech.voices import ACCENTS, FLITE_VOICES, VARIANTS
from benchmarks.terminal.training import (
    both_stage,
    speech_stage,
    text_stage,
    tower_stage,
    vision_stage,
)
from benchmarks.terminal.training.pipeline import Steps
from edge.errors import InputError, UsageError
from edge.evaluation.labels import TRANSCRIBE, read_labels
from edge.media.audio_file import read_audio
from edge.media.image_file import read_image
from edge.prompt.tools import load_tools, to_phi_json

COUNT = 5
SPOKEN = ("digits", "commands", "calls", "both")
ASKED = {
    "digits": ({"speech"}, {"wer"}),
    "commands": ({"speech"}, {"wer"}),
    "calls": ({"speech"}, {"calls"}),
    "text_calls": ({"text"}, {"calls"}),
    "displays": ({"vision"}, {"number"}),
    "labels_lamps": ({"vision"}, {"exact"}),
    "both": ({"vision_speech"}, {"exact"}),
    "talk": ({"text"}, {"exact"}),
    "silence": ({"speech", "vision"}, {"calls", "exact"}),
}
"""Modes and metrics of every drawn set."""
RECORDER = """#!/bin/sh
printf '%s\\t' "$@" >> '{log}'
printf '\\n' >> '{log}'
exec '{program}' "$@"
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, speech_programs: None) -> Path:
    """A few examples of every drawn set."""
    directory = tmp_path_factory.mktemp("sets")
    assert write_sets(directory, list(DRAWN), COUNT) == dict.fromkeys(DRAWN, COUNT)
    return directory


@pytest.fixture(scope="module")
def overheard(written: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[list[str]]]]:
    """The sets written once more, and the arguments that the speech programs were called with for each of them."""
    directory, programs = tmp_path_factory.mktemp("again"), tmp_path_factory.mktemp("bin")
    log, found = programs / "log", {}
    for rate in (8_000, 16_000):
        talkers(rate)  # babble behind the voices is made of voices of training, once for good
    for name in ("espeak-ng", "flite"):
        (programs / name).write_text(RECORDER.format(log=log, program=shutil.which(name)))
        (programs / name).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        for name in DRAWN:
            log.write_text("")
            write_sets(directory, [name], COUNT)
            found[name] = [line.split("\t") for line in log.read_text().splitlines()]
    return directory, found


def contents(directory: Path) -> dict[str, bytes]:
    return {str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()}


def test_the_same_sets_come_out_every_time(written: Path, overheard: tuple[Path, dict]) -> None:
    again, _ = overheard
    assert contents(again) == contents(written)


def test_fewer_examples_are_the_first_ones_of_a_set(written: Path, tmp_path: Path) -> None:
    write_sets(tmp_path, ["displays", "text_calls"], 2)
    for name in ("displays", "text_calls"):
        few, all_ = ((place / name / "labels.jsonl").read_text().splitlines() for place in (tmp_path, written))
        assert few == all_[:2]
    assert (tmp_path / "displays/0002.jpg").read_bytes() == (written / "displays/0002.jpg").read_bytes()


def test_only_held_out_voices_speak(overheard: tuple[Path, dict[str, list[list[str]]]]) -> None:
    _, calls = overheard
    for name in SPOKEN:
        assert len(calls[name]) == COUNT, "every example is spoken once"
        for arguments in calls[name]:
            if "-voice" in arguments:
                assert arguments[arguments.index("-voice") + 1] in FLITE_VOICES["held_out"]
            else:
                accent, variant = arguments[arguments.index("-v") + 1].split("+")
                assert accent in ACCENTS["held_out"]
                assert variant in VARIANTS["held_out"]


def test_nothing_is_spoken_in_the_silence_set(overheard: tuple[Path, dict[str, list[list[str]]]]) -> None:
    assert overheard[1]["silence"] == []


def test_training_never_comes_to_the_seeds_of_the_sets() -> None:
    """Training counts its seeds up from a small one by the steps it has made."""
    modality = (
        speech_stage.train_speech,
        tower_stage.train_tower,
        vision_stage.train_vision,
    )
    runs = (text_stage.train_text, *modality, both_stage.train_both)
    first = [inspect.signature(run).parameters["seed"].default for run in runs]
    steps = Steps()
    assert max(first) + max(getattr(steps, name) for name in steps.__dataclass_fields__) < SEED / 10
    assert len({one.number for one in DRAWN.values()}) == len(DRAWN), "nor do two sets share theirs"


def test_edge_eval_takes_every_set(written: Path) -> None:
    for name, (modes, metrics) in ASKED.items():
        items = read_labels(written / name)
        assert len(items) == COUNT
        assert {item.mode for item in items} == modes
        assert {item.metric for item in items} == metrics
        for item in items:
            assert all(read_audio(path).seconds > 0.1 for path in item.audio)
            assert all(min(read_image(path).shape[:2]) > 200 for path in item.images)


def test_tools_read_in_the_prompt_as_they_do_in_training(written: Path) -> None:
    files = [item.tools for name in ("calls", "text_calls") for item in read_labels(written / name)]
    for file in files:
        assert file is not None
        assert to_phi_json(load_tools(file)) + "\n" == file.read_text()


def test_in_the_silence_set_no_command_and_no_reading_is_right(written: Path) -> None:
    items = read_labels(written / "silence")
    with_tools = [item for item in items if item.tools]
    assert {item.expected for item in items if item.audio and item.tools} == {()}
    assert {item.expected for item in items if item.audio and not item.tools} == {talk.NO_SPEECH}
    assert {(item.prompt, item.expected) for item in items if item.images} == {("Read the display.", talk.NO_DISPLAY)}
    assert {bool(item.images) for item in with_tools} == {True, False}


def test_a_wav_holds_the_samples_that_were_drawn(tmp_path: Path) -> None:
    said = draw_no_speech(np.random.default_rng(0))
    write_wav(tmp_path / "a.wav", said)
    read = read_audio(tmp_path / "a.wav")
    assert read.rate == said.rate
    assert np.array_equal(read.samples, said.samples)


def test_the_real_sets_point_at_the_files_and_copy_none(tmp_path: Path) -> None:
    recordings, photos = tmp_path / "spoken", tmp_path / "photos"
    for digit, speaker in ((3, "ann"), (9, "bob")):
        (recordings / speaker).mkdir(parents=True)
        write_wav(recordings / speaker / f"{digit}_{speaker}_0.wav", draw_no_speech(np.random.default_rng(digit)))
    photos.mkdir()
    for name in ("hq_1.jpg", "mq_2.jpg"):
        cv2.imwrite(str(photos / name), np.zeros((20, 20, 3), np.uint8))
    (photos / "labels.jsonl").write_text(
        '{"file": "hq_1.jpg", "litres_whole": "33"}\n{"file": "mq_2.jpg", "litres_whole": "156"}\n'
    )
    out = tmp_path / "sets"
    folders = {"real_digits": recordings, "real_displays": photos}
    assert write_sets(out, [*folders], folders=folders) == {"real_digits": 2, "real_displays": 2}
    assert sorted(contents(out)) == ["real_digits/labels.jsonl", "real_displays/labels.jsonl"]
    digits, displays = (read_labels(out / name) for name in folders)
    assert [(item.expected, item.group, item.prompt) for item in digits] == [
        (DIGITS[3], "ann", TRANSCRIBE),
        (DIGITS[9], "bob", TRANSCRIBE),
    ]
    assert [item.audio[0].parent.parent for item in digits] == [recordings, recordings]
    assert [(item.expected, item.group, item.metric) for item in displays] == [
        ("33", "hq", "number"),
        ("156", "mq", "number"),
    ]


def test_what_cannot_be_written_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "talk").mkdir()
    (tmp_path / "labels.jsonl").write_text('{"file": "a.jpg"}\n')
    refused = (
        (UsageError, "'digit' is not an evaluation set", ["digit"], {}),
        (UsageError, "real_digits needs a folder", ["real_digits"], {}),
        (UsageError, "talk", ["talk"], {}),
        (InputError, "no recordings named", ["real_digits"], {"real_digits": tmp_path}),
        (InputError, "line 1 has no file or no litres_whole", ["real_displays"], {"real_displays": tmp_path}),
    )
    for kind, words, sets, folders in refused:
        with pytest.raises(kind, match=words) as caught:
            write_sets(tmp_path, sets, 1, folders)
        assert caught.value.hint
