"""edge bundle, doctor and bench as a user and a script see them."""

from pathlib import Path

from tests.cli.child import assert_refused, edge


def test_a_bundle_is_installed_listed_used_and_removed(phi3_bundle: Path, own_home: Path) -> None:
    (embedded,) = edge("bundle", "list", "--json").json()["bundles"]
    installed = edge("bundle", "install", phi3_bundle, "--name", "mini")
    assert (installed.code, installed.out) == (0, "")
    assert "edge run -b mini" in installed.err

    digest = edge("bundle", "show", "mini", "--json").json()["digest"]
    place = str(own_home / "bundles" / "mini")
    listed = edge("bundle", "list", "--json").json()["bundles"]
    installed_one = {"name": "mini", "path": place, "digest": digest, "problem": "", "embedded": False}
    assert listed == [installed_one, embedded]
    name, size, short, path = edge("bundle", "list").out.splitlines()[0].split("\t")
    assert (name, path, digest.startswith(short), size.endswith("kB")) == ("mini", place, True, True)

    assert edge("run", "hello", "-n", 3, EDGE_BUNDLE="mini").code == 0
    assert edge("bundle", "remove", "mini").code == 0
    assert_refused(edge("run", "-b", "mini", "hello"), 3, "mini")
    assert_refused(edge("bundle", "remove", "mini"), 3, "mini")


def test_a_taken_name_needs_replace(phi3_bundle: Path, phi3_float_bundle: Path) -> None:
    edge("bundle", "install", phi3_bundle, "--name", "mini")
    assert_refused(edge("bundle", "install", phi3_float_bundle, "--name", "mini"), 2, "mini")
    assert edge("bundle", "install", phi3_float_bundle, "--name", "mini", "--replace").code == 0
    wanted = edge("bundle", "show", phi3_float_bundle, "--json").json()
    assert edge("bundle", "show", "mini", "--json").json() == wanted


def test_a_near_miss_is_suggested(phi3_bundle: Path) -> None:
    edge("bundle", "install", phi3_bundle, "--name", "terminal-int4")
    result = edge("run", "-b", "terminal-int8", "hello")
    assert_refused(result, 3, "terminal-int8")
    assert "terminal-int4?" in result.err


def test_verify_says_how_much_it_has_checked(phi3_bundle: Path) -> None:
    told = edge("bundle", "verify", phi3_bundle, "--json")
    assert told.json() == {"schema": 1, "bundle": str(phi3_bundle), "ok": True, "problems": []}
    assert "3 files" in told.err
    assert edge("bundle", "verify", phi3_bundle).out == ""


def test_show_tells_the_formats_of_the_weights(phi3_bundle: Path) -> None:
    shown, told = edge("bundle", "show", phi3_bundle), edge("bundle", "show", phi3_bundle, "--json").json()
    assert (shown.code, shown.err) == (0, "")
    groups = {group["name"]: group for group in told["quantisation"]}
    assert (groups["mlp"]["bits"], groups["mlp"]["block"], groups["norms"]["bits"]) == (4, 128, 32)
    for name in groups:
        assert name in shown.out
    assert "3 layers, 2 KV heads of 64, vocabulary 512, context 512" in shown.out


def test_doctor_is_green_with_a_whole_bundle(phi3_bundle: Path) -> None:
    told = edge("doctor", "-b", phi3_bundle, "--json")
    checks = {check["name"]: check for check in told.json()["checks"]}
    assert checks.keys() == {"cpu", "memory", "disk", "clock", "runtime", "bundle", "microphone", "camera"}
    assert all(check["ok"] == (not check["next_step"]) for check in checks.values())
    assert checks["runtime"]["ok"]
    assert checks["bundle"]["ok"]
    assert told.code == (0 if all(check["ok"] or not check["needed"] for check in checks.values()) else 1)
    assert told.json()["machine"]["versions"]["onnxruntime"] != "not installed"
    plain = edge("doctor", "-b", phi3_bundle)
    assert [line.split()[1] for line in plain.out.splitlines() if line[0] in "✓✗○"] == list(checks)


def test_bench_reports_every_sample_of_every_length(phi3_bundle: Path) -> None:
    start = ("bench", "-b", phi3_bundle, "--prompt", "4,32", "--new", 3, "--rounds", 2)
    told = edge(*start, "--json").json()
    assert [(sample["prompt"], sample["new"]) for sample in told["samples"]] == [(4, 3), (32, 3)] * 2
    measured = ("ttft_s", "prefill_tokens_per_s", "decode_tokens_per_s")
    assert all(sample[name] > 0 for sample in told["samples"] for name in measured)
    assert told["load_s"] > 0
    assert told["peak_rss_bytes"] > 1e7
    assert told["bundle"]["digest"] == edge("bundle", "show", phi3_bundle, "--json").json()["digest"]
    plain = edge(*start)
    assert (plain.code, plain.err) == (0, "")
    assert "2 rounds" in plain.out
    assert_refused(edge("bench", "-b", phi3_bundle, "--prompt", "600"), 2, "600", "512")
