"""edge run: one question, one answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edge.cli import options as opt
from edge.cli.console import say
from edge.cli.interrupts import Interrupts
from edge.cli.media import read_media
from edge.cli.stand_in import introduce
from edge.cli.turn import as_json as render_json
from edge.cli.turn import show
from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.media.clip import Clip
    from edge.model import Model


def run(
    prompt: Annotated[str | None, typer.Argument(help="The question; - reads standard input.")] = None,
    bundle: opt.Bundle = None,
    image: opt.Images = None,
    audio: opt.Audio = None,
    mic: Annotated[bool, typer.Option("--mic", help="Ask with the next words that the microphone hears.")] = False,
    microphone: Annotated[
        str | None, typer.Option("--microphone", "-m", help="With --mic: part of its name, see  edge devices.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="Ask about its picture: number, name, file, folder or URL of a camera.")
    ] = None,
    max_crops: opt.MaxCrops = None,
    ttft: opt.Ttft = None,
    system: opt.System = "",
    tools: opt.Tools = None,
    tool_choice: Annotated[
        Literal["auto", "required", "none"], typer.Option(help="May, must or must not the answer be a call.")
    ] = "auto",
    single_call: Annotated[bool, typer.Option("--single-call", help="At most one call in an answer.")] = False,
    schema: Annotated[Path | None, typer.Option(help="JSON schema file the answer must satisfy.")] = None,
    max_tokens: opt.MaxTokens = None,
    temperature: opt.Temperature = 0.0,
    top_k: opt.TopK = 0,
    top_p: opt.TopP = 1.0,
    min_p: opt.MinP = 0.0,
    repetition_penalty: opt.Penalty = 1.0,
    seed: opt.Seed = None,
    stop: opt.Stop = None,
    logprobs: Annotated[int | None, typer.Option(help="With --json: log-probabilities, and this many others.")] = None,
    thinking: opt.Thinking = False,
    ep: opt.Ep = "",
    require_ep: opt.RequireEp = False,
    threads: opt.Threads = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
) -> None:
    """Answer one question and stop."""
    opt.checked_text(system, "the system message")
    opt.checked_ep(ep, require_ep)
    if microphone and not mic:
        raise UsageError("--microphone chooses what --mic hears", "add --mic")
    text = opt.read_prompt(prompt) if prompt is not None or not (mic or camera) else ""
    interrupts = Interrupts()
    loaded: list[Model] = []
    collected: list[Any] = []

    def turn() -> Iterator[Any]:
        from edge.events import TextDelta, mode_of
        from edge.model import load
        from edge.prompt.schema_constraint import load_schema
        from edge.prompt.tools import load_tools

        turn_options = opt.turn_options(
            max_tokens,
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            seed,
            stop,
            logprobs,
            tool_choice,
            not single_call,
            load_schema(schema) if schema else None,
            max_crops,
            ttft,
        )
        pictures, clips = read_media(image or [], audio or [])
        known_tools = load_tools(tools) if tools else []
        model = load(bundle, threads, mode_of(bool(pictures or camera), bool(clips or mic)), ep, require_ep, say)
        loaded.append(model)
        if not as_json:
            introduce(model.bundle)
        conversation = model.conversation(system, known_tools, thinking)
        if mic:
            clips.append(_record(microphone, interrupts))
        if camera:
            from edge.live.capture import look

            pictures.append(look(camera))
        interrupts.cancel = conversation.cancel
        for event in conversation.generate(text, turn_options, images=pictures, audio=clips):
            if isinstance(event, TextDelta):
                collected.extend(event.logprobs)
            yield event

    done = show(interrupts.stream(turn), quiet=as_json)
    if as_json:
        from dataclasses import asdict

        entries = [asdict(entry) for entry in collected] if logprobs is not None else None
        typer.echo(render_json(done, loaded[0], entries))
    if interrupts.exit_code:
        raise typer.Exit(interrupts.exit_code)


def _record(name: str | None, interrupts: Interrupts) -> "Clip":
    from edge.live.capture import Recorder
    from edge.live.utterances import RATE
    from edge.media.clip import read_clip

    recorder = Recorder(say)
    interrupts.cancel = recorder.cancel
    heard = recorder.record(name)
    if heard is None:
        raise typer.Exit(interrupts.exit_code)
    return read_clip((heard.samples, RATE))
