"""Reading config.json with suspicion: it decides allocations, so every number has a type and a range."""

import math
from typing import Any

from edge.errors import CheckpointError

MAX_DIMENSION = 1 << 20
HINT = "is config.json the one that belongs to these weights?"


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
            raise CheckpointError(f"{self.where}: {key} is {value!r}, expected an integer {low}..{high}", HINT)
        return value

    def number(self, key: str, default: float | None = None, low: float = 0.0, high: float = 1e12) -> float:
        value = self.values.get(key)
        if value is None:
            if default is None:
                raise CheckpointError(f"{self.where} has no {key}", HINT)
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise CheckpointError(f"{self.where}: {key} is {value!r}, expected a finite number", HINT)
        if not low < value <= high:
            raise CheckpointError(f"{self.where}: {key} is {value!r}, expected more than {low} up to {high}", HINT)
        return float(value)

    def numbers(self, key: str, count: int) -> list[float]:
        value = self.values.get(key)
        if not isinstance(value, list) or len(value) != count:
            found = f"{len(value)} entries" if isinstance(value, list) else repr(value)
            raise CheckpointError(f"{self.where}: {key} has {found}, expected {count} numbers", HINT)
        for entry in value:
            if isinstance(entry, bool) or not isinstance(entry, int | float) or not math.isfinite(entry) or entry <= 0:
                raise CheckpointError(f"{self.where}: {key} contains {entry!r}, expected positive numbers", HINT)
        return [float(entry) for entry in value]

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise CheckpointError(f"{self.where}: {key} is {value!r}, expected true or false", HINT)
        return value

    def section(self, key: str) -> "ConfigReader":
        value = self.values.get(key) or {}
        if not isinstance(value, dict):
            raise CheckpointError(f"{self.where}: {key} is {value!r}, expected an object", HINT)
        return ConfigReader(value, f"{self.where}: {key}")

    def token_ids(self, key: str, vocab_size: int) -> list[int]:
        """One id or a list of ids; absent means none."""
        value = self.values.get(key)
        ids = value if isinstance(value, list) else [] if value is None else [value]
        for token in ids:
            if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < vocab_size:
                raise CheckpointError(f"{self.where}: {key} is {value!r}, expected token ids below {vocab_size}", HINT)
        return list(dict.fromkeys(ids))

    def require(self, key: str, allowed: Any, default: Any) -> None:
        """Refuses a variant that has no graph here."""
        value = self.values.get(key, default)
        if value != allowed:
            raise CheckpointError(
                f"{self.where}: {key} is {value!r}, only {allowed!r} is supported",
                "export this checkpoint with another tool, or open an issue with its config.json",
            )
