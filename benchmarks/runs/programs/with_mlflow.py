"""The same with MLflow's file store, by the calls its documentation shows for it, and the quickest for reading."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import mlflow

from benchmarks.runs.programs import workload

warnings.simplefilter("ignore")
logging.getLogger("mlflow").setLevel(logging.ERROR)


def log(folder: str, calls: Iterable[dict[str, float]]) -> None:
    _open(folder)
    with mlflow.start_run(run_name="logged"):
        for step, values in enumerate(calls):
            mlflow.log_metrics(values, step=step)


def seed(folder: str, runs: int) -> None:
    _open(folder)
    for number in range(runs):
        with mlflow.start_run(run_name=f"run-{number}"):
            mlflow.log_params(workload.params(number))
            for step, values in enumerate(workload.steps(number)):
                mlflow.log_metrics(values, step=step)


def table(folder: str) -> Iterator[float]:
    for run in _runs(folder):
        yield from (float(given) for given in run.data.params.values())
        yield from run.data.metrics.values()


def points(folder: str) -> Iterator[float]:
    runs, client = _runs(folder), mlflow.MlflowClient()
    for run in runs:
        yield from (float(given) for given in run.data.params.values())
        for name in run.data.metrics:
            yield from (metric.value for metric in client.get_metric_history(run.info.run_id, name))


def _open(folder: str) -> None:
    mlflow.set_tracking_uri(Path(folder).as_uri())
    mlflow.set_experiment(workload.PROJECT)


def _runs(folder: str) -> list[Any]:
    mlflow.set_tracking_uri(Path(folder).as_uri())
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(workload.PROJECT)
    return list(client.search_runs([experiment.experiment_id], max_results=50_000))


if __name__ == "__main__":
    workload.main(workload.Program(log, seed, table, points))
