"""Phi-4-multimodal's speech encoder in transformers, small and random, and what the original code computes with it."""

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from tests.reference_import import import_transformers

MEL_BINS, WINDOW = 80, 500
PREFIX = "model.embed_tokens_extend.audio_embed."

AUDIO: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_blocks": 3,
    "num_attention_heads": 4,
    "nemo_conv_channels": 32,
    "ext_pw_out_channel": 64,
    "depthwise_separable_out_channel": 64,
    "bias_max_distance": 500,
    "audio_token_id": 2,
}
CONFIG: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "vocab_size": 512,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def multimodal_config(**changes: Any) -> Any:
    """The config of a whole model; changes are fields of its audio_config."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_transformers().Phi4MultimodalConfig(**CONFIG, audio_config=AUDIO | changes)


def audio_tensors_of_the_whole_model() -> dict[str, tuple[int, ...]]:
    """Names and shapes in a checkpoint that transformers writes."""
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        model = import_transformers().Phi4MultimodalForCausalLM(multimodal_config())
    return {name: tuple(values.shape) for name, values in model.state_dict().items() if ".audio_embed." in name}


def audio_embedding(seed: int = 0, **changes: Any) -> Any:
    """transformers' audio module, projectors included, with weights that make every part matter."""
    torch.set_num_threads(1)
    config = multimodal_config(**changes)
    config.audio_config._attn_implementation = "eager"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.models.phi4_multimodal.modeling_phi4_multimodal import Phi4MultimodalAudioEmbedding

        module = Phi4MultimodalAudioEmbedding(config).eval()
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in module.state_dict().items():
            noise = torch.randn(values.shape, generator=random)
            if name.endswith("global_mean"):
                values.copy_(10 + 2 * noise)
            elif name.endswith("global_invstd"):
                values.copy_(0.2 + 0.02 * noise)
            elif "norm" in name and name.endswith("weight"):
                values.copy_(1 + 0.2 * noise)
            elif "bias_values" in name:
                values.copy_(noise)
            elif values.ndim > 1 and name.endswith("weight"):
                # the subsampling's ReLUs would otherwise leave nothing but biases
                gain = 1.4 if ".embed." in name else 1.0
                values.copy_(noise * gain / math.sqrt(values[0].numel()))
            else:
                values.copy_(0.2 * noise)
    return module


def write_speech_checkpoint(directory: Path, module: Any, **changes: Any) -> Path:
    """The module as a checkpoint in the native layout. It has no decoder, and `changes` go to its audio_config."""
    directory.mkdir(parents=True)
    audio = module.config.audio_config.to_dict() | changes
    (directory / "config.json").write_text(
        json.dumps({"model_type": "phi4_multimodal", **CONFIG, "audio_config": audio})
    )
    tensors = {PREFIX + name: values.numpy() for name, values in module.state_dict().items()}
    save_file(tensors, directory / "model.safetensors")
    return directory


def log_mel(seconds: float, seed: int = 0) -> np.ndarray:
    """Something with the size and range of log-mel features: float32 [frames, 80] ≥ 0, slowly changing."""
    frames = int((seconds * 16000 - 400) // 160) + 1
    random = np.random.default_rng(seed)
    coarse = random.standard_normal((frames // 8 + 2, MEL_BINS)).repeat(8, axis=0)[:frames]
    return np.maximum(10 + 4 * coarse + 2 * random.standard_normal((frames, MEL_BINS)), 0).astype(np.float32)


def port(module: Any, features: np.ndarray) -> np.ndarray:
    """transformers itself on one clip: [frames, dim]."""
    with torch.inference_mode():
        return module.encoder(torch.tensor(features)[None], None)[0].numpy()


def original(module: Any, clips: list[np.ndarray]) -> list[np.ndarray]:
    """Several clips as the original code encodes them: keys beyond a clip's own frames are masked with -inf.

    (transformers adds the boolean mask to the scores, so there padded frames are seen like any other.)
    """
    longest = max(len(clip) for clip in clips)
    batch = np.stack([np.pad(clip, ((0, longest - len(clip)), (0, 0))) for clip in clips])
    own = [math.ceil(len(clip) / 8) for clip in clips]
    encoder = module.encoder
    with torch.inference_mode():
        frames, _ = encoder.embed(encoder.encoder_embedding(torch.tensor(batch)), None)
        count = frames.shape[1]
        window = count if count <= WINDOW else WINDOW
        frames = torch.nn.functional.pad(frames, (0, 0, 0, -count % window)).reshape(-1, window, frames.shape[2])
        seen = torch.arange(count + -count % window) < torch.tensor(own)[:, None]
        keys = torch.where(seen, 0.0, -torch.inf).reshape(-1, 1, 1, window)
        mask = encoder.relative_attention_bias_layer(frames) + keys
        for layer in encoder.encoders:
            frames = layer(frames, mask)
        joined = frames.reshape(len(clips), -1, frames.shape[2]).numpy()
    return [whole[:frames] for whole, frames in zip(joined, own, strict=True)]


def project(module: Any, encoded: np.ndarray, projector: str) -> np.ndarray:
    """Frames to embeddings as transformers does it, `projector` being "speech" or "vision_speech"."""
    up, down = (getattr(module, f"{step}_proj_for_{projector}") for step in ("up", "down"))
    with torch.inference_mode():
        return down(torch.nn.functional.gelu(up(torch.tensor(encoded)))).numpy()
