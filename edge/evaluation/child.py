"""The process that answers all items of one mode, so that memory and load time are that mode's own.

Standard input: one JSON object, the job. Standard output: a JSON object per line, with loaded, item, end or error.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge.doctor import peak_rss
from edge.errors import EdgeError, InputError, ResourceError
from edge.events import Done
from edge.media.clip import read_clip
from edge.media.image_file import read_image
from edge.media_embeddings import MediaEmbeddings
from edge.model import Model, load
from edge.prompt.tools import load_tools
from edge.turn_options import TurnOptions


def main() -> None:
    """Interrupts are the parent's business; when it is gone, the next line that is written ends this process."""
    out = sys.stdout
    sys.stdout = sys.stderr  # nothing but the lines below may come between them
    try:
        for line in work(json.load(sys.stdin)):
            print(json.dumps(line), file=out, flush=True)
    except EdgeError as error:
        told = {"class": type(error).__name__, "message": str(error), "hint": error.hint}
        print(json.dumps({"error": told}), file=out, flush=True)


def work(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the process says. Raises EdgeError for a bundle that cannot be loaded."""
    model = load(job["bundle"], job["threads"], job["mode"])
    options = TurnOptions(max_tokens=job["max_tokens"], max_crops=job["max_crops"])
    yield {"loaded": {"load_s": model.load_s}}
    for item in job["items"]:
        try:
            told = answer(model, item, options)
        except (InputError, ResourceError) as error:  # this input's fault, not the bundle's
            told = {"failed": f"{error} {error.hint}".strip()}
        yield {"item": told, "peak_rss_bytes": peak_rss()}
    yield {"end": True}


def answer(model: Model, item: dict[str, Any], options: TurnOptions) -> dict[str, Any]:
    """The answer as of a conversation that nobody had before: nothing of earlier items is reused."""
    model.decoder.rewind(0)
    model.media = MediaEmbeddings(model.encoders, model.manifest)
    tools = load_tools(item["tools"]) if item["tools"] else []
    pictures = [read_image(Path(path)) for path in item["images"]]
    clips = [read_clip(Path(path)) for path in item["audio"]]
    *_, done = model.conversation(tools=tools).generate(item["prompt"], options, images=pictures, audio=clips)
    assert isinstance(done, Done), "a generation ends with Done"
    return {
        "text": done.text,
        "tool_calls": [asdict(call) for call in done.tool_calls],
        "broken_call": bool(tools) and model.chat_format.call_open.content in done.text,
        "finish_reason": done.finish_reason,
        "usage": asdict(done.usage),
        "timing": asdict(done.timing),
    }


if __name__ == "__main__":
    main()
