"""The local backend around its container: names, reuse, failures, stops, orphans.

A stand-in obeys the container's contract in some milliseconds and without torch; the container itself is proved in
its own tests.
"""

import gzip
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from schemas.deepar import DeepArChannel, TrainingRequest
from schemas.errors import ConfigError, TrainingError
from schemas.settings import DeepArLocalSettings
from tasks.deepar.dataset import read_answers
from tasks.deepar.local import processes
from tasks.deepar.local.backend import LocalBackend
from tasks.deepar.local.jobs import name_of
from tasks.deepar.local.processes import ContainerProcesses
from tasks.storage.local import LocalLake

STAND_IN = textwrap.dedent('''
    """Behaves as `behavior` in the hyperparameters says; writes one line per start into `starts`."""
    import json, os, signal, sys, time
    from pathlib import Path

    def train(root):
        asked = json.loads((root / "input/config/hyperparameters.json").read_text())
        with open(asked["starts"], "a") as stream:
            stream.write("train\\n")
        output = root / "output"
        output.mkdir()
        stopped = []
        signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
        behavior = asked["behavior"]
        if behavior == "fails":
            (output / "failure").write_text("ClientError: train.json.gz, line 2: cat[0] is 9.")
            return 1
        if behavior == "dies":
            sys.stderr.write(asked["log"])
            sys.stderr.flush()
            os.kill(os.getpid(), getattr(signal, asked["by"]))
        with (output / "progress.jsonl").open("a") as stream:
            for epoch in range(1, 4):
                stream.write(json.dumps({"epoch": epoch, "of": 3, "train_loss": 1 / epoch}) + "\\n")
                stream.flush()
        while behavior == "endless" and not stopped:
            time.sleep(0.02)
        if stopped:
            (output / "stopped").touch()
            return 0
        (root / "model").mkdir()
        (root / "model" / "model.json").write_text(json.dumps(sorted(asked)))
        (output / "metrics.json").write_text(json.dumps({"train:final_loss": 1 / 3}))
        return 0

    def transform(source, target):
        import gzip
        asked = json.loads(os.environ["DEEPAR_INFERENCE_CONFIG"])
        lines = gzip.open(source, "rt").readlines()
        if "cut" in lines[0]:
            lines = lines[1:]
        if "bad" in lines[0]:
            sys.stderr.write("ClientError: input.json.gz, line 1: is bad.\\n")
            return 1
        answer = {"mean": [asked["num_samples"]], "quantiles": {level: [1] for level in asked["quantiles"]}}
        Path(target).write_text("".join(json.dumps(answer) + "\\n" for _ in lines))
        return 0

    options = dict(zip(sys.argv[2::2], sys.argv[3::2]))
    if sys.argv[1] == "train":
        sys.exit(train(Path(options["--root"])))
    sys.exit(transform(options["--input"], options["--output"]))
''')


