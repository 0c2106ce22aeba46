"""python -m tests.export.full_disk CHECKPOINT MOUNT: an export onto a disk that another program fills meanwhile.

Prints as JSON how the export ended, what lies on the disk then, and how it ends once there is room again.
"""

import json
import sys
from pathlib import Path

from edge.bundle.verify import verify
from edge.errors import EdgeError
from export.exporter import Progress, run_export
from export.options import ExportOptions
from export.plan import plan_export

CHUNK = bytes(1 << 20)


def fill(file: Path) -> None:
    with file.open("ab", buffering=0) as stream:
        for size in (len(CHUNK), 4096, 1):
            try:
                while stream.write(CHUNK[:size]) == size:
                    pass
            except OSError:
                continue


def main() -> None:
    checkpoint, mount = Path(sys.argv[1]), Path(sys.argv[2])
    out, filler = mount / "bundle", mount / "filler"
    result: dict[str, object] = {}

    def progress(step: Progress) -> None:
        if not filler.exists():
            fill(filler)

    plan = plan_export(checkpoint, ExportOptions())
    try:
        run_export(plan, out, progress)
    except EdgeError as error:
        result |= {"exit_code": error.exit_code, "message": str(error), "hint": error.hint}
    result["left"] = sorted(path.name for path in mount.iterdir())
    filler.unlink()
    run_export(plan, out)
    json.dump(result | {"whole": verify(out).ok}, sys.stdout)


if __name__ == "__main__":
    main()
