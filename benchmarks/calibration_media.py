"""Makes the media of export/calibration/media/labels.jsonl: python -m benchmarks.calibration_media KOKORO_FOLDER.

A quantiser keeps what it has seen in use, so the set is small but mixed: near voices and noisy rooms, lamps, print,
drawings and textures like a photo's. KOKORO_FOLDER is that of `benchmarks.terminal recite`.
"""

import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import soundfile

from benchmarks.terminal.pictures.backdrop import add_noise as add_grain
from benchmarks.terminal.pictures.picture import draw_picture
from benchmarks.terminal.speech.channel import to_peak
from benchmarks.terminal.speech.mixing import add_noise
from benchmarks.terminal.speech.noises import clanks, coloured, hum, motor
from benchmarks.terminal.speech.recite import RATE, Reciter
from benchmarks.terminal.speech.rooms import draw_room, reverberate
from edge.evaluation.labels import LABELS

FOLDER = Path(__file__).parents[1] / "export" / "calibration" / "media"
LONGEST, JPEG_QUALITY, VORBIS_LEVEL = 480, 80, 1.0
TALKERS = 3065  # a seed that draws fourteen English voices of sixteen
SEEDS = {"display": 7, "label": 2, "lamp": 3}
"""Each of these pictures shows what labels.jsonl says of it."""

INK, WHITE, RED, GREEN, BLUE = (30, 30, 36), (255, 255, 255), (196, 30, 38), (40, 140, 62), (52, 106, 164)
ORDERS = {"Mon": 34, "Tue": 52, "Wed": 41, "Thu": 68, "Fri": 29}
BILL = "Item|Amount|Price ($)/Flour|1 kg|1.80/Olive oil|750 ml|8.90/Coffee|500 g|7.40/Rice|2 kg|4.60/Total||22.70"
PAGE = """Visitors sign in at the front desk and take a badge.
Wear safety shoes and glasses beyond the yellow line.
Keep to the marked paths; fork-lifts have right of way.
When the horn sounds twice, leave by the nearest exit
and meet at point C, next to the bicycle shed.
Please return your badge before 17:30.
Questions? Extension 204, Ms Okafor."""


def make(kokoro: Path, folder: Path = FOLDER) -> None:
    """The same samples and pictures on every call; only the serial number in an Ogg file is random."""
    reciter = Reciter(kokoro)
    labels = [json.loads(line) for line in (folder / LABELS).read_text("utf-8").splitlines()]
    said = {label["audio"]: label.get("transcript") or label["group"] for label in labels if "audio" in label}
    for number, (name, words) in enumerate(sorted(said.items())):
        samples = record(reciter, words, number)
        soundfile.write(folder / name, samples, RATE, "VORBIS", format="OGG", compression_level=VORBIS_LEVEL)
    seen = [draw_picture(np.random.default_rng(seed), kind, easy=0.5).rgb for kind, seed in SEEDS.items()]
    for number, rgb in enumerate([*seen, chart(), page(), scene(), bill(), sign()], 1):
        scale = min(1.0, LONGEST / max(rgb.shape))
        small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[..., ::-1]
        _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
        (folder / f"see-{number:02d}.jpg").write_bytes(jpeg.tobytes())


