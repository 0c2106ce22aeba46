"""A set on disk: one folder with labels.jsonl, recordings, pictures and tools files, as `edge eval` takes it."""

import json
import wave
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.terminal.speech.utterance import Utterance
from edge.bundle.staging import StagedDirectory
from edge.evaluation.labels import LABELS
from edge.prompt.tools import Tool, to_phi_json


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One line of labels.jsonl: its `label` fields, and what is heard, seen and offered, which become files."""

    label: dict[str, Any]
    said: Utterance | None = None
    jpeg: bytes = b""
    tools: tuple[Tool, ...] = ()


def write_set(folder: Path, examples: Iterable[Example]) -> int:
    """The number of examples. `folder` appears when all is written; raises UsageError when it exists."""
    lines = []
    with StagedDirectory(folder) as stage:
        for number, example in enumerate(examples, 1):
            lines.append(json.dumps(_files(stage.path, f"{number:04}", example) | example.label, ensure_ascii=False))
        (stage.path / LABELS).write_text("\n".join(lines) + "\n", encoding="utf-8")
        stage.commit()
    return len(lines)


def _files(folder: Path, stem: str, example: Example) -> dict[str, str]:
    """Writes them; the fields that name them, relative to the folder."""
    named = {}
    if example.said:
        named["audio"] = f"{stem}.wav"
        write_wav(folder / named["audio"], example.said)
    if example.jpeg:
        named["image"] = f"{stem}.jpg"
        (folder / named["image"]).write_bytes(example.jpeg)
    if example.tools:
        named["tools"] = f"{stem}.tools.json"
        (folder / named["tools"]).write_text(to_phi_json(list(example.tools)) + "\n", encoding="utf-8")
    return named


def write_wav(path: Path, said: Utterance) -> None:
    """16 bits, mono. Utterances are in steps of 16 bits already, so the file holds exactly these samples."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, said.rate, 0, "NONE", ""))
        file.writeframes(np.clip(np.round(said.samples * 32768.0), -32768, 32767).astype("<i2").tobytes())
