"""mobius-onnx's four graphs in onnxruntime: encoders, embedding, decoder. Its KV cache is not copied to numpy."""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from edge.media.clip import Clip
from edge.media.picture import Picture


class MobiusGraphs:
    """Same thread count as the other side; everything else as onnxruntime has it by default."""

    def __init__(self, directory: Path, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self._speech, self._vision, self._embedding, self._decoder = (
            ort.InferenceSession(directory / name / "model.onnx", options, providers=["CPUExecutionProvider"])
            for name in ("audio_encoder", "vision_encoder", "embedding", "decoder")
        )
        inputs = {one.name: one.shape for one in self._decoder.get_inputs()}
        self._wanted = set(inputs)
        self._cached = [name for name in inputs if name.startswith("past_key_values.")]
        _, self._kv_heads, _, self._head_size = inputs[self._cached[0]]
        self._width = self._embedding.get_inputs()[1].shape[1]
        self._past: dict[str, ort.OrtValue] = {}
        self._gates: tuple[np.ndarray, np.ndarray] | None = None
        self._length = 0

    def encode_clip(self, clip: Clip, beside_picture: bool) -> np.ndarray:
        """Embeddings float32 [tokens, hidden]."""
        feeds = {
            "audio_embeds": clip.features[None],
            "audio_sizes": np.array([len(clip.features)], np.int64),
            "audio_projection_mode": np.array(int(beside_picture), np.int64),
        }
        found: np.ndarray = self._speech.run(None, _only(self._speech, feeds))[0]
        return found.reshape(-1, self._width)

    def encode_picture(self, picture: Picture) -> np.ndarray:
        """Embeddings float32 [tokens, hidden], all crops in one call."""
        crops = picture.crops()
        feeds = {
            "pixel_values": np.stack([crops[index] for index in range(len(crops))]),
            "image_sizes": np.array([picture.tiling.image_size], np.int64),
            "image_attention_mask": crops.mask.astype(np.float32),
        }
        found: np.ndarray = self._vision.run(None, _only(self._vision, feeds))[0]
        return found

    def prefill(self, ids: list[int], image: np.ndarray | None, audio: np.ndarray | None) -> np.ndarray:
        """Logits float32 [vocab] after the prompt; the cache is emptied before."""
        shape = (1, self._kv_heads, 0, self._head_size)
        self._past = {name: ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32)) for name in self._cached}
        self._gates, self._length = None, 0
        return self._run(ids, image, audio)

    def step(self, token: int) -> np.ndarray:
        """Logits float32 [vocab] after one more token."""
        return self._run([token], None, None)

    def _run(self, ids: list[int], image: np.ndarray | None, audio: np.ndarray | None) -> np.ndarray:
        # its mixer gathers from the features even where no placeholder asks for them, so one row must be there
        empty = np.zeros((1, self._width), np.float32)
        feeds = {
            "input_ids": np.array([ids], np.int64),
            "image_features": empty if image is None else image,
            "audio_features": empty if audio is None else audio,
        }
        embedded, vision, speech = self._embedding.run(None, feeds)
        if self._gates is None:  # chosen by the prompt's placeholders, and kept for the answer
            self._gates = vision, speech
        total = self._length + len(ids)
        inputs = {
            "inputs_embeds": embedded,
            "attention_mask": np.ones((1, total), np.int64),
            "position_ids": np.arange(self._length, total, dtype=np.int64)[None],
            "vision_gate": self._gates[0],
            "speech_gate": self._gates[1],
        }
        binding = self._decoder.io_binding()
        for name, array in inputs.items():
            if name in self._wanted:
                binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for name, value in self._past.items():
            binding.bind_ortvalue_input(name, value)
        for output in self._decoder.get_outputs():
            binding.bind_output(output.name, "cpu")
        self._decoder.run_with_iobinding(binding)
        logits, *present = binding.get_outputs()
        names = [output.name.replace("present", "past_key_values") for output in self._decoder.get_outputs()[1:]]
        self._past = dict(zip(names, present, strict=True))
        self._length = total
        last: np.ndarray = logits.numpy()[0, -1]
        return last


def _only(session: ort.InferenceSession, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Inputs that the exporter's optimiser found unused are no longer inputs."""
    wanted = {one.name for one in session.get_inputs()}
    return {name: array for name, array in feeds.items() if name in wanted}
