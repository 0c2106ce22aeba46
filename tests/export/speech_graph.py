"""The exported speech encoder run as a device has to: a clip cut into windows, each encoded by one call."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from export.architectures.speech import SpeechSpec, read_speech, speech_weights
from export.graph.conformer import build_speech_encoder
from export.graph.projector import build_projector
from export.sources.safetensors_dir import SafetensorsCheckpoint
from export.weights.layout import PlacedWeight, place
from export.weights.writer import WeightsWriter
from quant.formats import WeightFormat

WINDOW, REDUCTION = 500, 8
WEIGHTS_FILE = "weights.bin"


@dataclass(frozen=True, slots=True)
class SpeechExport:
    spec: SpeechSpec
    weights: dict[str, PlacedWeight]
    graphs: dict[str, bytes]
    """"encoder", and the projectors "speech" and "vision"."""
    sessions: dict[str, ort.InferenceSession]

    def encode(self, features: np.ndarray, padded_to: int = 0) -> np.ndarray:
        """[T, mel] to [ceil(T / 8), dim]. In a batch of clips `padded_to` is the length of the longest; padding is
        then masked, while a clip on its own sees the zeros that fill its last window."""
        frames = math.ceil(len(features) / REDUCTION)
        # the convolutions see as much of the batch's padding as reaches into the clip's last frame
        length = min(frames * REDUCTION, max(len(features), padded_to))
        features = np.pad(features, ((0, length - len(features)), (0, 0)))
        windows = []
        for start in range(0, frames, WINDOW):
            skip, own = min(start, 1), min(frames - start, WINDOW)
            mel = features[(start - skip) * REDUCTION : (start + own) * REDUCTION]
            wanted = WINDOW if max(frames, math.ceil(padded_to / REDUCTION)) > WINDOW else own
            key_bias = np.zeros(wanted, np.float32)
            if padded_to:
                key_bias[own:] = -np.inf
            windows.append(self.window(mel, skip, key_bias)[:own])
        return np.concatenate(windows)

    def window(self, features: np.ndarray, skip: int, key_bias: np.ndarray) -> np.ndarray:
        feeds = {"features": features[None], "skip": np.array([skip]), "key_bias": key_bias}
        return self.sessions["encoder"].run(["encoded"], feeds)[0]

    def project(self, encoded: np.ndarray, projector: str) -> np.ndarray:
        return self.sessions[projector].run(["embeddings"], {"encoded": encoded})[0]


def export_speech(checkpoint_path: Path, out: Path, fmt: WeightFormat) -> SpeechExport:
    """Weights file and graphs of the checkpoint's speech part, opened."""
    checkpoint = SafetensorsCheckpoint(checkpoint_path)
    spec = read_speech(checkpoint)
    placed = place(speech_weights(spec, checkpoint.tensors, fmt))
    out.mkdir()
    with WeightsWriter(out / WEIGHTS_FILE, out / "journal", "speech") as writer:
        assert [weight.source.name for weight in writer.write(placed, checkpoint)]
    weights = {weight.source.name: weight for weight in placed}
    graphs = {"encoder": build_speech_encoder(spec, weights, WEIGHTS_FILE)}
    for name in ("speech", "vision"):
        steps = [weights[f"speech.projector.{name}.{step}"] for step in ("up", "up_bias", "down", "down_bias")]
        graphs[name] = build_projector(f"{name}_projector", *steps, WEIGHTS_FILE)
    sessions = {}
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    for name, graph in graphs.items():
        (out / f"{name}.onnx").write_bytes(graph)
        sessions[name] = ort.InferenceSession(out / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
    return SpeechExport(spec, weights, graphs, sessions)
