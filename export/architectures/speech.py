"""Phi-4-multimodal's speech encoder: its config, its checkpoint tensors and the formats they get."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.errors import CheckpointError
from export.architectures.config import HINT, ConfigReader
from export.architectures.weight_table import WeightTable
from export.sources.checkpoint import Checkpoint, TensorInfo
from export.weights.layout import WeightSource
from quant.formats import WeightFormat

AUDIO = "model.embed_tokens_extend.audio_embed."
GROUP = "speech"
REDUCTION = 8
"""Mel frames per encoder frame: three convolutions of stride 2."""

PROJECTORS = {"speech": "for_speech", "vision": "for_vision_speech"}
"""Which projector serves audio alone and audio beside images, and how the checkpoint calls it."""


@dataclass(frozen=True, slots=True)
class SpeechSpec:
    """A conformer over log-mel frames, and what its frames are projected to."""

    dim: int
    heads: int
    blocks: int
    ffn_size: int
    conv_channels: int
    """Channels of the convolutions that subsample the features."""
    kernel: int
    """Frames the causal depthwise convolution of a block sees, the current one included."""
    mel_bins: int
    bias_max_distance: int
    """Frames farther apart than this share a relative attention bias."""
    hidden_size: int
    """Width of the decoder's embeddings."""
    audio_token: int

    @property
    def subsampled_bins(self) -> int:
        return -(-self.mel_bins // REDUCTION)


def read_speech(checkpoint: Checkpoint) -> SpeechSpec:
    """Raises CheckpointError naming the field that has no graph here. Absent fields have transformers' defaults."""
    whole = ConfigReader(checkpoint.config)
    config = whole.section("audio_config")
    dim, heads = config.integer("hidden_size", 1024), config.integer("num_attention_heads", 16)
    if dim % heads:
        raise CheckpointError(f"{config.where}: hidden_size {dim} cannot be split into {heads} attention heads", HINT)
    for key in ("activation", "conv_activation", "conv_glu_type"):
        config.require(key, "swish", "swish")
    config.require("nemo_activation", "relu", "relu")
    config.require("chunk_size", -1, -1)
    config.require("bias_symmetric", False, False)
    config.require("time_reduction", REDUCTION, REDUCTION)
    config.require("downsample_rate", 1, 1)
    config.require("depthwise_multiplier", 1, 1)
    # the convolution module feeds each of its steps the width of the block
    for key in ("ext_pw_out_channel", "depthwise_separable_out_channel"):
        config.require(key, dim, 1024)
    vocab = whole.integer("vocab_size", high=1 << 22)
    return SpeechSpec(
        dim=dim,
        heads=heads,
        blocks=config.integer("num_blocks", 24, high=1024),
        ffn_size=config.integer("intermediate_size", 1536),
        conv_channels=config.integer("nemo_conv_channels", 1024),
        kernel=config.integer("kernel_size", 3, high=1024),
        mel_bins=config.integer("input_size", 80),
        bias_max_distance=config.integer("bias_max_distance", 1000),
        hidden_size=whole.integer("hidden_size"),
        audio_token=config.integer("audio_token_id", 200011, low=0, high=vocab - 1),
    )


def speech_weights(
    spec: SpeechSpec, tensors: Mapping[str, TensorInfo], linear_format: WeightFormat
) -> list[WeightSource]:
    """What `build_speech_encoder` and the two `build_projector` read, in file order; all names begin with "speech.".

    The matrices of the blocks and of the projectors get `linear_format`. The rest stays float32: it is 3 % of the
    weights, and the subsampling sees features before any norm has tamed them.
    Raises CheckpointError when a tensor is missing or has another shape than the config says.
    """
    table = _SpeechTable(tensors, linear_format)
    _subsampler(table, spec)
    for index in range(spec.blocks):
        _block(table, spec, index)
    for name, suffix in PROJECTORS.items():
        projector = f"projector.{name}"
        table.linear(f"{projector}.up", (f"up_proj_{suffix}",), spec.hidden_size, spec.dim)
        table.linear(f"{projector}.down", (f"down_proj_{suffix}",), spec.hidden_size, spec.hidden_size)
    return table.sources


class _SpeechTable(WeightTable):
    """Short names: "speech." in front of ours, the audio module in front of the checkpoint's."""

    def __init__(self, tensors: Mapping[str, TensorInfo], linear_format: WeightFormat) -> None:
        super().__init__(tensors)
        self._format = linear_format

    def linear(self, name: str, modules: tuple[str, ...], rows: int, columns: int) -> None:
        """Modules stacked by rows, with their biases as `name`_bias."""
        weights = tuple(f"{AUDIO}{module}.weight" for module in modules)
        biases = tuple(f"{AUDIO}{module}.bias" for module in modules)
        convolution = ".conv." in modules[0]
        self.matrix(f"speech.{name}", GROUP, weights, rows, columns, self._format, convolution=convolution)
        self.vector(f"speech.{name}_bias", biases, rows, GROUP)

    def norm(self, name: str, module: str, size: int) -> None:
        self.vector(f"speech.{name}", f"{AUDIO}{module}.weight", size, GROUP)
        self.vector(f"speech.{name}_bias", f"{AUDIO}{module}.bias", size, GROUP)

    def plain(self, name: str, module: str, shape: tuple[int, ...]) -> None:
        """A float32 convolution or Linear with its bias."""
        self.tensor(f"speech.{name}", GROUP, f"{AUDIO}{module}.weight", shape)
        self.vector(f"speech.{name}_bias", f"{AUDIO}{module}.bias", shape[0], GROUP)


def _subsampler(table: _SpeechTable, spec: SpeechSpec) -> None:
    encoder, channels = "encoder.", spec.conv_channels
    for name in ("mean", "invstd"):
        table.vector(f"speech.{name}", f"{AUDIO}{encoder}encoder_embedding.global_{name}", spec.mel_bins, GROUP)
    table.plain("subsample.conv", f"{encoder}embed.conv.0", (channels, 1, 3, 3))
    for stage, place in ((1, 2), (2, 5)):
        table.plain(f"subsample.depthwise.{stage}", f"{encoder}embed.conv.{place}", (channels, 1, 3, 3))
        table.plain(f"subsample.pointwise.{stage}", f"{encoder}embed.conv.{place + 1}", (channels, channels, 1, 1))
    table.plain("subsample.out", f"{encoder}embed.out", (spec.dim, channels * spec.subsampled_bins))
    biases = f"{AUDIO}{encoder}relative_attention_bias_layer.bias_values.weight"
    table.tensor("speech.relative_bias", GROUP, biases, (2 * spec.bias_max_distance, spec.heads))


def _block(table: _SpeechTable, spec: SpeechSpec, index: int) -> None:
    name, module, dim = f"blocks.{index}", f"encoder.encoders.{index}", spec.dim
    for ffn in ("feed_forward_in", "feed_forward_out"):
        table.norm(f"{name}.{ffn}.norm", f"{module}.{ffn}.layer_norm", dim)
        table.linear(f"{name}.{ffn}.gate_up", (f"{module}.{ffn}.gate_up_proj",), 2 * spec.ffn_size, dim)
        table.linear(f"{name}.{ffn}.down", (f"{module}.{ffn}.down_proj",), dim, spec.ffn_size)
    table.norm(f"{name}.attention.norm", f"{module}.layer_norm_att", dim)
    qkv = tuple(f"{module}.self_attn.{part}_proj" for part in "qkv")
    table.linear(f"{name}.attention.qkv", qkv, 3 * dim, dim)
    table.linear(f"{name}.attention.out", (f"{module}.self_attn.o_proj",), dim, dim)
    table.norm(f"{name}.conv.norm", f"{module}.conv.layer_norm", dim)
    table.linear(f"{name}.conv.glu", (f"{module}.conv.glu.ext_pw_conv_1d",), 2 * dim, dim)
    for ours, theirs in (("up", "b1"), ("gate", "b2")):
        table.tensor(f"speech.{name}.conv.{ours}_bias", GROUP, f"{AUDIO}{module}.conv.glu.{theirs}", (dim,))
    table.plain(f"{name}.conv.depthwise", f"{module}.conv.dw_sep_conv_1d.dw_conv", (dim, 1, spec.kernel))
    table.linear(f"{name}.conv.pointwise", (f"{module}.conv.dw_sep_conv_1d.pw_conv",), dim, dim)
    table.linear(f"{name}.conv.out", (f"{module}.conv.ext_pw_conv_1d",), dim, dim)
    table.norm(f"{name}.norm", f"{module}.layer_norm", dim)
