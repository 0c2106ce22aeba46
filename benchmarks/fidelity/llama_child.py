"""Runs in an environment that has llama-cpp-python: GGUF files against the predictions of the float32 model.

python -m benchmarks.fidelity.llama_child REFERENCE.npy IDS.json MODEL.gguf…  prints one JSON line for each; `--make
SOURCE.gguf FOLDER` first writes float32.gguf there, and from it all of TYPES.
"""

import ctypes
import json
import sys
from dataclasses import asdict
from pathlib import Path

import llama_cpp
import numpy as np

from benchmarks.fidelity.predictions import WINDOW, judge

TYPES = {"Q4_0": 2, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_M": 17}
"""llama.cpp's file types."""


def make(source: Path, folder: Path) -> None:
    """Embedding and head are Q8_0 in all of them, so that the bodies are compared."""
    exact = folder / "float32.gguf"
    _quantise(source, exact, 0, llama_cpp.GGML_TYPE_F32)
    for name, number in TYPES.items():
        _quantise(exact, folder / f"{name}.gguf", number, llama_cpp.GGML_TYPE_Q8_0)


def _quantise(source: Path, out: Path, number: int, tables: int) -> None:
    wanted = llama_cpp.llama_model_quantize_default_params()
    wanted.ftype, wanted.allow_requantize = number, True
    wanted.output_tensor_type = wanted.token_embedding_type = tables
    if llama_cpp.llama_model_quantize(str(source).encode(), str(out).encode(), ctypes.byref(wanted)):
        sys.exit(f"llama.cpp cannot make {out.name}")


def main() -> None:
    if sys.argv[1] == "--make":
        return make(Path(sys.argv[2]), Path(sys.argv[3]))
    reference, ids = np.load(sys.argv[1], mmap_mode="r"), json.loads(Path(sys.argv[2]).read_text())
    for path in sys.argv[3:]:
        model = llama_cpp.Llama(path, n_ctx=WINDOW, n_batch=WINDOW, n_ubatch=WINDOW, logits_all=True, verbose=False)

        def logits(piece: np.ndarray, model: llama_cpp.Llama = model) -> np.ndarray:
            model.reset()
            model.eval(piece.tolist())
            return np.array(model.scores[: len(piece)])

        print(json.dumps({"name": Path(path).stem, **asdict(judge(reference, logits, ids))}), flush=True)
    return None


if __name__ == "__main__":
    main()
