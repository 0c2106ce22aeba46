"""Faults 15 to 18 for pictures: one sentence, no decoder chatter, no memory, never another exception."""

import os
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import InputError
from edge.media import image_file
from edge.media.image_file import read_image
from edge.media.native_stderr import decoder_messages
from tests.media.pictures import encoded, png, png_chunk, smooth, tiff

PICTURE = smooth(40, 60)
FILES = {
    "jpeg": encoded(PICTURE, "JPEG"),
    "progressive": encoded(PICTURE, "JPEG", progressive=True),
    "png": encoded(PICTURE, "PNG"),
    "webp": encoded(PICTURE, "WEBP"),
    "webp-lossless": encoded(PICTURE, "WEBP", lossless=True),
    "gif": encoded(PICTURE, "GIF"),
    "bmp": encoded(PICTURE, "BMP"),
    "tiff": encoded(PICTURE, "TIFF", compression="tiff_lzw"),
}
MB = 1 << 20


def refusal(source: Path | bytes) -> str:
    with pytest.raises(InputError) as caught:
        read_image(source)
    assert caught.value.exit_code == 4 and caught.value.hint
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    return str(caught.value)


def memory_growth(call: Callable[[], object]) -> int:
    """By how many bytes the resident memory of this process rises above its present size during `call`."""

    def status(field: str) -> int:
        return 1024 * int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1])

    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        pytest.skip(f"the peak of resident memory cannot be reset here: {error}")
    before = status("VmRSS")
    call()
    return status("VmHWM") - before


