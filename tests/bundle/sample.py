"""A minimal valid bundle: one tiny graph whose only initialiser lies in weights.bin."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from edge.bundle.manifest import ChatInfo, DecoderInfo, FileInfo, Manifest, Rotary, TensorGroup, TokenInfo

ELEMENTS = 4096


def external(location: str | None = "weights.bin", **entries: str) -> TensorProto:
    """An external float32 [4096] initialiser `w`; `entries` replace or add keys, location None leaves it out."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[ELEMENTS])
    tensor.data_location = TensorProto.EXTERNAL
    keys = {"location": location, "offset": "0", "length": str(4 * ELEMENTS)} | entries
    for key, value in keys.items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    return tensor


def graph(tensor: TensorProto) -> onnx.ModelProto:
    """y = x + w, which ONNX Runtime can load."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "tiny",
        [value("x", TensorProto.FLOAT, [ELEMENTS])],
        [value("y", TensorProto.FLOAT, [ELEMENTS])],
        [tensor],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def manifest(files: dict[str, bytes], name: str = "tiny") -> Manifest:
    return Manifest(
        name=name,
        architecture="llama",
        modes=["text"],
        graphs={"text": "text.onnx"},
        decoder=DecoderInfo(2, 2, 8, 32, 256, 128, Rotary(8, [1.0, 0.1, 0.01, 0.001])),
        tokens=TokenInfo([2], bos=1),
        chat=ChatInfo("chatml"),
        quantisation=[TensorGroup("all", 32, 0, True, 1, 4 * ELEMENTS)],
        provenance={"source": "made by a test"},
        files={key: FileInfo(len(data), hashlib.sha256(data).hexdigest()) for key, data in files.items()},
    )


def contents(model: onnx.ModelProto | None = None) -> dict[str, bytes]:
    weights = np.random.default_rng(0).standard_normal(ELEMENTS).astype(np.float32)
    return {
        "weights.bin": weights.tobytes(),
        "text.onnx": (model or graph(external())).SerializeToString(),
        "tokenizer.json": b'{"version":"1.0"}\n',
    }


def write(
    path: Path,
    name: str = "tiny",
    files: dict[str, bytes] | None = None,
    change: Callable[[Manifest], Manifest] = lambda manifest: manifest,
) -> Path:
    """A bundle directory at `path`, with `files` instead of the usual ones and a manifest passed through `change`."""
    files = contents() if files is None else files
    path.mkdir(parents=True)
    for key, data in files.items():
        (path / key).parent.mkdir(parents=True, exist_ok=True)
        (path / key).write_bytes(data)
    (path / "bundle.json").write_bytes(change(manifest(files, name)).to_json())
    return path
