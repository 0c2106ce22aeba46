"""Recordings that are not whole, not honest or not audio: one sentence, never half of them, never a crash."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import InputError
from edge.media.audio_file import read_audio
from edge.media.native_stderr import decoder_messages
from edge.media.ogg_pages import page_checksum
from tests.media.recordings import chirp, encoded, wav

KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "IMA_ADPCM"),
    ("RF64", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
NOTHING = b"\0" * 4
# not getrusage, whose peak a child inherits from the process that started it
PEAK = r"""
import re, sys
from pathlib import Path
from edge.errors import InputError
from edge.media.audio_file import read_audio
def peak(): return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@cache
def whole(container: str, subtype: str, seconds: float = 1.0) -> bytes:
    return encoded(chirp(seconds, 16_000, 2), 16_000, container, subtype)


def refusal(source: Path | bytes) -> str:
    with pytest.raises(InputError) as caught:
        read_audio(source)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert caught.value.hint
    return message


@pytest.mark.parametrize(("container", "subtype"), KINDS)
def test_no_file_that_was_cut_anywhere_is_taken_for_a_whole_one(container: str, subtype: str) -> None:
    data = whole(container, subtype)
    assert read_audio(data).seconds == pytest.approx(1.0, abs=0.07)
    for percent in range(100):
        refusal(data[: len(data) * percent // 100])
    refusal(data[:-1])


@pytest.mark.parametrize(
    ("container", "subtype"), [("WAV", "PCM_16"), ("WAV", "ALAW"), ("RF64", "PCM_24"), ("FLAC", "PCM_16")]
)
def test_a_cut_file_is_refused_with_what_it_promises_and_what_is_there(container: str, subtype: str) -> None:
    data = whole(container, subtype, 4.0)
    message = refusal(data[: len(data) // 2])
    promised, there = (float(one) for one in re.findall(r"([0-9.]+) s\b", message))
    assert promised == 4.0
    assert 1.0 < there < 2.5


def test_a_cut_ogg_or_mp3_is_refused_with_what_is_there() -> None:
    ogg = whole("OGG", "VORBIS", 8.0)
    assert "last page is missing" in refusal(ogg[: len(ogg) // 2])
    mp3 = whole("MP3", "MPEG_LAYER_III", 8.0)
    assert "inside a frame after 4." in refusal(mp3[: len(mp3) // 2])


def test_damage_in_the_middle_is_refused() -> None:
    for container, subtype, words in [
        ("FLAC", "PCM_16", "8.000 s"),
        ("OGG", "VORBIS", "byte"),
        ("OGG", "OPUS", "byte"),
    ]:
        data = bytearray(whole(container, subtype, 8.0))
        data[len(data) // 2] ^= 1
        assert words in refusal(bytes(data))
    mp3 = whole("MP3", "MPEG_LAYER_III", 8.0)
    at = mp3.index(mp3[:2], len(mp3) // 2)
    assert "damaged after 4." in refusal(mp3[:at] + b"not a frame" + mp3[at:])


def test_two_recordings_in_one_file_are_not_taken_for_the_first_of_them() -> None:
    ogg = encoded(chirp(1.0, 16_000), 16_000, "OGG"), encoded(chirp(1.0, 16_000, seed=1), 16_000, "OGG")
    refusal(b"".join(ogg))
    mp3 = whole("MP3", "MPEG_LAYER_III")
    refusal(mp3 + mp3)


def test_an_mp3_whose_index_counts_itself_is_read_and_other_miscounts_are_refused() -> None:
    mp3 = bytearray(whole("MP3", "MPEG_LAYER_III"))
    at = mp3.index(b"Xing") + 8
    count = int.from_bytes(mp3[at : at + 4], "big")
    for more, usable in [(-1, False), (0, True), (1, True), (2, False)]:
        mp3[at : at + 4] = (count + more).to_bytes(4, "big")
        if usable:
            assert read_audio(bytes(mp3)).seconds == pytest.approx(1.0, abs=0.04)
        else:
            refusal(bytes(mp3))


def test_an_ogg_file_without_one_of_its_pages_is_refused() -> None:
    ogg = whole("OGG", "VORBIS", 8.0)
    second, third = (at.start() for at in list(re.finditer(b"OggS", ogg))[3:5])
    assert "damaged at byte" in refusal(ogg[:second] + ogg[third:])


def test_a_flac_without_a_length_is_refused_with_a_way_out() -> None:
    data = bytearray(whole("FLAC", "PCM_16"))
    data[21] &= 0xF0
    data[22:26] = NOTHING
    assert "how long" in refusal(bytes(data))


BAD_FORMATS = {
    "no bytes": (b"", "empty"),
    "text": (b"hello\n" * 100, "not a WAV, FLAC, Ogg or MP3"),
    "raw samples": (chirp(1.0, 16_000).astype("<f4").tobytes(), "not a WAV"),
    "zeros": (bytes(100_000), "not a WAV"),
    "ones": (b"\xff" * 100_000, "MP3"),
    "AIFF": (encoded(chirp(0.1, 16_000), 16_000, "AIFF"), "not a WAV"),
    "one byte": (b"R", "not a WAV"),
    "magic only": (b"RIFF\0\0\0\0WAVE", "data"),
    "header only": (wav()[:44], "32,000 bytes"),
    "no data chunk": (wav()[:36], "data"),
    "no samples": (wav(b""), "no audio samples"),
    "data said to be empty": (wav(size=0), "no audio samples"),
    "half a sample": (wav(b"\1"), "no audio samples"),
    "a length beyond the file": (wav(size=64_000), "2.000 s"),
    "one byte too few": (wav(size=32_001), "32,000"),
    "rate 0": (wav(rate=0), "0 Hz"),
    "rate 1": (wav(rate=1), "1 Hz"),
    "rate 3,999": (wav(rate=3_999), "3,999 Hz"),
    "rate 384,001": (wav(rate=384_001), "384,001 Hz"),
    "rate 2^32 - 1": (wav(rate=2**32 - 1), "4,294,967,295 Hz"),
    "0 channels": (wav(channels=0), "0 channels"),
    "65 channels": (wav(channels=65), "65 channels"),
    "65,535 channels": (wav(channels=65_535), "65,535 channels"),
    "unknown coding": (wav(tag=0x7777), "decoded"),
    "0 bits": (wav(bits=0), ""),
    "NaN": (wav(np.array([0, 0, np.nan, 0], "<f4").tobytes(), bits=32, tag=3), "finite"),
    "all NaN": (wav(np.full(800, np.nan, "<f4").tobytes(), bits=32, tag=3), "finite"),
    "infinity": (wav(np.array([0, np.inf], "<f4").tobytes(), bits=32, tag=3), "finite"),
    "double beyond float": (wav(np.full(800, 1e300).tobytes(), bits=64, tag=3), "finite"),
    "a chunk that lies": (wav(before=b"junk\xf0\xff\xff\xff"), "data"),
    "a bomb of chunks": (wav(before=(b"junk" + NOTHING) * 5_000), "1,024 chunks"),
    "tags without end": ((b"ID3\4\0\0" + NOTHING) * 10_000 + wav(), "not a WAV"),
}


@pytest.mark.parametrize(("data", "words"), BAD_FORMATS.values(), ids=BAD_FORMATS.keys())
def test_an_unusable_file_is_refused_with_the_fault(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(data)
    message = refusal(path)
    assert message.startswith(str(path))
    assert words in message
    assert words in refusal(data)


def test_what_is_not_a_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "pipe" in refusal(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(str(tmp_path / "socket"))
        assert "socket" in refusal(tmp_path / "socket")
    assert "directory" in refusal(tmp_path)
    for device in ("/dev/zero", "/dev/null"):
        assert "device" in refusal(Path(device))
    assert "does not exist" in refusal(tmp_path / "gone.wav")
    assert "no file name" in refusal(Path("a\0b"))
    (tmp_path / "loop").symlink_to("loop")
    refusal(tmp_path / "loop")


def sparse(path: Path, head: bytes, size: int) -> Path:
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
    return path


def endless_ogg_tags() -> bytes:
    """100 MB of a comment that goes on from page to page."""
    start = whole("OGG", "VORBIS")[:58]  # the first page: 27 bytes, one length, the identification packet
    pages = [start]
    comment = b"\x03vorbis" + bytes(4) + (1).to_bytes(4, "little") + (100 << 20).to_bytes(4, "little")
    for number in range(1, 1_600):
        payload = (comment if number == 1 else b"").ljust(255 * 255, b"a")
        head = b"OggS\0" + bytes([number > 1]) + b"\xff" * 8 + start[14:18] + number.to_bytes(4, "little")
        page = head + bytes(4) + b"\xff" + b"\xff" * 255 + payload
        pages.append(page[:22] + page_checksum(page) + page[26:])
    return b"".join(pages)


def test_bombs_cost_less_than_50_mib_altogether(tmp_path: Path) -> None:
    ten_hours = 36_000 * 8_000
    long = wav(b"", rate=8_000, bits=8, size=ten_hours)
    silence = bytearray(encoded(np.zeros((16_000, 1)), 16_000, "FLAC"))
    silence[21:26] = b"\xff" * 5
    picture = b"\x06" + (0xFFFFFF).to_bytes(3, "big")
    bombs = [
        sparse(tmp_path / "ten hours", long, len(long) + ten_hours),
        sparse(tmp_path / "list", wav(before=b"LIST" + (1 << 30).to_bytes(4, "little") + b"INFO")[:60], 1 << 30),
        sparse(tmp_path / "id3", b"ID3\x03\0\0\x7f\x7f\x7f\x7f", 1 << 29),
        sparse(tmp_path / "terabyte", wav(size=0xFFFFFFFF), 1 << 40),
        sparse(tmp_path / "picture", b"fLaC" + bytes(silence[4:42]) + picture, 1 << 25),
        sparse(tmp_path / "ogg", whole("OGG", "VORBIS")[:4_000], 1 << 30),
        sparse(tmp_path / "mp3", whole("MP3", "MPEG_LAYER_III") + b"junk", 1 << 30),
        sparse(tmp_path / "channels", wav(channels=65_535, size=0xFFFFFFFF), 1 << 30),
    ]
    for name, data in [
        ("claims", bytes(silence)),
        ("ogg tags", endless_ogg_tags()),
        ("chunks", wav(before=(b"junk" + NOTHING) * 1_000_000)),
    ]:
        (tmp_path / name).write_bytes(data)
        bombs.append(tmp_path / name)
    good = tmp_path / "good.wav"
    good.write_bytes(wav())
    program = PEAK + (
        "read_audio(Path(sys.argv[1])); before = peak()\n"
        "for name in sys.argv[2:]:\n"
        "    try: read_audio(Path(name)); print(name, 'was read')\n"
        "    except InputError as error: print(peak() - before, error, file=sys.stderr)\n"
        "print((peak() - before) // 1024)\n"
    )
    child = subprocess.run([sys.executable, "-c", program, good, *bombs], capture_output=True, text=True, check=True)
    assert child.stdout.strip().isdigit(), child.stdout
    assert int(child.stdout) < 50, child.stderr


def test_the_memory_for_a_clip_is_its_mono_16_khz_samples(tmp_path: Path) -> None:
    """230 MB of float stereo at 96 kHz, 5 minutes: 19 MB of samples."""
    path = tmp_path / "long.wav"
    size = 300 * 96_000 * 8
    head = wav(b"", channels=2, rate=96_000, bits=32, tag=3, size=size)
    sparse(path, head, len(head) + size)
    program = PEAK + (
        "before = peak(); clip = read_audio(Path(sys.argv[1]))\nprint(clip.seconds, (peak() - before) // 1024)\n"
    )
    child = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    seconds, mebibytes = child.stdout.split()
    assert float(seconds) == 300
    assert int(mebibytes) < 33


def test_nothing_is_printed_about_damaged_files_and_stderr_works_again(capfd: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(3)
    comment = b"ID3\x04\0\0\0\0\1\0COMM\0\0\0\x20\0\0\x03eng" + b"\xff" * 114
    for container, subtype in KINDS:
        data = whole(container, subtype)
        for trial in range(30):
            bad = bytearray(data)
            for at in random.integers(60, len(data), 1 + trial):
                bad[at] ^= 1 << int(random.integers(8))
            with contextlib.suppress(InputError):
                read_audio(comment + bytes(bad))
    assert capfd.readouterr() == ("", "")
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_many_threads_may_read_audio_and_images_at_once_and_stderr_survives(capfd: pytest.CaptureFixture[str]) -> None:
    mp3 = whole("MP3", "MPEG_LAYER_III")
    expected = read_audio(mp3).samples
    same: list[bool] = []

    def read_some() -> None:
        for _ in range(10):
            same.append(np.array_equal(read_audio(mp3).samples, expected))

    def watch_messages() -> None:
        for _ in range(100):
            with decoder_messages():
                pass

    threads = [threading.Thread(target=target) for target in (read_some, watch_messages) * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 80
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(whole("FLAC", "PCM_16")[:-9])
    (tmp_path / "good").write_bytes(whole("MP3", "MPEG_LAYER_III"))
    os.mkfifo(tmp_path / "pipe")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("bad", "pipe", "gone"):
        refusal(tmp_path / name)
    read_audio(tmp_path / "good")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(KINDS), st.data())
def test_damaged_bytes_give_a_refusal_or_finite_samples(kind: tuple[str, str], data: st.DataObject) -> None:
    bad = bytearray(whole(*kind, 0.25))
    for _ in range(data.draw(st.integers(1, 8))):
        limit = data.draw(st.sampled_from([100, len(bad)]))  # half of the flips hit the header
        at = data.draw(st.integers(0, min(limit, len(bad)) - 1))
        bad[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(bad)), st.integers(0, len(bad))))
    try:
        clip = read_audio(bytes(bad[:cut]))
    except InputError as error:
        assert str(error).endswith(".")
    else:
        assert clip.rate in (8_000, 16_000)
        assert len(clip.samples)
        assert np.isfinite(clip.samples).all()
