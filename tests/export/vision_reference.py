"""A small Phi-4-multimodal in transformers with lively weights, its images, and its tensors as our graphs."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from safetensors.numpy import save_file

from export.architectures.vision import IMAGE, VisionSpec, read_vision, vision_weights
from export.graph.image_projector import build_image_projector
from export.graph.siglip import build_vision_encoder
from export.sources.safetensors_dir import SafetensorsCheckpoint
from export.weights.layout import PlacedWeight, place
from export.weights.writer import WeightsWriter
from quant.formats import WeightFormat

LAYERS, IMAGE_TOKEN, CROP, PATCH, SIDE = 4, 5, 448, 14, 32
VISION = {
    "hidden_size": 96,
    "intermediate_size": 200,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "image_token_id": IMAGE_TOKEN,
}
AUDIO = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_blocks": 1,
    "num_attention_heads": 2,
    "nemo_conv_channels": 8,
    "depthwise_separable_out_channel": 16,
    "ext_pw_out_channel": 16,
    "audio_token_id": 6,
}
TEXT = {
    "hidden_size": 80,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def random_model(seed: int = 0) -> Any:
    """Eager attention: only that one is bidirectional for certain. Queries and keys are large enough to choose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM

        torch.set_num_threads(1)
        config = Phi4MultimodalConfig(vision_config=VISION, audio_config=AUDIO, **TEXT)
        model = Phi4MultimodalForCausalLM._from_config(config, attn_implementation="eager").eval()
    random = torch.Generator().manual_seed(seed)
    for name, values in model.state_dict().items():
        noise = torch.randn(values.shape, generator=random)
        if "norm" in name and name.endswith("weight"):
            values.copy_(1 + 0.1 * noise)
        elif values.ndim == 1 or "extensor" in name:
            values.copy_(0.1 * noise)
        else:
            gain = 2.0 if ".q_proj." in name or ".k_proj." in name else 0.5
            values.copy_(gain * noise / values[0].numel() ** 0.5)
    return model


def save_checkpoint(model: Any, path: Path) -> SafetensorsCheckpoint:
    path.mkdir()
    (path / "config.json").write_text(model.config.to_json_string())
    save_file({name: values.numpy() for name, values in model.state_dict().items()}, path / "model.safetensors")
    return SafetensorsCheckpoint(path)


