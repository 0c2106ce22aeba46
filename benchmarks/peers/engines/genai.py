"""onnxruntime-genai on the output of its own model builder, with its defaults."""

import json
from importlib.metadata import version
from typing import Any

import numpy as np
import onnxruntime_genai as og

from benchmarks.peers.engines.protocol import Request, serve


class GenAI:
    def __init__(self, request: Request) -> None:
        config = og.Config(str(request.model))
        threads = {"intra_op_num_threads": request.threads}
        config.overlay(json.dumps({"model": {"decoder": {"session_options": threads}}}))
        self.model = og.Model(config)
        self.tokenizer = og.Tokenizer(self.model)
        self.generator: Any = None
        self.answer_tokens = request.decode_tokens + 1

    def reset(self, prompt_tokens: int) -> None:
        # The KV buffer is allocated and cleared at max_length, so ask for no more than this prompt needs;
        # min_length keeps a stop token from ending the run.
        length = prompt_tokens + self.answer_tokens + 1
        parameters = og.GeneratorParams(self.model)
        parameters.set_search_options(
            max_length=length, min_length=length, do_sample=False, past_present_share_buffer=True
        )
        self.generator = None  # frees the old KV buffer before the new one is made
        self.generator = og.Generator(self.model, parameters)

    def prefill(self, ids: list[int]) -> int:
        self.generator.append_tokens(np.asarray([ids], np.int32))
        return self.step(-1)

    def step(self, token: int) -> int:
        """The generator feeds its own last token; the forward pass happens inside."""
        self.generator.generate_next_token()
        return int(self.generator.get_next_tokens()[0])

    def versions(self) -> dict[str, str]:
        return {name: version(name) for name in ("onnxruntime-genai", "onnxruntime", "numpy")}


if __name__ == "__main__":
    serve(GenAI)
