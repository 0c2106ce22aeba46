"""Words and numbers as masks, with a box around every character: OpenCV's own faces and a 5 x 7 dot matrix."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from benchmarks.terminal.pictures.card import Box

# Seven rows of five dots, each row one base-32 digit, the leftmost dot the highest bit.
MATRIX = {
    "0": "ehjlphe", "1": "4c4444e", "2": "eh1248v", "3": "v4241he", "4": "26aiv22", "5": "vgu11he", "6": "68guhhe",
    "7": "v124888", "8": "ehhehhe", "9": "ehhf12c", "A": "ehhvhhh", "B": "uhhuhhu", "C": "ehggghe", "D": "sihhhis",
    "E": "vgguggv", "F": "vgguggg", "G": "ehgnhhf", "H": "hhhvhhh", "J": "72222ic", "K": "hikokih", "L": "ggggggv",
    "M": "hrllhhh", "N": "hhpljhh", "P": "uhhuggg", "Q": "ehhhlid", "R": "uhhukih", "S": "fgge11u", "T": "v444444",
    "U": "hhhhhhe", "V": "hhhhha4", "W": "hhhllla", "X": "hha4ahh", "Y": "hhha444", "Z": "v1248gv", "I": "e44444e",
    "O": "ehhhhhe", "-": "000v000", ".": "00000cc", ":": "0cc0cc0",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Typeface:
    """`stretch` is a horizontal factor, `shear` the tangent of the lean.

    OpenCV 5 has no Hershey strokes any more: it draws them with these faces too.
    """

    name: str = "sans"  # sans, italic (both with a slashed zero), uni, matrix
    weight: int = 600  # 200 to 900
    plain_zero: bool = False  # a narrow O instead of the slashed zero
    stretch: float = 1.0
    shear: float = 0.0
    spacing: float = 0.06  # between characters, of the height
    round_dots: bool = True


@cache
def _face(name: str) -> "cv2.FontFace":
    return cv2.FontFace(name)


def _character(character: str, height: int, face: Typeface) -> np.ndarray:
    """One character cut to its ink in x, on a band twice as high as a capital; the baseline lies at 1.5 heights."""
    band: np.ndarray = np.zeros((2 * height, 2 * height), np.uint8)
    origin = (height // 2, 3 * height // 2)
    if face.name == "matrix":
        rows = MATRIX[character]
        step = height / 7
        for row, digit in enumerate(rows):
            for column in range(5):
                if int(digit, 32) >> (4 - column) & 1:
                    x, y = origin[0] + (column + 0.5) * step, origin[1] - height + (row + 0.5) * step
                    if face.round_dots:
                        cv2.circle(band, (int(x * 16), int(y * 16)), int(step * 7.5), 255, -1, cv2.LINE_AA, 4)
                    else:
                        half = step * 0.44
                        cv2.rectangle(
                            band, (round(x - half), round(y - half)), (round(x + half), round(y + half)), 255, -1
                        )
    elif face.name == "uni":
        cv2.putText(band, character, origin, (255,), _face("uni"), round(height * 1.35), 400)
        thicker = round(height * (face.weight - 400) / 6000)
        if thicker > 0:  # this face has one weight only
            kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thicker + 1, 2 * thicker + 1))
            band = cv2.dilate(band, kernel)
    elif character == "0" and face.plain_zero:
        cv2.putText(band, "O", origin, (255,), _face(face.name), round(height * 1.35), face.weight)
        x, _, width, _ = cv2.boundingRect(band)
        band = cv2.resize(band[:, x : x + width], (round(width * 0.84), 2 * height), interpolation=cv2.INTER_AREA)
    else:
        cv2.putText(band, character, origin, (255,), _face(face.name), round(height * 1.35), face.weight)
    x, _, width, _ = cv2.boundingRect(band)
    return band[:, x : x + width]


def lettering(text: str, height: float, face: Typeface) -> tuple[np.ndarray, list[Box]]:
    """Mask uint8 [h, w] of a line whose capitals are about `height` pixels high, and a box per character but spaces."""
    cap = max(8, round(height))
    gap = max(1, round(face.spacing * cap))
    x, parts, boxes = cap // 2, [], []
    for character in text:
        if character == " ":
            x += cap // 2
            continue
        ink = _character(character, cap, face)
        _, top, width, tall = cv2.boundingRect(ink)
        # Figures keep a common width in print, so that 1 stands alone in its cell.
        lead = max(0, int(0.16 * cap)) if character == "1" and face.name != "matrix" else 0
        parts.append((x + lead, ink))
        boxes.append((character, float(x + lead), float(top), float(x + lead + width), float(top + tall)))
        x += 2 * lead + width + gap
    mask: np.ndarray = np.zeros((2 * cap, x + cap // 2), np.uint8)
    for left, ink in parts:
        place = mask[:, left : left + ink.shape[1]]
        np.maximum(place, ink, out=place)
    if face.shear == 0 and face.stretch == 1:
        return mask, boxes
    width = int(mask.shape[1] * face.stretch + abs(face.shear) * mask.shape[0])
    matrix = np.array([[face.stretch, -face.shear, face.shear * 1.5 * cap], [0, 1, 0]])
    mask = cv2.warpAffine(mask, matrix, (width, mask.shape[0]), flags=cv2.INTER_LINEAR)
    return mask, [_sheared(box, face, cap) for box in boxes]


def _sheared(box: Box, face: Typeface, cap: int) -> Box:
    character, left, top, right, bottom = box
    lean = face.shear * (1.5 * cap - (top + bottom) / 2)
    return character, left * face.stretch + lean, top, right * face.stretch + lean, bottom


def random_typeface(rng: np.random.Generator, matrix: bool = False) -> Typeface:
    names = ["sans", "italic", "uni", "matrix"] if matrix else ["sans", "italic", "uni"]
    odds = [0.35, 0.08, 0.39, 0.18] if matrix else [0.5, 0.1, 0.4]
    return Typeface(
        name=str(rng.choice(names, p=odds)),
        weight=int(rng.integers(300, 900)),
        plain_zero=bool(rng.random() < 0.6),
        stretch=float(rng.uniform(0.75, 1.3)),
        shear=float(rng.choice([0.0, rng.uniform(-0.1, 0.3)])),
        spacing=float(rng.uniform(0.08, 0.2)),
        round_dots=bool(rng.random() < 0.6),
    )
