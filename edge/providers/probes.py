"""What a processor is tried with: the same inputs through the same calls, there and on the CPU."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge.bundle.manifest import GRAPHS_OF, Manifest
from edge.media.crop_sizes import CROP
from edge.media.crops import image_crops
from edge.media.tiling import choose_tiling
from edge.runtime.decoding import Decoding
from edge.runtime.encoder import Encoders
from edge.runtime.speech import encode_window, windows
from edge.runtime.vision import encode_crops

PROMPT, STEPS, ANSWER = 72, 4, 32
"""Tokens that are read, and computed one at a time; and how long the answer is of which `seconds` tell."""

SPEECH_ROWS = 300
"""Three seconds of log-mel."""

ENDS = 2
"""Rows of the patch order before the patches: the ends of a row and of a part."""

ENCODERS = ("speech_encoder", "vision_encoder")


@dataclass(frozen=True, slots=True)
class Probe:
    """`values` float32 [rows, ...]: logits, or what an encoder and its projector made. `seconds` of the second run:
    the first one loads and compiles."""

    values: np.ndarray
    seconds: float


def parts_of(mode: str) -> list[str]:
    """What a mode consists of that may run on different processors: its decoder graph, and encoders."""
    decoder, *others = GRAPHS_OF[mode]
    return [decoder, *(name for name in others if name in ENCODERS)]


def probe(part: str, manifest: Manifest, decoder: Decoding | None, encoders: Encoders) -> Probe:
    """Runs a part twice. `decoder` may be missing for encoders."""
    if part == "speech_encoder":
        return _speech(encoders)
    if part == "vision_encoder":
        return _vision(encoders, manifest)
    assert decoder
    decoder.select(part)
    return _decoder(decoder)


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """‖found − expected‖ / ‖expected‖; infinite where there is no such number. Of rows what all have is left out:
    logits that are all higher by the same say the same."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    found, expected = (rows - rows.mean(axis=-1, keepdims=True) for rows in (found, expected))
    return float(np.linalg.norm(found - expected) / max(float(np.linalg.norm(expected)), 1e-12))


def _decoder(decoder: Decoding) -> Probe:
    ids = np.random.default_rng(0).integers(0, decoder.info.vocab_size, PROMPT + STEPS)
    for _ in range(2):
        decoder.rewind(0)
        decoder.reserve(len(ids), False)
        started = time.monotonic()
        rows = [decoder.prefill(ids[:PROMPT])[0]]
        read_s = time.monotonic() - started
        step_s = []
        for token in ids[PROMPT:]:
            started = time.monotonic()
            rows.append(decoder.step(int(token)).copy())
            step_s.append(time.monotonic() - started)
    decoder.rewind(0)
    return Probe(np.array(rows), read_s + ANSWER * statistics.median(step_s))


def _speech(encoders: Encoders) -> Probe:
    features = np.random.default_rng(0).standard_normal((SPEECH_ROWS, 80)).astype(np.float32) * 2 + 10
    (window,) = windows(features, 0, False)
    return _second(lambda: encoders.run("speech_projector", encoded=encode_window(encoders, window)))


def _vision(encoders: Encoders, manifest: Manifest) -> Probe:
    assert manifest.vision
    vision = manifest.vision
    noise = np.random.default_rng(0).integers(0, 256, (CROP, CROP, 3)).astype(np.uint8)
    crops = image_crops(noise, choose_tiling(CROP, CROP, 1, vision.patch_size))

    def run() -> np.ndarray:
        patches = next(iter(encode_crops(encoders, crops, vision.width)))
        return encoders.run("vision_projector", patches=patches, order=np.arange(len(patches)) + ENDS)

    return _second(run)


def _second(run: Callable[[], np.ndarray]) -> Probe:
    for _ in range(2):
        started = time.monotonic()
        values = run()
    return Probe(values, time.monotonic() - started)
