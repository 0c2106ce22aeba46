"""python -m edge.providers.trial_child: probes of one processor, in a process that may crash or hang.

Standard input is a pickled `Request` of the parent; results are files in its folder. Exit code 3 with a sentence on
stderr when the processor refuses.
"""

import json
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.bundle.bundle import Bundle
from edge.errors import EdgeError
from edge.providers.plugin import Plugin

REFUSED = 3


@dataclass(frozen=True, slots=True)
class Request:
    plugin: Plugin
    bundle: Path
    parts: list[str]
    threads: int
    folder: Path
    """Gets PART.npy, and PART.json with seconds, when a part is done."""


def main() -> None:
    from edge.providers.probes import ENCODERS, probe
    from edge.providers.processor import Processor

    request: Request = pickle.load(sys.stdin.buffer)
    try:
        bundle = Bundle.open(request.bundle)
        processor = Processor(bundle, request.plugin, request.parts, request.threads)
        encoders = processor.encoders()
        for part in request.parts:
            decoder = None if part in ENCODERS else processor.decoder(part)
            result = probe(part, bundle.manifest, decoder, encoders)
            np.save(request.folder / f"{part}.npy", result.values)
            (request.folder / f"{part}.json").write_text(json.dumps({"seconds": result.seconds}))
    except EdgeError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(REFUSED) from None


if __name__ == "__main__":
    main()
