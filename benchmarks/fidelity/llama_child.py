"""Runs in an environment that has llama-cpp-python: GGUF files against the predictions of the float32 model.

python -m benchmarks.fidelity.llama_child SOURCE.gguf FOLDER IDS.json  writes float32.gguf into the folder, and from it
all of TYPES, and prints one JSON line for each. Embedding and head are Q8_0 in all, so that the bodies are compared.
"""

import ctypes
import json
import sys
from dataclasses import asdict
from pathlib import Path

import llama_cpp
import numpy as np
from gguf import GGUFReader

from benchmarks.fidelity.predictions import WINDOW, Logits, judge, logprobs, windows

TYPES = {"Q4_0": 2, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_M": 17}
"""llama.cpp's file types."""


def _quantise(source: Path, out: Path, number: int, tables: int) -> None:
    wanted = llama_cpp.llama_model_quantize_default_params()
    wanted.ftype, wanted.allow_requantize = number, True
    wanted.output_tensor_type = wanted.token_embedding_type = tables
    if llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(wanted)):
        sys.exit(f"llama.cpp cannot make {out.name}")


def _logits(path: Path) -> Logits:
    model = llama_cpp.Llama(str(path), n_ctx=WINDOW, n_batch=WINDOW, n_ubatch=WINDOW, logits_all=True, verbose=False)

    def logits(piece: np.ndarray) -> np.ndarray:
        model.reset()
        model.eval(piece.tolist())
        return np.array(model.scores[: len(piece)])

    return logits


def body_bits(path: Path) -> float:
    """Bits of file per weight of the layers' matrices."""
    body = [one for one in GGUFReader(path).tensors if one.name.startswith("blk.") and len(one.shape) == 2]
    return float(8 * sum(one.n_bytes for one in body) / sum(one.n_elements for one in body))


def main(source: Path, folder: Path, ids: Path) -> None:
    exact, pieces = folder / "float32.gguf", windows(json.loads(ids.read_text()))
    _quantise(source, exact, 0, llama_cpp.GGML_TYPE_F32)
    for name, number in TYPES.items():
        path = folder / f"{name}.gguf"
        _quantise(exact, path, number, llama_cpp.GGML_TYPE_Q8_0)
        fidelity = judge(pieces, logprobs(_logits(exact), pieces), logprobs(_logits(path), pieces))
        print(json.dumps({"name": name, "bits": body_bits(path), **asdict(fidelity)}), flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
