"""The vision tower of Phi-4-multimodal (SigLIP without its last layer) and the projector into the decoder's width."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge.errors import CheckpointError
from edge.media.crop_sizes import CROP, MAX_CROPS, MOST_CROPS, PATCH
from export.architectures.config import HINT, ConfigReader
from export.architectures.weight_table import WeightTable
from export.sources.checkpoint import Checkpoint, TensorInfo
from export.weights.layout import WeightSource
from quant.formats import FloatFormat, WeightFormat

IMAGE = "model.embed_tokens_extend.image_embed."
TOWER = IMAGE + "img_processor."
GROUP = "vision"
CHANNELS = 3
FEATURE_LAYER = -2
"""Image features are the input of the last layer: that layer and all behind it are dead weight."""


@dataclass(frozen=True, slots=True)
class VisionSpec:
    """Sizes of the tower; a crop is `crop` × `crop` pixels, cut into `side` × `side` patches."""

    hidden: int
    intermediate: int
    heads: int
    layers: int
    """Layers that are computed, one less than the checkpoint has."""
    crop: int
    patch: int
    norm_epsilon: float
    decoder_hidden: int
    image_token: int
    """The placeholder in the prompt: one per embedding."""
    max_crops: int
    """Crops of a picture, without the overview, that the model was trained with."""

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads

    @property
    def attention_scale(self) -> float:
        return float(self.head_size**-0.5)

    @property
    def side(self) -> int:
        """Patches along a crop, and rows and columns of the position table."""
        return self.crop // self.patch

    @property
    def patches(self) -> int:
        """Patches of a crop before pooling."""
        return self.side**2

    @property
    def pooled(self) -> int:
        """Patches of a crop after 2×2 pooling."""
        return self.patches // 4


def read_vision(checkpoint: Checkpoint) -> VisionSpec:
    """Reads `vision_config` in the form of transformers, where a missing field has that library's default.

    Raises CheckpointError naming the field when a value has no graph here.
    """
    top = ConfigReader(checkpoint.config)
    config = top.section("vision_config")
    config.require("hidden_act", "gelu_pytorch_tanh", "gelu_pytorch_tanh")
    config.require("feature_layer", FEATURE_LAYER, FEATURE_LAYER)
    config.require("num_channels", CHANNELS, CHANNELS)
    crop, patch = config.integer("crop_size", CROP), config.integer("patch_size", PATCH)
    if crop % (2 * patch):
        raise CheckpointError(
            f"{config.where}: crop_size {crop} is not an even number of patches of patch_size {patch}", HINT
        )
    config.require("image_size", crop, CROP)
    hidden, heads = config.integer("hidden_size", 1152), config.integer("num_attention_heads", 16)
    if hidden % heads:
        raise CheckpointError(
            f"{config.where}: hidden_size {hidden} cannot be split into num_attention_heads {heads}", HINT
        )
    vocab = top.integer("vocab_size", high=1 << 22)
    return VisionSpec(
        hidden=hidden,
        intermediate=config.integer("intermediate_size", 4304),
        heads=heads,
        layers=config.integer("num_hidden_layers", 27, low=2, high=1024) - 1,
        crop=crop,
        patch=patch,
        norm_epsilon=config.number("layer_norm_eps", 1e-6, high=1.0),
        decoder_hidden=top.integer("hidden_size"),
        image_token=config.integer("image_token_id", 200010, low=0, high=vocab - 1),
        max_crops=top.integer("dynamic_hd", MAX_CROPS, high=MOST_CROPS),
    )


def vision_weights(
    spec: VisionSpec, tensors: Mapping[str, TensorInfo], linear_format: WeightFormat
) -> list[WeightSource]:
    """The weights to store, all named "vision.…".

    Linear layers and the projector get `linear_format`. What is small or touches pixels stays float32: the patch
    convolution, the position table, norms, biases and the two separators. Raises CheckpointError when a tensor is
    missing or has another shape than the config says.
    """
    table = WeightTable(tensors)
    hidden, side = spec.hidden, spec.side

    def linear(name: str, inputs: tuple[str, ...], rows: int, columns: int, fmt: WeightFormat = linear_format) -> None:
        weights = tuple(f"{one}.weight" for one in inputs)
        table.matrix(name, GROUP, weights, rows, columns, fmt, convolution=name == "vision.patch")
        table.vector(f"{name}.bias", tuple(f"{one}.bias" for one in inputs), rows, GROUP)

    def norm(name: str, tensor: str) -> None:
        table.vector(f"{name}.weight", f"{tensor}.weight", hidden, GROUP)
        table.vector(f"{name}.bias", f"{tensor}.bias", hidden, GROUP)

    # kernel and stride of the convolution are equal, so it is a Linear layer on flattened patches
    linear("vision.patch", (TOWER + "embeddings.patch_embedding",), hidden, CHANNELS * spec.patch**2, fmt=FloatFormat())
    table.tensor("vision.positions", GROUP, TOWER + "embeddings.position_embedding.weight", (side * side, hidden))
    for index in range(spec.layers):
        name, layer = f"vision.layers.{index}", f"{TOWER}encoder.layers.{index}."
        attention, mlp = layer + "self_attn.", layer + "mlp."
        norm(f"{name}.norm1", layer + "layer_norm1")
        linear(f"{name}.qkv", tuple(f"{attention}{one}_proj" for one in "qkv"), 3 * hidden, hidden)
        linear(f"{name}.out", (attention + "out_proj",), hidden, hidden)
        norm(f"{name}.norm2", layer + "layer_norm2")
        linear(f"{name}.fc1", (mlp + "fc1",), spec.intermediate, hidden)
        linear(f"{name}.fc2", (mlp + "fc2",), hidden, spec.intermediate)
    table.tensor("vision.row_end", GROUP, IMAGE + "sub_img_feature_extensor", (1, hidden))
    table.tensor("vision.part_end", GROUP, IMAGE + "global_img_feature_extensor", (1, hidden))
    linear("vision.projector.up", (IMAGE + "img_projection_up",), spec.decoder_hidden, hidden)
    linear("vision.projector.down", (IMAGE + "img_projection_down",), spec.decoder_hidden, spec.decoder_hidden)
    return table.sources


def unused_vision_tensors(spec: VisionSpec, tensors: Iterable[str]) -> list[str]:
    """Those of `tensors` that belong to the tower but cannot change its features: the last layer and what follows."""
    dead = (f"{TOWER}encoder.layers.{spec.layers}.", TOWER + "post_layernorm.", TOWER + "head.")
    return [name for name in tensors if name.startswith(dead)]
