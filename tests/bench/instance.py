"""The command line that the benchmarks of a whole instance share."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.cluster_under_test import Cluster


def run(report: Callable[[Cluster, int], None], rounds: int) -> None:
    """Call `report(instance, rounds)` for the instance that --home names, or for one made for the run and purged."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path)
    parser.add_argument("--rounds", type=int, default=rounds)
    arguments = parser.parse_args()
    if arguments.home:
        report(Cluster(arguments.home), arguments.rounds)
        return
    with tempfile.TemporaryDirectory(prefix="gantry-bench-") as folder:
        cluster = Cluster(Path(folder) / "home")
        try:
            cluster.up()
            report(cluster, arguments.rounds)
        finally:
            cluster.gantry("purge", "--yes", check=False)
