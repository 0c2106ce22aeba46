"""Entry point: registers the verbs and turns every error into one sentence, a next step and an exit code."""

import contextlib
import errno
import importlib
import os
import sys
import traceback

import typer

from edge.cli import bench, bundle, chat, devices, doctor, evaluate, listen, pull, run
from edge.cli.console import harmless
from edge.cpu import require_cpu
from edge.errors import EdgeError

COMPLETION = "_EDGE_COMPLETE"
"""Set by the shell when it asks for completions."""

app = typer.Typer(
    name="edge",
    help="Phi-4-multimodal and its relatives on this machine's CPU, offline.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("chat")(chat.chat)
app.command("listen")(listen.listen)
# by name: the device side never imports the exporter, and a device may lack it
with contextlib.suppress(ModuleNotFoundError):
    app.command("export")(importlib.import_module("export.command").export)
app.add_typer(bundle.app, name="bundle")
app.command("bench")(bench.bench)
app.command("eval")(evaluate.evaluate)
app.command("devices")(devices.devices)
app.command("doctor")(doctor.doctor)
app.command("pull")(pull.pull)


def _version(show: bool) -> None:
    if show:
        from edge import __version__

        typer.echo(f"phi-edge {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    debug: bool = typer.Option(False, "--debug", envvar="EDGE_DEBUG", help="Show tracebacks."),
) -> None:
    if debug:
        os.environ["EDGE_DEBUG"] = "1"
    require_cpu()  # before a verb loads what would die of an illegal instruction


def main() -> None:
    """Runs the command line and never returns."""
    _prepare_streams()
    try:
        code = _invoke()
        sys.stdout.flush()
    except EdgeError as error:
        _fail(str(error), error.hint, error.exit_code)
    except typer.TyperException as error:
        _usage(error)
    except BrokenPipeError:
        _discard_stdout()
        sys.exit(0)
    except KeyboardInterrupt:
        _fail("interrupted", "run the same command again", 130)
    except OSError as error:
        if error.errno == errno.EIO and _terminal_is_closed():
            _discard_stdout()
            sys.exit(129)  # as after SIGHUP, which may come too late or not at all
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE):
            _fail(f"{error.strerror}: {error.filename or ''}".rstrip(": "), "free some space and try again", 6)
        _unexpected(error)
    except MemoryError:
        _fail("out of memory", "use a smaller bundle, a shorter prompt or a smaller --max-tokens", 6)
    except Exception as error:
        _unexpected(error)
    else:
        sys.exit(code)


def _invoke() -> int:
    """Not `app()`, which would print usage errors in a style of its own and turn a broken pipe into exit code 1."""
    if COMPLETION in os.environ:
        app(prog_name="edge")
    try:
        command = typer.main.get_command(app)
        with command.make_context("edge", sys.argv[1:]) as context:
            command.invoke(context)
    except typer.Exit as leaving:
        return leaving.exit_code
    return 0


def _terminal_is_closed() -> bool:
    """Whether standard output was one that is gone; of a file or pipe another error tells that it is none."""
    try:
        os.ttyname(1)
    except OSError as error:
        return error.errno == errno.EIO
    return False


def _usage(error: typer.TyperException) -> None:
    """A command line that does not parse. A verb group without a verb shows its help instead."""
    context = getattr(error, "ctx", None)
    text = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":  # typer keeps the class itself private
        typer.echo(text, err=True)
        sys.exit(2)
    _fail(text.rstrip("."), f"see  {context.command_path if context else 'edge'} --help", 2)


def _fail(message: str, hint: str, code: int) -> None:
    if os.environ.get("EDGE_DEBUG"):
        traceback.print_exc()
    with contextlib.suppress(OSError):  # nobody reads stderr any more
        print(f"error: {harmless(' '.join(message.split()))}", file=sys.stderr)
        if hint:
            print(f"  next: {harmless(hint)}", file=sys.stderr, flush=True)
    _discard_stdout()
    sys.exit(code)


def _unexpected(error: Exception) -> None:
    _fail(f"unexpected {type(error).__name__}: {error}", "run it again with EDGE_DEBUG=1 and report what it prints", 1)


def _prepare_streams() -> None:
    """Closed standard streams become /dev/null; what a stream's encoding lacks is escaped, not an error."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 - lives until the process ends
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _discard_stdout() -> None:
    """What is still buffered cannot be written; without this the interpreter complains while it flushes at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
