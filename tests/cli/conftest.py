"""Models that are slow enough to be interrupted, a microphone to speak into, and files for the command line."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from safetensors.numpy import load_file, save_file

from benchmarks.devices.sound_server import SoundServer
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export
from tests.checkpoints import config, tensors, tokenizer, write_checkpoint
from tests.cli.listen_program import ASKED, Program, Start
from tests.devices.sound_server import sound_server_for_tests
from tests.multimodal_checkpoints import SAVED, write_native

SLOW_CONTEXT = 32768
STOPS = ("<|end|>", "<|endoftext|>")


@pytest.fixture(scope="session")
def slow_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 layers, unquantised: a minute of work for a full context. Never stops: a stop token's logit is always 0.

    Not int4, because a quantised random model turns rounding errors, which depend on how a prompt is cut into
    calls, into other tokens; the tests compare answers that were computed in other cuts.
    """
    context = {"max_position_embeddings": SLOW_CONTEXT, "original_max_position_embeddings": SLOW_CONTEXT}
    cfg = config("phi3", num_hidden_layers=8, **context)
    weights = tensors(cfg)
    weights["model.embed_tokens.weight"][[tokenizer().token_to_id(token) for token in STOPS]] = 0
    root = tmp_path_factory.mktemp("slow")
    out = root / "slow"
    run_export(plan_export(write_checkpoint(root / "checkpoint", cfg, weights), ExportOptions(bits=32)), out)
    return out


@pytest.fixture(scope="session")
def slow_listening_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `slow_bundle`, with ears."""
    root = tmp_path_factory.mktemp("slow-listening")
    checkpoint = write_native(
        root / "checkpoint", original_context=SLOW_CONTEXT, max_context=SLOW_CONTEXT, num_hidden_layers=8
    )
    weights = load_file(checkpoint / "model.safetensors")
    weights["model.embed_tokens.weight"][[tokenizer().token_to_id(token) for token in STOPS]] = 0
    save_file(weights, checkpoint / "model.safetensors", SAVED)
    run_export(plan_export(checkpoint, ExportOptions(bits=32)), root / "slow")
    return root / "slow"


@pytest.fixture
def booth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    """With one microphone, which hears what is played to the loudspeaker "booth"."""
    with sound_server_for_tests(tmp_path / "sound", monkeypatch) as server:
        server.add_loudspeaker("booth")
        yield server


@pytest.fixture
def few_words(tmp_path: Path) -> Path:
    """The beginning of a question: enough to be answered, where it does not matter with what."""
    samples, rate = soundfile.read(ASKED, dtype="int16")
    soundfile.write(tmp_path / "few-words.wav", samples[:rate], rate)
    return tmp_path / "few-words.wav"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts an `edge listen` that does not outlive the test."""
    made: list[Program] = []

    def begin(*arguments: object, **how: Any) -> Program:
        made.append(Program(*arguments, **how))
        return made[-1]

    yield begin
    for one in made:
        one.close()


@pytest.fixture
def a_file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Writes its argument to a file of its own."""
    count = 0

    def write(content: str | bytes) -> Path:
        nonlocal count
        count += 1
        path = tmp_path / f"file-{count}.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
