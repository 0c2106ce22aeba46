"""transformers as the reference implementation: eager attention, float32, no KV cache."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tests.reference_import import import_transformers


def reference_model(checkpoint: Path, **config_changes: Any) -> Any:
    """The checkpoint in transformers; changes to config.json are made in memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch

        transformers = import_transformers()
        torch.set_num_threads(1)  # the matrices are tiny, and other processes want the cores
        config = transformers.AutoConfig.for_model(
            **(json.loads((checkpoint / "config.json").read_text()) | config_changes)
        )
        model = transformers.AutoModelForCausalLM.from_pretrained(
            checkpoint, config=config, dtype=torch.float32, attn_implementation="eager"
        )
    return model.eval()


def reference_logits(model: Any, ids: list[int]) -> np.ndarray:
    """float32 [tokens, vocab], the whole sequence in one call."""
    import torch

    with torch.inference_mode():
        return model(torch.tensor([ids]), use_cache=False).logits[0].numpy()
