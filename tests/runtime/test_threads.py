"""Cores of several kinds: which numbers of threads are tried, and that the best one is used from then on."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge.bundle.bundle import Bundle
from edge.model import Model
from edge.runtime.cores import core_counts, physical_cores
from edge.runtime.threads import choose_threads, known_threads
from edge.runtime.tune import tuned_directory
from tests.cli.child import edge


@pytest.fixture
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process may use cpu0 to cpu7, whatever the machine has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def system(folder: Path, file: str, values: Sequence[object]) -> Path:
    for cpu, value in enumerate(values):
        at = folder / f"cpu{cpu}" / file
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(f"{value}\n")
    return folder


def threads_of(model: Model) -> int:
    sessions = model.decoder.open(model.decoder.graph)
    return int(sessions.step.get_session_options().intra_op_num_threads)


@pytest.mark.usefixtures("eight_cpus")
def test_the_big_cores_alone_are_tried_before_all_cores(tmp_path: Path) -> None:
    assert core_counts(system(tmp_path, "cpu_capacity", [381] * 4 + [1024] * 4)) == [4, 8]


@pytest.mark.usefixtures("eight_cpus")
def test_three_kinds_of_cores_are_added_from_fast_to_slow(tmp_path: Path) -> None:
    assert core_counts(system(tmp_path, "cpu_capacity", [250] * 4 + [760] * 3 + [1024])) == [1, 4, 8]


@pytest.mark.usefixtures("eight_cpus")
def test_where_capacities_are_not_told_frequencies_are_taken(tmp_path: Path) -> None:
    assert core_counts(system(tmp_path, "cpufreq/cpuinfo_max_freq", [1800000] * 6 + [2400000] * 2)) == [2, 8]


@pytest.mark.usefixtures("eight_cpus")
def test_favoured_cores_are_no_kind_of_their_own(tmp_path: Path) -> None:
    assert core_counts(system(tmp_path, "cpufreq/cpuinfo_max_freq", [5000000, 5200000] * 4)) == [8]


@pytest.mark.usefixtures("eight_cpus")
def test_hyper_threads_count_as_one_core_of_its_kind(tmp_path: Path) -> None:
    system(tmp_path, "topology/thread_siblings_list", ["0-1", "0-1", "2-3", "2-3", 4, 5, 6, 7])
    assert core_counts(system(tmp_path, "cpu_capacity", [1024] * 4 + [512] * 4)) == [2, 6]
    assert physical_cores(tmp_path) == 6


def test_cores_that_this_process_may_not_use_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert core_counts(system(tmp_path, "cpu_capacity", [381] * 4 + [1024] * 4)) == [2]


@pytest.mark.usefixtures("eight_cpus")
def test_a_system_that_tells_nothing_has_cores_of_one_kind(tmp_path: Path) -> None:
    assert core_counts(tmp_path) == [8]


def test_the_fastest_number_of_threads_is_used_from_then_on_unless_one_is_asked_for(phi3_bundle: Path) -> None:
    bundle = Bundle.open(phi3_bundle)
    assert known_threads(bundle) == 0
    seconds = choose_threads(bundle, [1, 3])
    assert set(seconds) == {1, 3} and min(seconds.values()) > 0
    slower = max(seconds, key=lambda count: seconds[count])
    assert known_threads(bundle) != slower or seconds[slower] <= 1.03 * min(seconds.values())
    assert threads_of(Model(bundle)) == known_threads(bundle)
    assert threads_of(Model(bundle, threads=2)) == 2


@pytest.mark.parametrize("record", [b"", b"[]", b'{"threads": 0}', b'{"threads": "4"}', b'{"threads": 1000000}', b"{"])
def test_a_damaged_choice_is_no_choice(phi3_bundle: Path, record: bytes) -> None:
    bundle = Bundle.open(phi3_bundle)
    choose_threads(bundle, [1])
    assert known_threads(bundle) == 1
    tuned_directory(bundle).with_suffix(".threads.json").write_bytes(record)
    assert known_threads(bundle) == 0


def test_tuning_tries_nothing_where_all_cores_are_alike(phi3_bundle: Path) -> None:
    if len(core_counts()) > 1:
        pytest.skip("this machine has cores of several kinds")
    assert edge("bundle", "tune", phi3_bundle).code == 0
    assert known_threads(Bundle.open(phi3_bundle)) == 0
