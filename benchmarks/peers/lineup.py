"""Who takes part, and how each turns the checkpoint into its own files."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Contender:
    """`module` answers the prompts, in our own interpreter (`own`) or in the peers'."""

    name: str
    title: str
    module: str
    own: bool
    export: tuple[str, ...]
    """Arguments after the interpreter; {source}, {out}, {scratch} and {threads} are filled in."""

    prepare: tuple[str, ...] = ()
    """A step on the device, after the export and timed apart from it."""

    env: tuple[tuple[str, str], ...] = ()
    """Extra environment of all its processes; {out} is filled in."""

    optional: bool = False
    """Takes part only when it is asked for by name."""

    def environment(self, out: Path) -> dict[str, str]:
        return {"HF_HUB_OFFLINE": "1", **{name: value.format(out=out) for name, value in self.env}}


EXPORT = ("-m", "edge.cli.main", "export", "{source}", "{out}/bundle", "--bits", "4", "--block", "128")
PRIVATE_HOME = (("EDGE_HOME", "{out}/home"),)
"""A tuned copy is found here and nowhere else, and counts as disk space."""

BUILDER = (
    "-m", "onnxruntime_genai.models.builder",
    "-i", "{source}", "-o", "{out}", "-p", "int4", "-e", "cpu", "-c", "{scratch}",
)  # fmt: skip

CONTENDERS = (
    Contender(
        "phi-edge",
        "phi-edge, int4 block 128, tuned",
        "benchmarks.peers.engines.phi_edge",
        own=True,
        export=EXPORT,
        env=PRIVATE_HOME,
        prepare=("-m", "edge.cli.main", "bundle", "tune", "{out}/bundle"),
    ),
    Contender(
        "phi-edge-untuned",
        "phi-edge, int4 block 128, as exported",
        "benchmarks.peers.engines.phi_edge",
        own=True,
        export=EXPORT,
        env=PRIVATE_HOME,
    ),
    Contender(
        "phi-edge-fast",
        "phi-edge, int4 block 128, int8 for prompts, as exported",
        "benchmarks.peers.engines.phi_edge",
        own=True,
        export=(*EXPORT, "--fast-prefill"),
        env=PRIVATE_HOME,
    ),
    Contender(
        "genai",
        "onnxruntime-genai, int4 (builder's defaults: block 32)",
        "benchmarks.peers.engines.genai",
        own=False,
        export=BUILDER,
    ),
    Contender(
        "llama.cpp",
        "llama.cpp, Q4_0 (embedding Q6_K)",
        "benchmarks.peers.engines.llama_cpp",
        own=False,
        export=("-m", "benchmarks.peers.to_gguf", "{source}", "{out}/model-q4_0.gguf", "--threads", "{threads}"),
    ),
    Contender(
        "genai-best",
        "onnxruntime-genai, int4 block 128, last-token lm_head",
        "benchmarks.peers.engines.genai",
        own=False,
        export=(*BUILDER, "--extra_options", "block_size=128", "prune_lm_head=true"),
        optional=True,
    ),
)