@pytest.mark.parametrize("kind", FILES)
def test_a_file_cut_anywhere_is_refused_and_nothing_is_printed(kind: str, capfd):
    data = FILES[kind]
    for cut in sorted({*range(1, 40), *range(0, len(data), len(data) // 100 + 1), len(data) - 2, len(data) - 1} - {0}):
        refusal(data[:cut])
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_without_its_end_marker_is_refused_before_it_is_decoded():
    assert "ends too early" in refusal(FILES["jpeg"][:-2])


def test_a_jpeg_cut_in_the_middle_but_closed_again_is_refused():
    data = encoded(smooth(600, 800), "JPEG")
    assert "damaged" in refusal(data[: len(data) // 2] + b"\xff\xd9")


def test_bytes_after_the_end_of_a_jpeg_do_no_harm():
    assert (read_image(FILES["jpeg"] + FILES["jpeg"] + b"more") == read_image(FILES["jpeg"])).all()


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_flipped_bits_give_a_refusal_or_a_picture(kind: str, data):
    damaged = bytearray(FILES[kind])
    for place in data.draw(st.lists(st.integers(0, 8 * len(damaged) - 1), min_size=1, max_size=4)):
        damaged[place // 8] ^= 1 << place % 8
    try:
        picture = read_image(bytes(damaged))
    except InputError:
        return
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3


def test_damage_prints_nothing(capfd):
    for kind, data in FILES.items():
        for place in range(20, len(data), len(data) // 60 + 1):
            damaged = bytearray(data)
            damaged[place] ^= 0x55
            try:
                read_image(bytes(damaged))
            except InputError as error:
                assert "damaged" in str(error) or "megapixels" in str(error) or "nothing to see" in str(error), kind
    bad_profile = png_chunk(b"iCCP", b"x\0\0" + zlib.compress(b"garbage" * 40))
    assert read_image(png(1, 1, 8, 0, zlib.compress(b"\0\x07"), bad_profile)).tolist() == [[[7, 7, 7]]]
    refusal(tiff(100, 100, {322: 1 << 15, 323: 1 << 15}, zlib.compress(bytes(10000))))
    assert capfd.readouterr() == ("", "")


def test_a_checksum_error_in_a_png_is_refused():
    data = bytearray(FILES["png"])
    data[data.index(b"IDAT") + 100] ^= 1
    assert "damaged" in refusal(bytes(data))


def test_what_others_print_while_a_picture_is_decoded_is_kept(capfd):
    with decoder_messages() as messages:
        os.write(2, b"half a second left\nlibpng error: bad thing\nlast word")
    assert capfd.readouterr().err == "half a second left\nlast word" and messages == ["libpng error: bad thing"]
    os.write(2, b"afterwards")
    assert capfd.readouterr().err == "afterwards"


def test_standard_error_comes_back_after_an_exception(capfd):
    with pytest.raises(KeyError), decoder_messages():
        raise KeyError
    os.write(2, b"here")
    assert capfd.readouterr().err == "here"


BOMBS = {
    "png": png(20000, 20000, 1, 0, zlib.compress(bytes(20000 * 2501), 1)),
    "1-bit png": png(12000, 12000, 1, 0, zlib.compress(bytes(12000 * 1501), 1)),
    "huge png header": png(2**31 - 1, 2**31 - 1, 8, 2, b"x"),
    "empty png": png(0, 0, 8, 2, b"x"),
    "jpeg": re.sub(rb"(\xff\xc0\0\x11\x08)....", rb"\1" + struct.pack(">HH", 60000, 60000), FILES["jpeg"], flags=re.S),
    "webp": b"RIFF\xff\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x3f\0" * 2 + FILES["webp"][12:],
    "webp frame": FILES["webp"][:26] + struct.pack("<HH", 16383, 16383) + FILES["webp"][30:],
    "gif": FILES["gif"][:6] + struct.pack("<HH", 65535, 65535) + FILES["gif"][10:],
    "bmp": FILES["bmp"][:18] + struct.pack("<ii", 40000, -40000) + FILES["bmp"][26:],
    "bmp of -2^31": FILES["bmp"][:18] + struct.pack("<ii", 1, -(2**31)) + FILES["bmp"][26:],
    "tiff": tiff(40000, 40000, {}, zlib.compress(bytes(10000))),
    "tiff tile": tiff(100, 100, {322: 16384, 323: 16384, 324: 8, 325: 8}, zlib.compress(bytes(16384 * 16384), 1)),
    "jpeg scans": FILES["progressive"][:-2] + b"\xff\xda\0\x08\x01\x01\0\x01\x3f\0" * 5000 + b"\xff\xd9",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_from_the_header_without_memory(kind: str):
    read_image(FILES["png"])  # what the decoder needs once is not the bomb's
    assert memory_growth(lambda: refusal(BOMBS[kind])) < 50 * MB


def test_a_bomb_is_told_with_what_is_too_much():
    assert "20000 x 20000 pixels" in refusal(BOMBS["png"])
    assert "more than 64 scans" in refusal(BOMBS["jpeg scans"])
    assert "tiles of more than 1024 pixels" in refusal(BOMBS["tiff tile"])


def test_a_tiff_that_gives_its_size_twice_is_refused():
    entries = [(256, 1), (256, 40000), (257, 1)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    assert "twice" in refusal(b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4))


@pytest.mark.parametrize("chunk", [b"iCCP", b"zTXt"])
def test_a_bomb_in_a_picture_s_notes_is_not_unpacked(chunk: bytes):
    bomb = png_chunk(chunk, b"x\0\0" + zlib.compress(bytes(200 * MB), 1))
    data = png(1, 1, 8, 0, zlib.compress(b"\0\x07"), bomb)
    assert memory_growth(lambda: read_image(data)) < 50 * MB


def test_ten_thousand_frames_cost_no_more_than_one():
    frame = FILES["gif"][FILES["gif"].index(b"\x2c", 781) : -1]  # after header, palette: one image block
    data = FILES["gif"][:-1] + frame * 10_000 + b"\x3b"
    assert memory_growth(lambda: read_image(data)) < 50 * MB
    assert (read_image(data) == read_image(FILES["gif"])).all()


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"hello", b"\xff\xd8\xff", b"BM", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X", b"%PDF"]
)
def test_what_is_no_picture_is_refused(data: bytes):
    refusal(data)


def test_a_heic_photo_is_refused_with_what_to_do():
    with pytest.raises(InputError) as caught:
        read_image(b"\0\0\0\x18ftypheic" + bytes(100))
    assert "JPEG" in caught.value.hint


def test_things_that_are_no_regular_files_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("no picture at all")
    assert "named pipe" in refusal(tmp_path / "pipe")
    assert "directory" in refusal(tmp_path)
    assert "device" in refusal(Path("/dev/zero"))
    assert "0 bytes" in refusal(tmp_path / "empty.png")
    assert "not a picture" in refusal(tmp_path / "text.jpg")
    assert "does not exist" in refusal(tmp_path / "missing.png")
    assert "cannot be opened" in refusal(tmp_path / "text.jpg" / "deeper.png")
    assert "no file name" in refusal(Path("nul\0byte"))


def test_a_file_over_the_limit_is_refused_unread(tmp_path):
    path = tmp_path / "endless.png"
    path.write_bytes(FILES["png"])
    os.truncate(path, 1 << 40)
    assert memory_growth(lambda: refusal(path)) < 50 * MB
    assert f"{image_file.MAX_FILE_BYTES // 1_000_000} MB" in refusal(path)


def test_float_samples_are_refused():
    assert "float32" in refusal(encoded(np.full((20, 30), 0.5, np.float32), "TIFF"))
