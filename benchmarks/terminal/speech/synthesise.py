"""Text to speech by the programs espeak-ng and flite."""

import subprocess
from xml.sax.saxutils import escape

import numpy as np

from benchmarks.terminal.speech.accents import pronounce, shifted
from benchmarks.terminal.speech.voices import Voice
from edge.errors import EdgeError, InputError

_WAV_HEADER = 44
_FLITE_WORDS_PER_MINUTE = 170  # at duration_stretch 1


class Crashed(EdgeError):
    """The program died on this text in this voice: espeak-ng does, for a few combinations, every time."""


def speak(text: str, voice: Voice) -> tuple[np.ndarray, int]:
    """`text` in that voice: float32 samples [N] within ±1, and their rate in Hz.

    Raises InputError for a text without a letter or digit, EdgeError when the program is missing or fails, Crashed when
    it dies.
    """
    if not any(character.isalnum() for character in text):
        raise InputError(f"There is nothing to speak in the text {text!r}.", "give it words")
    program = "espeak-ng" if voice.engine == "espeak" else "flite"
    try:
        command = _espeak(text, voice) if voice.engine == "espeak" else _flite(text, voice)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError:
        raise EdgeError(
            f"The program {program}, which speaks the training texts, is not installed.",
            f"apt install {program}",
        ) from None
    if done.returncode < 0:
        raise Crashed(f"{command[0]} crashed on {text!r} as {voice}.", "try another voice")
    recording = done.stdout
    if done.returncode or len(recording) <= _WAV_HEADER or recording[36:40] != b"data":
        reason = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
        raise EdgeError(f"{command[0]} could not speak {text!r} as {voice}: {reason}.", "check the voice's name")
    rate = int.from_bytes(recording[24:28], "little")
    samples = np.frombuffer(recording, "<i2", offset=_WAV_HEADER).astype(np.float32)
    return samples / np.float32(32768), rate


def trim(samples: np.ndarray) -> np.ndarray:
    """Without the silence (below 1/200 of the peak) at both ends."""
    loud = np.flatnonzero(np.abs(samples) > np.max(np.abs(samples), initial=0.0) / 200)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples


def _espeak(text: str, voice: Voice) -> list[str]:
    said = escape(shifted(pronounce(text, voice.name), dict(voice.accent)) if voice.accent else text)
    # the range of pitch can only be set in markup; sounds are only taken as such between spaces
    marked_up = f'<prosody range="{voice.pitch_range}%"> {said} </prosody>'
    name = f"{voice.name}+{voice.variant}" if voice.variant else voice.name
    options = {"-v": name, "-p": voice.pitch, "-s": voice.speed, "-a": voice.amplitude, "-g": voice.word_gap}
    return ["espeak-ng", "--stdout", "-z", "-m", *(str(part) for pair in options.items() for part in pair), marked_up]


def _flite(text: str, voice: Voice) -> list[str]:
    settings = {
        "duration_stretch": _FLITE_WORDS_PER_MINUTE / voice.speed,
        "int_f0_target_mean": voice.pitch,
        "int_f0_target_stddev": voice.pitch_range,
    }
    features = [part for name, value in settings.items() for part in ("--setf", f"{name}={value:.3f}")]
    return ["flite", "-voice", voice.name, *features, "-o", "/dev/stdout", "-t", text]
