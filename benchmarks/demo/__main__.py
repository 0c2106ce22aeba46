"""make demo: the embedded model hears a command, calls a function, reads a display, answers a spoken question.

python -m benchmarks.demo [--record FILE.svg]
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from benchmarks.demo.recording import save_svg
from edge.bundle.embedded import EMBEDDED
from edge.cli.stand_in import INTRODUCTION
from edge.errors import EdgeError
from edge.evaluation.labels import Item, read_labels

FOLDER = Path(__file__).parent
COLUMNS = 110
MAX_TOKENS = 60


def arguments_of(item: Item) -> list[str]:
    """What a user types after `edge`, with paths as seen from here."""
    files = [("-i", path) for path in item.images] + [("-a", path) for path in item.audio]
    files += [("--tools", item.tools)] if item.tools else []
    prompt = [item.prompt] if item.prompt else []
    return ["run", *prompt, *(part for option, path in files for part in (option, os.path.relpath(path)))]


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """The object of `edge … --json`. Ends the process as `edge` does when it fails."""
    command = [sys.executable, "-m", "edge.cli.main", *arguments, "--json", "-n", str(MAX_TOKENS)]
    # an empty standard input: what the recording says is the whole question
    environment = os.environ | {"EDGE_BUNDLE": str(EMBEDDED)}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8", env=environment, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def answer_text(answer: dict[str, Any]) -> str:
    """As `edge run` prints it."""
    return "\n".join([answer["text"]] * bool(answer["text"]) + [json.dumps(call) for call in answer["tool_calls"]])


def figures(answer: dict[str, Any]) -> str:
    timing, peak = answer["timing"], answer["memory"]["peak_rss_bytes"]
    return (
        f"loaded in {timing['load_s']:.1f} s · first token after {timing['ttft_s']:.2f} s · "
        f"{timing['decode_tokens_per_s']:.0f} tokens/s · {peak / 1e6:.0f} MB"
    )


def live_items() -> list[Item]:
    """The command once more, from the microphone: none before `edge run` can listen to one."""
    return []


def show(console: Console) -> None:
    started, peaks = time.monotonic(), []
    headline = ""
    for item in read_labels(FOLDER) + live_items():
        if item.group != headline:
            headline = item.group
            console.print(Text(f"\n{headline}", "bold"))
        arguments = arguments_of(item)
        console.print(Text(f"$ edge {shlex.join(arguments)}", "cyan"))
        answer = run(arguments)
        peaks.append(answer["memory"]["peak_rss_bytes"])
        console.print(Text(answer_text(answer), "green"))
        console.print(Text(figures(answer), "dim"))
    seconds = time.monotonic() - started
    console.print(Text(f"\npeak of memory {max(peaks) / 1e6:.0f} MB, {seconds:.0f} s in all", "bold"))
    console.print(Text(f"That was {INTRODUCTION}"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="FILE.svg", help="also draw what is shown into this file")
    record = parser.parse_args().record
    console = Console(record=bool(record), width=COLUMNS if record else None, highlight=False, soft_wrap=not record)
    try:
        show(console)
        if record:
            save_svg(console, record, "make demo")
    except EdgeError as error:
        sys.exit(f"error: {error}\n  next: {error.hint}")


if __name__ == "__main__":
    main()
