"""`edge eval` as a user runs it: tables, files, exit codes."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

import edge
from edge.evaluation import child
from tests.cli.child import edge as command

LIMIT = 6
"""A random model never stops by itself."""


def write(folder: Path, *lines: Any) -> Path:
    (folder / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def rows(told: Any, bundle: int = 0) -> dict[str, Any]:
    return {row["name"]: row for row in told["bundles"][bundle]["rows"]}


@pytest.fixture
def said(bundle: Path, folder: Path) -> dict[str, str]:
    """What this random model answers: the only right answers there are."""
    model, options = edge.load(bundle, threads=1), edge.TurnOptions(max_tokens=LIMIT)
    found = {}
    for prompt, media in (
        ("hello", {}),
        ("hello", {"audio": [folder / "a.wav"]}),
        ("?", {"images": [folder / "x.png"]}),
    ):
        *_, done = model.conversation().generate(prompt, options, **media)
        assert isinstance(done, edge.Done)
        found[done.mode] = done.text
    return found


def test_every_mode_is_scored_timed_and_weighed(bundle: Path, folder: Path, said: dict[str, str]) -> None:
    write(
        folder,
        {"prompt": "hello", "answer": said["text"], "group": "right"},
        {"prompt": "hello", "answer": said["text"] + " and more"},
        {"audio": "a.wav", "prompt": "hello", "answer": said["speech"], "group": "right"},
        {"audio": "a.wav", "prompt": "hello", "transcript": said["speech"]},
        {"image": "x.png", "prompt": "?", "answer": said["vision"]},
        {"image": "x.png", "audio": "a.wav", "answer": "nothing like it"},
    )
    told = command("eval", folder, "-b", bundle, "--json", "-n", LIMIT).json()
    assert told["schema"] == 1
    assert told["partial"] is False
    assert told["answers"] == {"wanted": 6, "done": 6, "failed": 0}
    found = rows(told)
    assert [*found] == ["text", "speech", "vision", "vision_speech", "right"]
    exact = {name: (row["figures"]["exact"]["count"], row["figures"]["exact"]["of"]) for name, row in found.items()}
    assert exact == {"text": (1, 2), "speech": (1, 1), "vision": (1, 1), "vision_speech": (0, 1), "right": (2, 2)}
    assert found["speech"]["figures"]["wer"]["value"] == 0
    assert found["text"]["figures"]["exact"]["low"] < 0.5 < found["text"]["figures"]["exact"]["high"]
    assert all(row["ttft_s"] > 0 and row["decode_tokens_per_s"] > 0 and row["load_s"] > 0 for row in found.values())
    assert all(row["peak_rss_bytes"] > 50e6 for row in found.values())
    assert found["right"]["kind"] == "group"


def test_answers_do_not_depend_on_the_lines_before(bundle: Path, folder: Path) -> None:
    """Nothing is reused: not the KV cache, not what an encoder made of the same recording."""
    model, options = edge.load(bundle, threads=1, mode="speech"), edge.TurnOptions(max_tokens=LIMIT)
    encoded, run = [], model.encoders.run

    def counted(name: str, **inputs: np.ndarray) -> np.ndarray:
        encoded.append(name)
        return run(name, **inputs)

    model.encoders.run = counted  # type: ignore[method-assign]
    line = {"prompt": "hello", "images": [], "audio": [str(folder / "a.wav")], "tools": None}
    told = [child.answer(model, line | {"prompt": prompt}, options) for prompt in ("hello", "hello", "other", "hello")]
    assert len({one["text"] for one in told if one is not told[2]}) == 1
    assert {one["usage"]["reused_tokens"] for one in told} == {0}
    assert encoded.count("speech_encoder") == 4


def test_a_wrong_call_of_a_random_model_is_counted_and_silence_is_right(bundle: Path, folder: Path) -> None:
    call = {"name": "stop", "arguments": {"line": 2}}
    write(folder, {"prompt": "hello", "calls": [call]}, {"prompt": "hello", "calls": []})
    told = command("eval", folder, "-b", bundle, "--json", "-n", 1, "--tools", folder / "tools.json").json()
    figures = rows(told)["text"]["figures"]
    assert (figures["calls"]["count"], figures["calls"]["of"]) == (1, 2)
    assert (figures["valid_calls"]["count"], figures["valid_calls"]["of"]) == (1, 2)


def test_two_bundles_stand_side_by_side(bundle: Path, coarse: Path, folder: Path) -> None:
    write(folder, {"audio": "a.wav", "transcript": "x", "group": "mine"})
    done = command("eval", folder, "-b", bundle, "-b", coarse, "-n", LIMIT)
    assert done.code == 0
    heads = next(line for line in done.out.splitlines() if "measure" in line)
    assert heads.index("precise") < heads.index("coarse")
    for word in ("WER", "transcript right", "first token", "decoding", "peak RSS", "group mine"):
        assert word in done.out


def test_out_holds_every_answer_and_the_report_in_three_forms(bundle: Path, folder: Path, tmp_path: Path) -> None:
    write(folder, {"prompt": "hello", "answer": "a|b", "group": "<g>"}, {"audio": "a.wav", "transcript": "x"})
    out, picture = tmp_path / "out", tmp_path / "plot.png"
    done = command("eval", folder, "-b", bundle, "-n", LIMIT, "--json", "--out", out, "--plot", picture)
    assert sorted(path.name for path in out.iterdir()) == ["report.json", "report.md", "report.svg", "results.jsonl"]
    assert json.loads((out / "report.json").read_text()) == done.json()
    table = (out / "report.md").read_text()
    assert "| text | exact | 0.0 % (0.0–79.3) |" in table
    assert "| speech | WER |" in table
    words = [one.text for one in ElementTree.parse(out / "report.svg").iter() if one.tag.endswith("text")]
    assert {"speech", "· <g>", "Peak memory"} <= set(words)
    image = cv2.imread(str(picture))
    assert image is not None
    assert np.unique(image.reshape(-1, 3), axis=0).shape[0] > 3, "bars, words and white"
    first, second = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert (first["line"], first["expected"], first["scores"]) == (1, "a|b", {"exact": {"part": 0, "of": 1}})
    assert (second["line"], second["mode"], second["finish_reason"]) == (2, "speech", "length")


def test_limit_takes_the_first_lines_only(bundle: Path, folder: Path) -> None:
    write(folder, *[{"prompt": "hello", "answer": "x"}] * 3, {"audio": "a.wav", "transcript": "x"})
    told = command("eval", folder, "-b", bundle, "-n", 1, "--json", "--limit", 2).json()
    assert told["answers"]["wanted"] == 2
    assert [*rows(told)] == ["text"]


def test_an_input_that_cannot_be_decoded_is_left_out_of_the_figures_and_reported(bundle: Path, folder: Path) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF, or so")
    write(folder, {"audio": "broken.wav", "transcript": "x"}, {"audio": "a.wav", "transcript": "x"})
    done = command("eval", folder, "-b", bundle, "-n", LIMIT, "--json")
    assert done.code == 4
    assert "line 1: " in done.err and "broken.wav" in done.err and "\n  next: " in done.err
    row = rows(done.json())["speech"]
    assert (row["items"], row["failed"], row["figures"]["transcript"]["of"]) == (2, 1, 1)
