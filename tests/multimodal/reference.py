"""transformers' logits for prompts with media, fed with the arrays of our own front ends."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge.media.clip import Clip
from edge.media.picture import Picture
from tests.export.speech_reference import original, project
from tests.multimodal_checkpoints import MODES, load_reference

LONG_PROMPT = 2048
"""Beyond it the decoder's attention is PyTorch's fused causal one: eager scores would take gigabytes."""


class Reference:
    """One native checkpoint in transformers; its LoRAs are merged into the weights, mode by mode."""

    def __init__(self, native: Path) -> None:
        self._native = native
        self._load = cache(self._load_with)

    def model(self, mode: str) -> Any:
        return self._load(MODES[mode])

    def logits(
        self,
        mode: str,
        ids: Sequence[int],
        clips: Sequence[Clip] = (),
        pictures: Sequence[Picture] = (),
        projector: str = "",
        images: Mapping[str, Any] | None = None,
    ) -> np.ndarray:
        """float32 [tokens, vocab] of one call without a KV cache. Media in the order of their placeholders.

        One clip goes through the port's own inputs, which choose the projector. Of several the port lets one see the
        padding of another, so they are encoded by `encode_clips`, with "speech" or "vision_speech" as `projector`.
        `images` are the model's own inputs, in place of what our front end makes of `pictures`.
        """
        model, tokens = self.model(mode), torch.tensor([list(ids)])
        model.config._attn_implementation = "sdpa" if len(ids) > LONG_PROMPT else "eager"
        # the setting spreads to the vision tower, which must not be: there the fused attention would be causal too
        model.config.vision_config._attn_implementation = "eager"
        with torch.inference_mode():
            if projector or len(clips) > 1:
                projector = projector or ("vision_speech" if pictures else "speech")
                inputs = {"inputs_embeds": _embedded(model, tokens, clips, pictures, projector)}
            else:
                inputs = {"input_ids": tokens, **_audio(clips), **(_images(pictures) if images is None else images)}
            return model(**inputs, use_cache=False).logits[0].numpy()

    def _load_with(self, adapter: str | None) -> Any:
        model = load_reference(self._native, adapter or "text")
        torch.set_num_threads(1)  # waiting for each other costs small matrices more than a second thread gains
        return model


def encode_clips(audio: Any, clips: Sequence[Clip]) -> list[np.ndarray]:
    """Encoder frames of each clip in one batch, with the -inf of the original on all padding."""
    return original(audio, [clip.features for clip in clips])


def _embedded(model: Any, tokens: Any, clips: Sequence[Clip], pictures: Sequence[Picture], projector: str) -> Any:
    whole = model.model
    embedded = whole.embed_tokens_extend(tokens, whole.embed_tokens(tokens), **_images(pictures))
    audio = whole.embed_tokens_extend.audio_embed
    made = [project(audio, frames, projector) for frames in encode_clips(audio, clips)]
    embedded[tokens == model.config.audio_config.audio_token_id] = torch.from_numpy(np.concatenate(made))
    return embedded


def _audio(clips: Sequence[Clip]) -> dict[str, Any]:
    if not clips:
        return {}
    (clip,) = clips
    return {"audio_input_features": torch.from_numpy(clip.features)[None], "audio_embed_sizes": [clip.tokens]}


def _images(pictures: Sequence[Picture]) -> dict[str, Any]:
    """Pictures of fewer crops are filled up with empty ones, as the processor does."""
    if not pictures:
        return {}
    crops = [picture.crops() for picture in pictures]
    most = max(len(one) for one in crops)
    pixels = np.zeros((len(crops), most, *crops[0].overview.shape), np.float32)
    masks = np.zeros((len(crops), most, *crops[0].mask.shape[1:]), bool)
    for index, one in enumerate(crops):
        pixels[index, : len(one)], masks[index, : len(one)] = one.pixels(), one.mask
    return {
        "image_pixel_values": torch.from_numpy(pixels),
        "image_attention_mask": torch.from_numpy(masks),
        "image_sizes": torch.tensor([picture.tiling.image_size for picture in pictures]),
    }
