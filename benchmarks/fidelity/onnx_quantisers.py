"""onnxruntime's own weight quantisers on our float32 graph, run as plain ONNX models: needs onnx-ir and torch.

python -m benchmarks.fidelity.onnx_quantisers FLOAT_BUNDLE IDS.json  prints one JSON line for each.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from onnxruntime.quantization import matmul_nbits_quantizer as nbits

from benchmarks.fidelity.predictions import Logits, judge, logprobs, windows
from edge.bundle.bundle import Bundle
from edge.runtime.rotary import RotaryTables

HEAD = "logits"
BLOCK = 64


def configurations() -> dict[str, tuple[nbits.WeightOnlyQuantConfig, int]]:
    """With their blocks; asymmetric. k_quant has blocks of 32 only."""
    nearest = nbits.DefaultWeightOnlyQuantConfig(block_size=BLOCK, is_symmetric=False, accuracy_level=4)
    return {
        f"onnxruntime round to nearest, block {BLOCK}": (nearest, BLOCK),
        "onnxruntime k_quant, block 32": (nbits.KQuantWeightOnlyQuantConfig(), 32),
        f"onnxruntime HQQ, block {BLOCK}": (nbits.HQQWeightOnlyQuantConfig(block_size=BLOCK, bits=4), BLOCK),
    }


def plain_model(bundle: Bundle) -> onnx.ModelProto:
    """The text decoder of a float32 bundle with MatMul nodes, as the quantisers look for, and weights inside."""
    model = onnx.load(bundle.file(bundle.manifest.graphs["text"]))
    tensors = {one.name: one for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "FusedMatMul":
            weight = tensors[node.input[1]]
            name = f"{weight.name}.transposed"
            turned = numpy_helper.from_array(np.ascontiguousarray(numpy_helper.to_array(weight).T), name)
            model.graph.initializer.append(turned)
            node.CopyFrom(helper.make_node("MatMul", [node.input[0], name], node.output, name=node.output[0]))
    read = {name for node in model.graph.node for name in node.input}
    kept = [one for one in model.graph.initializer if one.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model


@contextmanager
def quantised(model: onnx.ModelProto, configuration: nbits.WeightOnlyQuantConfig, block: int) -> Iterator[Path]:
    """A file of the model with everything but the head in int4."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    maker = nbits.MatMulNBitsQuantizer(
        copy, block_size=block, is_symmetric=False, accuracy_level=4, nodes_to_exclude=[HEAD], algo_config=configuration
    )
    maker.process()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(maker.model.model, path)
        yield path


def logits_of(path: Path, bundle: Bundle) -> Logits:
    """Of a model with the inputs of our text decoder."""
    session, info = ort.InferenceSession(path, providers=["CPUExecutionProvider"]), bundle.manifest.decoder
    empty = np.zeros((1, info.kv_heads, 0, info.head_size), np.float32)
    past = {f"past.{layer}.{kind}": empty for layer in range(info.layers) for kind in ("key", "value")}

    def logits(ids: np.ndarray) -> np.ndarray:
        tables = RotaryTables(info.rotary)
        tables.prepare(len(ids), False)
        fed = {
            "input_ids": ids[None],
            "logit_rows": np.arange(len(ids)),
            "seqlens_k": np.array([len(ids) - 1], np.int32),
            "total_sequence_length": np.array(len(ids), np.int32),
            "cos_cache": tables.cos,
            "sin_cache": tables.sin,
        }
        result = session.run(["logits"], fed | past)[0]
        assert isinstance(result, np.ndarray)
        return result

    return logits


def main(folder: Path, ids: Path) -> None:
    bundle, pieces = Bundle.open(folder), windows(json.loads(ids.read_text()))
    model = plain_model(bundle)
    with tempfile.TemporaryDirectory() as scratch:
        exact = Path(scratch) / "exact.onnx"
        onnx.save(model, exact)
        for name, (configuration, block) in configurations().items():
            with quantised(model, configuration, block) as path:
                candidate = logprobs(logits_of(path, bundle), pieces)
                fidelity = judge(pieces, logprobs(logits_of(exact, bundle), pieces), candidate)
            bits = 4 + (32 + 4) / block
            print(json.dumps({"name": name, "bits": bits, **asdict(fidelity)}), flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
