"""What a turn attaches: sources become clips and pictures, and the placeholders that stand for them in the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.budget import crops_within
from edge.bundle.manifest import EncoderInfo
from edge.errors import InputError
from edge.events import Tiling
from edge.media.clip import AudioSource, Clip, read_clip
from edge.media.picture import ImageSource, Picture, read_pixels
from edge.media.tiling import choose_tiling
from edge.prompt.parts import Placeholder
from edge.runtime.speeds import known_speeds, measure_speeds

if TYPE_CHECKING:
    from edge.model import Model


@dataclass(frozen=True, slots=True)
class Attachments:
    """`media` by key, `placeholders` in prompt order (pictures first), and the tiling if it had to be chosen."""

    media: dict[str, Clip | Picture]
    placeholders: tuple[Placeholder, ...]
    tiling: Tiling | None = None


def attach(
    model: "Model",
    images: Sequence[ImageSource],
    audio: Sequence[AudioSource],
    max_crops: int,
    ttft_s: float | None,
    other_tokens: int,
) -> Attachments:
    """`other_tokens` of the prompt count against the wanted time to first token `ttft_s`.

    Raises InputError for media that cannot be used or that the bundle cannot take, UsageError for `max_crops` outside
    1..36.
    """
    manifest = model.manifest
    image_token = _token(model, manifest.vision, "pictures") if images else 0
    audio_token = _token(model, manifest.speech, "recordings") if audio else 0
    clips = [read_clip(source) for source in audio]
    pixels = [read_pixels(source) for source in images]
    tiling = None
    if ttft_s is not None and images:
        sizes = [(rgb.shape[1], rgb.shape[0]) for rgb in pixels]
        speeds = known_speeds(model.bundle) or measure_speeds(model.bundle, model.decoder, model.encoders)
        tokens = other_tokens + sum(clip.tokens for clip in clips)
        affordable, expected = crops_within(ttft_s, speeds, sizes, tokens)
        max_crops = min(max_crops, affordable)
        tiling = Tiling(max_crops, expected, ttft_s)
    pictures = [Picture(rgb, choose_tiling(rgb.shape[1], rgb.shape[0], max_crops)) for rgb in pixels]
    media: dict[str, Clip | Picture] = {one.key: one for one in pictures} | {one.key: one for one in clips}
    placeholders = [Placeholder(image_token, one.tokens, one.key) for one in pictures]
    placeholders += [Placeholder(audio_token, one.tokens, one.key) for one in clips]
    return Attachments(media, tuple(placeholders), tiling)


def _token(model: "Model", encoder: EncoderInfo | None, what: str) -> int:
    if encoder is None:
        raise InputError(f"the bundle {model.manifest.name} cannot take {what}", "use a Phi-4-multimodal bundle")
    return encoder.token
