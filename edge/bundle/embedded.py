"""Where the bundle lies that comes with phi-edge, as data of this package."""

from pathlib import Path

EMBEDDED = Path(__file__).resolve().parents[1] / "terminal"
"""Its name is that of the directory. Only read, because site-packages may be read-only."""
