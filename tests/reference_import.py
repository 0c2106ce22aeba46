"""transformers as a reference, imported quietly and also beside a torchvision that was built for another torch."""

from importlib.util import find_spec
from typing import Any

_KEPT: list[Any] = []
"""Operators vanish with the object that defined them."""


def declare_torchvision_operators() -> None:
    """PyPI's torchvision wants CUDA's torch and cannot load its compiled operators beside the CPU build.

    transformers imports it all the same, for transforms that are plain torch; only two operators must have names.
    """
    if _KEPT or not find_spec("torchvision") or not find_spec("torch"):
        return
    import torch

    try:
        import torchvision
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)
        import torchvision  # noqa: F401


def import_transformers() -> Any:
    """The module. Call it, and look classes up in it, within warnings.catch_warnings(): its imports are lazy."""
    declare_torchvision_operators()
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    return transformers
