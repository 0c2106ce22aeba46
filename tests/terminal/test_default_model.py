"""The whole way on the committed checkpoint: export, bundle in the package, WAV and JPEG in, text and calls out."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

import edge as phi_edge
from benchmarks.demo import __main__ as demo
from benchmarks.terminal import ship
from edge.bundle.bundle import Bundle
from edge.bundle.embedded import EMBEDDED
from edge.bundle.verify import verify
from edge.errors import CheckpointError, ResourceError
from edge.evaluation.labels import Item, read_labels
from edge.media.clip import read_clip
from edge.media.image_file import read_image
from edge.prompt.tools import load_tools
from tests.cli.child import edge

ITEMS = read_labels(demo.FOLDER)
DEMO_MEMORY = 300_000_000
IMAGE_TOKENS = 72 + 1 + 8 * (15 + 1)
"""796 x 448 pixels fit as they are into two crops side by side, so 15 of their 16 columns are used; each of the 8 rows
has an end. Before them comes a separator, and the overview with 8 rows of 8 features and an end."""


def hashes(directory: Path) -> dict[str, str]:
    files = [file for file in sorted(directory.rglob("*")) if file.is_file()]
    return {str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def bits() -> int:
    """Of the weights in the committed bundle."""
    groups = Bundle.open(EMBEDDED).manifest.quantisation
    return next(group.bits for group in groups if group.name == "mlp")


def test_the_committed_bundle_is_what_ship_makes_of_the_committed_checkpoint(tmp_path: Path) -> None:
    checkpoint, bundle = tmp_path / "checkpoint", tmp_path / "terminal"
    card = (EMBEDDED / "README.md").read_bytes()
    assert card == ship.MODEL_CARD.read_bytes(), "run: python -m benchmarks.terminal.ship CHECKPOINT_DIR"
    ship.ship(ship.CHECKPOINT, bits(), checkpoint, bundle)
    assert hashes(checkpoint) == hashes(ship.CHECKPOINT)
    assert hashes(bundle) == hashes(EMBEDDED)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["checkpoint", "terminal"]


def test_checkpoint_and_bundle_are_whole_and_small_enough_for_repository_and_wheel() -> None:
    assert verify(EMBEDDED).ok
    assert Bundle.open(EMBEDDED).manifest.modes == ["text", "speech", "vision", "vision_speech"]
    assert ship.size_of(ship.CHECKPOINT) <= 25_000_000
    assert ship.size_of(EMBEDDED) <= 15_000_000


def test_nothing_is_replaced_by_a_checkpoint_that_is_incomplete_or_makes_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = tmp_path / "checkpoint", tmp_path / "terminal"
    for place in places:
        place.mkdir()
        (place / "old").touch()
    with pytest.raises(CheckpointError, match=r"config\.json"):
        ship.ship(tmp_path, 8, *places)
    monkeypatch.setattr(ship, "MOST_OF_BUNDLE", ship.size_of(EMBEDDED) // 4)
    with pytest.raises(ResourceError, match="terminal"):
        ship.ship(ship.CHECKPOINT, bits(), *places)
    assert [list(hashes(place)) for place in places] == [["old"], ["old"]]


@pytest.fixture(scope="module")
def model() -> Iterator[phi_edge.Model]:
    yield phi_edge.load()


def answer(model: phi_edge.Model, item: Item) -> phi_edge.Done:
    tools = load_tools(item.tools) if item.tools else []
    pictures, clips = [read_image(path) for path in item.images], [read_clip(path) for path in item.audio]
    options = phi_edge.TurnOptions(max_tokens=demo.MAX_TOKENS)
    *_, done = model.conversation(tools=tools).generate(item.prompt, options, images=pictures, audio=clips)
    assert isinstance(done, phi_edge.Done)
    return done


def audio_tokens(path: Path) -> int:
    """One for 80 ms: ceil(frames / 8), where frames of 25 ms start every 10 ms; 16 kHz."""
    frames = (soundfile.info(path).frames - 400) // 160 + 1
    return -(-frames // 8)


def name(item: Item) -> str:
    return f"{item.mode} {item.metric}"


@pytest.mark.parametrize("item", ITEMS, ids=name)
def test_every_turn_of_the_demo_is_answered_in_its_mode_by_all_tokens_of_its_media(
    model: phi_edge.Model, item: Item
) -> None:
    done = answer(model, item)
    assert done.mode == item.mode
    assert done.usage.audio_tokens == sum(map(audio_tokens, item.audio))
    assert done.usage.image_tokens == IMAGE_TOKENS * len(item.images)
    assert 1 <= done.usage.completion_tokens <= demo.MAX_TOKENS
    assert done.finish_reason in ("stop", "length", "tool_calls")


def test_a_recording_becomes_a_call_on_the_command_line_in_less_than_300_mb(tmp_path: Path) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text('[{"name": "emergency_stop", "description": "Stop everything at once."}]')
    arguments = ("-a", demo.FOLDER / "command.wav", "--tools", tools, "--tool-choice", "required", "--single-call")
    result = edge("run", *arguments, "-n", 100, "--json")
    assert (result.code, result.err) == (0, "")
    told = result.json()
    assert (told["bundle"]["name"], told["mode"], told["finish_reason"]) == ("terminal", "speech", "tool_calls")
    assert told["tool_calls"] == [{"name": "emergency_stop", "arguments": {}}]
    assert told["memory"]["peak_rss_bytes"] < DEMO_MEMORY


@pytest.mark.parametrize("item", ITEMS, ids=name)
def test_the_trained_model_answers_the_demo_rightly(model: phi_edge.Model, item: Item) -> None:
    done = answer(model, item)
    found = done.tool_calls if item.metric == "calls" else done.text
    assert found == item.expected
