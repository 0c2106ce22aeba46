"""The bundles that are measured, and how each is made of the checkpoint."""

from dataclasses import replace
from pathlib import Path

from benchmarks.peers.lineup import PRIVATE_HOME, Contender

MODULE = "benchmarks.multimodal.answer"
EXPORT = ("-m", "edge.cli.main", "export", "{source}", "{out}/bundle", "--max-ram", "2GB")
UNTUNED = (("EDGE_HOME", "{out}/nothing-here"),)
"""No tuned copy is found, also when there is one beside the bundle."""

BUNDLES = (
    Contender("int4", "int4 block 128, encoders int8", MODULE, own=True, export=EXPORT, env=UNTUNED),
    Contender(
        "int4-fast",
        "the same and --fast-prefill",
        MODULE,
        own=True,
        export=(*EXPORT, "--fast-prefill"),
        env=UNTUNED,
    ),
)
MINI = "phi4-mini"


def tuned(bundle: Contender) -> Contender:
    """The same bundle with a tuned copy below the directory that holds it."""
    return replace(bundle, name=f"{bundle.name}-tuned", title=f"{bundle.title}, tuned", env=PRIVATE_HOME)


def mini(home: Path, tune: bool) -> Contender:
    """A ready Phi-4-mini bundle; its tuned copy, if any, goes below `home`, so the bundle stays as it is."""
    title = "Phi-4-mini's bundle" + ", tuned" * tune
    return Contender(MINI, title, MODULE, own=True, export=(), env=(("EDGE_HOME", str(home)),))
