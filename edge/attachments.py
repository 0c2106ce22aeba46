"""What a turn attaches: sources become clips and pictures, and the placeholders that stand for them in the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

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

Encoder = TypeVar("Encoder", bound=EncoderInfo)


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
    max_crops: int | None,
    ttft_s: float | None,
    other_tokens: int,
) -> Attachments:
    """`other_tokens` of the prompt count against the wanted time to first token `ttft_s`.

    `max_crops` for each picture, None for the bundle's own bound, which the caller has checked it against. Raises
    InputError for media that cannot be used or that the bundle cannot take.
    """
    manifest = model.manifest
    vision = _required(manifest.name, manifest.vision, "pictures") if images else None
    speech = _required(manifest.name, manifest.speech, "recordings") if audio else None
    clips = [read_clip(source) for source in audio]
    pixels = [read_pixels(source) for source in images]
    media: dict[str, Clip | Picture] = {}
    placeholders: list[Placeholder] = []
    tiling = None
    if vision:
        crops = max_crops or vision.max_crops
        if ttft_s is not None:
            sizes = [(rgb.shape[1], rgb.shape[0]) for rgb in pixels]
            speeds = known_speeds(model.bundle) or measure_speeds(model.bundle, model.decoder, model.encoders)
            tokens = other_tokens + sum(clip.tokens for clip in clips)
            crops, expected = crops_within(ttft_s, speeds, sizes, tokens, crops, vision.patch_size)
            tiling = Tiling(crops, expected, ttft_s)
        for rgb in pixels:
            picture = Picture(rgb, choose_tiling(rgb.shape[1], rgb.shape[0], crops, vision.patch_size))
            media[picture.key] = picture
            placeholders.append(Placeholder(vision.token, picture.tokens, picture.key))
    if speech:
        media |= {one.key: one for one in clips}
        placeholders += [Placeholder(speech.token, one.tokens, one.key) for one in clips]
    return Attachments(media, tuple(placeholders), tiling)


def recording_to_come(model: "Model") -> Placeholder:
    """Stands for a recording that is still being made. Raises InputError for a bundle that cannot hear."""
    speech = _required(model.manifest.name, model.manifest.speech, "recordings")
    return Placeholder(speech.token, 1, "to come")


def _required(bundle: str, encoder: Encoder | None, what: str) -> Encoder:
    if encoder is None:
        raise InputError(f"the bundle {bundle} cannot take {what}", "use a Phi-4-multimodal bundle")
    return encoder
