"""A store of digits and commands in natural voices: Kokoro, a neural synthesiser with 54 speakers and all between them.

It takes a second for what espeak-ng and flite say in 20 ms, so it speaks once, into a folder that training reads.
Its folder needs `model.onnx` (kokoro-v1.0, the quantised one will do), `vocab.json` and `voices/*.bin`.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
import soxr
import typer

from benchmarks.terminal.language.commands import Command, draw_command
from benchmarks.terminal.language.numbers import digit_words
from benchmarks.terminal.speech.accents import draw_accent, pronounce, shifted
from benchmarks.terminal.speech.synthesise import trim
from edge.errors import EdgeError
from edge.events import ToolCall

RATE = 16_000
_MADE = 24_000
_STYLE = 256
_SEED = 61
_IPA = (
    *(("a^ɪ", "I"), ("a^ʊ", "W"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("t^ʃ", "ʧ"), ("ɔ^ɪ", "Y"), ("o^ʊ", "O"), ("ə^ʊ", "Q")),
    *(("r", "ɹ"), ("ɚ", "əɹ"), ("ɐ", "ə"), ("ɜː", "ɜɹ"), ("ɹɹ", "ɹ"), ("ʔ", "t"), ("^", "")),
)
"""From espeak-ng's signs, with ties, to Kokoro's."""


@dataclass(frozen=True, slots=True, eq=False)
class Recital:
    """`samples` int16 [N] at 16 kHz of `words`: digits, or a `command`."""

    samples: np.ndarray
    words: str
    command: Command | None


@dataclass(frozen=True, slots=True, eq=False)
class Talker:
    """`voice` float32 [lengths, 256] of Kokoro, who says what espeak-ng's `english` says but for his `accent`."""

    voice: np.ndarray
    english: str
    accent: Mapping[str, str]


class Reciter:
    """Kokoro on one thread."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        vocabulary = json.loads((folder / "vocab.json").read_text())
        self._ids: dict[str, int] = vocabulary.get("vocab", vocabulary)
        self._voices = {f.stem: np.fromfile(f, np.float32).reshape(-1, _STYLE) for f in folder.glob("voices/*.bin")}

    def draw(self, rng: np.random.Generator, words: str) -> np.ndarray:
        """`words` by some talker: float32 [N] at 16 kHz."""
        return self.speak(words, self.talker(rng), speed=float(rng.uniform(0.75, 1.35)))

    def talker(self, rng: np.random.Generator, accented: float = 0.0) -> Talker:
        """One of the voices, or one between two of the same sex; an accent of his own in that share of cases."""
        first = str(rng.choice(sorted(self._voices)))
        alike = [name for name in sorted(self._voices) if name[1] == first[1]]
        share = rng.uniform(0.3, 0.7) if rng.random() < 0.6 else 0.0
        voice = (1 - share) * self._voices[first] + share * self._voices[str(rng.choice(alike))]
        accent = draw_accent(rng) if accented and rng.random() < accented else {}
        return Talker(voice, "en-gb" if first[0] == "b" else "en-us", accent)

    def speak(self, words: str, talker: Talker, speed: float) -> np.ndarray:
        said = shifted(pronounce(words, talker.english), talker.accent) if talker.accent else words
        command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", talker.english, said]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        for sign, ours in _IPA:
            said = said.replace(sign, ours)
        if talker.english == "en-us":
            said = said.replace("ː", "")
        ids = [self._ids[sign] for sign in said if sign in self._ids]
        names = [wanted.name for wanted in self._session.get_inputs()]
        values = (np.array([[0, *ids, 0]]), talker.voice[len(ids)][None], np.array([speed], np.float32))
        made = self._session.run(None, dict(zip(names, values, strict=True)))[0].reshape(-1)
        return soxr.resample(trim(made), _MADE, RATE).astype(np.float32)


def recite(model: Path, folder: Path, count: int) -> None:
    """Fills `folder` with utterances 0 to `count` - 1, the same ones every time, those that it lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    reciter = Reciter(model)
    missing = [number for number in range(count) if not (folder / f"{number:05d}.wav").exists()]
    with typer.progressbar(missing, label="recite") as numbers:
        for number in numbers:
            rng = np.random.default_rng([_SEED, number])
            command = draw_command(rng) if number % 3 == 2 else None
            length = 1 if number % 3 == 0 else int(rng.integers(2, 7))
            words = command.words if command else digit_words("".join(map(str, rng.integers(0, 10, length))))
            told = {"words": words, "written": command.written, **asdict(command.call)} if command else {"words": words}
            (folder / f"{number:05d}.json").write_text(json.dumps(told))
            beside = folder / "part"
            soundfile.write(beside, np.clip(reciter.draw(rng, words), -1, 1), RATE, "PCM_16", format="WAV")
            beside.replace(folder / f"{number:05d}.wav")


def load_recitals(folder: Path) -> list[Recital]:
    """Raises EdgeError for a folder without any."""
    made = []
    for file in sorted(folder.glob("*.wav")):
        told = json.loads(file.with_suffix(".json").read_text())
        call = ToolCall(told["name"], told["arguments"]) if "name" in told else None
        command = Command(told["words"], told["written"], call) if call else None
        made.append(Recital(soundfile.read(file, dtype="int16")[0], told["words"], command))
    if not made:
        raise EdgeError(f"{folder} has no recitals.", "python -m benchmarks.terminal recite MODEL FOLDER")
    return made
