"""Options that several verbs share, and how they become the library's option objects."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge.errors import InputError, UsageError

if TYPE_CHECKING:
    from edge.turn_options import TurnOptions

MAX_PROMPT_BYTES = 16 << 20
WITHOUT = "by default the bundle installed as `default`, else the embedded one"

Bundle = Annotated[
    str | None, typer.Option("-b", "--bundle", envvar="EDGE_BUNDLE", help=f"Name or directory; {WITHOUT}.")
]
System = Annotated[str, typer.Option("-s", "--system", help="System message.")]
Tools = Annotated[Path | None, typer.Option(help="JSON file with the functions the model may call.")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", "-n", help="Longest answer; default: until it stops.")]
Temperature = Annotated[float, typer.Option("--temperature", "-t", help="0 always takes the most probable token.")]
TopK = Annotated[int, typer.Option(help="Sample from the k most probable tokens; 0: all.")]
TopP = Annotated[float, typer.Option("--top-p", help="Sample from the top tokens that hold this much probability.")]
MinP = Annotated[float, typer.Option(help="Drop tokens below this fraction of the best one's probability.")]
Penalty = Annotated[float, typer.Option("--repetition-penalty", help="Above 1: avoid tokens that occurred.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Same seed, same answer.")]
Stop = Annotated[list[str] | None, typer.Option("--stop", help="End the answer before this text; repeatable.")]
Thinking = Annotated[bool, typer.Option("--thinking", help="Let the model reason first (Granite).")]
Images = Annotated[list[Path] | None, typer.Option("--image", "-i", help="Picture to ask about; repeatable.")]
Audio = Annotated[list[Path] | None, typer.Option("--audio", "-a", help="Recording to ask about; repeatable.")]
MaxCrops = Annotated[
    int | None, typer.Option("--max-crops", help="Crops of a picture at most: fewer are faster, and see less.")
]
Ttft = Annotated[
    float | None, typer.Option("--ttft", help="Seconds to the first token: look at pictures as finely as that allows.")
]
Ep = Annotated[
    str,
    typer.Option(
        "--ep",
        envvar="EDGE_EP",
        help="Processor: cpu, or one of  edge devices --compute; by default the fastest that computes rightly.",
    ),
]
RequireEp = Annotated[bool, typer.Option("--require-ep", help="Fail where --ep cannot do all of it.")]
Threads = Annotated[int, typer.Option("--threads", envvar="EDGE_THREADS", help="0: one per core.")]


def turn_options(
    max_tokens: int | None,
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    repetition_penalty: float,
    seed: int | None,
    stop: list[str] | None,
    logprobs: int | None = None,
    tool_choice: str = "auto",
    parallel_calls: bool = True,
    schema: dict[str, Any] | None = None,
    max_crops: int | None = None,
    ttft: float | None = None,
) -> "TurnOptions":
    """Raises UsageError for a value out of range."""
    from edge.runtime.sampling import SamplingOptions
    from edge.turn_options import TurnOptions

    for text in stop or ():
        checked_text(text, "a stop string")
    sampling = SamplingOptions(temperature, top_k, top_p, min_p, repetition_penalty, seed, logprobs)
    return TurnOptions(
        sampling,
        max_tokens,
        tuple(stop or ()),
        tool_choice,  # type: ignore[arg-type]
        parallel_calls,
        schema,
        max_crops,
        ttft,
    )


def checked_text(text: str, name: str) -> str:
    """Python carries the bytes of an argument that are no UTF-8 as lone surrogates. Raises InputError for them."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{name} is not valid UTF-8", "check the encoding of your terminal or file")
    return text


def read_prompt(prompt: str | None) -> str:
    """The argument, or standard input for `-`; a piped text without an argument counts as `-`.

    Raises InputError for text that is no UTF-8 or too long.
    """
    terminal = sys.stdin is not None and sys.stdin.isatty()
    if prompt is None and not terminal:
        prompt = "-"
    if prompt != "-":
        return checked_text(prompt or "", "the prompt")
    if sys.stdin is None:
        raise InputError("standard input is closed", "give the prompt as an argument")
    data = sys.stdin.buffer.read(MAX_PROMPT_BYTES + 1)
    if len(data) > MAX_PROMPT_BYTES:
        raise InputError(f"the prompt is longer than {MAX_PROMPT_BYTES >> 20} MiB", "give a shorter text")
    try:
        return data.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"the prompt is not valid UTF-8 (byte {error.start})", "convert it, for example with  iconv -t utf-8"
        ) from None


def checked_ep(ep: str, required: bool) -> None:
    """Raises UsageError."""
    if required and not ep:
        raise UsageError("--require-ep needs a processor", "name one, like --ep qnn; see  edge devices --compute")
