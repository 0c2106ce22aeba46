"""edge chat: a conversation in the terminal, keeping its KV cache between turns."""

import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from edge.cli import options as opt
from edge.cli.console import say
from edge.cli.interrupts import Interrupts
from edge.cli.turn import show
from edge.errors import InputError

if TYPE_CHECKING:
    from edge.conversation import Conversation, TurnOptions

HELP = "/new starts over · /stats on or off · /quit or Ctrl-D leaves · Ctrl-C stops an answer"


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
    thinking: opt.Thinking = False,
    threads: opt.Threads = 0,
) -> None:
    """Talk with the model; each turn only computes what is new."""
    opt.checked_text(system, "the system message")
    options = opt.turn_options(max_tokens, temperature, top_k, top_p, min_p, repetition_penalty, seed, stop)
    from edge.model import load

    model = load(bundle, threads)
    say(f"{model.manifest.name}, loaded in {model.load_s:.1f} s. {HELP}")
    conversation = model.conversation(system, (), thinking)
    stats = False
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
            case text:
                _turn(conversation, text, options, stats)


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


def _turn(conversation: "Conversation", text: str, options: "TurnOptions", stats: bool) -> None:
    interrupts = Interrupts()
    interrupts.cancel = conversation.cancel

    def events() -> Iterator[Any]:
        yield from conversation.generate(opt.checked_text(text, "the line"), options)

    try:
        done = show(interrupts.stream(events), quiet=False)
    except InputError as error:  # too long, say: the conversation itself is unharmed
        if not sys.stdin.isatty():
            raise
        say(f"error: {error}\n  next: {error.hint}")
        return
    if interrupts.received and (interrupts.received == signal.SIGTERM or not sys.stdin.isatty()):
        raise typer.Exit(interrupts.exit_code)
    if stats:
        usage, timing = done.usage, done.timing
        say(
            f"[{usage.prompt_tokens:,} tokens, {usage.reused_tokens:,} reused · first token {timing.ttft_s:.2f} s · "
            f"{usage.completion_tokens} tokens at {timing.decode_tokens_per_s:.1f}/s]"
        )
