"""Hyperparameter search here: what is asked, ended early, resumed and stopped; then one that really trains."""

import os
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest

from schemas.deepar import TrainedModel, TrainingRequest, TuningRequest, TuningResult
from schemas.errors import TrainingError
from schemas.records import FileRef
from tasks.deepar.local.jobs import Running, name_of
from tasks.deepar.local.tuning import tune
from tasks.storage.local import LocalLake
from tests.deepar.real_trials import PREFIX, channel
from tests.flows import forks

RANGES = {"learning_rate": (0.001, 0.1, "log", False), "num_layers": (1, 4, "linear", True)}


@dataclass
class Arithmetic:
    """Trains by arithmetic: the further the learning rate from 0.01, the worse every loss.

    Attributes:
        fails: trainings, counted from 0, that fail.
        holds: where given, trainings begin only once it is set.
    """

    epochs: int = 20
    fails: tuple[int, ...] = ()
    holds: threading.Event | None = None
    asked: list[TrainingRequest] = field(default_factory=list)
    stopped: set[str] = field(default_factory=set)

    def name_of(self, request):
        return name_of("trial", [request.hyperparameters, request.seed], 63)

    def train_watched(self, request, report, on_epoch):
        self.asked.append(request)
        number = len(self.asked) - 1
        while self.holds is not None and not self.holds.wait(0.01):
            if self.name_of(request) in self.stopped:
                raise TrainingError("stopped")
        if number in self.fails:
            raise TrainingError("ClientError: too little memory")
        far = abs(np.log10(float(request.hyperparameters["learning_rate"])) + 2)
        losses = [1 / epoch + far for epoch in range(1, self.epochs + 1)]
        for epoch, loss in enumerate(losses, start=1):
            if on_epoch(epoch, self.epochs, loss):
                return None, []
        archive = FileRef(key=f"{PREFIX}/output/{self.name_of(request)}", bytes=1, sha256="0" * 64)
        model = TrainedModel(job=self.name_of(request), archive=archive, metrics={"test:RMSE": far}, seconds=1.0)
        return model, losses

    def stop(self, job):
        self.stopped.add(job)


@pytest.fixture
def lake(tmp_path):
    return LocalLake(tmp_path / "lake")


def request(lake, configurations=12, seed=3, **further):
    training = TrainingRequest(
        purpose="cleaned-student-t", channel=channel(lake), hyperparameters={"likelihood": "student-T"}, seed=seed
    )
    values = {
        "training": training,
        "configurations": configurations,
        "parallel": 2,
        "objective": "test:RMSE",
        "ranges": RANGES,
    }
    return TuningRequest(**(values | further))


def silent(_progress):
    pass


def trials(result):
    return [(trial.job, trial.state, trial.value, trial.hyperparameters) for trial in result.trials]


def test_the_best_finished_trial_wins_and_every_value_lies_in_its_range(lake):
    told = []
    result = tune(Arithmetic(), lake, request(lake), told.append, Running())
    assert len(result.trials) == 12
    finished = {trial.job: trial.value for trial in result.trials if trial.state == "finished"}
    assert finished[result.best] == min(finished.values())
    for trial in result.trials:
        assert 0.001 <= float(trial.hyperparameters["learning_rate"]) <= 0.1
        assert trial.hyperparameters["num_layers"] in {"1", "2", "3", "4"}
    assert told[-1].share == 1.0


def test_hopeless_trials_end_early_but_none_of_the_first_four(lake):
    result = tune(Arithmetic(), lake, request(lake), silent, Running())
    assert [trial.state for trial in result.trials[:4]] == ["finished"] * 4
    pruned = [trial for trial in result.trials if trial.state == "pruned"]
    assert pruned
    finished = [trial for trial in result.trials if trial.state == "finished"]
    best = min(trial.value for trial in finished)
    for trial in pruned:
        assert abs(np.log10(float(trial.hyperparameters["learning_rate"])) + 2) > best


