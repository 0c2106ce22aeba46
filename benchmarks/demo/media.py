"""Makes the demo's recordings, its picture and their labels: python -m benchmarks.demo.media (needs espeak-ng).

labels.jsonl is also what `edge eval benchmarks/demo` measures, and what the tests expect of the trained model.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import soundfile

from benchmarks.terminal.language.questions import PLAIN, answer_to
from benchmarks.terminal.language.tools import FLAT
from benchmarks.terminal.pictures.picture import Picture, draw_picture
from benchmarks.terminal.speech.channel import to_peak
from benchmarks.terminal.speech.mixing import surround
from benchmarks.terminal.speech.synthesise import speak, trim
from benchmarks.terminal.speech.voices import Voice
from benchmarks.terminal.speech.warp import change_speed
from edge.evaluation.labels import TRANSCRIBE

FOLDER = Path(__file__).parent
SEED = 128
EASY = 0.6  # a photo taken with some care
RATE = 16_000
VOICE = Voice("espeak", "en-us-nyc", "steph", pitch=45, pitch_range=100, speed=155)  # not a voice of the training set

COMMAND = "set line three to forty percent"
CALL = {"name": "set_speed", "arguments": {"machine": "line", "number": 3, "percent": 40}}
OFFERED = ("set_speed", "stop", "read_sensor")
QUESTION, ASKS = "what does the display show", "reading"


def make(folder: Path = FOLDER) -> None:
    """The same bytes on every call, with the same versions of espeak-ng and OpenCV."""
    picture = draw_picture(np.random.default_rng(SEED), "display", EASY)
    _, jpeg = cv2.imencode(".jpg", picture.rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    (folder / "display.jpg").write_bytes(jpeg.tobytes())
    for name, words in (("command.wav", COMMAND), ("question.wav", QUESTION)):
        soundfile.write(folder / name, _spoken(words), RATE, subtype="PCM_16")
    tools = [tool for tool in FLAT if tool["name"] in OFFERED]
    (folder / "tools.json").write_text(json.dumps(tools, indent=1) + "\n")
    lines = "".join(json.dumps(label, ensure_ascii=False) + "\n" for label in labels(picture))
    (folder / "labels.jsonl").write_text(lines)


def labels(picture: Picture) -> list[dict[str, object]]:
    """The four turns of the demo, with what is right; `group` is their headline."""
    heard: dict[str, object] = {"group": f"A voice says: {COMMAND}", "audio": "command.wav"}
    seen: dict[str, object] = {"image": "display.jpg"}
    asked = {"group": f"A voice asks about the photo: {QUESTION}", "audio": "question.wav"}
    return [
        heard | {"prompt": TRANSCRIBE, "transcript": COMMAND},
        heard | {"tools": "tools.json", "calls": [CALL]},
        {"group": f"A photo of a display shows {picture.answer} {picture.unit}"} | seen
        | {"prompt": PLAIN, "answer": picture.answer},
        asked | seen | {"answer": answer_to(ASKS, picture.kind, picture.answer, picture.unit)},
    ]  # fmt: skip


def _spoken(words: str) -> np.ndarray:
    samples, rate = speak(words, VOICE)
    said = change_speed(trim(samples), rate, 1.0, RATE)
    return surround(np.random.default_rng(SEED), to_peak(said, 0.5), RATE)


if __name__ == "__main__":
    make()
