"""How many threads a bundle gets on cores of several kinds: measured by `edge bundle tune`, kept in the user's cache.

With a little core among the threads, the big ones wait for it in every operator; without, its memory bandwidth is lost.
"""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from edge.bundle.bundle import Bundle
from edge.bundle.files import write_bytes_durably
from edge.runtime.bench import measure
from edge.runtime.decoder import Decoder
from edge.runtime.session import MAX_THREADS
from edge.runtime.tune import tuned_directory

PROMPT, NEW, ROUNDS = 128, 32, 3
CLOSE = 1.03
"""So much slower is no slower: fewer threads heat less."""
MAX_RECORD_BYTES = 1 << 12


def known_threads(bundle: Bundle) -> int:
    """What was chosen earlier for this bundle, CPU and onnxruntime; 0 if nothing was."""
    try:
        with _record(bundle).open("rb") as file:
            threads = json.loads(file.read(MAX_RECORD_BYTES))["threads"]
        return threads if type(threads) is int and 0 < threads <= MAX_THREADS else 0
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return 0


def choose_threads(bundle: Bundle, counts: Sequence[int]) -> dict[int, float]:
    """Seconds for a prompt of `PROMPT` and an answer of `NEW` tokens with each number of threads, of which the best is
    kept. Raises BundleError, ResourceError."""
    seconds = {count: _seconds(bundle, count) for count in counts}
    chosen = min(count for count in counts if seconds[count] <= CLOSE * min(seconds.values()))
    record = _record(bundle)
    record.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_durably(record, json.dumps({"threads": chosen, "seconds": seconds}).encode())
    return seconds


def _seconds(bundle: Bundle, threads: int) -> float:
    """Median; the first round is not counted: it loads pages."""
    samples = measure(Decoder.load(bundle, threads), [PROMPT], NEW, ROUNDS + 1)[1:]
    return statistics.median(one.ttft_s + one.new / one.decode_tokens_per_s for one in samples)


def _record(bundle: Bundle) -> Path:
    return tuned_directory(bundle).with_suffix(".threads.json")
