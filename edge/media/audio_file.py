"""Recordings in WAV, FLAC, Ogg (Vorbis, Opus) and MP3, told apart by content, decoded block by block."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from edge.errors import InputError
from edge.media.audio_containers import REPAIR, check_flac, check_wav, cut_off
from edge.media.byte_window import ByteWindow, open_bytes
from edge.media.mp3_frames import DECODER_DELAY, id3_size, mp3_frames
from edge.media.native_stderr import decoder_messages
from edge.media.ogg_pages import ogg_ends
from edge.media.waveform import Waveform, WaveformBuilder, check_length

_BLOCK_SAMPLES = 1 << 15
_CONVERT = "convert it, for instance with: ffmpeg -i FILE clip.wav"
_STDERR = 2


def read_audio(source: Path | bytes) -> Waveform:
    """The recording in the file `source`, or in the bytes of such a file: mono, 16 kHz or 8 kHz.

    Channels are averaged; 16 kHz and more become 16 kHz, all below becomes 8 kHz. Memory follows the result.
    Raises InputError: not a regular file, not one of the four formats, cut off or damaged, no samples, NaN or
    infinity, a rate or channel count out of range, more than 2 hours. A file counts as cut off when less is
    there than its header promises, by however little, or when its last Ogg page or MP3 frame is not whole.
    """
    name = "The audio clip" if isinstance(source, bytes) else f"{source}"
    file, window = open_bytes(source, name)
    with file:
        window = window.narrowed(id3_size(window), window.size)
        start = window.bytes_at(0, 12)
        if start[:4] in (b"RIFF", b"RF64") and start[8:] == b"WAVE":
            check_wav(window, name)
            return _decode(window, name)
        if start[:4] == b"fLaC":
            check_flac(window, name)
            return _decode(window, name)
        if start[:4] == b"OggS":
            return _decode(window, name, whole=ogg_ends(window, name))
        if start[:1] == b"\xff" and start[1:2] >= b"\xe0":
            window = mp3_frames(window, name)
            with _no_stderr():
                return _decode(window, name, slack=DECODER_DELAY)
    raise InputError(f"{name} is not a WAV, FLAC, Ogg or MP3 recording.", _CONVERT)


class _Decoder(soundfile.SoundFile):
    """Reads onwards only: soundfile seeks to where it is after each read, which damages the next MP3 frames."""

    def seekable(self) -> bool:
        return False


def _decode(window: ByteWindow, name: str, *, whole: bool = True, slack: int = 0) -> Waveform:
    """What libsndfile finds in `window`.

    whole: False when the end is known to be missing; slack: how many of the promised samples may be missing.
    """
    window.seek(0)
    done, file = 0, None
    try:
        with _Decoder(window) as file:
            builder = WaveformBuilder(file.samplerate, file.channels, name)
            check_length(file.frames, file.samplerate, name)
            if not whole:
                there = file.frames / file.samplerate
                raise InputError(
                    f"{name} is cut off: its last page is missing, and {there:,.3f} s of audio can be read.", REPAIR
                )
            block = np.empty((_BLOCK_SAMPLES // file.channels, file.channels), np.float32)
            while len(part := file.read(out=block)):
                builder.add(part)
                done += len(part)
    except soundfile.LibsndfileError as error:
        if file is None:
            raise InputError(f"{name} cannot be decoded: {error.error_string}", _CONVERT) from None
    if done < file.frames - slack:
        rate = file.samplerate
        raise cut_off(name, f"{file.frames / rate:,.3f} s of audio", f"{done / rate:,.3f} s")
    return builder.finish()


@contextmanager
def _no_stderr() -> Iterator[None]:
    """The MP3 decoder inside libsndfile writes about damaged frames on descriptor 2, and has no switch for it."""
    with decoder_messages():  # whose lock lets one decoder at a time turn the descriptor round
        try:
            kept = os.dup(_STDERR)
        except OSError:  # the process has no stderr
            yield
            return
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, _STDERR)
            os.close(null)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