def test_the_same_search_asks_the_same_again_and_another_seed_another(lake, tmp_path):
    first = tune(Arithmetic(), lake, request(lake), silent, Running())
    elsewhere = LocalLake(tmp_path / "elsewhere")
    assert trials(tune(Arithmetic(), elsewhere, request(elsewhere), silent, Running())) == trials(first)
    other = tune(Arithmetic(), elsewhere, request(elsewhere, seed=4), silent, Running())
    assert trials(other) != trials(first)


def test_a_finished_search_is_found_in_the_lake(lake):
    first = tune(Arithmetic(), lake, request(lake), silent, Running())
    idle = Arithmetic()
    assert tune(idle, lake, request(lake), silent, Running()) == first
    assert not idle.asked


def test_a_search_that_was_cut_short_goes_on_where_it_was(lake, tmp_path):
    class CutShort(Arithmetic):
        def train_watched(self, request, report, on_epoch):
            if len(self.asked) >= 6:
                raise KeyboardInterrupt
            return super().train_watched(request, report, on_epoch)

    with pytest.raises(KeyboardInterrupt):
        tune(CutShort(), lake, request(lake), silent, Running())
    further = Arithmetic()
    result = tune(further, lake, request(lake), silent, Running())
    assert len(further.asked) == 6
    elsewhere = LocalLake(tmp_path / "elsewhere")
    assert trials(result) == trials(tune(Arithmetic(), elsewhere, request(elsewhere), silent, Running()))


def test_a_failed_trial_spoils_only_itself(lake):
    result = tune(Arithmetic(fails=(1,)), lake, request(lake, 4, parallel=1), silent, Running())
    assert [trial.state for trial in result.trials] == ["finished", "failed", "finished", "finished"]
    assert result.trials[1].reason == "ClientError: too little memory"


def test_a_search_without_any_finished_trial_tells_why(lake):
    with pytest.raises(TrainingError, match=r"none of 3 trainings finished \(ClientError: too little memory\)"):
        tune(Arithmetic(fails=(0, 1, 2)), lake, request(lake, 3), silent, Running())


def test_an_objective_that_no_training_measures_is_told(lake):
    with pytest.raises(TrainingError, match="measured no test:mean_wQuantileLoss"):
        tune(Arithmetic(), lake, request(lake, 2, objective="test:mean_wQuantileLoss"), silent, Running())


def test_a_stop_reaches_trainings_that_never_report(lake):
    running, trainer, told, ended = Running(), Arithmetic(holds=threading.Event()), [], []

    def search():
        with pytest.raises(TrainingError, match=r"was stopped\. Run again to resume it") as caught:
            tune(trainer, lake, request(lake), told.append, running)
        ended.append(caught.value)

    thread = threading.Thread(target=search)
    thread.start()
    end = time.monotonic() + 20
    while len(trainer.asked) < 2:
        assert time.monotonic() < end, "no training began"
        time.sleep(0.01)
    running.stop(told[0].job)
    thread.join(30)
    assert ended
    assert len(trainer.stopped) == 2
    # Nothing of a stopped training is kept as if it had been tried.
    trainer.holds.set()
    assert len(tune(trainer, lake, request(lake), silent, Running()).trials) == 12


@pytest.mark.slow
def test_three_trials_really_train_on_this_machine(tmp_path, fork_with_networks):
    environment = {**os.environ, forks.VARIABLE: "1"}  # the trainings are forks, too: torch is imported once
    code, out, err = fork_with_networks("tests.deepar.real_trials", tmp_path / "lake", environment=environment).wait()
    assert code == 0, out + err
    result = TuningResult.model_validate_json(out)
    assert [trial.state for trial in result.trials] == ["finished"] * 3
    assert all(trial.value > 0 for trial in result.trials)
    lake = LocalLake(tmp_path / "lake")
    assert lake.exists(f"{PREFIX}/output/{result.best}/output/model.tar.gz")
    assert lake.exists(f"{PREFIX}/output/{result.job}/tuning.json")
