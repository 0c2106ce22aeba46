import io
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from edge.errors import InputError
from edge.media.image_file import as_rgb, read_image
from tests.media.pictures import encoded, png, png_chunk, smooth, tiff

PICTURE = smooth(40, 60)
LOSSLESS = [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})]


def by_pillow(data: bytes) -> np.ndarray:
    """What Pillow shows, upright and over white."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


def difference(one: np.ndarray, other: np.ndarray) -> int:
    assert one.dtype == other.dtype == np.uint8 and one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_lossless_files_come_back_exactly_in_rgb_order(kind: str, options: dict[str, object]):
    assert difference(read_image(encoded(PICTURE, kind, **options)), PICTURE) == 0


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 95}])
def test_jpeg_agrees_with_another_decoder(options: dict[str, object]):
    data = encoded(PICTURE, "JPEG", **options)
    assert difference(read_image(data), by_pillow(data)) <= 4  # libjpeg-turbo versions differ in upsampling


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(kind: str, orientation: int):
    exif = Image.Exif()
    exif[274] = orientation
    options = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif}
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(PICTURE, kind, **options, **lossless)
    assert difference(read_image(data), by_pillow(data)) <= (4 if kind == "JPEG" else 0)
    assert read_image(data).shape == ((60, 40, 3) if orientation >= 5 else (40, 60, 3))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_impossible_orientation_is_ignored(value: int):
    exif = Image.Exif()
    exif[274] = value
    assert difference(read_image(encoded(PICTURE, "PNG", exif=exif)), PICTURE) == 0


def test_damaged_exif_data_does_not_hide_the_picture():
    data = encoded(PICTURE, "PNG")
    cut = data[:33] + png_chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff") + data[33:]
    assert difference(read_image(cut), PICTURE) == 0


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})])
def test_transparent_parts_become_white(kind: str, options: dict[str, object]):
    rgba = np.dstack([PICTURE, np.linspace(0, 255, PICTURE[:, :, 0].size).reshape(40, 60).astype(np.uint8)])
    data = encoded(rgba, kind, **options)
    assert difference(read_image(data), by_pillow(data)) <= 1
    assert (read_image(data)[0, 0] == 255).all() and difference(read_image(data)[39:, 59:], PICTURE[39:, 59:]) == 0


def test_a_palette_with_a_transparent_entry_becomes_white_there():
    image = Image.fromarray(PICTURE).quantize(8)
    for kind in ("PNG", "GIF"):
        data = encoded(image, kind, transparency=3)
        assert difference(read_image(data), by_pillow(data)) == 0
        assert (read_image(data)[np.asarray(image) == 3] == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "CMYK"])
def test_other_colour_models_become_rgb(mode: str):
    image = Image.fromarray(PICTURE).convert(mode)
    for kind in {"1": ["PNG", "BMP", "TIFF", "GIF"], "LA": ["PNG"], "CMYK": ["JPEG"]}.get(mode, ["PNG", "BMP", "TIFF"]):
        data = encoded(image, kind)
        assert difference(read_image(data), by_pillow(data)) <= (6 if kind == "JPEG" else 0), kind


def test_sixteen_bits_are_scaled_to_eight():
    levels = np.arange(0, 65536, 13, dtype=np.uint16)[:5040].reshape(70, 72)
    expected = np.round(levels / 257).astype(np.uint8)
    for kind in ("PNG", "TIFF"):
        assert difference(read_image(encoded(levels, kind)), np.dstack([expected] * 3)) == 0


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_taken(kind: str):
    first, *others = (Image.new("RGB", (50, 40), (10, 200, shade)) for shade in (30, 120, 250))
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = read_image(encoded(first, kind, save_all=True, append_images=others, **options))
    assert picture.shape == (40, 50, 3) and abs(picture.astype(int) - [10, 200, 30]).max() <= 3


def test_the_name_of_a_file_does_not_matter(tmp_path):
    path = tmp_path / "photo.txt"
    path.write_bytes(encoded(PICTURE, "PNG"))
    assert difference(read_image(path), PICTURE) == 0
    link = tmp_path / "link.jpg"
    link.symlink_to(path)
    assert difference(read_image(link), PICTURE) == 0


def test_a_single_pixel_is_a_picture():
    assert read_image(encoded(np.array([[[1, 2, 3]]], np.uint8), "PNG")).tolist() == [[[1, 2, 3]]]


def test_handwritten_files_of_these_tests_are_valid():
    assert read_image(png(2, 1, 8, 0, zlib.compress(b"\0\x05\x06"))).tolist() == [[[5, 5, 5], [6, 6, 6]]]
    assert read_image(tiff(2, 1, {}, zlib.compress(b"\x05\x06"))).tolist() == [[[5, 5, 5], [6, 6, 6]]]


def test_arrays_are_rgb_whatever_their_samples_and_channels():
    assert as_rgb(PICTURE) is PICTURE
    grey = PICTURE[:, :, 0]
    assert (as_rgb(grey) == np.dstack([grey] * 3)).all() and (as_rgb(grey[:, :, None]) == as_rgb(grey)).all()
    assert (as_rgb(PICTURE.astype(np.uint16) * 257) == PICTURE).all()
    for kind in (np.float16, np.float32, np.float64):
        assert (as_rgb((PICTURE / 255).astype(kind)) == PICTURE).all()
    half = np.full((300, 2, 4), 128, np.uint8)
    assert (as_rgb(half) == 191).all()  # 128/255 of 128 and 127/255 of 255
    reversed_view = PICTURE[:, :, ::-1]
    assert (as_rgb(reversed_view) == reversed_view).all() and as_rgb(reversed_view).flags.c_contiguous


def test_the_given_array_is_never_written_to():
    for array in (PICTURE, PICTURE[:, :, 0], np.dstack([PICTURE, PICTURE[:, :, 0]]), PICTURE / 255):
        before = array.copy()
        as_rgb(array)
        assert (array == before).all()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(5, np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 5, 2), np.uint8),
        np.zeros((1, 5, 5, 3), np.uint8),
        np.zeros((5, 5, 3), np.int32),
        np.zeros((5, 5, 3), bool),
        np.full((5, 5, 3), 1.01),
        np.full((5, 5, 3), -0.01),
        np.full((5, 5), np.nan),
        np.full((5, 5), "x"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array: np.ndarray):
    with pytest.raises(InputError) as refusal:
        as_rgb(array)
    assert refusal.value.hint
