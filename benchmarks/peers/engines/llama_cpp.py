"""llama.cpp through its C API (`llama_decode`), without the Python class that copies and samples on top.

Memory map and weight repacking are its defaults; flash attention is left to its own choice.
"""

import ctypes
from importlib.metadata import version

import llama_cpp
import numpy as np

from benchmarks.peers.engines.protocol import Request, serve

BATCH = 512


class LlamaCpp:
    def __init__(self, request: Request) -> None:
        llama_cpp.llama_backend_init()
        path = str(request.model / "model-q4_0.gguf").encode()
        self.model = llama_cpp.llama_model_load_from_file(path, llama_cpp.llama_model_default_params())
        if not self.model:
            raise SystemExit(f"llama.cpp cannot load {request.model}")
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = -(-request.context // 256) * 256  # its caches are padded to 256 tokens anyway
        parameters.n_batch = parameters.n_ubatch = BATCH
        parameters.n_threads = parameters.n_threads_batch = request.threads
        parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO
        self.context = llama_cpp.llama_init_from_model(self.model, parameters)
        if not self.context:
            raise SystemExit("llama.cpp cannot make a context")
        self.vocab_size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))

    def reset(self, prompt_tokens: int) -> None:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)

    def prefill(self, ids: list[int]) -> int:
        for start in range(0, len(ids), BATCH):
            self.decode(ids[start : start + BATCH])
        return self.greedy()

    def step(self, token: int) -> int:
        self.decode([token])
        return self.greedy()

    def decode(self, ids: list[int]) -> None:
        """One batch at the next positions; logits are computed for its last token only."""
        tokens = (ctypes.c_int32 * len(ids))(*ids)
        status = llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(tokens, len(ids)))
        if status != 0:
            raise SystemExit(f"llama_decode failed with status {status}")

    def greedy(self) -> int:
        logits = llama_cpp.llama_get_logits_ith(self.context, -1)
        return int(np.ctypeslib.as_array(logits, (self.vocab_size,)).argmax())

    def versions(self) -> dict[str, str]:
        features = llama_cpp.llama_print_system_info().decode().strip(" |")
        return {"llama-cpp-python": version("llama-cpp-python"), "llama.cpp features": features}


if __name__ == "__main__":
    serve(LlamaCpp)
