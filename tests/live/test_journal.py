"""What was said is kept so that  edge eval  reads it, and a full disk or a power cut harms nothing else."""

import json
import shutil
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

from benchmarks.demo import __main__ as demo
from edge.errors import InputError
from edge.evaluation.labels import LABELS, read_labels
from edge.events import ToolCall
from edge.live.journal import WAITING, Journal
from edge.live.utterances import RATE, Utterance
from edge.media.image_file import read_image
from tests.cli.child import edge

TOOLS = demo.FOLDER / "tools.json"
CALL = ToolCall("stop", {"machine": "conveyor", "number": 2})
NOISE = np.random.default_rng(3).uniform(-1, 1, RATE).astype(np.float32)
DISPLAY = read_image(demo.FOLDER / "display.jpg")


def said(samples: np.ndarray = NOISE) -> Utterance:
    return Utterance(samples, 0.0)


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / LABELS).read_text().splitlines()]


def test_the_model_hears_and_sees_from_the_files_what_it_heard_and_saw(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "Read the display.")
    journal.keep(said(), [DISPLAY], " 66.00\n")
    journal.close()
    (line,) = lines(tmp_path)
    assert line == {"audio": "00001.wav", "image": "00001.png", "prompt": "Read the display.", "answer": "66.00"}
    samples, rate = soundfile.read(tmp_path / "00001.wav", dtype="float32")
    assert rate == RATE and (samples == NOISE).all()
    assert (read_image(tmp_path / "00001.png") == DISPLAY).all()
    seen = cv2.imread(str(tmp_path / "00001.seen.png"))
    assert max(seen.shape[:2]) % 448 == 0 or min(seen.shape[:2]) % 448 == 0, "as large as the crops show it"


def test_what_was_answered_by_voice_is_answered_alike_by_edge_eval(tmp_path: Path) -> None:
    shutil.copy(demo.FOLDER / "command.wav", tmp_path)
    samples, _ = soundfile.read(tmp_path / "command.wav", dtype="float32")
    answer = json.loads(edge("run", "--json", "-a", tmp_path / "command.wav", "--tools", TOOLS).out)
    calls = [ToolCall(call["name"], call["arguments"]) for call in answer["tool_calls"]]
    journal = Journal(tmp_path / "kept", tools=TOOLS)
    journal.keep(said(samples), [], "", calls)
    journal.close()
    result = edge("eval", tmp_path / "kept", "--json")
    assert result.code == 0, result.err
    rows = json.loads(result.out)["bundles"][0]["rows"]
    assert [row["figures"]["calls"]["value"] for row in rows if row["kind"] == "mode"] == [1.0]


def test_a_second_day_goes_on_after_the_first_with_other_tools(tmp_path: Path) -> None:
    for tools in (TOOLS, None):
        journal = Journal(tmp_path, tools=tools)
        journal.keep(said(), [], "Hello.")
        journal.close()
    first, second = lines(tmp_path)
    assert (first["audio"], second["audio"]) == ("00001.wav", "00002.wav")
    assert "tools" in first and "tools" not in second
    assert [item.expected for item in read_labels(tmp_path)] == ["Hello.", "Hello."]


def test_half_a_line_that_a_power_cut_left_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / LABELS).write_text('{"audio": "00001.wav", "answer": "one"}\n{"audio": "000')
    journal = Journal(tmp_path)
    journal.keep(said(), [], "two")
    journal.close()
    assert [line["answer"] for line in lines(tmp_path)] == ["one", "two"]


def test_a_folder_that_goes_away_is_told_of_and_ends_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "kept")
    shutil.rmtree(tmp_path / "kept")
    journal.keep(said(), [], "Hello.")
    journal.close()
    assert "not kept" in journal.fault and "\n" not in journal.fault


def test_a_disk_that_is_too_slow_loses_turns_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(Journal, "_write", lambda *_: go_on.wait())
    journal = Journal(tmp_path)
    for _ in range(WAITING + 3):
        journal.keep(said(), [], "Hello.")
    assert "too slow" in journal.fault
    go_on.set()
    journal.close()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(InputError, match="cannot keep what is said"):
        Journal(tmp_path / "kept")
