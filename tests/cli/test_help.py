"""Help comes at once: nothing that is slow to import is imported for it."""

import subprocess
import sys

import pytest

from tests.cli.child import ROOT, edge, environment

HEAVY = ("numpy", "onnxruntime", "cv2", "onnx", "tokenizers", "llguidance", "rich", "jinja2", "torch", "sounddevice")
VERBS = ("run", "chat", "listen", "devices", "export", "bench", "eval", "doctor", "pull", "bundle")
BUNDLE_VERBS = ("verify", "show", "list", "install", "remove", "tune")
PROBE = f"""
import sys
from edge.cli.main import main
sys.argv = ["edge", *sys.argv[1:]]
try:
    main()
except SystemExit as leaving:
    print("loaded:", *[name for name in {HEAVY} if name in sys.modules], leaving.code)
"""


@pytest.mark.parametrize(
    "arguments", [(), *[(v,) for v in VERBS], *[("bundle", v) for v in BUNDLE_VERBS]], ids=" ".join
)
def test_help_of_every_verb_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", PROBE, *arguments, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: 0"
    assert done.stdout.startswith("Usage: edge" + "".join(f" {verb}" for verb in arguments))
    assert done.stderr == ""


def test_the_overview_names_every_verb_and_bundle_its_own() -> None:
    overview, bundles = edge("--help").out, edge("bundle", "-h").out
    assert all(f"\n  {verb} " in overview for verb in VERBS)
    assert all(f"\n  {verb} " in bundles for verb in BUNDLE_VERBS)


def test_version_goes_to_stdout() -> None:
    result = edge("--version")
    assert (result.code, result.out.split()[0], result.err) == (0, "phi-edge", "")


@pytest.mark.parametrize("arguments", [(), ("bundle",)], ids=["edge", "edge bundle"])
def test_a_command_without_its_verb_shows_help_as_an_error(arguments: tuple[str, ...]) -> None:
    result = edge(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "Commands:" in result.err


def test_a_shell_gets_its_completion_script() -> None:
    result = edge(_EDGE_COMPLETE="source_bash")
    assert (result.code, result.err) == (0, "")
    assert "_EDGE_COMPLETE" in result.out
