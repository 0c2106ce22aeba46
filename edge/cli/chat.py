"""edge chat: a conversation in the terminal, keeping its KV cache between turns."""

import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edge.cli import options as opt
from edge.cli.console import say
from edge.cli.interrupts import Interrupts
from edge.cli.media import read_media
from edge.cli.stand_in import introduce
from edge.cli.turn import show
from edge.errors import InputError

if TYPE_CHECKING:
    from edge.conversation import Conversation
    from edge.turn_options import TurnOptions

HELP = (
    "/image FILE, /audio FILE go with the next line · /new starts over · "
    "/stats on or off · /quit or Ctrl-D leaves · Ctrl-C stops an answer"
)


@dataclass(slots=True)
class Attached:
    """What goes with the next line."""

    images: list[Any] = field(default_factory=list)
    clips: list[Any] = field(default_factory=list)

    def take(self) -> tuple[list[Any], list[Any]]:
        taken = self.images, self.clips
        self.images, self.clips = [], []
        return taken


def chat(
    bundle: opt.Bundle = None,
    system: opt.System = "",
    max_tokens: opt.MaxTokens = None,
    temperature: opt.Temperature = 0.0,
    top_k: opt.TopK = 0,
    top_p: opt.TopP = 1.0,
    min_p: opt.MinP = 0.0,
    repetition_penalty: opt.Penalty = 1.0,
    seed: opt.Seed = None,
    stop: opt.Stop = None,
    max_crops: opt.MaxCrops = None,
    ttft: opt.Ttft = None,
    thinking: opt.Thinking = False,
    ep: opt.Ep = "",
    require_ep: opt.RequireEp = False,
    threads: opt.Threads = 0,
) -> None:
    """Talk with the model; each turn only computes what is new."""
    opt.checked_text(system, "the system message")
    opt.checked_ep(ep, require_ep)
    options = opt.turn_options(
        max_tokens, temperature, top_k, top_p, min_p, repetition_penalty, seed, stop, max_crops=max_crops, ttft=ttft
    )
    from edge.model import load

    model = load(bundle, threads, "text", ep, require_ep, say)
    options.check_for(model.manifest)
    introduce(model.bundle)
    say(f"{model.manifest.name}, loaded in {model.load_s:.1f} s. {HELP}")
    conversation = model.conversation(system, (), thinking)
    stats = False
    attached = Attached()
    if sys.stdin is not None:
        sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    while (line := _read_line()) is not None:
        match line.strip():
            case "/quit" | "/exit":
                return
            case "":
                continue
            case "/new":
                conversation = model.conversation(system, (), thinking)
                say("new conversation")
            case "/stats":
                stats = not stats
            case "/help":
                say(HELP)
            case text if text.split()[0] in ("/image", "/audio"):
                _attach(attached, *text.split(maxsplit=1))
            case text:
                _turn(conversation, text, options, stats, attached)


def _read_line() -> str | None:
    """The next line, None at the end. Ctrl-C at the prompt of a terminal only gives up the line being typed."""
    if sys.stdin is None:
        return None
    terminal = sys.stdin.isatty()
    if terminal:
        import readline  # noqa: F401 - gives input() a history and line editing

        sys.stderr.write("\n")
    try:
        return input("> " if terminal else "")
    except EOFError:
        return None
    except KeyboardInterrupt:
        if not terminal:
            raise
        say("\nCtrl-D leaves")
        return ""


def _attach(attached: "Attached", verb: str, file: str = "") -> None:
    path = Path(file)
    try:
        images, clips = read_media([path] * (verb == "/image"), [path] * (verb == "/audio"))
    except InputError as error:
        _complain(error)
        return
    attached.images += images
    attached.clips += clips
    say(f"{path.name} goes with your next line")


def _complain(error: InputError) -> None:
    """The conversation itself is unharmed; a script, which cannot read this, is stopped instead."""
    if not sys.stdin.isatty():
        raise error
    say(f"error: {error}\n  next: {error.hint}")


def _turn(conversation: "Conversation", text: str, options: "TurnOptions", stats: bool, attached: "Attached") -> None:
    interrupts = Interrupts()
    interrupts.cancel = conversation.cancel

    def events() -> Iterator[Any]:
        images, clips = attached.take()
        yield from conversation.generate(opt.checked_text(text, "the line"), options, images=images, audio=clips)

    try:
        done = show(interrupts.stream(events), quiet=False)
    except InputError as error:  # too long, say
        _complain(error)
        return
    if interrupts.received and (interrupts.received == signal.SIGTERM or not sys.stdin.isatty()):
        raise typer.Exit(interrupts.exit_code)
    if stats:
        usage, timing = done.usage, done.timing
        say(
            f"[{usage.prompt_tokens:,} tokens, {usage.reused_tokens:,} reused · first token {timing.ttft_s:.2f} s · "
            f"{usage.completion_tokens} tokens at {timing.decode_tokens_per_s:.1f}/s]"
        )
