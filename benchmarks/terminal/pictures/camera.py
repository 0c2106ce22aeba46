"""What light and a phone's camera do to a scene: shade, glare, fingers, blur, noise, tone, JPEG."""

import cv2
import numpy as np

from benchmarks.terminal.pictures.backdrop import add_noise


def light(rng: np.random.Generator, rgb: np.ndarray, severity: float, contrast: float) -> np.ndarray:
    """Uneven light, vignetting, a shadow's edge, colour cast, low light: one gain map for all.

    It never makes a thing of the given contrast (grey levels) fainter than some twelve levels.
    """
    height, width = rgb.shape[:2]
    rows, columns = max(2, height // 16), max(2, width // 16)
    gain = np.full((rows, columns, 3), 1.0, np.float32)
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j].astype(np.float32)
    slope = rng.uniform(-0.3, 0.3, 2) * severity
    gain *= (1 + slope[0] * x + slope[1] * y)[..., None]
    if rng.random() < 0.5:
        gain *= (1 - rng.uniform(0, 0.45) * severity * (x * x + y * y) / 2)[..., None]
    if rng.random() < 0.3 * severity:  # the photographer's shadow
        angle = rng.uniform(0, 2 * np.pi)
        edge = np.cos(angle) * x + np.sin(angle) * y - rng.uniform(-0.3, 0.9)
        edge = edge + rng.uniform(0, 0.3) * np.sin(3 * (x + y) + rng.uniform(0, 6))
        gain *= (1 - rng.uniform(0.15, 0.6) / (1 + np.exp(-edge * rng.uniform(6, 60))))[..., None]
    if rng.random() < 0.6:
        warm = rng.uniform(-0.14, 0.14) * severity
        gain *= np.array([1 + warm, 1 + rng.uniform(-0.03, 0.03) * severity, 1 - warm], np.float32)
    if rng.random() < 0.25:  # a corner tinted by the lens or a wall nearby
        tint = 1 + rng.uniform(-0.2, 0.2, 3) * severity
        corner = np.clip((rng.choice([-1, 1]) * x + rng.choice([-1, 1]) * y) / 2, 0, 1)[..., None]
        gain *= 1 + corner * (tint - 1).astype(np.float32)
    if rng.random() < 0.2:
        gain *= 1 - rng.uniform(0, 0.6) * severity
    elif rng.random() < 0.3:  # overexposed panel
        gain *= 1 + rng.uniform(0, 0.6) * severity
    small = np.clip(np.maximum(gain, min(1.0, 12 / contrast)) * 100, 0, 255).astype(np.uint8)
    return cv2.multiply(rgb, cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), scale=0.01)


def glare(rng: np.random.Generator, rgb: np.ndarray, severity: float) -> np.ndarray:
    """A soft bright spot or veil added over everything."""
    height, width = rgb.shape[:2]
    rows, columns = height // 8 + 2, width // 8 + 2
    spot = np.zeros((rows, columns, 3), np.uint8)
    reach = rng.uniform(0.04, 0.3) * columns
    strength = rng.uniform(15, 110 if reach < 0.15 * columns else 60) * severity
    colour = np.clip(strength * np.array((1, rng.uniform(0.9, 1), rng.uniform(0.75, 1))), 0, 255).tolist()
    centre = (int(rng.integers(0, columns)), int(rng.integers(0, rows)))
    axes = (int(reach) + 1, int(reach * rng.uniform(0.2, 1)) + 1)
    cv2.ellipse(spot, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
    spot = cv2.GaussianBlur(spot, (0, 0), max(1.0, reach * rng.uniform(0.2, 0.5)))
    return cv2.add(rgb, cv2.resize(spot, (width, height), interpolation=cv2.INTER_LINEAR))


def finger(rng: np.random.Generator, rgb: np.ndarray, keep: np.ndarray | None) -> np.ndarray:
    """A blurred dark finger from the border; `keep` (left, top, right, bottom) stays free."""
    height, width = rgb.shape[:2]
    side = rng.choice([0, 1, 2])
    reach = rng.uniform(0.1, 0.3) * height
    x = 0 if side == 0 else width if side == 1 else rng.uniform(0, width)
    y = height if side == 2 else rng.uniform(0.2, 1.0) * height
    length = reach * rng.uniform(1, 2)
    if keep is not None:
        near_x, near_y = np.clip(x, keep[0], keep[2]) - x, np.clip(y, keep[1], keep[3]) - y
        if np.hypot(near_x, near_y) < length * 1.15 + 12:
            return rgb
    mask = np.zeros((height // 4 + 1, width // 4 + 1), np.uint8)
    angle = float(rng.uniform(-40, 40) + (0 if side != 2 else 90))
    cv2.ellipse(mask, (int(x / 4), int(y / 4)), (int(length / 4), int(reach / 4)), angle, 0, 360, 255, -1)
    mask = cv2.resize(cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.8, 3))), (width, height))
    skin = np.array((1.0, 0.6, 0.45)) * rng.uniform(25, 170)
    box = cv2.boundingRect(mask)
    part = (slice(box[1], box[1] + box[3]), slice(box[0], box[0] + box[2]))
    weight = mask[part][..., None].astype(np.float32) / 255
    rgb[part] = (rgb[part] * (1 - weight) + skin * weight).astype(np.uint8)
    return rgb


