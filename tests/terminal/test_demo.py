"""make demo: what a new user sees first."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.demo import media
from benchmarks.demo.__main__ import FOLDER
from benchmarks.demo.recording import save_svg
from edge.errors import UsageError
from edge.evaluation.labels import read_labels
from tests.cli.child import ROOT, environment

MEMORY = 300_000_000
SVG = "http://www.w3.org/2000/svg"


def test_the_demo_shows_every_turn_with_its_figures_in_little_memory_and_draws_it(tmp_path: Path) -> None:
    picture = tmp_path / "demo.svg"
    # another bundle of the user's is not what the demo is about
    env = environment(EDGE_BUNDLE="nowhere")
    command = [sys.executable, "-m", "benchmarks.demo", "--record", str(picture)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout
    assert shown.count("$ edge run") == len(read_labels(FOLDER)) == 4
    assert shown.count("first token after") == shown.count("tokens/s") == 4
    for part in ("-a benchmarks/demo/command.wav", "--tools benchmarks/demo/tools.json", "-i benchmarks/demo/dis"):
        assert part in shown
    peak = int(shown.split("peak of memory ")[1].split()[0])
    assert 10e6 < peak * 1e6 < MEMORY
    assert "tiny stand-in" in shown and "edge pull microsoft/Phi-4-multimodal-instruct" in shown

    drawing = picture.read_text()
    words = "".join(ET.fromstring(drawing).itertext()).replace("\xa0", " ")
    assert "edge run 'Read the display.' -i benchmarks/demo/display.jpg" in words
    assert drawing.count("http") == drawing.count(SVG) == 1, "nothing is loaded from elsewhere"


def test_the_media_are_made_again_as_they_lie_here(tmp_path: Path, speech_programs: None) -> None:
    media.make(tmp_path)
    made = sorted(tmp_path.iterdir())
    assert [one.name for one in made] == ["command.wav", "display.jpg", "labels.jsonl", "question.wav", "tools.json"]
    for one in made:
        if one.suffix in (".json", ".jsonl"):  # sound and pixels may differ with the programs' versions
            assert one.read_text() == (FOLDER / one.name).read_text()
        else:
            assert 0.5 < one.stat().st_size / (FOLDER / one.name).stat().st_size < 2


def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        save_svg(Console(record=True), tmp_path / "nowhere" / "demo.svg", "demo")
