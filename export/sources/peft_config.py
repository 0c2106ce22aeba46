"""adapter_config.json of a PEFT folder: the rank and scale of a plain LoRA, and a refusal of everything else."""

from pathlib import Path
from typing import Any

from edge.errors import CheckpointError
from export.architectures.config import ConfigReader, shown
from export.sources.phi4_multimodal_names import MATRICES
from export.sources.safetensors_dir import read_json

MAX_RANK = 4096
CHANGES_THE_MODEL = (
    "use_dora",
    "use_rslora",
    "use_qalora",
    "lora_bias",
    "fan_in_fan_out",
    "modules_to_save",
    "rank_pattern",
    "alpha_pattern",
    "layers_to_transform",
    "layer_replication",
    "exclude_modules",
    "target_parameters",
    "trainable_token_indices",
    "alora_invocation_tokens",
)
"""Options under which W + (alpha / r)·B·A on every target is not the whole truth."""


def read_adapter_config(folder: Path) -> dict[str, Any]:
    """{"r", "lora_alpha"} of the PEFT LoRA in `folder`. Raises CheckpointError for a variant that is not supported."""
    where = f"{folder.name}/adapter_config.json"
    values = read_json(folder / "adapter_config.json")
    for key in CHANGES_THE_MODEL:
        if values.get(key):
            raise _refusal(where, key, values[key], "unset")
    for key, only in {"peft_type": "LORA", "bias": "none"}.items():
        if values.get(key, only) != only:
            raise _refusal(where, key, values[key], repr(only))
    targets = values.get("target_modules")
    # a text is a regular expression of a stranger, not run here: which matrices have weights is seen in the file
    if isinstance(targets, list):
        wanted = {module.rpartition(".")[2] for module in MATRICES}
        if {str(target).rpartition(".")[2] for target in targets} != wanted:
            raise _refusal(where, "target_modules", targets, f"{', '.join(sorted(wanted))}")
    return lora_facts(ConfigReader(values, where))


def lora_facts(config: ConfigReader) -> dict[str, Any]:
    """{"r", "lora_alpha"}: the LoRA adds lora_alpha / r · B·A. Raises CheckpointError when one is missing or absurd."""
    return {"r": config.integer("r", high=MAX_RANK), "lora_alpha": config.number("lora_alpha", high=1e6)}


def _refusal(where: str, key: str, value: object, only: str) -> CheckpointError:
    return CheckpointError(
        f"{where}: {key} is {shown(value)}, only {only} is supported",
        "merge this adapter into a plain LoRA with PEFT, or train it without that option",
    )
