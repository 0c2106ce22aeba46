"""Puts a trained checkpoint beside the task, and the bundle made of it into the package: what runs without -b.

python -m benchmarks.terminal.ship CHECKPOINT_DIR [--bits 8]

Both depend on the checkpoint and the bits only, so the same command writes the same bytes again.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from edge.bundle.embedded import EMBEDDED
from edge.bundle.files import size_text
from edge.bundle.staging import StagedDirectory
from edge.bundle.verify import verify
from edge.errors import BundleError, CheckpointError, EdgeError, ResourceError
from export.exporter import run_export
from export.options import ExportOptions
from export.plan import plan_export

HERE = Path(__file__).parent
CHECKPOINT = HERE / "checkpoint"
MODEL_CARD = HERE / "model_card.md"
MOST_OF_CHECKPOINT, MOST_OF_BUNDLE = 25_000_000, 15_000_000

ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
FILES = (
    *("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"),
    *(f"{modality}-lora/{name}" for modality in ("speech", "vision") for name in ADAPTER),
)
"""What makes a checkpoint; nothing else that lies in its directory is taken."""


def ship(source: Path, bits: int = 8, checkpoint: Path = CHECKPOINT, bundle: Path = EMBEDDED) -> None:
    """Replaces `checkpoint` and `bundle`, after everything has been made, measured and verified.

    Raises CheckpointError, BundleError, and ResourceError for what is larger than it may be.
    """
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, checkpoint.name)
        copy_checkpoint(source, copy)
        made = export_bundle(copy, Path(directory, bundle.name), bits)
        for new, most in ((copy, MOST_OF_CHECKPOINT), (made, MOST_OF_BUNDLE)):
            require_at_most(most, new)
        for new, place in ((copy, checkpoint), (made, bundle)):
            replace(place, new)


def copy_checkpoint(source: Path, to: Path) -> None:
    missing = [name for name in FILES if not (source / name).is_file()]
    if missing:
        raise CheckpointError(
            f"{source} is no checkpoint of the terminal model: {missing[0]} is missing.",
            "write one: python -m benchmarks.terminal checkpoint --work DIR CHECKPOINT_DIR",
        )
    for name in FILES:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, to / name)


def export_bundle(checkpoint: Path, out: Path, bits: int) -> Path:
    """The bundle `out` with the model card in it. Raises BundleError when it is not as its manifest says."""
    run_export(plan_export(checkpoint, ExportOptions(bits=bits)), out)
    shutil.copyfile(MODEL_CARD, out / "README.md")
    if problems := verify(out).problems:
        raise BundleError(f"The bundle made of {checkpoint} is damaged: {problems[0]}.", "check the disk, try again")
    return out


def require_at_most(most: int, directory: Path) -> None:
    if (size := size_of(directory)) > most:
        raise ResourceError(
            f"The {directory.name} is {size_text(size)}, but may be {size_text(most)} at most.",
            "use fewer bits or a smaller model",
        )


def size_of(directory: Path) -> int:
    """Bytes of all files below `directory`."""
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


def replace(place: Path, new: Path) -> None:
    with StagedDirectory(place, replace=True) as stage:
        shutil.copytree(new, stage.path, copy_function=shutil.copyfile, dirs_exist_ok=True)
        stage.commit()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.terminal.ship", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="directory that training has written")
    parser.add_argument("--bits", type=int, default=8, choices=(4, 8), help="bits per weight")
    arguments = parser.parse_args()
    try:
        ship(arguments.checkpoint, arguments.bits)
    except EdgeError as error:
        sys.exit(f"error: {error}\n  next: {error.hint}")
    for place in (CHECKPOINT, EMBEDDED):
        print(f"{place}: {size_text(size_of(place))}")


if __name__ == "__main__":
    main()
