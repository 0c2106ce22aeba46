"""Entry point: registers the verbs and turns every error into one sentence, a next step and an exit code."""

import errno
import os
import sys
import traceback

import typer

from edge.cli import bench, bundle, chat, doctor, export, pull, run
from edge.errors import EdgeError

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
app.command("export")(export.export)
app.add_typer(bundle.app, name="bundle")
app.command("bench")(bench.bench)
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


def main() -> None:
    """Runs the command line and never returns."""
    try:
        app()
    except EdgeError as error:
        _fail(str(error), error.hint, error.exit_code)
    except BrokenPipeError:
        _silence_stdout()
        sys.exit(0)
    except KeyboardInterrupt:
        _fail("interrupted", "", 130)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE):
            _fail(f"{error.strerror}: {error.filename or ''}".rstrip(": "), "free some space and try again", 6)
        _unexpected(error)
    except MemoryError:
        _fail("out of memory", "use a smaller bundle, a shorter prompt or a smaller --max-tokens", 6)
    except Exception as error:
        _unexpected(error)


def _fail(message: str, hint: str, code: int) -> None:
    if os.environ.get("EDGE_DEBUG"):
        traceback.print_exc()
    typer.echo(f"error: {message}", err=True)
    if hint:
        typer.echo(f"  next: {hint}", err=True)
    sys.exit(code)


def _unexpected(error: Exception) -> None:
    _fail(f"unexpected {type(error).__name__}: {error}", "run it again with EDGE_DEBUG=1 and report what it prints", 1)


def _silence_stdout() -> None:
    """The reader has gone; without this the interpreter complains while it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
