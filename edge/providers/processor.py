"""A bundle on one plugin's device: its decoder and encoders, with the CPU's for what stays there."""

from collections.abc import Collection
from functools import partial

from edge.bundle.bundle import Bundle
from edge.providers.graphs import ProcessorGraphs
from edge.providers.plugin import Plugin
from edge.providers.probes import ENCODERS
from edge.runtime.decoder import Decoder
from edge.runtime.fixed_decoder import FixedDecoder
from edge.runtime.fixed_encoders import FixedEncoders
from edge.runtime.processor_decoder import ProcessorDecoder
from edge.runtime.tune import graph_path, tuned_copy

CPU = "CPUExecutionProvider"

PROJECTORS = {
    "speech_encoder": ("speech_projector", "vision_speech_projector"),
    "vision_encoder": ("vision_projector",),
}
"""They run where the encoder before them does."""


class Processor:
    """`graphs.placed` says what has been put where so far."""

    def __init__(self, bundle: Bundle, plugin: Plugin, parts: Collection[str], threads: int = 0) -> None:
        """`parts` are the decoder graphs and encoders that run there, all others do on the CPU."""
        self.graphs = ProcessorGraphs(bundle, plugin, threads)
        self._bundle, self._parts, self._threads = bundle, frozenset(parts), threads

    @property
    def words(self) -> str:
        """What has been put where so far, such as "on qnn: text.step (198 nodes), head (2); on the CPU: embedding"."""
        name, there, here = self.graphs.plugin.name, [], []
        for graph, counts in sorted(self.graphs.placed.items()):
            on_cpu = counts.get(CPU, 0)
            elsewhere = sum(counts.values()) - on_cpu
            if elsewhere:
                there.append(f"{graph} ({elsewhere} nodes)")
            if on_cpu:
                here.append(f"{on_cpu} of {graph}" if elsewhere else graph)
        return f"on {name}: {', '.join(there) or 'nothing'}; on the CPU: {', '.join(here) or 'nothing'}"

    def decoder(self, graph: str) -> ProcessorDecoder | Decoder:
        """Beginning with one mode. Raises DeviceError, BundleError."""
        if graph not in self._parts:
            return self._on_cpu(graph)
        fixed = FixedDecoder(self._bundle.manifest.decoder, self.graphs.open, graph)
        return ProcessorDecoder(fixed, self._on_cpu, self._parts)

    def encoders(self) -> FixedEncoders:
        names = [name for part in ENCODERS if part in self._parts for name in (part, *PROJECTORS[part])]
        place = partial(graph_path, self._bundle)
        return FixedEncoders(place, self.graphs.open, names, self._threads, tuned_copy(self._bundle))

    def _on_cpu(self, graph: str) -> Decoder:
        return Decoder.load(self._bundle, self._threads, graph)