@pytest.fixture(autouse=True)
def _no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in needs no packages: its processes are forks of one that has imported none."""
    monkeypatch.setattr(processes, "_IMPORTED", [])


class Place:
    """A lake, a channel in it and a backend with the stand-in."""

    def __init__(self, folder: Path, **settings) -> None:
        self.folder = folder
        self.lake = LocalLake(folder / "lake")
        (folder / "container.py").write_text(STAND_IN)
        self.starts = folder / "starts"
        self.settings = DeepArLocalSettings(**settings)

    def backend(self, workers: int = 2) -> LocalBackend:
        started = ContainerProcesses(str(self.folder / "container.py"), packages=())
        return LocalBackend(self.lake, self.settings, workers, started)

    def channel(self, lines=("{}", "{}")) -> DeepArChannel:
        packed = gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)
        data = "deepar/forecasting-weekly-2-v1/data/cleaned-student-t"
        file = self.lake.write_bytes(f"{data}/train/train.json.gz", packed)
        inference = self.lake.write_bytes(f"{data}/inference/input.json.gz", packed)
        return DeepArChannel(
            prefix="deepar/forecasting-weekly-2-v1",
            configuration="cleaned-student-t",
            train=file,
            test=None,
            inference=inference,
            key_file=self.lake.write_bytes(f"{data}/inference/keys.csv", b""),
            time_freq="W",
            prediction_length=1,
            series=len(lines),
            observations=300,
        )

    def request(self, behavior: str = "trains", **further) -> TrainingRequest:
        asked = {"behavior": behavior, "starts": str(self.starts)}
        channel = self.channel()
        return TrainingRequest(
            **{"purpose": "cleaned-student-t", "channel": channel, "hyperparameters": asked, "seed": 1, **further}
        )

    def started(self) -> int:
        return len(self.starts.read_text().splitlines()) if self.starts.exists() else 0


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def silent(_progress):
    pass


def in_thread(work):
    """Runs work in a thread; what it returns or raises is read from the list."""
    ended = []

    def run():
        try:
            ended.append(work())
        except Exception as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended


def wait_until(true, seconds=20.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def test_a_finished_job_lies_where_sagemaker_would_put_it(place):
    model = place.backend().train(place.request(), silent)
    assert model.archive.key == f"deepar/forecasting-weekly-2-v1/output/{model.job}/output/model.tar.gz"
    assert place.lake.holds(model.archive)
    assert model.metrics == {"train:final_loss": pytest.approx(1 / 3)}
    assert not model.reused


def test_the_same_request_is_not_trained_twice(place):
    first = place.backend().train(place.request(), silent)
    second = place.backend().train(place.request(), silent)
    assert place.started() == 1
    assert second.reused
    assert second.model_copy(update={"reused": False}) == first


def test_one_training_serves_threads_that_ask_at_once(place):
    backend = place.backend()
    threads = [in_thread(lambda: backend.train(place.request(), silent)) for _ in range(3)]
    for thread, _ in threads:
        thread.join(30)
    assert place.started() == 1
    assert len({ended[0].archive.sha256 for _, ended in threads}) == 1


@pytest.mark.parametrize("damage", ["metrics", "archive", "record"])
def test_what_is_missing_or_damaged_is_trained_anew(place, damage):
    model = place.backend().train(place.request(), silent)
    record = f"deepar/forecasting-weekly-2-v1/output/{model.job}/metrics.json"
    if damage == "metrics":
        place.lake.delete(record)
    elif damage == "record":
        place.lake.write_bytes(record, b'{"model": ')
    else:
        place.lake.write_bytes(model.archive.key, b"damaged")
    again = place.backend().train(place.request(), silent)
    assert place.started() == 2
    assert not again.reused
    assert place.lake.holds(again.archive)


@pytest.mark.parametrize("further", [{"seed": 2}, {"purpose": "other"}])
def test_another_request_is_another_job(place, further):
    first = place.backend().train(place.request(), silent)
    assert place.backend().train(place.request(**further), silent).job != first.job


def test_another_local_setting_is_another_job(place):
    first = place.backend().train(place.request(), silent)
    place.settings = DeepArLocalSettings(batches_per_epoch=3)
    assert place.backend().train(place.request(), silent).job != first.job


def test_the_inference_part_of_a_channel_decides_nothing_of_the_training(place):
    request = place.request()
    longer = place.lake.write_bytes("deepar/other.json.gz", gzip.compress(b"{}\n{}\n{}\n"))
    other = request.model_copy(update={"channel": request.channel.model_copy(update={"inference": longer})})
    backend = place.backend()
    assert backend.name_of(request) == backend.name_of(other)


@pytest.mark.parametrize("purpose", ["cleaned-student-t", "x" * 90, "a_b--c.", "-"])
def test_names_fit_sagemakers_rule(purpose):
    import re

    name = name_of(purpose, {"a": 1}, 63)
    assert len(name) <= 63
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", name)


def test_a_failure_carries_the_containers_reason(place):
    told = []
    with pytest.raises(TrainingError, match=r"failed: ClientError: train\.json\.gz, line 2: cat\[0\] is 9\."):
        place.backend().train(place.request("fails"), told.append)
    assert told[-1].state == "failed"
    assert not list((place.folder / "lake" / "deepar").rglob("metrics.json"))


WARNING = 'rnn.py:83: UserWarning: dropout option adds dropout after all but last layer\n  super().__init__("LSTM")\n'


@pytest.mark.parametrize(
    ("by", "log", "told"),
    [
        (
            "SIGKILL",
            "",
            r"was killed \(SIGKILL\), perhaps because memory ran out.*parallel_jobs.*; it wrote no error\.$",
        ),
        ("SIGKILL", WARNING, r"it wrote no error\.$"),
        ("SIGKILL", f"RuntimeError: first\nOSError: no space\n{WARNING}", r"; OSError: no space\.$"),
        ("SIGSEGV", "Fatal Python error: Segmentation fault\n\n  File x\n", r"by SIGSEGV; Fatal Python error: Segment"),
    ],
)
def test_a_process_that_is_killed_says_how_and_its_last_error(place, by, log, told):
    request = place.request("dies")
    request = request.model_copy(update={"hyperparameters": request.hyperparameters | {"by": by, "log": log}})
    with pytest.raises(TrainingError, match=told):
        place.backend().train(request, silent)


def test_a_gpu_that_is_not_here_is_told_before_anything_starts(tmp_path, monkeypatch):
    # Importing torch takes seconds, and this machine may have one.
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False)))
    place = Place(tmp_path, device="gpu")
    with pytest.raises(ConfigError, match=r"models\.deepar\.local\.device is gpu, but torch finds no GPU here"):
        place.backend().train(place.request(), silent)
    assert place.started() == 0


def test_a_running_job_can_be_stopped_by_its_name(place):
    told = []
    backend = place.backend()
    thread, ended = in_thread(lambda: backend.train(place.request("endless"), told.append))
    wait_until(place.started)
    # Another backend of this process, as a cancellation hook has it.
    place.backend().stop(backend.name_of(place.request("endless")))
    thread.join(30)
    assert isinstance(ended[0], TrainingError)
    assert "was stopped" in str(ended[0])
    assert told[-1].state == "stopped"


def test_a_waiting_job_can_be_stopped_too(tmp_path):
    place = Place(tmp_path, parallel_jobs=1)
    backend = place.backend()
    first, _ = in_thread(lambda: backend.train(place.request("endless"), silent))
    wait_until(place.started)
    waits = threading.Event()
    second, ended = in_thread(lambda: backend.train(place.request(seed=5), lambda _progress: waits.set()))
    assert waits.wait(20)
    backend.stop(backend.name_of(place.request(seed=5)))
    second.join(30)
    assert "stopped before it began" in str(ended[0])
    assert place.started() == 1
    backend.stop(backend.name_of(place.request("endless")))
    first.join(30)


def test_stopping_a_job_that_is_unknown_does_nothing(place):
    place.backend().stop("never-heard-of")


def test_a_job_whose_parent_was_killed_does_not_live_on(tmp_path):
    parent = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from tasks.deepar.local import processes
        processes._IMPORTED.clear()
        program = Path(sys.argv[1] + ".py")
        program.write_text("import time; time.sleep(600)")
        process = processes.ContainerProcesses(str(program)).start([], Path(sys.argv[1]))
        print(process.pid, flush=True)
        time.sleep(600)
    """)
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", parent, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    try:
        wait_until(lambda: not _alive(child))
    finally:
        if _alive(child):
            os.kill(child, signal.SIGKILL)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_missing_package_names_the_extra(tmp_path):
    place = Place(tmp_path)
    incomplete = ContainerProcesses(packages=("json", "no_such_package"))
    with pytest.raises(ConfigError, match=r"needs no_such_package, .*restock\[deepar\]"):
        LocalBackend(place.lake, place.settings, 1, incomplete).train(place.request(), silent)


