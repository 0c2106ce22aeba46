"""A folder that other exporters made becomes a `Bundle` in memory: nothing in it is changed, hashed or executed."""

import hashlib
import json
import mmap
import os
from dataclasses import asdict
from pathlib import Path

from edge.bundle.bundle import Bundle
from edge.bundle.contract import FOREIGN
from edge.bundle.external_data import check_external_data
from edge.bundle.files import open_regular
from edge.bundle.manifest import MANIFEST, DecoderInfo, FileInfo, Manifest, Rotary, TensorGroup
from edge.foreign import genai, optimum
from edge.foreign.contracts import Caches, check_operators, match, measure_caches
from edge.foreign.described import Described, cannot
from edge.foreign.graph_facts import GraphFacts, read_facts
from edge.foreign.texts import TOKENIZER, read_tokens

NOT_HASHED = ""


def open_model(path: Path) -> Bundle:
    """The bundle in a directory, or what Optimum or onnxruntime-genai left there; `path` may also be one of its graphs.

    Raises BundleError: damaged, or nothing that can be run.
    """
    if path.is_file():
        inside = path.parent.name in optimum.FOLDERS and not (path.parent / optimum.CONFIG).exists()
        folder = path.parent.parent if inside else path.parent
        return open_foreign(folder, str(path.relative_to(folder)))
    if not (path / MANIFEST).exists() and ((path / genai.CONFIG).exists() or optimum.graphs_of(path)):
        return open_foreign(path)
    return Bundle.open(path)


def open_foreign(path: Path, graph: str = "") -> Bundle:
    """`graph` is one of its files, for folders with several. Raises BundleError."""
    folder = path.resolve()  # the runtime refuses weights that are reached through a link
    by_genai = (folder / genai.CONFIG).exists()
    told = genai.describe_genai(folder, graph) if by_genai else optimum.describe_optimum(folder, graph)
    facts, graph_bytes = _read_graph(folder, told.graph)
    check_operators(folder, facts)
    contract, layers = match(folder, facts, told.names)
    info = _info(folder, told, facts, measure_caches(folder, facts, contract, layers, told), by_genai)
    tokens, chat, template = read_tokens(folder, told, info.vocab_size)
    data = [str(Path(told.graph).with_name(name)) for name in sorted(facts.data_files)]
    files = {name: FileInfo((folder / name).stat().st_size, NOT_HASHED) for name in (told.graph, *data, TOKENIZER)}
    weights = graph_bytes + sum(files[name].size for name in data)
    manifest = Manifest(
        name=folder.name,
        architecture=told.architecture,
        modes=["text"],
        graphs={"text": told.graph},
        decoder=info,
        tokens=tokens,
        chat=chat,
        quantisation=[TensorGroup(FOREIGN, info.kv_bits, 0, True, 0, weights, info.kv_bits)],
        provenance={"created_by": "onnxruntime-genai" if by_genai else "another exporter", "source": folder.name},
        files=files,
        contract=contract,
    )
    return Bundle(folder, manifest, _digest(folder, manifest), template)


def _read_graph(folder: Path, name: str) -> tuple[GraphFacts, int]:
    """(what is in the graph, bytes of its file), after a look at where its weights lie."""
    file = open_regular(folder, name)
    try:
        size = os.fstat(file).st_size
        if not size:
            cannot(folder, f"has an empty {name}")
        # mapped: Optimum puts up to 2 GB of weights into the graph itself, and they need not be read here
        model = memoryview(mmap.mmap(file, size, access=mmap.ACCESS_READ))
        place = Path(name).parent
        beside = {str(place / one.name): one.stat().st_size for one in (folder / place).iterdir() if one.is_file()}
        check_external_data(model, name, beside)
        return read_facts(model, name), size
    finally:
        os.close(file)


def _info(folder: Path, told: Described, facts: GraphFacts, caches: Caches, by_genai: bool) -> DecoderInfo:
    context = told.context_length
    short = genai.SHORT_REGIME.get(told.architecture, context)
    if by_genai and facts.branches and context > short:
        # beyond it the graph rotates all positions with other factors, also those that are cached already
        context = short
    vocab = facts.outputs[told.names.logits].shape[-1:] or (None,)
    vocab_size = vocab[0] or told.vocab_size
    if not vocab_size or not context:
        cannot(folder, f"does not say how large its {'context' if vocab_size else 'vocabulary'} is")
    return DecoderInfo(
        layers=caches.layers,
        kv_heads=caches.kv_heads,
        head_size=caches.head_size,
        hidden_size=told.hidden_size or caches.kv_heads * caches.head_size,
        vocab_size=vocab_size,
        context_length=context,
        rotary=Rotary(0, []),  # inside the graph
        kv_bits=caches.bits,
    )


def _digest(folder: Path, manifest: Manifest) -> str:
    """Of what the folder is taken for, and of sizes and times of its files; their contents are not read."""
    times = {name: (folder / name).stat().st_mtime_ns for name in manifest.files}
    content = json.dumps([asdict(manifest), times], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