@dataclass(frozen=True)
class Image:
    """Normalised crops, the global view first, of a picture [height, width] in the corner of a grid of crops."""

    rows: int
    columns: int
    height: int
    width: int

    @property
    def pixels(self) -> np.ndarray:
        """float32 [C, 3, 448, 448]; the padding is white."""
        random = np.random.default_rng(self.height)
        canvas = np.ones((3, CROP * self.rows, CROP * self.columns), np.float32)
        canvas[:, : self.height, : self.width] = random.uniform(-1, 1, (3, self.height, self.width))
        overview = random.uniform(-1, 1, (1, 3, CROP, CROP)).astype(np.float32)
        crops = canvas.reshape(3, self.rows, CROP, self.columns, CROP).transpose(1, 3, 0, 2, 4)
        return np.concatenate([overview, crops.reshape(-1, 3, CROP, CROP)])

    @property
    def visible(self) -> np.ndarray:
        """bool [C, 32, 32]; a patch that is padding only in part is visible."""
        grid = np.zeros((SIDE * self.rows, SIDE * self.columns), bool)
        grid[: -(-self.height // PATCH), : -(-self.width // PATCH)] = True
        crops = grid.reshape(self.rows, SIDE, self.columns, SIDE).transpose(0, 2, 1, 3)
        whole = np.concatenate([np.ones((1, SIDE, SIDE), bool), crops.reshape(-1, SIDE, SIDE)])
        return np.ascontiguousarray(whole)  # the port views it under another shape

    @property
    def positions(self) -> np.ndarray:
        """int64 [C, 1024]: the visible part of a crop is stretched over the whole table."""
        ids = np.zeros(self.visible.shape, np.int64)
        for crop, mask in zip(ids, self.visible, strict=True):
            high, wide = mask[:, 0].sum(), mask[0].sum()
            crop[:high, :wide] = np.arange(high)[:, None] * SIDE // high * SIDE + np.arange(wide) * SIDE // wide
        return ids.reshape(len(ids), -1)

    @property
    def order(self) -> np.ndarray:
        """int64 [N]: useful rows of the grid, each with its end; the end of the part; the rows of the global view."""
        half = SIDE // 2
        crops = np.arange(self.rows * self.columns * half * half) + 2 + half * half
        grid = crops.reshape(self.rows, self.columns, half, half).transpose(0, 2, 1, 3)
        grid = grid.reshape(self.rows * half, self.columns * half)
        useful = grid[: -(-self.height // (2 * PATCH)), : -(-self.width // (2 * PATCH))]
        overview = np.arange(half * half).reshape(half, half) + 2
        parts = [np.pad(part, ((0, 0), (0, 1)), constant_values=0).ravel() for part in (useful, overview)]
        return np.concatenate([parts[0], [1], parts[1]])


class VisionGraphs:
    """Both graphs in onnxruntime."""

    def __init__(self, checkpoint: SafetensorsCheckpoint, fmt: WeightFormat, out: Path) -> None:
        self.spec: VisionSpec = read_vision(checkpoint)
        placed = place(vision_weights(self.spec, checkpoint.tensors, fmt))
        out.mkdir()
        with WeightsWriter(out / "weights.bin", out / "journal", "test") as writer:
            list(writer.write(placed, checkpoint))
        self.weights: Mapping[str, PlacedWeight] = {weight.source.name: weight for weight in placed}
        self.models = [
            build(self.spec, self.weights, "weights.bin") for build in (build_vision_encoder, build_image_projector)
        ]
        for name, model in zip(("vision.onnx", "projector.onnx"), self.models, strict=True):
            (out / name).write_bytes(model)
        self._encoder, self._projector = (_session(out / name) for name in ("vision.onnx", "projector.onnx"))

    def features(self, pixels: np.ndarray, positions: np.ndarray, key_bias: np.ndarray) -> np.ndarray:
        feed = {"pixels": pixels, "positions": positions, "key_bias": key_bias.reshape(positions.shape)}
        return self._encoder.run(None, feed)[0]

    def image_features(self, image: Image) -> np.ndarray:
        """float32 [C, 256, hidden]"""
        return self.features(image.pixels, image.positions, hidden_keys(image.visible))

    def embeddings(self, image: Image) -> np.ndarray:
        """float32 [N, decoder hidden]"""
        patches = self.image_features(image).reshape(-1, self.spec.hidden)
        return self._projector.run(None, {"patches": patches, "order": image.order})[0]


def hidden_keys(visible: np.ndarray, value: float = float(np.finfo(np.float32).min)) -> np.ndarray:
    return np.where(visible, np.float32(0), np.float32(value))


def reference_features(model: Any, image: Image) -> np.ndarray:
    import torch

    with torch.inference_mode():
        embed = model.get_submodule(IMAGE.rstrip("."))
        return embed.get_img_features(torch.from_numpy(image.pixels), torch.from_numpy(image.visible)).numpy()


def reference_embeddings(model: Any, image: Image) -> np.ndarray:
    """What the port puts in place of as many image tokens as the image needs by our count."""
    import torch

    ids = torch.full((1, len(image.order)), IMAGE_TOKEN)
    with torch.inference_mode():
        return model.get_submodule(IMAGE.rstrip("."))(
            ids,
            torch.zeros(1, len(image.order), TEXT["hidden_size"]),
            torch.from_numpy(image.pixels)[None],
            torch.tensor([[CROP * image.rows, CROP * image.columns]]),
            torch.from_numpy(image.visible)[None],
        )[0].numpy()


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
