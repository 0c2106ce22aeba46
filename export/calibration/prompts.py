"""Conversations, recordings and pictures as the runtime reads them, up to the first layer."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from edge.attachments import Attachments, attach
from edge.bundle.manifest import Manifest
from edge.evaluation.labels import Item
from edge.media_embeddings import MediaEmbeddings
from edge.prompt.chat import ChatFormat, chat_format
from edge.prompt.message import Message
from edge.prompt.tokenizer import Tokenizer
from edge.prompt.tool_calls import dump_calls
from edge.prompt.tools import load_tools
from edge.runtime.encoder import Encoders
from edge.runtime.media_tokens import MediaTokens
from export.calibration.embedded import embedded
from export.calibration.stored import StoredWeights
from export.manifest import build_manifest
from export.texts import TOKENIZER

if TYPE_CHECKING:
    from edge.model import Model
    from export.plan import ExportPlan


CROPS = 4
"""Of a picture, at most: more of them show nothing new, and attention takes memory with the square of their tokens."""


class Prompts:
    """Turns as the runtime reads them, before the decoder."""

    def __init__(self, plan: "ExportPlan", folder: Path, stored: StoredWeights | None = None) -> None:
        self.plan, self._manifest, self._stored = plan, build_manifest(plan, "calibration"), stored
        for name, data in plan.texts.files.items():
            (folder / name).write_bytes(data)
        self.tokenizer = Tokenizer.from_file(folder / TOKENIZER)
        self._folder = folder

    @cached_property
    def _chat(self) -> ChatFormat:
        texts = self.plan.texts
        return chat_format(
            texts.chat, self._folder, self.tokenizer, texts.tokens.bos, next(iter(texts.tokens.stop), None)
        )

    def embedded(self, tokens: Sequence[int]) -> dict[str, np.ndarray]:
        """float32 [tokens, hidden] of each kind."""
        plan, table, stored = self.plan, self.plan.by_role["embedding"], self._stored
        rows = (lambda token: stored.rows(table, token, token + 1)) if stored else None
        return embedded(plan.spec, plan.checkpoint, table.source.format, tokens, rows)

    def conversation(self, messages: Sequence[Message]) -> list[int]:
        """Tokens of a whole conversation, the last answer included."""
        return self.tokenizer.encode_parts(self._chat.render(messages, open_assistant=False))

    def states(self, kind: str, encoders: Encoders, question: Item) -> np.ndarray:
        """float32 [tokens, hidden], the residual stream before the first layer."""
        spec = self.plan.spec
        ids, found = self._read(question)
        states = self.embedded(ids)[kind]
        made = MediaEmbeddings(encoders, self._manifest).embed(ids, found.placeholders, found.media, question.mode)
        for tokens in made:
            if isinstance(tokens, MediaTokens):
                states[tokens.start : tokens.end] = tokens.embeddings * np.float32(spec.embedding_multiplier)
        return states

    def length(self, question: Item) -> int:
        """In tokens. Raises BundleError or InputError where the chat format cannot ask it."""
        return len(self._read(question)[0])

    def end_of_media(self, question: Item) -> int:
        """Of the tokens, how many come before the words."""
        ids, found = self._read(question)
        tokens = {placeholder.token for placeholder in found.placeholders}
        return max((place + 1 for place, token in enumerate(ids) if token in tokens), default=0)

    def _read(self, question: Item) -> tuple[list[int], Attachments]:
        """The prompt and, where it is text, the answer: what is generated flows through the matrices, too."""
        crops = min(CROPS, self._manifest.vision.max_crops) if self._manifest.vision else None
        found = attach(cast("Model", self), question.images, question.audio, crops, None, 0)
        message = Message("user", question.prompt, media=found.placeholders)
        tools = load_tools(question.tools) if question.tools else None
        answer = question.expected if isinstance(question.expected, str) else dump_calls(question.expected)
        ids = self.tokenizer.encode_parts(self._chat.render([message], tools))
        return ids + self.tokenizer.encode_text(answer), found

    @property
    def manifest(self) -> Manifest:
        """All that `attach` asks a model for."""
        return self._manifest
