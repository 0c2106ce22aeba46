"""How fast this machine looks at pictures with a bundle: measured once, kept in the user's cache."""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edge.bundle.bundle import Bundle
from edge.bundle.files import write_bytes_durably
from edge.media.crop_sizes import CROP
from edge.media.crops import image_crops
from edge.media.tiling import choose_tiling
from edge.runtime.decoder import CHUNK
from edge.runtime.decoding import Decoding
from edge.runtime.encoder import Encoders
from edge.runtime.tune import tuned_directory
from edge.runtime.vision import encode_crops

MAX_RECORD_BYTES = 1 << 16
VISION = "vision"


@dataclass(frozen=True, slots=True)
class Speeds:
    """Seconds per full crop in the vision encoder, and prompt tokens per second with the vision adapter."""

    crop_s: float
    prefill_tokens_per_s: float

    def seconds(self, crops: int, tokens: int) -> float:
        """Until the first token of an answer about a picture of `crops` crops in a prompt of `tokens`."""
        return crops * self.crop_s + tokens / self.prefill_tokens_per_s


def known_speeds(bundle: Bundle) -> Speeds | None:
    """What was measured earlier for this bundle, CPU and onnxruntime."""
    try:
        with _record(bundle).open("rb") as file:
            speeds = Speeds(**json.loads(file.read(MAX_RECORD_BYTES)))
        return speeds if min(speeds.crop_s, speeds.prefill_tokens_per_s) > 0 else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def measure_speeds(bundle: Bundle, decoder: Decoding, encoders: Encoders) -> Speeds:
    """Takes a few seconds and empties the KV cache. The first run of each graph is not counted: it loads pages."""
    assert bundle.manifest.vision
    vision = bundle.manifest.vision
    crops = image_crops(np.zeros((CROP, CROP, 3), np.uint8), choose_tiling(CROP, CROP, 1, vision.patch_size))
    # both crops of the smallest tiling are full; the first run warms up
    crop_s = []
    started = time.monotonic()
    for _ in encode_crops(encoders, crops, vision.width):
        crop_s.append(time.monotonic() - started)
        started = time.monotonic()
    decoder.select(VISION)
    decoder.reserve(CHUNK, False)
    ids = np.zeros(CHUNK, np.int64)
    for _ in range(2):
        decoder.rewind(0)
        started = time.monotonic()
        decoder.prefill(ids)
        prefill_s = time.monotonic() - started
    decoder.rewind(0)
    speeds = Speeds(crop_s[-1], CHUNK / prefill_s)
    record = _record(bundle)
    record.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_durably(record, json.dumps(asdict(speeds)).encode())
    return speeds


def _record(bundle: Bundle) -> Path:
    return tuned_directory(bundle).with_suffix(".speeds.json")
