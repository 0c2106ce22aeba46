"""A one-node model written by hand, to see whether onnxruntime's int4 kernel works on this CPU."""

import numpy as np
import onnxruntime as ort

SIZE, BLOCK = 256, 128


def int4_error() -> float:
    """Relative error of an int4 matrix product [4, 256] x [256, 256] against numpy; int8 activations make ~0.005."""
    random = np.random.default_rng(0)
    packed = random.integers(0, 256, (SIZE, SIZE // BLOCK, BLOCK // 2), np.uint8)
    scales = random.random((SIZE, SIZE // BLOCK), np.float32)
    x = random.standard_normal((4, SIZE)).astype(np.float32)
    low, high = (packed & 15).astype(np.float32) - 8, (packed >> 4).astype(np.float32) - 8
    weights = np.stack([low, high], axis=-1).reshape(SIZE, SIZE // BLOCK, BLOCK) * scales[..., None]
    expected = x @ weights.reshape(SIZE, SIZE).T
    session = ort.InferenceSession(_model(packed, scales), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"x": x})
    return float(np.linalg.norm(result - expected) / np.linalg.norm(expected))


def _model(packed: np.ndarray, scales: np.ndarray) -> bytes:
    """y = MatMulNBits(x): the protobuf is written field by field, because a device has no onnx package."""
    attributes = {"K": SIZE, "N": SIZE, "bits": 4, "block_size": BLOCK, "accuracy_level": 4}
    node = b"".join(_text(1, name) for name in ("x", "B", "scales")) + _text(2, "y") + _text(4, "MatMulNBits")
    for name, value in attributes.items():
        node += _bytes(5, _text(1, name) + _int(3, value) + _int(20, 2))
    node += _text(7, "com.microsoft")
    graph = _bytes(1, node) + _text(2, "selftest")
    graph += _bytes(5, _tensor("B", packed, 2)) + _bytes(5, _tensor("scales", scales, 1))
    graph += _bytes(11, _value("x")) + _bytes(12, _value("y"))
    opsets = _bytes(8, _text(1, "") + _int(2, 21)) + _bytes(8, _text(1, "com.microsoft") + _int(2, 1))
    return _int(1, 10) + _bytes(7, graph) + opsets


def _tensor(name: str, array: np.ndarray, data_type: int) -> bytes:
    dims = b"".join(_int(1, size) for size in array.shape)
    return dims + _int(2, data_type) + _text(8, name) + _bytes(9, array.tobytes())


def _value(name: str) -> bytes:
    """A float32 tensor [4, SIZE]."""
    shape = b"".join(_bytes(1, _int(1, size)) for size in (4, SIZE))
    return _text(1, name) + _bytes(2, _bytes(1, _int(1, 1) + _bytes(2, shape)))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _int(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())
