"""A random bf16 checkpoint of Phi-4-multimodal's exact geometry, in its original layout.

`python -m benchmarks.multimodal.checkpoint DIR [--layers N] [--seed N]`
"""

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks.multimodal.geometry import MultimodalGeometry
from benchmarks.peers.geometry import Geometry
from benchmarks.peers.random_checkpoint import write_checkpoint


def shortened(layers: int) -> MultimodalGeometry:
    """The released model with that many decoder layers; the encoders stay whole."""
    return MultimodalGeometry(text=replace(Geometry(), layers=layers))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--layers", type=int, default=Geometry().layers)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_checkpoint(arguments.directory, shortened(arguments.layers), arguments.seed)


if __name__ == "__main__":
    main()
