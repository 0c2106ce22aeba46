"""The reference answers as the exported bundle does, and one table says what each bundle lost against it."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import torch
import typer
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from benchmarks.terminal.evaluation import report as command
from benchmarks.terminal.evaluation.example import write_wav
from benchmarks.terminal.evaluation.figures import read_reports
from benchmarks.terminal.evaluation.reference import NAME, Reference, Stored, report_of
from benchmarks.terminal.evaluation.report import table
from benchmarks.terminal.speech.utterance import Utterance
from edge.bundle.bundle import Bundle
from edge.errors import InputError
from edge.evaluation.labels import read_labels
from edge.evaluation.report import Report, to_json
from edge.evaluation.results import Settings, scored
from edge.evaluation.run import prepare
from edge.evaluation.summary import summarise
from edge.events import Timing
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.multimodal_checkpoints import write_native

LIMIT = 6
"""A random model never stops by itself."""
Said = Callable[..., Path]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model, all of it in bfloat16."""
    path = write_native(tmp_path_factory.mktemp("reference") / "native")
    for file in path.rglob("*.safetensors"):
        save_file({name: value.to(torch.bfloat16) for name, value in load_file(file).items()}, file, {"format": "pt"})
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A line of every mode; their answers are never right."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    samples = (0.3 * np.sin(np.arange(12_000) * 0.3 + np.sin(np.arange(12_000) * 0.01))).astype(np.float32)
    write_wav(folder / "a.wav", Utterance(samples, 16_000, ""))
    cv2.imwrite(str(folder / "x.png"), np.random.default_rng(0).integers(0, 255, (448, 700, 3), np.uint8))
    (folder / "tools.json").write_text('[{"name": "stop", "parameters": {"line": {"type": "int", "description": ""}}}]')
    lines: list[dict[str, Any]] = [
        {"prompt": "hello", "answer": "-"},
        {"audio": "a.wav", "transcript": "-"},
        {"image": "x.png", "prompt": "read it", "answer": "-"},
        {"image": "x.png", "audio": "a.wav", "answer": "-"},
        {"audio": "a.wav", "tools": "tools.json", "calls": [{"name": "stop", "arguments": {"line": 2}}]},
    ]
    (folder / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def said(tmp_path: Path) -> Said:
    """A report of a bundle that said these texts in answer to the lines of a set."""

    def write(bundle: str, name: str, texts: list[str], wanted: int | None = None) -> Path:
        items = read_labels(tmp_path / name)
        results = []
        for item, text in zip(items, texts, strict=True):
            told = {"text": text, "tool_calls": [], "broken_call": False, "finish_reason": "stop", "usage": {}}
            results.append(scored(bundle, item, told | {"timing": asdict(Timing())}, 0.0, 1))
        stored = {bundle: cast(Bundle, Stored("0" * 64, 1))}
        count = len(items) if wanted is None else wanted
        report = Report(str(tmp_path / name), Settings(), {}, stored, count, results, summarise(results))
        file = tmp_path / f"{bundle}-{name}.json"
        file.write_text(json.dumps(to_json(report)))
        return file

    return write


def label(folder: Path, *lines: Any) -> None:
    folder.mkdir()
    (folder / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def cells(text: str) -> dict[tuple[str, str], list[str]]:
    """(set, measure) -> the other cells of the Markdown table's line."""
    found, name = {}, ""
    for line in text.splitlines()[2:]:
        first, measure, *others = [cell.strip() for cell in line.strip("|").split("|")]
        name = first or name
        found[name, measure] = others
    return found


def test_the_reference_says_in_every_mode_what_the_exported_bundle_says(checkpoint: Path, folder: Path) -> None:
    bundle = checkpoint.with_name("precise")
    run_export(plan_export(checkpoint, ExportOptions(bits=32)), bundle)
    ours = [*prepare(folder, [str(bundle)], Settings(LIMIT, threads=1)).results()]
    theirs = report_of(Reference(checkpoint), folder, None, LIMIT).results
    assert [one.item.mode for one in theirs] == ["text", "speech", "speech", "vision", "vision_speech"]
    assert [one.usage["prompt_tokens"] for one in theirs] == [one.usage["prompt_tokens"] for one in ours]
    free = [index for index, one in enumerate(theirs) if not one.item.tools]  # the bundle constrains calls
    assert [theirs[index].reply.text for index in free] == [ours[index].reply.text for index in free]
    assert len({theirs[index].reply.text for index in free}) == len(free), "answers that say nothing about the input"


def test_a_report_of_the_reference_stands_beside_those_of_bundles(checkpoint: Path, folder: Path) -> None:
    file = folder / "report.json"
    file.write_text(json.dumps(to_json(report_of(Reference(checkpoint), folder, 1, LIMIT))))
    (key,) = read_reports([file])
    assert (key.set, key.bundle) == ("mixed", NAME)


def test_points_lost_count_right_answers_down_and_word_errors_up(tmp_path: Path, said: Said) -> None:
    wav = tmp_path / "a.wav"
    write_wav(wav, Utterance(np.zeros(8000, np.float32), 8000, ""))
    label(tmp_path / "displays", *[{"prompt": "?", "answer": f"{n}.00", "metric": "number"} for n in range(100)])
    label(tmp_path / "commands", *[{"audio": str(wav), "transcript": "stop all of it"}] * 10)
    right = [f"{n}.00" for n in range(100)]
    sentences = ["stop all of it"] * 10
    files = [
        said(NAME, "displays", ["x", *right[1:]]),
        said("my-int8", "displays", ["x", "x", *right[2:]]),
        said("my-int4", "displays", ["x", "x", *right[2:]]),
        said(NAME, "commands", sentences),
        said("my-int8", "commands", ["stop all of", *sentences[1:]]),
        said("my-int4", "commands", [*["stop all of"] * 3, *sentences[3:]]),
    ]
    found = cells(table(read_reports(files), NAME))
    items, wanted, base, int8, int8_lost, int4, int4_lost = found["displays", "reading right"]
    assert (items, wanted, base.split(" (")[0], int8.split(" (")[0]) == ("100", "≥ 97 %", "99.0 %", "98.0 %")
    assert (int8_lost, int4_lost) == ("**+1.0**", "+1.0"), "int8 may lose half a point, int4 one and a half"
    _, wanted, base, int8, int8_lost, int4, int4_lost = found["commands", "WER"]
    assert (wanted, base.split(" (")[0], int8.split(" (")[0]) == ("≤ 5 %", "0.0 %", "2.5 %")
    assert (int8_lost, int4_lost) == ("**+2.5**", "**+7.5**")
    assert int4.startswith("**7.5 %"), "bold: more errors than asked for"


def test_silence_counts_invented_calls_texts_and_readings_together(tmp_path: Path, said: Said) -> None:
    (tmp_path / "tools.json").write_text('[{"name": "stop", "parameters": {}}]')
    write_wav(tmp_path / "a.wav", Utterance(np.zeros(8000, np.float32), 8000, ""))
    sound, picture = {"audio": "../a.wav"}, {"image": "../x.png", "prompt": "Read the display."}
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((20, 20, 3), np.uint8))
    label(
        tmp_path / "silence",
        sound | {"tools": "../tools.json", "prompt": "", "calls": [], "group": "sound, tools"},
        sound | {"prompt": "?", "answer": "I can't hear any speech.", "group": "sound"},
        picture | {"answer": "I can't see a display.", "group": "picture"},
        picture | {"answer": "I can't see a display.", "group": "picture"},
    )
    file = said(NAME, "silence", ["whatever, no call", "stop", "I can't see a display.", "I can't see a display."])
    found = cells(table(read_reports([file]), NAME))
    items, wanted, value = found["silence", "nothing invented"]
    assert (items, wanted, value.split(" (")[0]) == ("4", "≥ 99 %", "**75.0 %")
    assert found["silence", "nothing invented, sound"][2].startswith("0.0 %")
    assert found["silence", "nothing invented, picture"][2].startswith("100.0 %")


def test_reports_that_do_not_belong_together_are_refused(tmp_path: Path, said: Said) -> None:
    for name, count in (("talk", 3), ("mine", 2)):
        label(tmp_path / name, *[{"prompt": "?", "answer": "x"}] * count)
    whole = said(NAME, "talk", ["x"] * 3)
    partial = said("int8", "mine", ["x"] * 2, 5)
    fewer = tmp_path / "fewer.json"
    told = json.loads(said("int8", "talk", ["x"] * 3).read_text())
    told["bundles"][0]["rows"][0]["items"] = 2
    fewer.write_text(json.dumps(told))
    refused = (
        ([tmp_path / "missing.json"], "is no report"),
        ([tmp_path / "talk/labels.jsonl"], "is no report"),
        ([partial], "is partial"),
        ([whole, whole], "second report of bf16"),
        ([whole, fewer], "bf16 answered 3 items of talk, int8 answered 2"),
    )
    for files, words in refused:
        with pytest.raises(InputError, match=words) as caught:
            read_reports(files)
        assert caught.value.hint


def test_the_command_writes_a_table_and_a_drawing(tmp_path: Path, said: Said) -> None:
    label(tmp_path / "mine", {"prompt": "?", "answer": "x"})
    file, markdown, drawing = said(NAME, "mine", ["x"]), tmp_path / "a.md", tmp_path / "a.svg"
    app = typer.Typer()
    app.command()(command.main)
    done = CliRunner().invoke(app, [str(file), "--markdown", str(markdown), "--svg", str(drawing)])
    assert done.exit_code == 0, done.output
    assert cells(markdown.read_text())["mine", "exact"][2].startswith("100.0 %"), "an unknown set shows all measures"
    words = [one.text for one in ElementTree.parse(drawing).iter() if one.tag.endswith("text")]
    assert {"mine", NAME} <= set(words)
    done = CliRunner().invoke(app, [str(file), "--baseline", "float"])
    assert done.exit_code == 2
    assert "No report is about 'float'" in done.output