def exposure(rng: np.random.Generator, rgb: np.ndarray, severity: float, pitch: float, contrast: float) -> np.ndarray:
    """Blur, grain, tone curve and JPEG, readable for digits `pitch` pixels apart and a contrast in grey levels."""
    limit = max(0.5, min(3.2, pitch / 22)) * severity
    draw = rng.random()
    if draw < 0.35 * severity:
        sigma = float(rng.uniform(0.3, limit)) if limit > 0.3 else 0.3
        rgb = cv2.GaussianBlur(rgb, (0, 0), sigma)
    elif draw < 0.47 * severity:
        rgb = _jerk(rng, rgb, limit * 2.2)
    elif draw > 1 - 0.3 * severity:  # phones sharpen
        amount = float(rng.uniform(0.3, 1.5))
        rgb = cv2.addWeighted(rgb, 1 + amount, cv2.blur(rgb, (3, 3)), -amount, 0)
    if rng.random() < 0.7:
        sort = "fine" if rng.random() < 0.55 else "coarse"
        rgb = add_noise(rng, rgb, sort, float(rng.uniform(0, 1) ** 3 * min(12, 2 + contrast / 4) * severity))
    if rng.random() < 0.7:
        ramp = np.linspace(0, 1, 256)
        curve = ramp ** np.exp(rng.uniform(-0.45, 0.45) * severity)
        curve = 0.5 + (curve - 0.5) * (1 + rng.uniform(-0.3, 0.3) * severity) + rng.uniform(-0.06, 0.06) * severity
        curve = np.maximum(curve, 0.6 * ramp)  # faint figures on dark glass must not drown in black
        rgb = cv2.LUT(rgb, np.clip(curve * 255, 0, 255).astype(np.uint8))
    if rng.random() < 0.1 * severity:
        rgb = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.6 * severity:
        quality = int(rng.integers(30 if contrast > 40 else 60, 95))
        _, data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])
        rgb = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return rgb


def _jerk(rng: np.random.Generator, rgb: np.ndarray, reach: float) -> np.ndarray:
    """A hand moved while the shutter was open: the mean of shifted pictures along a line of up to `reach` pixels."""
    height, width = rgb.shape[:2]
    angle, steps = rng.uniform(0, np.pi), 4
    line = np.array((np.cos(angle), np.sin(angle))) * max(1.0, rng.uniform(0.3, 1) * reach)
    edge = int(np.ceil(reach)) + 1
    wide = cv2.copyMakeBorder(rgb, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
    total = rgb
    for step in range(1, steps + 1):
        share = (step + 1) // 2 * (1 if step % 2 else -1) / steps  # to both sides in turn
        x, y = np.round(edge + line * share).astype(int)
        shifted = wide[y : y + height, x : x + width]
        total = cv2.addWeighted(total, step / (step + 1), shifted, 1 / (step + 1), 0)
    return total
