"""Names, shapes and configuration of Phi-4-multimodal in its original layout, the one of its remote code."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.multimodal.speech_geometry import SpeechGeometry
from benchmarks.multimodal.vision_geometry import VisionGeometry
from benchmarks.peers.geometry import Geometry

MATRICES = ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")
"""The decoder's modules that have a LoRA."""

TARGETS = "((layers.*self_attn\\.(qkv|o)_proj)|(layers.*mlp\\.(gate_up|down)_proj))"


@dataclass(frozen=True, slots=True)
class MultimodalGeometry:
    """Phi-4-mini's decoder, two LoRAs on it and the two encoders; the released model's sizes by default.

    Fewer layers of `text` shorten the decoder and its LoRAs only.
    """

    text: Geometry = field(default_factory=Geometry)
    speech: SpeechGeometry = field(default_factory=SpeechGeometry)
    vision: VisionGeometry = field(default_factory=VisionGeometry)
    speech_rank: int = 320
    vision_rank: int = 256

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape as the shards hold them: matrices with a LoRA are called base_layer, and it stands beside."""
        shapes: dict[str, tuple[int, ...]] = {}
        for name, shape in self.text.tensors().items():
            module = name.removesuffix(".weight")
            if not module.endswith(MATRICES):
                shapes[name] = shape
                continue
            shapes[f"{module}.base_layer.weight"] = shape
            rows, columns = shape
            for adapter, rank in (("speech", self.speech_rank), ("vision", self.vision_rank)):
                shapes[f"{module}.lora_A.{adapter}.weight"] = (rank, columns)
                shapes[f"{module}.lora_B.{adapter}.weight"] = (rows, rank)
        return shapes | self.vision.tensors(self.text.hidden) | self.speech.tensors(self.text.hidden)

    def config(self) -> dict[str, Any]:
        """config.json in the form of the model's own repository; sizes of the vision tower are in its code only."""
        text = self.text.config()
        return text | {
            "architectures": ["Phi4MMForCausalLM"],
            "model_type": "phi4mm",
            "auto_map": {
                "AutoConfig": "configuration_phi4mm.Phi4MMConfig",
                "AutoModelForCausalLM": "modeling_phi4mm.Phi4MMForCausalLM",
            },
            "_attn_implementation": "flash_attention_2",
            "mlp_bias": False,
            "lm_head_bias": False,
            "img_processor": None,
            "audio_processor": {"name": "cascades", "config": self.speech.config()},
            "embd_layer": {
                "embedding_cls": "image_audio",
                "audio_embd_layer": self.speech.embedding_config(),
                "image_embd_layer": self.vision.embedding_config(),
            },
            "speech_lora": _lora(self.speech_rank, 0.01),
            "vision_lora": _lora(self.vision_rank, 0.0),
        }

    def generation_config(self) -> dict[str, Any]:
        return self.text.generation_config()


def _lora(rank: int, dropout: float) -> dict[str, Any]:
    return {"dp": dropout, "layer": TARGETS, "lora_alpha": 2 * rank, "r": rank}
