"""Folders as other exporters leave them, of a small random checkpoint, written node by node without those exporters."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from tests.checkpoints import config, tensors, write_checkpoint

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
TEXTS = ("config.json", "generation_config.json", "tokenizer.json")
TRACED_NAMES = ("past_key_values.{}.key", "past_key_values.{}.value", "present.{}.key", "present.{}.value")


def checkpoint(directory: Path) -> Path:
    cfg = config("llama")
    return write_checkpoint(directory, cfg, tensors(cfg, scale=0.3))


class Tracer:
    """A Llama-shaped decoder [1, S] -> logits [1, S, V]. `names` are those of past and present keys and values."""

    def __init__(self, source: Path, names: tuple[str, ...] = TRACED_NAMES, cache: int = FLOAT) -> None:
        self.cfg: dict[str, Any] = json.loads((source / "config.json").read_text())
        self.weights = load_file(source / "model.safetensors")
        self.names, self.cache = names, cache
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.inputs = {"input_ids": (INT64, ["batch", "s"]), "attention_mask": (INT64, ["batch", "past + s"])}
        self.outputs: dict[str, tuple[int, list[Any]]] = {"logits": (FLOAT, ["batch", "s", self.cfg["vocab_size"]])}
        self.heads, self.kv, self.size = (
            self.cfg[k] for k in ("num_attention_heads", "num_key_value_heads", "head_dim")
        )

    def node(self, op: str, *inputs: str | np.ndarray, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
        made = [f"v{len(self.nodes)}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, names, made, domain=domain, **attributes))
        return made[0] if outputs == 1 else made

    def constant(self, value: np.ndarray, name: str = "") -> str:
        name = name or f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def called(self, value: str, name: str) -> None:
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def matmul(self, x: str, weight: str) -> str:
        return self.node("MatMul", x, self.constant(np.ascontiguousarray(self.weights[weight].T), f"{weight}.T"))

    def norm(self, x: str, weight: str) -> str:
        gain = self.constant(self.weights[weight], weight)
        return self.node("SimplifiedLayerNormalization", x, gain, axis=-1, epsilon=self.cfg["rms_norm_eps"])

    def caches(self, layer: int) -> list[str]:
        """Declares the caches of a layer; (past key, past value, present key, present value)."""
        own = [name.format(layer) for name in self.names]
        shape = ["batch", self.kv, "past", self.size]
        self.inputs |= dict.fromkeys(own[:2], (self.cache, shape))
        self.outputs |= dict.fromkeys(own[2:], (self.cache, ["batch", self.kv, "past + s", self.size]))
        return own

    def layers(self) -> None:
        """Everything around attention."""
        table = self.constant(self.weights["model.embed_tokens.weight"], "model.embed_tokens.weight")
        x = self.node("Gather", table, "input_ids")
        for layer in range(self.cfg["num_hidden_layers"]):
            prefix = f"model.layers.{layer}"
            y = self.norm(x, f"{prefix}.input_layernorm.weight")
            q, k, v = (self.matmul(y, f"{prefix}.self_attn.{one}_proj.weight") for one in "qkv")
            x = self.node("Add", x, self.matmul(self.attention(layer, q, k, v), f"{prefix}.self_attn.o_proj.weight"))
            y = self.norm(x, f"{prefix}.post_attention_layernorm.weight")
            gate, up = (self.matmul(y, f"{prefix}.mlp.{one}_proj.weight") for one in ("gate", "up"))
            gated = self.node("Mul", self.node("Mul", gate, self.node("Sigmoid", gate)), up)
            x = self.node("Add", x, self.matmul(gated, f"{prefix}.mlp.down_proj.weight"))
        head = self.node("Transpose", table, perm=[1, 0])  # as Optimum ties it
        self.called(self.node("MatMul", self.norm(x, "model.norm.weight"), head), "logits")

    def inverse(self) -> np.ndarray:
        return (self.cfg["rope_theta"] ** -(np.arange(0, self.size, 2) / self.size)).astype(np.float32)

    def attention(self, layer: int, q: str, k: str, v: str) -> str:
        raise NotImplementedError

    def model(self) -> onnx.ModelProto:
        self.layers()
        infos = [
            [helper.make_tensor_value_info(name, *of) for name, of in side.items()]
            for side in (self.inputs, self.outputs)
        ]
        stored = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "traced", *infos, stored)
        sets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=sets, ir_version=8)


class Concatenating(Tracer):
    """As Optimum traces it: plain operators, positions as an input, keys and values concatenated."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.inputs["position_ids"] = (INT64, ["batch", "s"])
        self._tables: tuple[str, str] | None = None

    def attention(self, layer: int, q: str, k: str, v: str) -> str:
        past_key, past_value, present_key, present_value = self.caches(layer)
        query = self.rotated(self.split(q, self.heads))
        key = self.grown(past_key, self.rotated(self.split(k, self.kv)), present_key)
        value = self.grown(past_value, self.split(v, self.kv), present_value)
        groups = self.heads // self.kv
        grouped = self.node("Reshape", query, np.array([self.kv, groups, -1, self.size]))
        key, value = (self.node("Reshape", one, np.array([self.kv, 1, -1, self.size])) for one in (key, value))
        scores = self.node("MatMul", grouped, self.node("Transpose", key, perm=[0, 1, 3, 2]))
        scores = self.node("Mul", scores, np.array(self.size**-0.5, np.float32))
        scores = self.node("Where", self.hidden(), np.array(-np.inf, np.float32), scores)
        mixed = self.node("MatMul", self.node("Softmax", scores, axis=-1), value)
        mixed = self.node("Reshape", mixed, np.array([1, self.heads, -1, self.size]))
        flat = np.array([1, -1, self.heads * self.size])
        return self.node("Reshape", self.node("Transpose", mixed, perm=[0, 2, 1, 3]), flat)

    def split(self, x: str, heads: int) -> str:
        return self.node("Transpose", self.node("Reshape", x, np.array([1, -1, heads, self.size])), perm=[0, 2, 1, 3])

    def rotated(self, x: str) -> str:
        if not self._tables:
            positions = self.node("Unsqueeze", self.node("Cast", "position_ids", to=FLOAT), np.array([1, 3]))
            angles = self.node("Mul", positions, np.concatenate([self.inverse()] * 2)[None, None, None])
            self._tables = self.node("Cos", angles), self.node("Sin", angles)
        low, high = self.node("Split", x, outputs=2, axis=-1, num_outputs=2)
        turned = self.node("Concat", self.node("Neg", high), low, axis=-1)
        cos, sin = self._tables
        return self.node("Add", self.node("Mul", x, cos), self.node("Mul", turned, sin))

    def grown(self, past: str, new: str, present: str) -> str:
        whole = self.node("Concat", self.node("Cast", past, to=FLOAT), new, axis=2)
        self.called(self.node("Cast", whole, to=self.cache), present)
        return whole

    def hidden(self) -> str:
        """bool [S, past + S]: what a row must not see, with as many columns as the mask has."""
        columns = self.node("Gather", self.node("Shape", "attention_mask"), np.array(1))
        places = self.node("Range", np.array(0), columns, np.array(1))
        return self.node("Greater", places, self.node("Reshape", "position_ids", np.array([-1, 1])))


