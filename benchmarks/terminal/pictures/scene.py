"""Puts a card before the camera: perspective, rotation, scale, place and partial crops."""

from itertools import pairwise

import cv2
import numpy as np

from benchmarks.terminal.pictures.card import Card, corners, lay_over

MIN_PITCH = 36.0  # pixels between neighbouring digits: the small tower reads closer ones at 40 to 80 %
MIN_VISIBLE = 0.85  # of every glyph


def tilt(rng: np.random.Generator, severity: float, size: tuple[int, int]) -> np.ndarray:
    """Homography [3, 3] of a card of a size (width, height) turned in space around its centre, in its own pixels."""
    if rng.random() < 0.35:
        yaw, nod, roll = rng.uniform(-1, 1, 3) * (25, 25, 12)
    else:
        yaw, nod, roll = np.clip(rng.normal(0, (8, 7, 3.5)), (-25, -25, -12), (25, 25, 12))
    yaw, nod, roll = np.radians(np.array((yaw, nod, roll)) * severity)
    distance = float(rng.uniform(1.6, 5)) * max(size)
    turn_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(nod), -np.sin(nod)], [0, np.sin(nod), np.cos(nod)]])
    turn_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    rotation = turn_z @ turn_x @ turn_y
    to_centre = np.array([[1, 0, -size[0] / 2], [0, 1, -size[1] / 2], [0, 0, 1]])
    plane = np.column_stack([rotation[:, 0], rotation[:, 1], (0, 0, distance)])
    lens = np.diag([distance, distance, 1.0])
    return lens @ plane @ to_centre


def project(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [..., 2] through a homography."""
    flat = np.concatenate([points.reshape(-1, 2), np.ones((points.size // 2, 1))], 1) @ homography.T
    return (flat[:, :2] / flat[:, 2:]).reshape(points.shape)


def place(
    rng: np.random.Generator, severity: float, card: Card, frame: tuple[int, int]
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Homography from card to picture of `frame` (width, height), and the glyphs' corners [4, 2] in the picture."""
    height, width = card.alpha.shape
    turned = tilt(rng, severity, (width, height))
    whole = project(turned, corners(("", 0, 0, width, height)))
    inks = [project(turned, corners(box)) for box in card.glyphs] or [whole]
    points = np.concatenate(inks)
    span = points.max(0) - points.min(0)
    room = np.array(frame, float)
    scale = min(1.0, 0.97 * room[0] / span[0], 0.94 * room[1] / span[1])
    closest = _pitch(card, inks)
    if closest * scale < MIN_PITCH:
        scale = max(scale, min(MIN_PITCH * 1.02 / closest, 0.99 * room[0] / span[0], 0.99 * room[1] / span[1]))
    points, whole = points * scale, whole * scale
    outer = whole if rng.random() < 0.65 else points
    if np.any(outer.max(0) - outer.min(0) > room):
        outer = points
    low, high = -outer.min(0), room - outer.max(0)
    spread = 2.5 if rng.random() < 0.7 else 0.8
    shift = low + (high - low) * rng.beta(spread, spread, 2)
    if outer is points and rng.random() < 0.3 * severity:  # the border cuts a little off the outermost glyphs
        side = int(rng.integers(4))
        edge = (low if side < 2 else high)[side % 2]
        smallest = min(np.ptp(ink[:, side % 2]) for ink in inks) * scale
        cut = smallest * (1 - MIN_VISIBLE) * rng.uniform(0, 0.95)
        shift[side % 2] = edge - cut if side < 2 else edge + cut
    move = np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1.0]])
    return move @ turned, [ink * scale + shift for ink in inks] if card.glyphs else []


def _pitch(card: Card, inks: list[np.ndarray]) -> float:
    """The smallest distance between neighbouring characters; a point between two figures is skipped."""
    centres = [ink.mean(0) for ink, box in zip(inks, card.glyphs, strict=False) if box[0] not in ".:-"]
    steps = [float(np.hypot(*(b - a))) for a, b in pairwise(centres)]
    return min(steps, default=MIN_PITCH * 10)


def compose(background: np.ndarray, card: Card, homography: np.ndarray) -> None:
    """Lay the card over the background, in place."""
    height, width = card.alpha.shape
    outline = project(homography, corners(("", 0, 0, width, height)))
    rows, columns = background.shape[:2]
    left, top = np.clip(np.floor(outline.min(0)).astype(int) - 1, 0, (columns, rows))
    right, bottom = np.clip(np.ceil(outline.max(0)).astype(int) + 1, 0, (columns, rows))
    if right <= left or bottom <= top:
        return
    window = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]]) @ homography
    size = (int(right - left), int(bottom - top))
    rgb = cv2.warpPerspective(card.rgb, window, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpPerspective(card.alpha, window, size, flags=cv2.INTER_LINEAR)
    lay_over(background[top:bottom, left:right], rgb, alpha)
