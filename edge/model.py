"""A bundle ready to answer: manifest, tokenizer, chat format, decoder."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.bundle.bundle import Bundle
from edge.bundle.manifest import GRAPHS_OF
from edge.bundle.store import default_bundle, resolve
from edge.errors import InputError
from edge.events import Mode
from edge.foreign.decoder import ForeignDecoder
from edge.foreign.folder import open_model
from edge.prompt.chat import chat_format
from edge.prompt.constraint import GrammarVocab
from edge.prompt.tokenizer import Tokenizer
from edge.prompt.tools import Tool
from edge.providers.opening import open_processor
from edge.runtime.decoder import Decoder
from edge.runtime.decoding import Decoding
from edge.runtime.encoder import Encoders
from edge.runtime.generate import Sequence as TokenSequence
from edge.runtime.heap import trim_heap
from edge.runtime.memory import require_memory
from edge.runtime.threads import known_threads

if TYPE_CHECKING:
    from edge.conversation import Conversation
    from edge.media_embeddings import MediaEmbeddings

SHORTEST_CONVERSATION = 1024
"""Tokens that there must be memory for at the start; a longer conversation asks for more when it comes to it."""


class Model:
    """One loaded bundle. Its KV cache belongs to the conversation that used it last."""

    def __init__(
        self,
        bundle: Bundle,
        threads: int = 0,
        mode: Mode = "text",
        ep: str = "",
        require_ep: bool = False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        started = time.monotonic()
        manifest = bundle.manifest
        self.bundle = bundle
        self.manifest = manifest
        if mode not in manifest.modes:
            raise InputError(f"the bundle {manifest.name} has no mode {mode}", "use a Phi-4-multimodal bundle")
        require_memory(bundle, mode, SHORTEST_CONVERSATION)
        threads = threads or known_threads(bundle)
        first, *others = GRAPHS_OF[mode]
        self.processor = open_processor(bundle, mode, ep, require_ep, threads, tell)
        self.encoders = self.processor.encoders() if self.processor else Encoders.of(bundle, threads)
        on_cpu = ForeignDecoder.load if manifest.contract else Decoder.load
        load_decoder: Callable[[str], Decoding] = partial(on_cpu, bundle, threads)
        if self.processor:
            load_decoder = self.processor.decoder
        with ThreadPoolExecutor(2) as pool:  # a tokenizer of 200k entries takes most of a second, too
            decoder = pool.submit(load_decoder, first)
            opened = [pool.submit(self.encoders.open, name) for name in others]
            self.tokenizer = Tokenizer.from_file(bundle.file("tokenizer.json"))
            self.decoder = decoder.result()
            for encoder in opened:
                encoder.result()
        if self.processor:
            tell(self.processor.words)
        tokens = manifest.tokens
        self.chat_format = chat_format(
            manifest.chat, bundle.path, self.tokenizer, tokens.bos, next(iter(tokens.stop), None), bundle.template
        )
        # foreign folders do not say it, and counting tokens before the tokenizer is loaded would cost a second load
        self.first_unused = self.tokenizer.vocab_size if manifest.contract else tokens.first_unused
        self.sequence = TokenSequence(self.decoder)
        trim_heap()
        self.load_s = time.monotonic() - started

    @property
    def compute(self) -> dict[str, Any]:
        """The processor's name, and for each graph opened there how many of its nodes run on which provider."""
        if self.processor is None:
            return {"ep": "cpu"}
        return {"ep": self.processor.graphs.plugin.name, "nodes": self.processor.graphs.placed}

    @cached_property
    def media(self) -> "MediaEmbeddings":
        """Encoders of speech and pictures, opened when first needed."""
        from edge.media_embeddings import MediaEmbeddings

        return MediaEmbeddings(self.encoders, self.manifest)

    def decoder_graph(self, mode: Mode) -> str:
        """The decoder graph of a mode; pictures with and without speech share one."""
        return GRAPHS_OF[mode][0]

    @cached_property
    def grammar_vocab(self) -> GrammarVocab:
        """The vocabulary for constrained decoding; made when first needed, because it is costly."""
        return GrammarVocab(self.tokenizer, self.manifest.tokens.stop)

    def conversation(self, system: str = "", tools: Sequence[Tool] = (), thinking: bool = False) -> "Conversation":
        """A new conversation; `thinking` asks models that can (Granite) to reason before they answer."""
        from edge.conversation import Conversation

        return Conversation(self, system, tools, thinking)


def load(
    bundle: str | Path | None = None,
    threads: int = 0,
    mode: Mode = "text",
    ep: str = "",
    require_ep: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Model:
    """Loads an installed bundle by name, a bundle directory or a folder of Optimum or onnxruntime-genai, or the default
    (see edge.bundle.store). 0 threads: one per core, or what `edge bundle tune` found best on cores of several kinds.

    `mode` is what the first turn will need; graphs of other modes are opened when a turn needs them. `ep` is a
    processor of `edge devices --compute`, "cpu", or "" for the fastest that computes rightly; what does not run there
    runs on the CPU, unless `require_ep`. `tell` hears sentences about that.
    Raises BundleError, ResourceError, DeviceError, InputError for a mode that the bundle does not have.
    """
    opened = open_model(resolve(bundle) if bundle else default_bundle())
    return Model(opened, threads, mode, ep, require_ep, tell)