class InPlace(Tracer):
    """As onnxruntime-genai builds it: GroupQueryAttention rotates, and appends to the past."""

    def attention(self, layer: int, q: str, k: str, v: str) -> str:
        past_key, past_value, present_key, present_value = self.caches(layer)
        total = self.node("Gather", self.node("Shape", "attention_mask"), np.array(1))
        total = self.node("Cast", total, to=TensorProto.INT32)
        length = self.node("ReduceSum", "attention_mask", np.array([1]), keepdims=0)
        length = self.node("Cast", self.node("Sub", length, np.array([1])), to=TensorProto.INT32)
        angles = np.outer(np.arange(self.cfg["max_position_embeddings"], dtype=np.float32), self.inverse())
        floats = [q, k, v, self.constant(np.cos(angles)), self.constant(np.sin(angles))]
        q, k, v, cos, sin = (self.node("Cast", one, to=self.cache) for one in floats)
        out = f"attended.{layer}"
        self.nodes.append(
            helper.make_node(
                "GroupQueryAttention",
                [q, k, v, past_key, past_value, length, total, cos, sin],
                [out, present_key, present_value],
                domain="com.microsoft",
                num_heads=self.heads,
                kv_num_heads=self.kv,
                do_rotary=1,
            )
        )
        return self.node("Cast", out, to=FLOAT)


def optimum_folder(source: Path, out: Path, file: str = "model.onnx", **named: Any) -> Path:
    """Weights inside the graph, as Optimum leaves them below 2 GB."""
    save(Concatenating(source, **named).model(), out / file)
    for name in TEXTS:
        shutil.copy(source / name, out)
    return out


def genai_folder(
    source: Path, out: Path, names: tuple[str, ...] = TRACED_NAMES, cache: int = FLOAT, **changes: Any
) -> Path:
    """Weights in model.onnx.data; `changes` are keys of genai_config.json's model.decoder."""
    tracer = InPlace(source, names, cache)
    save(tracer.model(), out / "model.onnx", external="model.onnx.data")
    shutil.copy(source / "tokenizer.json", out)
    generation = json.loads((source / "generation_config.json").read_text())
    keys = ("past_key_names", "past_value_names", "present_key_names", "present_value_names")
    given = dict(zip(keys, (name.replace("{}", "%d") for name in names), strict=True))
    decoder = {
        "filename": "model.onnx",
        "head_size": tracer.size,
        "hidden_size": tracer.cfg["hidden_size"],
        "num_key_value_heads": tracer.kv,
        "inputs": {"input_ids": "input_ids", "attention_mask": "attention_mask"} | dict(list(given.items())[:2]),
        "outputs": {"logits": "logits"} | dict(list(given.items())[2:]),
    }
    model = {
        "type": "llama",
        "context_length": tracer.cfg["max_position_embeddings"],
        "vocab_size": tracer.cfg["vocab_size"],
        "eos_token_id": generation["eos_token_id"],
        "decoder": decoder | changes,
    }
    (out / "genai_config.json").write_text(json.dumps({"model": model, "search": {}}))
    return out


def save(model: onnx.ModelProto, path: Path, external: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(model, path, save_as_external_data=bool(external), location=external or None, size_threshold=1024)
