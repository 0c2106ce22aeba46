"""Reading config.json with suspicion: it decides allocations, so every number has a type and a range."""

from typing import Any

from edge.errors import CheckpointError

MAX_DIMENSION = 1 << 20
HINT = "is config.json the one that belongs to these weights?"
TINY = 1e-30
"""The least number a config may hold: the graphs compute in float32, where much smaller ones are 0."""


def shown(value: object) -> str:
    """A value for a message, cut short."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


class ConfigReader:
    """Typed access to a config. Raises CheckpointError naming the key, the value and what was expected."""

    def __init__(self, values: dict[str, Any], where: str = "config.json") -> None:
        self.values, self.where = values, where

    def integer(self, key: str, default: int | None = None, low: int = 1, high: int = MAX_DIMENSION) -> int:
        value = self.values.get(key)
        if value is None:
            if default is None:
                raise CheckpointError(f"{self.where} has no {key}", HINT)
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise CheckpointError(f"{self.where}: {key} is {shown(value)}, expected an integer {low}..{high}", HINT)
        return value

    def number(self, key: str, default: float | None = None, low: float = TINY, high: float = 1e12) -> float:
        value = self.values.get(key)
        if value is None:
            if default is None:
                raise CheckpointError(f"{self.where} has no {key}", HINT)
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise CheckpointError(f"{self.where}: {key} is {shown(value)}, expected a number {low}..{high}", HINT)
        return float(value)

    def numbers(self, key: str, count: int) -> list[float]:
        value = self.values.get(key)
        if not isinstance(value, list) or len(value) != count:
            found = f"{len(value)} entries" if isinstance(value, list) else shown(value)
            raise CheckpointError(f"{self.where}: {key} has {found}, expected {count} numbers", HINT)
        for entry in value:
            if isinstance(entry, bool) or not isinstance(entry, int | float) or not TINY <= entry <= 1e12:
                raise CheckpointError(f"{self.where}: {key} contains {shown(entry)}, expected positive numbers", HINT)
        return [float(entry) for entry in value]

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise CheckpointError(f"{self.where}: {key} is {shown(value)}, expected true or false", HINT)
        return value

    def section(self, key: str) -> "ConfigReader":
        value = self.values.get(key)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise CheckpointError(f"{self.where}: {key} is {shown(value)}, expected an object", HINT)
        return ConfigReader(value, f"{self.where}: {key}")

    def token_ids(self, key: str, vocab_size: int) -> list[int]:
        """One id or a list of ids; absent means none."""
        value = self.values.get(key)
        ids = value if isinstance(value, list) else [] if value is None else [value]
        for token in ids:
            if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < vocab_size:
                raise CheckpointError(
                    f"{self.where}: {key} is {shown(value)}, expected token ids below {vocab_size}", HINT
                )
        return list(dict.fromkeys(ids))

    def require(self, key: str, allowed: Any, default: Any) -> None:
        """Refuses a variant that has no graph here."""
        value = self.values.get(key, default)
        if value != allowed:
            raise CheckpointError(
                f"{self.where}: {key} is {shown(value)}, only {allowed!r} is supported",
                "export this checkpoint with another tool, or open an issue with its config.json",
            )