def test_forecasts_are_packed_counted_and_found_again(place):
    backend = place.backend()
    model = backend.train(place.request(), silent)
    first = backend.predict(model, place.channel(), [0.1, 0.5], 50, silent)
    assert first.key.startswith(f"deepar/forecasting-weekly-2-v1/output/{model.job}/predictions/")
    answers = [json.loads(line) for line in gzip.decompress(place.lake.read_bytes(first.key)).splitlines()]
    assert answers == [{"mean": [50], "quantiles": {"0.1": [1], "0.5": [1]}}] * 2
    assert place.lake.holds(first)
    told = []
    assert backend.predict(model, place.channel(), [0.1, 0.5], 50, told.append) == first
    assert told[-1].detail == "forecasts found in the lake"
    assert backend.predict(model, place.channel(), [0.5], 50, silent).key != first.key


@pytest.mark.parametrize("levels", [[0.3333333, 0.5, 0.9], [0.025, 0.5, 0.975], [1e-7, 0.5, 2 / 3]])
def test_levels_of_any_digits_are_found_again_in_the_answers(place, levels):
    backend = place.backend()
    answers = backend.predict(backend.train(place.request(), silent), place.channel(), levels, 50, silent)
    _, quantiles = read_answers(place.lake.read_bytes(answers.key), answers.key, 2, 1, levels)
    np.testing.assert_array_equal(quantiles, np.ones((2, 1, 3)))


def test_damaged_forecasts_are_made_anew(place):
    backend = place.backend()
    model = backend.train(place.request(), silent)
    first = backend.predict(model, place.channel(), [0.5], 50, silent)
    for damaged in (b"damaged", gzip.compress(b"{}\n")):
        place.lake.write_bytes(first.key, damaged)
        assert backend.predict(model, place.channel(), [0.5], 50, silent) == first


def test_missing_answers_and_failures_of_an_inference_are_told(place):
    backend = place.backend()
    model = backend.train(place.request(), silent)
    with pytest.raises(TrainingError, match=r"answered 1 of 2 series of .*input\.json\.gz"):
        backend.predict(model, place.channel(('{"cut": 1}', "{}")), [0.5], 50, silent)
    with pytest.raises(TrainingError, match="line 1: is bad"):
        backend.predict(model, place.channel(('{"bad": 1}', "{}")), [0.5], 50, silent)


def test_nothing_is_left_in_the_systems_temporary_folder(place, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    place.backend().train(place.request(), silent)
    with pytest.raises(TrainingError):
        place.backend().train(place.request("fails"), silent)
    assert not list(scratch.iterdir())
