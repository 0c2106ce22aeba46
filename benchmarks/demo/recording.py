"""What a console has shown, as an SVG picture."""

from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from edge.bundle.files import write_bytes_durably

# rich's own frame takes its font from a web server
FRAME = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px/{line_height}px monospace; white-space: pre; }}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def save_svg(console: Console, path: Path, title: str) -> None:
    """Writes all that `console`, made with record=True, has printed. Raises ResourceError, UsageError."""
    svg = console.export_svg(title=title, theme=MONOKAI, code_format=FRAME, unique_id="demo")
    write_bytes_durably(path, svg.encode())
