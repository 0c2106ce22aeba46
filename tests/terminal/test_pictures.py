"""The pictures the terminal's vision is trained on: true answers, true boxes, reproducible."""

import re
from collections import Counter
from itertools import pairwise

import cv2
import numpy as np
import pytest

from benchmarks.terminal.pictures.card import Card
from benchmarks.terminal.pictures.display import Layout, draw_digits, lay_out, random_reading
from benchmarks.terminal.pictures.glyphs import SegmentStyle, random_style
from benchmarks.terminal.pictures.lamps import draw_lamp
from benchmarks.terminal.pictures.lettering import lettering, random_typeface
from benchmarks.terminal.pictures.picture import KINDS, Picture, draw_picture, random_frame
from benchmarks.terminal.pictures.printed import random_label
from benchmarks.terminal.pictures.scene import compose, place

# Which strokes of each figure are lit, drawn as on paper: top row, middle row, bottom row.
FIGURES = {
    "0": (" _ ", "| |", "|_|"),
    "1": ("   ", "  |", "  |"),
    "2": (" _ ", " _|", "|_ "),
    "3": (" _ ", " _|", " _|"),
    "4": ("   ", "|_|", "  |"),
    "5": (" _ ", "|_ ", " _|"),
    "6": (" _ ", "|_ ", "|_|"),
    "7": (" _ ", "  |", "  |"),
    "8": (" _ ", "|_|", "|_|"),
    "9": (" _ ", "|_|", " _|"),
    "-": ("   ", " _ ", "   "),
}
NUMBER = re.compile(r"-?\d{1,7}|-?(?=[\d.]{3,8}$)\d+\.\d+|\d\d:\d\d")
LABEL = re.compile(r"[A-Z]{1,4}-\d+[A-Z]?|[A-Z]\d\d-\d{3}|[A-Z]{3}\d+|(LOT|REV|SN|ID|NO|TYPE) \w+")


@pytest.fixture(scope="module")
def hard() -> list[Picture]:
    return [draw_picture(np.random.default_rng([1, seed])) for seed in range(140)]


@pytest.fixture(scope="module")
def easy() -> list[Picture]:
    return [draw_picture(np.random.default_rng([2, seed]), "display", easy=1.0) for seed in range(60)]


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_the_same_seed_draws_the_same_picture_whatever_was_drawn_before(kind: str | None) -> None:
    first = draw_picture(np.random.default_rng(7), kind)
    draw_picture(np.random.default_rng(8), kind)
    again = draw_picture(np.random.default_rng(7), kind)
    assert (first.kind, first.answer, first.unit, first.glyphs) == (again.kind, again.answer, again.unit, again.glyphs)
    assert np.array_equal(first.rgb, again.rgb)


@pytest.mark.parametrize("ends", ["mitre", "hexagon", "bar"])
@pytest.mark.parametrize("figure", FIGURES)
def test_each_figure_lights_its_own_strokes_and_no_others(figure: str, ends: str) -> None:
    style = SegmentStyle(ends=ends, slant=0.0)
    layout = Layout(figure, style, 1.0, (0.0,), 0, (0.2, 0.2, 0.2, 0.2))
    mask, _ = draw_digits(layout, 100, [1.0], ghost=0.0)
    left, middle, right = 0.2 + style.stroke / 2, 0.2 + style.width / 2, 0.2 + style.width - style.stroke / 2
    rows = (0.2 + style.stroke / 2, 0.7, 1.2 - style.stroke / 2)
    strokes = {(row, 1): (y, middle) for row, y in enumerate(rows)}
    strokes |= {(row, column): (row / 2 + 0.2 - 0.25, x) for row in (1, 2) for column, x in ((0, left), (2, right))}
    lit = {place for place, (y, x) in strokes.items() if mask[round(y * 100), round(x * 100)] > 128}
    assert lit == {place for place in strokes if FIGURES[figure][place[0]][place[1]] != " "}


def test_boxes_of_segment_figures_hug_their_ink() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        layout = lay_out(rng, random_reading(rng, pump=False), random_style(rng, lcd=True), pump=False)
        mask, boxes = draw_digits(layout, 90.0, [1.0] * len(layout.reading), ghost=0.0)
        assert "".join(box[0] for box in boxes) == layout.reading
        for character, left, top, right, bottom in boxes:
            x, y = max(0, round(left) - 2), max(0, round(top) - 2)
            part = mask[y : round(bottom) + 3, x : round(right) + 3]
            if character not in ".:" and "." not in layout.reading:  # a point may reach into its neighbour's margin
                ink_x, ink_y, width, height = cv2.boundingRect((part > 100).astype(np.uint8))
                found = (x + ink_x, y + ink_y, x + ink_x + width, y + ink_y + height)
                assert np.allclose(found, (left, top, right, bottom), atol=2.5), (seed, character)
            else:
                assert (part > 100).any()
        covered = mask.copy()
        for _, left, top, right, bottom in boxes:
            covered[max(0, int(top) - 1) : int(bottom) + 2, max(0, int(left) - 1) : int(right) + 2] = 0
        assert covered.max() < 100, "ink outside every box"


def test_boxes_of_letters_hug_their_ink_in_every_typeface() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        text = random_label(rng)
        mask, boxes = lettering(text, 50, random_typeface(rng, matrix=True))
        assert "".join(box[0] for box in boxes) == text.replace(" ", "")
        covered = mask.copy()
        for _, left, top, right, bottom in boxes:
            part = mask[int(top) : round(bottom) + 1, max(0, int(left)) : round(right) + 1]
            assert (part > 128).mean() > 0.05, text
            lean = 12  # a sheared letter leaves the box around its middle
            covered[max(0, int(top) - 1) : int(bottom) + 2, max(0, int(left) - lean) : int(right) + lean] = 0
        assert covered.max() < 128, text


