"""The graphs of fixed shapes on onnxruntime's own CPU provider: what another processor is compared with."""

from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort

from edge.providers.plugin import Plugin


@dataclass(frozen=True, slots=True)
class FixedOnCpu(Plugin):
    """Always installed."""

    name: str = "fixed-on-cpu"
    provider: str = "CPUExecutionProvider"
    package: str = "onnxruntime"

    def register(self) -> list[ort.OrtEpDevice]:
        return []

    def open(self, graph: Path, options: ort.SessionOptions) -> ort.InferenceSession:
        own = ort.SessionOptions()  # those given forbid the CPU
        own.intra_op_num_threads = options.intra_op_num_threads
        own.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        return ort.InferenceSession(graph, own, providers=[self.provider])
