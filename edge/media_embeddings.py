"""Clips and pictures become embeddings of the decoder, each thing encoded once however often it is asked for."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from edge.bundle.manifest import Manifest
from edge.events import Encode, Mode
from edge.media.clip import Clip
from edge.media.picture import Picture
from edge.prompt.parts import Placeholder
from edge.runtime.encoder import Encoders
from edge.runtime.media_tokens import MediaTokens
from edge.runtime.speech import WINDOW, Window, batch_rows, encode_window, encoder_frames, windows
from edge.runtime.vision import encode_crops

CACHE_BYTES = 256 << 20
"""Encoder outputs kept for later turns: about an hour of speech, or 600 crops."""

SPEECH_PROJECTORS: Mapping[str, str] = {"speech": "speech_projector", "vision_speech": "vision_speech_projector"}


class MediaEmbeddings:
    """The encoders of one bundle and what they have made so far, before projection: modes project differently."""

    def __init__(self, encoders: Encoders, manifest: Manifest) -> None:
        self._encoders, self._manifest = encoders, manifest
        self._made: OrderedDict[str, np.ndarray] = OrderedDict()

    def embed(
        self,
        ids: list[int],
        placeholders: Sequence[Placeholder],
        attached: Mapping[str, Clip | Picture],
        mode: Mode,
    ) -> Iterator[Encode | MediaTokens]:
        """MediaTokens for each placeholder, in prompt order, and progress before each. Raises Cancelled."""
        clips = [media for one in placeholders if isinstance(media := attached[one.key], Clip)]
        longest = max((len(clip.features) for clip in clips), default=0)
        position = 0
        for placeholder in placeholders:
            position = ids.index(placeholder.token, position)
            media = attached[placeholder.key]
            if isinstance(media, Clip):
                batch, padding = len(clips) > 1, batch_rows(len(media.features), longest)
                key = f"{media.key}:{padding}:{batch and encoder_frames(len(media.features)) > WINDOW}"
                wanted = windows(media.features, padding, batch)
                parts: list[np.ndarray] = []
                for made, new in self._encode(wanted):
                    parts.append(made)
                    if new:
                        yield Encode("speech", len(parts), len(wanted))
                embeddings = self._encoders.run(SPEECH_PROJECTORS[mode], encoded=np.concatenate(parts))
                yield MediaTokens(position, f"{key}:{SPEECH_PROJECTORS[mode]}", embeddings)
            else:
                yield from self._encode_picture(media)
                patches = self._made[media.key]
                embeddings = self._encoders.run("vision_projector", patches=patches, order=media.order())
                yield MediaTokens(position, media.key, embeddings)
            position += placeholder.count
        self._encoders.rest()

    def forget(self) -> None:
        """All that was encoded: for a conversation that begins anew it is worth nothing."""
        self._made.clear()

    def encode_ahead(self, features: np.ndarray) -> Iterator[Encode]:
        """Windows of a recording that goes on, float32 [T, 80] so far: those that no more sound can change."""
        ready = [] if encoder_frames(len(features)) <= WINDOW else windows(features, 0, False)[:-1]
        for done, (_, new) in enumerate(self._encode(ready), 1):
            if new:
                yield Encode("speech", done, len(ready))

    def _encode(self, wanted: Sequence[Window]) -> Iterator[tuple[np.ndarray, bool]]:
        """Encoder frames [n, width] of each window, and whether they had to be made."""
        for window in wanted:
            key = window.key
            if new := key not in self._made:
                self._keep(key, encode_window(self._encoders, window))
            self._made.move_to_end(key)
            yield self._made[key], new

    def _encode_picture(self, picture: Picture) -> Iterator[Encode]:
        key, vision = picture.key, self._manifest.vision
        if key not in self._made and vision:
            crops, done = picture.crops(), []
            for features in encode_crops(self._encoders, crops, vision.width):
                done.append(features)
                yield Encode("vision", len(done), len(crops))
            self._keep(key, np.concatenate(done))
        self._made.move_to_end(key)

    def _keep(self, key: str, made: np.ndarray) -> None:
        """The newest stays whatever its size: it is needed right now."""
        self._made[key] = made
        while len(self._made) > 1 and sum(array.nbytes for array in self._made.values()) > CACHE_BYTES:
            self._made.popitem(last=False)