def test_boxes_follow_the_ink_through_perspective() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rgb = np.zeros((120, 400, 3), np.uint8)
        blocks = [("1", 60.0, 30.0, 100.0, 90.0), ("2", 180.0, 30.0, 220.0, 90.0), ("3", 300.0, 30.0, 340.0, 90.0)]
        for shade, (_, left, top, right, bottom) in zip((100, 170, 250), blocks, strict=True):
            rgb[int(top) : int(bottom), int(left) : int(right), 0] = shade
        card = Card("display", "123", "", rgb, np.full((120, 400), 255, np.uint8), blocks)
        homography, inks = place(rng, 1.0, card, (796, 448))
        picture = np.zeros((448, 796, 3), np.uint8)
        compose(picture, card, homography)
        for shade, ink in zip((100, 170, 250), inks, strict=True):
            low, high = np.clip(ink.min(0), 0, (796, 448)), np.clip(ink.max(0), 0, (796, 448))
            found: np.ndarray = (abs(picture[..., 0].astype(int) - shade) < 12).astype(np.uint8)
            found = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3)))
            x, y, width, height = cv2.boundingRect(found)
            assert np.allclose((x, y, x + width, y + height), (*low, *high), atol=3.0), seed


def test_figures_stand_out_inside_their_boxes_and_nothing_does_between_them(easy: list[Picture]) -> None:
    for picture in easy:
        grey = picture.rgb.max(2).astype(int)
        digits = [glyph for glyph in picture.glyphs if glyph[0].isdigit()]
        for _, x, y, width, height in digits:
            part = grey[int(y - height / 2) : int(y + height / 2), int(x - width / 2) : int(x + width / 2)]
            rows, columns = (max(2, size // 5) for size in part.shape)
            for band in (part[:rows], part[-rows:], part[:, :columns], part[:, -columns:]):  # ink reaches every side
                assert np.ptp(band) > 40, picture.answer
        between = [(a[1] + a[3] / 2, b[1] - b[3] / 2, a) for a, b in pairwise(picture.glyphs) if b[0] != "." != a[0]]
        for left, right, (character, _, y, _, height) in between:
            if right - left < 16 or character == "-":
                continue
            strip = grey[int(y - height / 3) : int(y + height / 3), int(left + 6) : int(right - 6)]
            assert np.ptp(strip) < 60 or np.percentile(strip, 90) - np.percentile(strip, 10) < 40, picture.answer


def test_every_character_of_the_answer_has_a_box_in_reading_order(hard: list[Picture]) -> None:
    for picture in hard:
        if picture.kind in ("display", "printed", "label"):
            assert "".join(glyph[0] for glyph in picture.glyphs) == picture.answer.replace(" ", "")
            assert all(a[1] < b[1] for a, b in pairwise(picture.glyphs))
        else:
            assert picture.glyphs == []


def test_every_character_is_at_least_85_percent_within_the_picture(hard: list[Picture]) -> None:
    for picture in hard:
        rows, columns = picture.rgb.shape[:2]
        for character, x, y, width, height in picture.glyphs:
            seen_x = min(x + width / 2, columns) - max(x - width / 2, 0)
            seen_y = min(y + height / 2, rows) - max(y - height / 2, 0)
            assert seen_x * seen_y >= 0.85 * width * height, (picture.answer, character)


def test_digits_are_at_least_26_pixels_apart(hard: list[Picture]) -> None:
    for picture in hard:
        if picture.kind == "display":
            digits = [glyph for glyph in picture.glyphs if glyph[0].isdigit()]
            for a, b in pairwise(digits):
                assert np.hypot(a[1] - b[1], a[2] - b[2]) >= 25.9, picture.answer


def test_answers_are_written_as_they_are_read(hard: list[Picture]) -> None:
    forms = {"display": NUMBER, "printed": NUMBER, "label": LABEL, "lamp": re.compile("red|green|yellow|blue|off")}
    for picture in hard:
        if picture.kind == "unrelated":
            assert picture.answer == picture.unit == ""
        else:
            assert forms[picture.kind].fullmatch(picture.answer), picture.answer


def test_all_kinds_come_up_and_displays_most_often(hard: list[Picture]) -> None:
    counts = Counter(picture.kind for picture in hard)
    assert set(counts) == set(KINDS) == {"display", "printed", "label", "lamp", "unrelated"}
    assert counts.most_common(1)[0][0] == "display"
    assert sum(KINDS.values()) == pytest.approx(1)


def test_pictures_are_rgb_bytes_with_a_long_side_of_at_most_896(hard: list[Picture]) -> None:
    for picture in hard:
        assert picture.rgb.dtype == np.uint8 and picture.rgb.ndim == 3 and picture.rgb.shape[2] == 3
        assert min(picture.rgb.shape[:2]) >= 280 and max(picture.rgb.shape[:2]) <= 896
    rng = np.random.default_rng(0)
    frames = Counter(random_frame(rng) for _ in range(1000))
    assert 600 < frames[(796, 448)] < 800


def test_the_brightest_colour_of_a_lamp_is_its_answer() -> None:
    for seed in range(40):
        card = draw_lamp(np.random.default_rng(seed), 0.0, (796, 448))
        hue, saturation, value = (plane.astype(int) for plane in cv2.split(cv2.cvtColor(card.rgb, cv2.COLOR_RGB2HSV)))
        lit = (saturation > 150) & (value > 200)
        if card.answer == "off":
            assert not lit.any(), seed
            continue
        middle = {"red": 0, "yellow": 25, "green": 65, "blue": 112}[card.answer]
        distance = np.abs(hue[lit] - middle)
        assert lit.any() and np.median(np.minimum(distance, 180 - distance)) < 12, seed
