"""One study on a process pool and on a Dask cluster that loses a worker: the same table."""

import csv
import os
import signal

import pytest

from jaxloc.runs import config as configuration
from jaxloc.runs.executors import executor_of
from jaxloc.studies.run import run_study

distributed = pytest.importorskip("distributed", reason="Dask is not installed; pip install 'jaxloc[cluster]'")

TINY = [
    "seeds=[0,1,2]",
    "only.networks=[kriegerowski2019]",
    "only.methods=[point]",
    "networks.kriegerowski2019.sizes=[12]",
    "networks.kriegerowski2019.overrides=['stages.learn.steps=4','stages.weights.steps=4','model.width=2',"
    "'data.num_dev=6','data.num_stations=5','posterior.draws=1']",
    "evaluation.events=8",
    "evaluation.calibration=10",
    "evaluation.drop_stations=[]",
    "evaluation.noise=[]",
    "evaluation.transfer=false",
    "evaluation.draws=50",
]
CLOCKS = ("training_s", "locating_s")


def study_in(folder, workers):
    return configuration.load_study("uncertainty", [*TINY, f"folder={folder}", f"workers={workers}"])


def table_of(folder):
    """The rows of a study's table, without measured times."""
    with (folder / "table.csv").open() as file:
        return [{name: value for name, value in row.items() if name not in CLOCKS} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_a_cluster_that_loses_a_worker_gives_the_table_of_a_process_pool(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    study = study_in(tmp_path / "pool", 2)
    with executor_of(study["workers"]) as executor:
        run_study(study, executor, lambda line: None)
    killed = []
    with (
        distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = client.run(os.getpid)

        def lose_a_busy_worker(line):
            if line.startswith("1 of 3") and not killed:
                busy = next(address for address, tasks in client.processing().items() if tasks)
                os.kill(pids[busy], signal.SIGKILL)
                killed.append(pids[busy])

        study = study_in(tmp_path / "cluster", cluster.scheduler_address)
        with executor_of(study["workers"]) as executor:
            run_study(study, executor, lose_a_busy_worker)
        assert not set(killed) & set(client.run(os.getpid).values())
    assert len(killed) == 1
    rows = table_of(tmp_path / "pool")
    assert [row["seed"] for row in rows if row["posterior"] == "raw"] == ["0", "1", "2"]
    assert table_of(tmp_path / "cluster") == rows
    assert "Failed" not in (tmp_path / "cluster" / "table.md").read_text()
