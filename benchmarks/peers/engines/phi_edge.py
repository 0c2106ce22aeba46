"""phi-edge's own decoder on an exported bundle, tuned if EDGE_HOME has a tuned copy, in its own loop's chunks."""

from importlib.metadata import version

import numpy as np

from benchmarks.peers.engines.protocol import Request, serve
from edge.model import load
from edge.runtime.decoder import CHUNK


class PhiEdge:
    def __init__(self, request: Request) -> None:
        self.decoder = load(request.model / "bundle", request.threads).decoder
        self.answer_tokens = request.decode_tokens + 1

    def reset(self, prompt_tokens: int) -> None:
        self.decoder.rewind(0)
        self.decoder.reserve(prompt_tokens + self.answer_tokens)

    def prefill(self, ids: list[int]) -> int:
        logits = np.empty((0, 0), np.float32)
        for start in range(0, len(ids), CHUNK):
            logits = self.decoder.prefill(ids[start : start + CHUNK])
        return int(logits[0].argmax())

    def step(self, token: int) -> int:
        return int(self.decoder.step(token).argmax())

    def versions(self) -> dict[str, str]:
        return {name: version(name) for name in ("onnxruntime", "numpy")}


if __name__ == "__main__":
    serve(PhiEdge)
