"""The image side of transformers' Phi-4-multimodal."""

from tests.reference_import import declare_torchvision_operators

declare_torchvision_operators()

from transformers.models.phi4_multimodal.image_processing_phi4_multimodal import (  # noqa: E402
    Phi4MultimodalImageProcessor,
)
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import Phi4MultimodalVisionEmbeddings  # noqa: E402

__all__ = ["Phi4MultimodalImageProcessor", "Phi4MultimodalVisionEmbeddings"]
