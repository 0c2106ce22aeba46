"""Seven-segment characters as polygons.

Segments are lettered as usual: a top, b upper right, c lower right, d bottom, e lower left, f upper left, g middle.
A cell is 1 high and `width` wide, y grows downwards; slant moves the top to the right.
"""

from dataclasses import dataclass

import cv2
import numpy as np

SEGMENTS = {
    "0": "abcdef",
    "1": "bc",
    "2": "abdeg",
    "3": "abcdg",
    "4": "bcfg",
    "5": "acdfg",
    "6": "acdefg",
    "7": "abc",
    "8": "abcdefg",
    "9": "abcdfg",
    "-": "g",
    " ": "",
}
# Shapes some makers prefer: six and nine without their tails, seven with a serif.
VARIANTS = {"6": "cdefg", "7": "abcf", "9": "abcfg"}
SHIFT = 6  # fractional bits of the polygon vertices


@dataclass(frozen=True, slots=True)
class SegmentStyle:
    """Lengths in cell heights; `slant` is the tangent of the lean; `corner` 0 (sharp) to 1 (round outer corners)."""

    width: float = 0.58
    stroke: float = 0.12
    gap: float = 0.012
    slant: float = 0.08
    corner: float = 0.6
    ends: str = "mitre"  # mitre (LCD), hexagon (LED), bar (VFD)
    point: float = 1.1  # side of the decimal point, in strokes
    round_point: bool = False
    variants: str = ""  # the digits drawn as in VARIANTS

    def segments(self, character: str) -> str:
        return VARIANTS[character] if character in self.variants else SEGMENTS[character]

    def lean(self, points: np.ndarray) -> np.ndarray:
        """Unslanted points [n, 2] to slanted ones; the baseline stays."""
        return np.stack([points[:, 0] + self.slant * (1 - points[:, 1]), points[:, 1]], 1)


def segment_polygons(style: SegmentStyle) -> dict[str, np.ndarray]:
    """The seven segments as polygons [n, 2] in cell units, slanted."""
    w, t, g = style.width, style.stroke, style.gap
    if style.ends == "hexagon":
        top = [(t / 2 + g, t / 2), (t, 0), (w - t, 0), (w - t / 2 - g, t / 2), (w - t, t), (t, t)]
        left = [(t / 2, t / 2 + g), (t, t), (t, 0.5 - t / 2), (t / 2, 0.5 - g), (0, 0.5 - t / 2), (0, t)]
    elif style.ends == "bar":
        top = [(t * 0.6 + g, 0), (w - t * 0.6 - g, 0), (w - t * 0.6 - g, t), (t * 0.6 + g, t)]
        left = [(0, t * 0.6 + g), (t, t * 0.6 + g), (t, 0.5 - g), (0, 0.5 - g)]
    else:
        cut = 0.4 * t  # where the mitre meets the outer edge
        top = [(cut + g, 0), (w - cut - g, 0), (w - t - g, t), (t + g, t)]
        radius = t * (0.4 + 0.8 * style.corner)
        bend = [(cut * (1 - s) ** 2, g + radius * s**2) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
        left = [*bend, (0, 0.5 - g), (0.42 * t, 0.5 - g), (t, 0.5 - t / 2 - g / 2), (t, t + g)]
    inset = 0.45 * t + 1.5 * g
    middle = [(inset, 0.5), (t + g, 0.5 - t / 2), (w - t - g, 0.5 - t / 2)]
    middle += [(w - x, 1 - y) for x, y in middle]
    a, f, middle_points = np.array(top), np.array(left), np.array(middle)
    across, down = np.array([w, 0.0]), np.array([0.0, 1.0])
    flat = {
        "a": a,
        "d": down + a * (1, -1),
        "f": f,
        "e": down + f * (1, -1),
        "b": across + f * (-1, 1),
        "c": across + down - f,
        "g": middle_points,
    }
    return {name: style.lean(points) for name, points in flat.items()}


def fill(mask: np.ndarray, points: np.ndarray, value: int) -> None:
    """Fill a polygon [n, 2] in pixels, with fractional vertices; no antialiasing (draw large, then shrink)."""
    cv2.fillPoly(mask, [np.round(points * (1 << SHIFT)).astype(np.int32)], (value,), cv2.LINE_8, SHIFT)


def point_polygon(style: SegmentStyle, centre_x: float, centre_y: float) -> np.ndarray:
    """A decimal point or one dot of a colon around a place given in (unslanted) cell units."""
    half = style.point * style.stroke / 2
    if style.round_point:
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        return style.lean(np.array([centre_x, centre_y]) + half * np.stack([np.cos(angles), np.sin(angles)], 1))
    corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
    return style.lean(np.array([centre_x, centre_y]) + corners)


def character_polygons(style: SegmentStyle, character: str) -> list[np.ndarray]:
    """The lit parts of a character at the origin; points and colons lie around x = 0."""
    if character == ".":
        return [point_polygon(style, 0.0, 1 - style.point * style.stroke / 2)]
    if character == ":":
        return [point_polygon(style, 0.0, 0.3), point_polygon(style, 0.0, 0.7)]
    polygons = segment_polygons(style)
    return [polygons[name] for name in style.segments(character)]


def random_style(rng: np.random.Generator, lcd: bool) -> SegmentStyle:
    ends = "mitre" if lcd and rng.random() < 0.85 else str(rng.choice(["mitre", "hexagon", "bar"]))
    plain = rng.random() < 0.85
    return SegmentStyle(
        width=float(rng.uniform(0.44, 0.66)),
        stroke=float(rng.uniform(0.085, 0.17)),
        gap=float(rng.uniform(0.002, 0.02)),
        slant=float(np.tan(np.radians(rng.choice([0.0, rng.uniform(2, 12)], p=[0.15, 0.85])))),
        corner=float(rng.uniform(0, 1)),
        ends=ends,
        point=float(rng.uniform(0.85, 1.5)),
        round_point=bool(rng.random() < (0.3 if lcd else 0.7)),
        variants="" if plain else "".join(d for d in VARIANTS if rng.random() < 0.5),
    )


def pump_style(rng: np.random.Generator) -> SegmentStyle:
    """Mitred, slightly slanted and wide, as on fuel pumps."""
    return SegmentStyle(
        width=float(rng.uniform(0.52, 0.64)),
        stroke=float(rng.uniform(0.1, 0.15)),
        gap=float(rng.uniform(0.004, 0.014)),
        slant=float(np.tan(np.radians(rng.uniform(2, 9)))),
        corner=float(rng.uniform(0.2, 1)),
        point=float(rng.uniform(0.9, 1.2)),
    )
