"""What can be known to go wrong before the first bundle is loaded."""

from collections.abc import Sequence

from edge.bundle.bundle import Bundle
from edge.errors import InputError, UsageError
from edge.evaluation.labels import Item
from edge.evaluation.words import require_word_tools


def named(bundles: Sequence[Bundle]) -> dict[str, Bundle]:
    """By the name in reports, with a piece of the digest where two are called alike. Raises UsageError for twins."""
    if len({bundle.digest for bundle in bundles}) < len(bundles):
        raise UsageError("The same bundle is given twice.", "name different bundles: -b A -b B")
    names = [bundle.manifest.name for bundle in bundles]
    return {
        name if names.count(name) == 1 else f"{name} ({bundle.digest[:8]})": bundle
        for name, bundle in zip(names, bundles, strict=True)
    }


def check(items: Sequence[Item], bundles: Sequence[Bundle]) -> None:
    """Raises InputError for a mode that a bundle lacks, UsageError when the extra `eval` is needed and missing."""
    if any(item.metric == "wer" for item in items):
        require_word_tools()
    for bundle in bundles:
        for item in items:
            if item.mode not in bundle.manifest.modes:
                raise InputError(
                    f"the bundle {bundle.manifest.name} has no mode {item.mode}, which line {item.line} needs",
                    "use a Phi-4-multimodal bundle, or leave such lines out",
                )
