from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cvi import engine_registry
from cvi.models import checks
from cvi.models.checks import Check, embedded_runs, run_checks
from cvi.models.probes import Probe, ProbeResult, run_probes

pytestmark = pytest.mark.usefixtures("cvi_home")


def test_probes_answer_for_good_absent_and_faulty() -> None:
    answers = run_probes(
        [
            Probe("good", "load('json').dumps([1])"),
            Probe("absent", "load('no_such_package_anywhere')"),
            Probe("faulty", "1 // 0"),
        ]
    )
    assert answers["good"] == ProbeResult(shown="[1]") and answers["good"].ok
    assert answers["absent"] == ProbeResult(missing="no_such_package_anywhere")
    assert answers["faulty"].fault.startswith("ZeroDivisionError")


def test_a_probe_that_kills_its_process_is_broken_and_the_rest_goes_on() -> None:
    answers = run_probes(
        [
            Probe("before", "1"),
            Probe("deadly", "load('os').kill(load('os').getpid(), 4)"),
            Probe("quitting", "load('os')._exit(3)"),
            Probe("after", "2"),
        ]
    )
    assert answers["before"].shown == "1" and answers["after"].shown == "2"
    assert answers["deadly"].fault == "kills its process (SIGILL)"
    assert answers["quitting"].fault == "ends its process (status 3)"


def test_a_probe_that_hangs_is_broken() -> None:
    answers = run_probes([Probe("first", "1"), Probe("hanging", "load('time').sleep(60)")], timeout_s=1.0)
    assert answers["first"].ok
    assert "no answer" in answers["hanging"].fault


def test_what_a_package_prints_is_not_taken_for_an_answer() -> None:
    answers = run_probes([Probe("loud", "load('os').write(1, b'noise\\n') and print('more') or 'quiet'")])
    assert answers["loud"].shown == "quiet"


def test_doctor_looks_at_every_engine_of_every_layer() -> None:
    lines = {check.name: check for check in run_checks()}
    for layer in engine_registry.LAYERS:
        for name in engine_registry.names(layer):
            assert f"{layer}.{name}" in lines
    assert all(check.remedy or check.status == "ok" or check.area == "machine" for check in lines.values())
    assert lines["python"].status == "ok"
    assert lines["profile cpu"].remedy == "cvi models pull cpu"


def everything_fine(probes: Sequence[Probe]) -> dict[str, ProbeResult]:
    fine = {probe.name: ProbeResult("1.0") for probe in probes}
    return {**fine, "devices": ProbeResult("[1, 2]"), "av": ProbeResult("18.1 ")}


def with_answer(name: str, answer: ProbeResult) -> dict[str, Check]:
    def probe(probes: Sequence[Probe]) -> dict[str, ProbeResult]:
        return {**everything_fine(probes), name: answer}

    return {check.name: check for check in run_checks(probe)}


def test_devices_are_counted() -> None:
    lines = with_answer("devices", ProbeResult("[0, 2]"))
    assert lines["microphone"].status == "missing" and lines["loudspeaker"].status == "ok"


@pytest.mark.parametrize(
    ("name", "answer", "line", "status", "remedy"),
    [
        ("llama_cpp", ProbeResult(missing="llama_cpp"), "llm.llama-cpp", "missing", "llama-cpp-python"),
        ("llama_cpp", ProbeResult(fault="kills its process"), "llm.llama-cpp", "broken", "--no-cache-dir"),
        ("pocketsphinx", ProbeResult(fault="OSError: no"), "stt.pocketsphinx", "broken", "pocketsphinx"),
        ("av", ProbeResult("18.1 no-x264"), "ffmpeg", "broken", "pip install --force-reinstall av"),
        ("onnxruntime", ProbeResult(missing="onnxruntime"), "vad.silero", "missing", "pip install onnxruntime"),
    ],
)
def test_a_required_package_that_fails_has_a_remedy_and_stops_embedded(
    name: str, answer: ProbeResult, line: str, status: str, remedy: str
) -> None:
    lines = with_answer(name, answer)
    assert lines[line].status == status and remedy in lines[line].remedy
    assert lines[line].required
    assert not embedded_runs(list(lines.values()))


def test_portaudio_that_is_not_there_is_not_needed_for_files() -> None:
    lines = with_answer("sounddevice", ProbeResult(fault="OSError: PortAudio library not found"))
    assert lines["portaudio"].status == "missing" and "libportaudio2" in lines["portaudio"].remedy
    assert not lines["portaudio"].required


def test_one_of_the_embedded_voices_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "flite_loads", lambda: False)
    assert with_answer("pygame", ProbeResult("2"))["a voice"].status == "ok"
    mute = with_answer("espeakng_loader", ProbeResult(missing="espeakng_loader"))
    assert mute["a voice"].status == "missing" and mute["a voice"].required


def test_a_data_folder_that_cannot_be_written_stops_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("CVI_HOME", str(tmp_path / "file" / "home"))
    line = with_answer("pygame", ProbeResult("2"))["data folder"]
    assert line.status == "broken" and line.required and "CVI_HOME" in line.remedy


def test_a_window_needs_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert with_answer("pygame", ProbeResult("2"))["window"].status == "missing"
    monkeypatch.setenv("DISPLAY", ":0")
    assert with_answer("pygame", ProbeResult("2"))["window"].status == "ok"
