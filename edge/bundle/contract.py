"""What another exporter calls a decoder's inputs and outputs, and who grows its KV cache."""

from dataclasses import dataclass, fields

LAYER = "%d"
"""Stands for the layer in names of caches, as in genai_config.json."""

FOREIGN = "graph"
"""The row of the quantisation table for weights whose place in the model nobody has told."""


@dataclass(frozen=True, slots=True)
class Contract:
    """Names of inputs and outputs; "" for one that the graph does not have.

    `tokens` int [1, S]; `mask` int [1, past + S], ones; `positions` int [1, S]; `kept` an int scalar, how many of the
    last rows of `logits` are wanted, 0 for all; `rows` int [R], which rows are. `logits` [1, S or the wanted ones, V].
    Keys and values, float32 or float16 [1, kv_heads, tokens, head_size], come in as past and go out as present: if
    `shared`, both may be one buffer that attention appends to, else the present ones are the next past ones.
    """

    tokens: str
    logits: str
    past_key: str
    past_value: str
    present_key: str
    present_value: str
    mask: str = ""
    positions: str = ""
    kept: str = ""
    rows: str = ""
    shared: bool = False

    def caches(self, layers: int) -> list[tuple[str, str]]:
        """(past, present) of every key and value, key before value, layer by layer."""
        kinds = ((self.past_key, self.present_key), (self.past_value, self.present_value))
        return [
            (past.replace(LAYER, str(layer)), present.replace(LAYER, str(layer)))
            for layer in range(layers)
            for past, present in kinds
        ]

    def fault(self) -> str:
        """What is wrong with the names, or ""."""
        for entry in fields(self):
            name = getattr(self, entry.name)
            if entry.name.startswith(("past", "present")) and name.count(LAYER) != 1:
                return f"{entry.name} must name the layer as {LAYER} once"
        return "" if self.tokens and self.logits else "tokens and logits need names"
