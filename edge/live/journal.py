"""What was asked by voice and what came of it, kept in a folder that  edge eval  reads: correct the answers there, and
it is a test of one's own."""

import hashlib
import io
import json
import os
import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soundfile

from edge.bundle.files import write_bytes_durably
from edge.errors import EdgeError, InputError
from edge.evaluation.labels import LABELS
from edge.events import ToolCall
from edge.live.utterances import RATE, Utterance

if TYPE_CHECKING:
    import numpy as np

WAITING = 8
"""Turns that may wait for a slow disk; more are not kept."""


class Journal:
    """`prompt` and `tools` are asked with each recording. Writes in a thread of its own.

    Turn N leaves N.wav, the samples that the model heard; with a picture N.png as the camera took it and N.seen.png as
    the model's crops hold it; and a line of labels.jsonl. Raises InputError for a folder that cannot be used.
    """

    def __init__(self, folder: Path, prompt: str = "", tools: Path | None = None, max_crops: int | None = None) -> None:
        self._folder, self._prompt, self._max_crops = folder, prompt, max_crops
        self.fault = ""
        """Why a turn could not be kept, for the first time, one line; later ones are still tried."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._number = _last_number(folder)
            self._tools = _copied(tools, folder) if tools else None
            self._labels = _opened(folder / LABELS)
        except (OSError, EdgeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise InputError(f"{folder} cannot keep what is said: {reason}", "name a folder you may write to") from None
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def keep(
        self, utterance: Utterance, images: "Sequence[np.ndarray]", text: str, calls: Sequence[ToolCall] = ()
    ) -> None:
        """Returns at once."""
        if self._waiting.qsize() < WAITING:
            self._waiting.put(partial(self._write, utterance, list(images), text, list(calls)))
        else:
            self.fault = self.fault or f"{self._folder} is too slow to keep every turn"

    def close(self, timeout: float | None = None) -> None:
        """What was said is on the disk when this returns, unless that takes more than `timeout` seconds."""
        self._waiting.put(None)
        self._thread.join(timeout)
        if not self._thread.is_alive():
            os.close(self._labels)

    def _work(self) -> None:
        while (write := self._waiting.get()) is not None:
            try:
                write()
            except Exception as error:  # whatever it is, the terminal goes on listening
                self.fault = self.fault or f"what was said is not kept: {error}"

    def _write(
        self, utterance: Utterance, images: "Sequence[np.ndarray]", text: str, calls: Sequence[ToolCall]
    ) -> None:
        self._number += 1
        name = f"{self._number:05d}"
        sound = io.BytesIO()
        soundfile.write(sound, utterance.samples, RATE, format="WAV", subtype="FLOAT")
        write_bytes_durably(self._folder / f"{name}.wav", sound.getvalue())
        line: dict[str, Any] = {"audio": f"{name}.wav"}
        if images:
            line["image"] = self._picture(name, images[0])
        if self._prompt:
            line["prompt"] = self._prompt
        if self._tools:
            line["tools"] = self._tools
        if calls:
            line["calls"] = [{"name": call.name, "arguments": call.arguments} for call in calls]
        else:
            line["answer"] = text.strip()
        os.write(self._labels, (json.dumps(line, ensure_ascii=False) + "\n").encode())
        os.fsync(self._labels)

    def _picture(self, name: str, rgb: "np.ndarray") -> str:
        from edge.devices.frame import Frame, seen_by_model  # OpenCV only for those who have a camera
        from edge.media.crop_sizes import MAX_CROPS

        Frame(rgb, 0.0, 0).save(self._folder / f"{name}.png")
        Frame(seen_by_model(rgb, self._max_crops or MAX_CROPS), 0.0, 0).save(self._folder / f"{name}.seen.png")
        return f"{name}.png"


def _last_number(folder: Path) -> int:
    return max((int(path.stem) for path in folder.glob("*.wav") if path.stem.isdecimal()), default=0)


def _copied(tools: Path, folder: Path) -> str:
    """By content, so that lines of earlier days keep theirs."""
    data = tools.read_bytes()
    name = f"tools-{hashlib.sha256(data).hexdigest()[:8]}.json"
    write_bytes_durably(folder / name, data)
    return name


def _opened(labels: Path) -> int:
    """A descriptor to append to, without what a power cut left of a last line."""
    file = os.open(labels, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    whole = labels.read_bytes().rfind(b"\n") + 1
    os.ftruncate(file, whole)
    return file
