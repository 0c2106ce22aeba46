"""edge listen: the microphone and the camera of this machine, until Ctrl-C."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli import options as opt
from edge.errors import UsageError

if TYPE_CHECKING:
    from edge.cli.listen_lines import Lines
    from edge.cli.listen_screen import Live

SHOW_CURSOR = b"\x1b[?25h"


def listen(
    bundle: opt.Bundle = None,
    microphone: Annotated[
        str | None,
        typer.Option("--microphone", "-m", help="Part of its name, see  edge devices."),
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="Number, name, file, folder or URL: each question comes with its picture.")
    ] = None,
    system: opt.System = "",
    prompt: Annotated[str, typer.Option(help="Words that go with every recording.")] = "",
    tools: opt.Tools = None,
    push_to_talk: Annotated[bool, typer.Option("--push-to-talk", help="Listen between two space bars only.")] = False,
    speak: Annotated[
        str | None, typer.Option(help="Program that reads answers out, for example espeak-ng; text on its stdin.")
    ] = None,
    remember: Annotated[int, typer.Option(help="Earlier turns that an answer may refer to.", min=0)] = 0,
    reply: Annotated[bool, typer.Option("--reply", help="Let the model say what its calls brought.")] = False,
    longest: Annotated[
        float, typer.Option(help="Seconds of speech at most: then what was said is answered.", min=5, max=600)
    ] = 120.0,
    keep: Annotated[
        Path | None, typer.Option(help="Folder for recordings, pictures and answers;  edge eval  reads it.")
    ] = None,
    max_tokens: opt.MaxTokens = None,
    temperature: opt.Temperature = 0.0,
    top_p: opt.TopP = 1.0,
    seed: opt.Seed = None,
    max_crops: opt.MaxCrops = None,
    ep: opt.Ep = "",
    require_ep: opt.RequireEp = False,
    threads: opt.Threads = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output.")] = False,
) -> None:
    """Listen, answer, act; again and again. Ctrl-C leaves."""
    opt.checked_text(system, "the system message")
    opt.checked_text(prompt, "the prompt")
    opt.checked_ep(ep, require_ep)
    stopping = _Stopping()
    from edge.cli.keys import Keys, can_press
    from edge.cli.stand_in import introduce
    from edge.live.child import kill_all
    from edge.live.listener import Listener, Wishes
    from edge.live.utterances import Listening
    from edge.model import Model, load

    wishes = Wishes(
        microphone,
        camera,
        system,
        prompt,
        tools,
        speak,
        push_to_talk,
        remember,
        reply,
        keep=keep,
        listening=Listening(longest_s=longest),
        options=opt.turn_options(max_tokens, temperature, 0, top_p, 0.0, 1.0, seed, None, max_crops=max_crops),
    )
    if push_to_talk and not can_press():
        raise UsageError("--push-to-talk needs a keyboard, and standard input is none", "leave it out to just speak")
    screen = _screen(as_json, push_to_talk)

    def loaded() -> Model:
        model = load(bundle, threads, "vision_speech" if camera else "speech", ep, require_ep)
        if not as_json:
            introduce(model.bundle)
        return model

    listener = Listener(loaded, wishes, screen)
    stopping.stop = listener.stop  # from here on the terminal is not as it was
    with contextlib.ExitStack() as leaving:
        leaving.callback(listener.close)
        leaving.callback(screen.close)
        keys = Keys(listener.key)

        def at_last() -> None:
            keys.close()
            kill_all()

        stopping.at_last = at_last
        leaving.callback(keys.close)
        screen.can_ask = screen.can_ask and keys.available
        listener.run()
    sys.stdout.flush()
    os._exit(stopping.exit_code)  # a call of the model may still be ending: there is nothing left to wait for


def _screen(as_json: bool, push_to_talk: bool) -> "Lines | Live":
    if sys.stdout.isatty() and not as_json:
        from edge.cli.listen_screen import Live

        return Live(push_to_talk)
    from edge.cli.listen_lines import Lines

    return Lines(as_json)


class _Stopping:
    """SIGINT, SIGTERM and a closed terminal end the loop; before it runs, or a second time, the process. Devices end
    with it."""

    def __init__(self) -> None:
        self.stop: Callable[[], None] | None = None
        self.at_last: Callable[[], None] | None = None  # before the process ends without having been tidied up
        self.exit_code = 0
        for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.stop is None or self.exit_code:
            self._end_now(128 + number)
        self.exit_code = 128 + number
        assert self.stop
        self.stop()

    def _end_now(self, code: int) -> None:
        if self.at_last:
            self.at_last()
            with contextlib.suppress(OSError):
                os.set_blocking(1, False)  # whoever reads it may be why nothing has ended
                os.write(1, SHOW_CURSOR if os.isatty(1) else b"")
        os._exit(code)
