"""Checkpoints as graphs of fixed shapes beside a bundle's weights file, for whatever provider is to run them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from edge.bundle.bundle import Bundle
from edge.runtime.decoder import Decoder
from edge.runtime.encoder import Encoders
from edge.runtime.fixed_window import HIDDEN
from export.exporter import run_export
from export.graphs import WEIGHTS
from export.npu.attention import Window
from export.npu.decoder import build_embedding, build_head, build_layers
from export.npu.projector import build_fixed_projector
from export.npu.speech import build_fixed_speech_encoder
from export.npu.vision import build_fixed_vision_encoder
from export.options import ExportOptions
from export.plan import ExportPlan, plan_export

TERMINAL = Path(__file__).parents[2] / "benchmarks" / "terminal" / "checkpoint"


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle, and a folder with the same weights and fixed graphs."""

    plan: ExportPlan
    bundle: Bundle
    folder: Path

    def decoder(self) -> Decoder:
        return Decoder.load(self.bundle, threads=1)

    def encoders(self) -> Encoders:
        return Encoders.of(self.bundle, 1)

    def _write(self, name: str, data: bytes) -> Path:
        path = self.folder / f"{name}.onnx"
        path.write_bytes(data)
        return path

    def layers(self, tokens: int, past: int, lora: str = "") -> Path:
        window = Window(tokens, past)
        data = build_layers(self.plan.spec, self.plan.by_role, self.folder / WEIGHTS, window, lora)
        return self._write(f"layers{lora}.{tokens}.{past}", data)

    def head(self) -> Path:
        return self._write("head", build_head(self.plan.spec, self.plan.by_role, self.folder / WEIGHTS))

    def embedding(self) -> Path:
        return self._write("embedding", build_embedding(self.plan.spec, self.plan.by_role, self.folder / WEIGHTS))

    def speech(self, frames: int, skip: int = 0) -> Path:
        assert self.plan.media
        data = build_fixed_speech_encoder(
            self.plan.media.speech, self.plan.by_role, self.folder / WEIGHTS, frames, skip
        )
        return self._write(f"speech.{frames}.{skip}", data)

    def vision(self) -> Path:
        assert self.plan.media
        return self._write(
            "vision", build_fixed_vision_encoder(self.plan.media.vision, self.plan.by_role, self.folder / WEIGHTS)
        )

    def speech_projector(self, rows: int) -> Path:
        parts = (f"speech.projector.speech.{part}" for part in ("up", "up_bias", "down", "down_bias"))
        up, up_bias, down, down_bias = (self.plan.by_role[part] for part in parts)
        path = self.folder / WEIGHTS
        return self._write("projector", build_fixed_projector("projector", up, up_bias, down, down_bias, path, rows))


def exported(checkpoint: Path, out: Path, options: ExportOptions) -> Exported:
    plan = plan_export(checkpoint, options)
    run_export(plan, out / "bundle")
    folder = out / "fixed"
    folder.mkdir()
    (folder / WEIGHTS).write_bytes((out / "bundle" / WEIGHTS).read_bytes())
    return Exported(plan, Bundle.open(out / "bundle"), folder)


def on_cpu(path: Path) -> ort.InferenceSession:
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def speech_inputs(features: np.ndarray, frames: int, skip: int = 0) -> dict[str, np.ndarray]:
    """Of a clip's log-mel rows [T, mel], for a graph of so many frames; what lies behind the clip is noise."""
    count, rows = len(features), 8 * (frames + skip)
    padded = np.random.default_rng(0).standard_normal((1, rows, features.shape[1])).astype(np.float32)
    padded[0, :count] = features
    inputs = {"features": padded}
    for stage in range(3):
        inputs[f"rows.{stage}"] = (np.arange(rows >> stage) < count).astype(np.float32).reshape(1, 1, -1, 1)
        count = -(-count // 2)
    bias = np.where(np.arange(frames) < count - skip, 0, HIDDEN).astype(np.float32)
    return inputs | {"key_bias": bias.reshape(1, 1, 1, -1)}
