"""The bf16 checkpoint in transformers answers evaluation sets; scored and written as `edge eval --json` does it.

Weights are bfloat16 and arithmetic is float32, with W + alpha / r · B·A of the mode's LoRA merged into W. Nothing
constrains the answers, so calls are read from the text. Recordings and pictures come through the device's own front
ends, one of each at most: of several the port lets one see the padding of another.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import torch
import typer
from safetensors.torch import load_file
from tokenizers import Tokenizer as Backend

from benchmarks.terminal.language.turn import Turn
from benchmarks.terminal.training.prompts import Renderer
from edge.bundle.bundle import Bundle
from edge.doctor import machine_facts, peak_rss
from edge.errors import CheckpointError, EdgeError, InputError
from edge.evaluation.labels import Item, read_labels
from edge.evaluation.report import Report, to_json, to_json_lines
from edge.evaluation.results import Result, Settings, scored
from edge.evaluation.run import MODES
from edge.evaluation.summary import summarise
from edge.events import Mode, Timing, Usage
from edge.media.clip import Clip, read_clip
from edge.media.picture import Picture, read_pixels
from edge.media.tiling import choose_tiling
from edge.prompt.answer_stream import AnswerStream
from edge.prompt.formats.phi4 import Phi4Format
from edge.prompt.tools import load_tools
from export.sources.processor_config import read_dynamic_hd
from tests.reference_import import import_transformers

ADAPTERS: dict[Mode, str | None] = {"text": None, "speech": "speech", "vision": "vision", "vision_speech": "vision"}
NAME = "bf16"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a report says of weights: SHA-256 over the checkpoint's safetensors files, and their size."""

    digest: str
    bytes: int


class Reference:
    """One checkpoint in transformers' layout with PEFT folders. Raises CheckpointError when weights are missing."""

    def __init__(self, checkpoint: Path) -> None:
        self._path = checkpoint
        self._renderer = Renderer(Backend.from_file(str(checkpoint / "tokenizer.json")))
        config = json.loads((checkpoint / "config.json").read_text())
        self._patch, self._max_crops = config["vision_config"]["patch_size"], read_dynamic_hd(checkpoint)
        self._stops = set(json.loads((checkpoint / "generation_config.json").read_text())["eos_token_id"])
        self._loaded: tuple[str | None, Any] | None = None

    @cached_property
    def stored(self) -> Stored:
        digest, size = hashlib.sha256(), 0
        for file in sorted(self._path.rglob("*.safetensors")):
            data = file.read_bytes()
            digest.update(data)
            size += len(data)
        return Stored(digest.hexdigest(), size)

    def results(self, items: Sequence[Item], max_tokens: int) -> Iterator[Result]:
        """In order of mode and line, like those of a bundle."""
        for mode in MODES:
            for item in (item for item in items if item.mode == mode):
                try:
                    told = self.answer(item, max_tokens)
                except InputError as error:
                    told = {"failed": f"{error} {error.hint}".strip()}
                yield scored(NAME, item, told, 0.0, peak_rss())

    def answer(self, item: Item, max_tokens: int) -> dict[str, Any]:
        """What edge.evaluation.results.scored takes; times are not measured. Raises InputError for unusable media."""
        if len(item.audio) > 1 or len(item.images) > 1:
            raise InputError(f"Line {item.line} has several recordings or pictures.", "give one of each at most")
        clips, pictures = [read_clip(path) for path in item.audio], [self._picture(path) for path in item.images]
        tools = tuple(load_tools(item.tools)) if item.tools else ()
        heard, seen = sum(clip.tokens for clip in clips), sum(picture.tokens for picture in pictures)
        ids = self._renderer.prompt(Turn(item.prompt, tools=tools), seen, heard)
        inputs = {"input_ids": torch.tensor([ids]), **_audio(clips), **_images(pictures)}
        answer, finish = self._greedy(self._model(item.mode), inputs, max_tokens)
        form = Phi4Format()
        stream = AnswerStream(self._renderer.tokenizer, form, tools)
        text = "".join(map(stream.push, answer))
        rest, calls = stream.finish()
        text += rest
        return {
            "text": text,
            "tool_calls": [asdict(call) for call in calls],
            "broken_call": bool(tools) and form.call_open.content in text,
            "finish_reason": "tool_calls" if calls else finish,
            "usage": asdict(Usage(len(ids), seen, heard, len(answer) + (finish == "stop"))),
            "timing": asdict(Timing()),
        }

    @torch.inference_mode()
    def _greedy(self, model: Any, inputs: dict[str, Any], limit: int) -> tuple[list[int], str]:
        """(ids without the stop token, why it ended). Placeholders are never chosen, as on the device."""
        answer: list[int] = []
        cache = None
        while len(answer) < limit:
            out = model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
            logits = out.logits[0, -1]
            logits[[self._renderer.image, self._renderer.audio]] = -torch.inf
            token = int(logits.argmax())
            if token in self._stops:
                return answer, "stop"
            answer.append(token)
            inputs, cache = {"input_ids": torch.tensor([[token]])}, out.past_key_values
        return answer, "length"

    def _picture(self, path: Path) -> Picture:
        rgb = read_pixels(path)
        return Picture(rgb, choose_tiling(rgb.shape[1], rgb.shape[0], self._max_crops, self._patch))

    def _model(self, mode: Mode) -> Any:
        """With the mode's LoRA; one is kept, since items come mode by mode."""
        adapter = ADAPTERS[mode]
        if self._loaded is None or self._loaded[0] != adapter:
            self._loaded = adapter, load_merged(self._path, adapter)
        return self._loaded[1]


