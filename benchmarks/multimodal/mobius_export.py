"""mobius-onnx's export of a small checkpoint; runs in the interpreter that has mobius-onnx, not in the project's.

`python -m benchmarks.multimodal.mobius_export ORIGINAL NATIVE OUT`: the same model in the original layout, whose names
are those mobius reads, and in the native one, whose config states the sizes of the vision tower.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

from mobius._builder import build_from_module
from mobius._config_resolver import _config_from_hf, _default_task_for_model, _dict_to_pretrained_config
from mobius._registry import registry
from safetensors.torch import load_file

MODEL_TYPE = "phi4mm"
VISION = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_token_id")


def main(original: Path, native: Path, out: Path) -> None:
    fields = json.loads((original / "config.json").read_text())
    # a config with these sections loses its rotary fields in mobius; the released one has none of them
    fields.pop("vision_config")
    audio = fields.pop("audio_config")
    found = _dict_to_pretrained_config(fields)
    config = _config_from_hf(found, parent_config=found)
    # the tower's released sizes are constants in mobius's reader
    sizes = {key: json.loads((native / "config.json").read_text())["vision_config"][key] for key in VISION}
    config = replace(
        config,
        image_token_id=sizes["image_token_id"],
        vision=replace(config.vision, **sizes),
        audio=replace(config.audio, token_id=audio["audio_token_id"]),
    )
    module = registry.get(MODEL_TYPE)(config)
    task = _default_task_for_model(MODEL_TYPE)
    package = build_from_module(module, config, task=task, execution_provider="cpu")
    weights = {name: tensor for file in original.glob("*.safetensors") for name, tensor in load_file(file).items()}
    package.apply_weights(module.preprocess_weights(weights))
    package.save(str(out))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