def record(reciter: Reciter, words: str, number: int) -> np.ndarray:
    """float32 [N]; every other one as heard across a room with machines, since that is how a terminal hears."""
    rng = np.random.default_rng([TALKERS, number])
    talker, speed, pause = reciter.talker(rng), float(rng.uniform(0.85, 1.2)), np.zeros(RATE // 6, np.float32)
    clauses = [reciter.speak(clause, talker, speed) for clause in re.split(r"(?<=[,.?])\s", words)]
    said = np.concatenate([pause, *(np.append(clause, pause) for clause in clauses)])
    if number % 2:
        noise = (coloured, motor, hum, clanks)[number // 2 % 4](rng, len(said), RATE)
        said = add_noise(reverberate(said, draw_room(rng, RATE)), noise, float(rng.uniform(15, 30)))
    return to_peak(said, float(rng.uniform(0.3, 0.9)))


def _write(rgb: np.ndarray, text: str, x: int, y: int, size: int, weight: int = 400) -> None:
    cv2.putText(rgb, text, (x, y), INK, cv2.FontFace("sans"), size, weight)


def chart() -> np.ndarray:
    rgb = np.full((400, 520, 3), 255, np.uint8)
    _write(rgb, "Orders per day", 160, 36, 26, 700)
    for level in range(0, 80, 20):
        cv2.line(rgb, (56, 350 - 4 * level), (500, 350 - 4 * level), (205, 205, 205) if level else INK, 1)
        _write(rgb, str(level), 24, 357 - 4 * level, 16)
    for x, (day, orders) in enumerate(ORDERS.items()):
        left, top = 75 + 85 * x, 350 - 4 * orders
        cv2.rectangle(rgb, (left, top), (left + 55, 349), BLUE, -1)
        _write(rgb, str(orders), left + 15, top - 8, 20)
        _write(rgb, day, left + 8, 378, 20)
    return rgb


def page() -> np.ndarray:
    """Print on paper that lies on a scanner not quite straight."""
    rgb = np.full((400, 560, 3), (246, 243, 234), np.uint8)
    _write(rgb, "Welcome to Hall 3", 40, 60, 30, 700)
    for row, line in enumerate(PAGE.splitlines()):
        _write(rgb, line, 40, 110 + 34 * row, 19)
    turn = cv2.getRotationMatrix2D((280, 200), 1.2, 1.0)
    flat = add_grain(np.random.default_rng(5), rgb, "cloud", 4)
    return cv2.warpAffine(flat, turn, (560, 400), borderMode=cv2.BORDER_REPLICATE)


def scene() -> np.ndarray:
    """Two balls and a box with shading, soft shadows, wood grain and sensor noise."""
    rng = np.random.default_rng(6)
    wall, wood = _fade((150, 152, 158), (196, 194, 190), 190), _fade((120, 82, 50), (170, 122, 78), 230)
    rgb = np.concatenate([add_grain(rng, wall, "cloud", 8), add_grain(rng, wood, "brushed", 14)])
    shade = np.ones(rgb.shape[:2], np.float32)
    for x, y, across in ((185, 348, 105), (340, 322, 72), (500, 302, 90)):
        cv2.ellipse(shade, (x, y), (across, 18), 0, 0, 360, (0.4,), -1)
    rgb = (rgb * cv2.GaussianBlur(shade, (0, 0), 9)[..., None]).astype(np.uint8)
    for x, y, radius, tone in ((155, 275, 78, RED), (320, 275, 52, GREEN)):
        down, right = (np.mgrid[:420, :560] - np.array((y, x))[:, None, None]) / radius
        out = np.sqrt(np.clip(1 - right**2 - down**2, 0, 1))
        lit = np.clip(0.75 * out - 0.45 * right - 0.45 * down, 0, 1)[..., None]
        solid = (0.25 + lit) * np.array(tone) + 210 * lit**24
        rgb = np.where((right**2 + down**2 < 1)[..., None], np.clip(solid, 0, 255), rgb).astype(np.uint8)
    near, far, foot = (500, 190), (545, 172), (500, 312)
    box = ((near, far, (545, 282), foot), (near, foot, (410, 295), (410, 180)), (near, far, (458, 165), (410, 180)))
    for corners, light in zip(box, (0.5, 0.9, 1.5), strict=True):
        cv2.fillPoly(rgb, [np.array(corners)], [light * tone for tone in BLUE], cv2.LINE_AA)
    return add_grain(rng, cv2.GaussianBlur(rgb, (0, 0), 0.8), "fine", 4)


def _fade(top: tuple[int, ...], bottom: tuple[int, ...], height: int) -> np.ndarray:
    return np.linspace(top, bottom, height)[:, None].repeat(560, 1).astype(np.uint8)


def bill() -> np.ndarray:
    rgb = np.full((340, 480, 3), 255, np.uint8)
    cv2.rectangle(rgb, (20, 20), (460, 70), (214, 224, 236), -1)
    for row, line in enumerate(BILL.split("/")):
        for (left, right), cell in zip(((20, 190), (190, 320), (320, 460)), line.split("|"), strict=True):
            cv2.rectangle(rgb, (left, 20 + 50 * row), (right, 70 + 50 * row), INK, 1)
            _write(rgb, cell, left + 15, 53 + 50 * row, 22, 700 if row in (0, 5) else 400)
    return rgb


def sign() -> np.ndarray:
    """A bend to the left, before the sky."""
    rgb = add_grain(np.random.default_rng(8), _fade((108, 156, 214), (206, 222, 236), 480), "cloud", 9)
    cv2.rectangle(rgb, (270, 350), (290, 480), (120, 124, 128), -1)
    for tone, side in ((RED, 200), (WHITE, 140)):
        corners = np.array([(0, -1), (-0.87, 0.5), (0.87, 0.5)]) * side + (280, 260)
        cv2.fillPoly(rgb, [corners.astype(np.int32)], tone, cv2.LINE_AA)
    cv2.polylines(rgb, [np.array([(300, 315), (300, 270), (292, 248), (262, 240)])], False, INK, 16, cv2.LINE_AA)
    cv2.fillPoly(rgb, [np.array([(268, 216), (268, 264), (232, 240)])], INK, cv2.LINE_AA)
    return rgb


if __name__ == "__main__":
    make(Path(sys.argv[1]))