def load_merged(checkpoint: Path, adapter: str | None) -> Any:
    """Phi4MultimodalForCausalLM, float32. Eager, since the port's other attentions would make SigLIP's causal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, loading = import_transformers().Phi4MultimodalForCausalLM.from_pretrained(
            checkpoint, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
    if any(loading.values()):
        raise CheckpointError(f"{checkpoint} does not hold the model's weights: {loading}.", "write it again")
    if adapter:
        folder = checkpoint / f"{adapter}-lora"
        facts = json.loads((folder / "adapter_config.json").read_text())
        lora = load_file(folder / "adapter_model.safetensors")
        with torch.no_grad():
            for name in (key for key in lora if key.endswith(".lora_A.weight")):
                down, up = lora[name].float(), lora[name.replace("lora_A", "lora_B")].float()
                module = model.get_submodule(name.removeprefix("base_model.model.").removesuffix(".lora_A.weight"))
                module.weight += facts["lora_alpha"] / facts["r"] * (up @ down)
    return model.eval()


def report_of(reference: Reference, folder: Path, limit: int | None, max_tokens: int) -> Report:
    """All of a set, or the first `limit` lines of it. Raises InputError for labels that cannot be used."""
    items = read_labels(folder)[:limit]
    results = list(reference.results(items, max_tokens))
    machine = machine_facts()
    machine["versions"] |= {"torch": torch.__version__, "transformers": import_transformers().__version__}
    bundles = {NAME: cast(Bundle, reference.stored)}  # a report reads no more of a bundle than that
    settings = Settings(max_tokens, threads=torch.get_num_threads())
    return Report(str(folder), settings, machine, bundles, len(items), results, summarise(results))


def _audio(clips: Sequence[Clip]) -> dict[str, Any]:
    if not clips:
        return {}
    features = torch.from_numpy(clips[0].features)[None]
    return {"audio_input_features": features, "audio_embed_sizes": [clips[0].tokens]}


def _images(pictures: Sequence[Picture]) -> dict[str, Any]:
    if not pictures:
        return {}
    crops = pictures[0].crops()
    return {
        "image_pixel_values": torch.from_numpy(crops.pixels())[None],
        "image_attention_mask": torch.from_numpy(np.ascontiguousarray(crops.mask))[None],  # the port insists
        "image_sizes": torch.tensor([pictures[0].tiling.image_size]),
    }


def main(
    checkpoint: Annotated[Path, typer.Argument(help="Directory in transformers' layout.")],
    sets: Annotated[list[Path], typer.Argument(metavar="SET...", help="Folders with labels.jsonl.")],
    out: Annotated[Path, typer.Option(help="Gets SET.json, a report, and SET.jsonl, every answer.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first lines of each set.")] = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", "-n", min=1)] = 512,
    threads: Annotated[int, typer.Option(min=1)] = 1,
) -> None:
    """Answer each set greedily; a set whose SET.json is there already is left as it is."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    try:
        reference = Reference(checkpoint)
        for folder in sets:
            file = out / f"{folder.resolve().name}.json"
            if file.exists():
                continue
            report = report_of(reference, folder, limit, max_tokens)
            file.with_suffix(".jsonl").write_text(to_json_lines(report.results), encoding="utf-8")
            file.write_text(json.dumps(to_json(report), indent=1) + "\n")
            typer.echo(f"{file}: {len(report.results)} answers", err=True)
    except EdgeError as error:
        typer.echo(f"error: {error}\n  next: {error.hint}", err=True)
        raise typer.Exit(error.exit_code) from None


if __name__ == "__main__":
    typer.run(main)
