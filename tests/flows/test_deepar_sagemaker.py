"""DeepAR on SageMaker in the flows, on the twin of AWS: the weekly run, a kill in the middle, a cancellation."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pandas as pd
import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled

from flows.train_deepar import train_deepar
from tasks.stages.deepar_hooks import stop_jobs
from tasks.storage.lake import open_lake
from tests.aws_twin.client import TwinClient
from tests.aws_twin.fixture import running_twin
from tests.commands import Restock, Start
from tests.flows import mini_company

pytestmark = [pytest.mark.flow, pytest.mark.system]

SECONDS_TO_WAIT = 120
MODELS = (
    "models={deepar: {backend: sagemaker, configurations: %s, num_samples: 20, sagemaker: "
    "{role: 'arn:aws:iam::123456789012:role/restock-twin', poll_seconds: 0.2}}}"
)
ONE = "[{data: cleaned}]"


@pytest.fixture(scope="module")
def module_twin() -> Iterator[TwinClient]:
    with running_twin() as started:
        yield started


@pytest.fixture
def twin(module_twin: TwinClient) -> TwinClient:
    module_twin.reset()
    return module_twin


@pytest.fixture
def environment(prefect_server: dict[str, str], twin: TwinClient) -> dict[str, str]:
    return {**prefect_server, **twin.environment}


def command(name: str, company: Path, configurations: str = ONE) -> list[str]:
    storage = f"storage=s3://restock-twin/{company.parent.parent.name}"
    given = ["--settings", str(company), "--as-of", mini_company.AS_OF, "--set", storage]
    return [name, *given, "--set", MODELS % configurations]


def killed_while_training(
    begun: Start, environment: dict[str, str], twin: TwinClient, *arguments: str, jobs: int = 1
) -> None:
    """Start a command and kill it while its last job runs; ``jobs`` is the number of jobs created until then."""
    twin.disturb("training", "delay", seconds=6)
    process = begun("flows", *arguments, environment=environment)
    until = time.monotonic() + SECONDS_TO_WAIT
    while twin.accepted("CreateTrainingJob") < jobs:
        assert process.poll() is None, "the run ended before a job began"
        assert time.monotonic() < until, "no job began in time"
        time.sleep(0.1)
    process.kill_all()


def folder_of(twin: TwinClient, name: str) -> str:
    """The folder of the published run."""
    published = twin.client("s3").list_objects_v2(Bucket="restock-twin")["Contents"]
    key = next(entry["Key"] for entry in published if entry["Key"].endswith(f"runs/2024-07-01/{name}"))
    return f"s3://restock-twin/{key.rsplit('/', 1)[0]}"


def test_weekly_run_with_sources_storage_and_training_on_aws(
    restock: Restock, environment: dict[str, str], twin: TwinClient, company: Path, published: Path
) -> None:
    two = "[{data: cleaned}, {data: original, likelihood: negative-binomial}]"
    sales = twin.put("in/sales.csv", (company.parent / "sales.csv").read_bytes())
    in_bucket = ("--set", f"sources.sales.path={sales}")
    # A quota of zero: DeepAR takes no part, the other models are published, and an alarm says why.
    twin.refuse("CreateTrainingJob", "ResourceLimitExceeded", times=1_000)
    code, out, err = restock(*command("weekly", company, two), *in_bucket, environment=environment)
    assert code == 0, err
    assert twin.accepted("CreateTrainingJob") == 0
    folder = folder_of(twin, "manifest.json")
    assert f"{folder}/replenishment.csv" in out
    manifest = json.loads(twin.read(f"{folder}/manifest.json"))
    (alarm,) = (alarm for alarm in manifest["alarms"] if alarm["name"] == "deepar_failed")
    assert "Ask AWS for a higher quota" in alarm["message"]
    forecast = pd.read_parquet(BytesIO(twin.read(f"{folder}/forecast.parquet")))
    assert "deepar" not in set(forecast["model"])
    local = published.parent / "lake" / "runs" / mini_company.AS_OF / "replenishment.csv"
    assert twin.read(f"{folder}/replenishment.csv") == local.read_bytes()

    twin.restore("CreateTrainingJob")
    one_fold = (*in_bucket, "--set", "backtest.windows=1")
    code, _, err = restock(*command("weekly", company, two), *one_fold, environment=environment)
    assert code == 0, err
    # Two configurations, one fold and the run's own forecast: trained once, asked once each.
    assert twin.accepted("CreateTrainingJob") == 4
    assert twin.accepted("CreateTransformJob") == 4
    assert "ingest: reused from the lake" in err
    assert "features: reused from the lake" in err
    folder = folder_of(twin, "champions.parquet")
    assert b"store_id,sku,target_quantity" in twin.read(f"{folder}/replenishment.csv")
    assert b"deepar_failed" not in twin.read(f"{folder}/manifest.json")

    code, _, err = restock(*command("compare", company, two), *one_fold, "--force", environment=environment)
    assert code == 0, err
    assert "compare: computed" in err
    assert twin.accepted("CreateTrainingJob") == 4


def test_a_cancelled_run_stops_its_job_and_a_killed_one_finds_it_again(
    start: Start,
    restock: Restock,
    environment: dict[str, str],
    twin: TwinClient,
    company: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = command("train-deepar", company)
    killed_while_training(start, environment, twin, *arguments)
    for name, value in twin.environment.items():
        monkeypatch.setenv(name, value)
    storage = f"s3://restock-twin/{company.parent.parent.name}"
    noted = open_lake(storage).keys("deepar/running")
    assert len(noted) == 1
    overrides = [arguments[at + 1] for at, word in enumerate(arguments) if word == "--set"]
    cancelled = FlowRun(
        id=UUID(noted[0].split("/")[2]),
        flow_id=UUID(int=1),
        parameters={"settings_file": str(company), "overrides": overrides},
    )
    stop_jobs(train_deepar, cancelled, Cancelled())
    job = noted[0].rsplit("/", 1)[1].removesuffix(".json")
    assert twin.wait_for_training(job)["TrainingJobStatus"] == "Stopped"
    assert open_lake(storage).keys("deepar/running") == []
    stop_jobs(train_deepar, cancelled, Cancelled())

    # The next run starts a new job. It is killed, not cancelled: its job continues, and the run after it finds the job.
    killed_while_training(start, environment, twin, *arguments, jobs=2)
    code, out, err = restock(*arguments, environment=environment)
    assert code == 0, err
    assert "Best: cleaned-student-t" in out
    assert twin.accepted("CreateTrainingJob") == 3  # stopped, found again, and the best on everything known


def test_a_failed_job_tells_sagemakers_own_reason(
    restock: Restock, environment: dict[str, str], twin: TwinClient, company: Path
) -> None:
    twin.disturb("training", "fail", reason="ClientError: Error when parsing json of the train channel.")
    code, _, err = restock(*command("train-deepar", company), environment=environment)
    assert code == 1
    assert "Error when parsing json of the train channel" in err
    assert "Traceback" not in err


def test_sagemaker_without_a_role_is_refused_before_any_job(
    restock: Restock, environment: dict[str, str], twin: TwinClient, company: Path
) -> None:
    given = [
        part.replace("role: 'arn:aws:iam::123456789012:role/restock-twin', ", "")
        for part in command("train-deepar", company)
    ]
    code, _, err = restock(*given, environment=environment)
    assert code == 2
    assert "models.deepar.sagemaker.role" in err
    assert "Traceback" not in err
    assert twin.asked("CreateTrainingJob") == 0
