"""What a prompt adds to text whose tokens are already known, so that an earlier answer keeps its own tokens."""

from edge.prompt.parts import Part, Text, merge_text


def rest_after(known: list[Part], full: list[Part]) -> list[Part] | None:
    """The parts of `full` behind its beginning `known`, or None if it does not begin so."""
    known, full = merge_text(known), merge_text(full)
    for index, part in enumerate(known):
        if index >= len(full):
            return None
        if full[index] == part:
            continue
        longer = full[index]
        last = index == len(known) - 1
        if not (last and isinstance(part, Text) and isinstance(longer, Text)):
            return None
        if not longer.content.startswith(part.content):
            return None
        return [Text(longer.content[len(part.content) :]), *full[index + 1 :]]
    return full[len(known) :]
