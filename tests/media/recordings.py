"""Recordings made on the spot: every format, and WAV headers that lie."""

import io
import struct

import numpy as np
import soundfile


def chirp(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """A rising tone with noise, float64 [N, channels], a little different in each channel; peak below 0.8."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal((len(time), channels)).clip(-3, 3) * 0.03
    rise = min(3000.0, rate / 5) / max(seconds, 1e-3)
    tones = [0.5 * np.sin(2 * np.pi * (200 + 40 * one + rise / 2 * time) * time) for one in range(channels)]
    return np.stack(tones, 1) + noise


def encoded(
    samples: np.ndarray, rate: int, container: str = "WAV", subtype: str | None = None, **more: object
) -> bytes:
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, samples.shape[1], subtype, format=container, **more) as writer:
        for start in range(0, len(samples), 4096):  # the Vorbis encoder cannot take long blocks
            writer.write(samples[start : start + 4096])
    return file.getvalue()


def wav(
    data: bytes = bytes(32_000),
    *,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    tag: int = 1,
    size: int | None = None,
    before: bytes = b"",
) -> bytes:
    """A WAV file by hand. size: what the data chunk says; before: chunks in front of it; tag 1 integer, 3 float."""
    frame = channels * bits // 8
    layout = struct.pack("<HHIIHH", tag, channels, rate, rate * frame & 0xFFFFFFFF, frame & 0xFFFF, bits)
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(layout)) + layout + before
    body += b"data" + struct.pack("<I", len(data) if size is None else size) + data
    return b"RIFF" + struct.pack("<I", len(body) & 0xFFFFFFFF) + body


def without_index(mp3: bytes) -> bytes:
    """An MP3 file less its first frame, which holds the Xing or Info index."""
    return mp3[mp3.index(mp3[:2], 4) :]
