"""Rectangles, lines and words on white, as SVG without any library, or as PNG with OpenCV."""

from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import escape

INK = "#12263a"
Anchor = Literal["start", "middle", "end"]
SCALE = 2  # pixels of the PNG for a unit


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float
    fill: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    x1: float
    y1: float
    x2: float
    y2: float
    colour: str = INK


@dataclass(frozen=True, slots=True)
class Words:
    x: float
    y: float
    content: str
    anchor: Anchor = "start"
    size: int = 11
    bold: bool = False


@dataclass(slots=True)
class Drawing:
    """Units are pixels of an unscaled screen, y grows downwards."""

    width: int
    height: int
    shapes: list[Box | Line | Words] = field(default_factory=list)

    def svg(self) -> bytes:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" font-family="sans-serif" fill="{INK}">'
        )
        white = f'<rect width="{self.width}" height="{self.height}" fill="white"/>'
        return ("\n".join([head, white, *map(_element, self.shapes), "</svg>"]) + "\n").encode()

    def png(self) -> bytes:
        import cv2
        import numpy as np

        canvas = np.full((self.height * SCALE, self.width * SCALE, 3), 255, np.uint8)
        fonts = {bold: cv2.FontFace("sans") for bold in (False, True)}
        for shape in self.shapes:
            match shape:
                case Box():
                    start, end = _point(shape.x, shape.y), _point(shape.x + shape.width, shape.y + shape.height)
                    cv2.rectangle(canvas, start, end, _bgr(shape.fill), cv2.FILLED)
                    cv2.rectangle(canvas, start, end, _bgr(INK), 1)
                case Line():
                    start, end = _point(shape.x1, shape.y1), _point(shape.x2, shape.y2)
                    cv2.line(canvas, start, end, _bgr(shape.colour), SCALE)
                case Words():
                    font, size, weight = fonts[shape.bold], shape.size * SCALE, 600 if shape.bold else 400
                    (_, _, width, _) = cv2.getTextSize((0, 0), shape.content, (0, 0), font, size, weight)
                    left = shape.x * SCALE - width * {"start": 0, "middle": 0.5, "end": 1}[shape.anchor]
                    place = (round(left), round(shape.y * SCALE))
                    cv2.putText(canvas, shape.content, place, _bgr(INK), font, size, weight)
        done, encoded = cv2.imencode(".png", canvas)
        assert done
        return encoded.tobytes()


def _element(shape: Box | Line | Words) -> str:
    match shape:
        case Box():
            return (
                f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" height="{shape.height:.1f}" '
                f'fill="{shape.fill}" stroke="{INK}"><title>{escape(shape.title)}</title></rect>'
            )
        case Line():
            ends = f'x1="{shape.x1:.1f}" y1="{shape.y1:.1f}" x2="{shape.x2:.1f}" y2="{shape.y2:.1f}"'
            return f'<line {ends} stroke="{shape.colour}"/>'
    weight = ' font-weight="bold"' if shape.bold else ""
    return (
        f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size}" text-anchor="{shape.anchor}"{weight}>'
        f"{escape(shape.content)}</text>"
    )


def _point(x: float, y: float) -> tuple[int, int]:
    return round(x * SCALE), round(y * SCALE)


def _bgr(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return blue, green, red
