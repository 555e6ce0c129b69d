"""Load generators against a server whose pace is known: the highest rate of each, and the errors of its clock.

    .venv/bin/python -m benchmarks.trust.load_generator [--guidellm PYTHON] [--aiperf PYTHON] [--rounds 2]

The mock server has one core, each client the other. Each client's highest rate is its best in closed loops of growing
concurrency. Then, in interleaved rounds and at constant rates: each at 10, 50 and 90 % of its own highest, and of the
slowest's, where all face the same work. Peers live in environments of their own: the arguments are their `bin/python`.
Writes `load_generator.md`; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.trust.load_clients import INSTALL, Client, Failed, Load, aiperf, guidellm, own_client, version_of
from benchmarks.trust.load_errors import Errors, Mock, errors_of, quantile, rate_of
from benchmarks.trust.load_page import page
from benchmarks.trust.pages import finish, parser_of

ROOT = Path(__file__).resolve().parents[2]
SHARES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Highest:
    """The most requests per second that a client got answered, and with what."""

    rate: float
    concurrency: int
    workers: int


@dataclass(frozen=True)
class Held:
    """One run at a constant rate: the rate asked for, the rate that arrived, errors, and the server's own lateness."""

    asked: float
    rate: float
    errors: Errors
    server_late_p99_s: float


class Course:
    """The clients, the server, and what was found."""

    def __init__(self, clients: Sequence[Client], server_core: int, run_s: float, fewest: int = 60) -> None:
        self.clients = {client.name: client for client in clients}
        self.run_s, self.fewest = run_s, fewest
        self._server_core = server_core
        self.highest: dict[str, Highest] = {}
        self.held: dict[tuple[str, float], list[Held]] = {}
        self.failures: list[str] = []

    def find_highest(self, client: Client) -> Highest:
        """Closed loops of each width, with each number of processes."""
        found = [Highest(0.0, 0, 0)]
        for workers in client.workers:
            for concurrency in client.concurrencies:
                count = max(3 * concurrency, int(found[-1].rate * self.run_s))
                rate = self._closed(client, Load(count, concurrency=concurrency, workers=workers))
                found.append(Highest(rate, concurrency, workers))
                print(f"{client.name}: {rate:.0f}/s at {concurrency} in flight, {workers} process(es)", flush=True)
        return max(found, key=lambda one: one.rate)

    def _closed(self, client: Client, load: Load) -> float:
        with Mock(self._server_core) as mock, tempfile.TemporaryDirectory(prefix="vbench-load-") as folder:
            try:
                client.run(mock.port, load, Path(folder))
            except Failed as error:
                self.failures.append(f"{client.name}, {load.concurrency} in flight: {error}")
                print(self.failures[-1], flush=True)
                return 0.0
            return rate_of([one.written_s[-1] for one in mock.truth()])

    def levels(self) -> dict[str, list[float]]:
        """The rates of each client: shares of its own highest and of the slowest's."""
        slowest = min(one.rate for one in self.highest.values())
        return {
            name: sorted({round(share * rate, 1) for rate in (slowest, one.rate) for share in SHARES})
            for name, one in self.highest.items()
        }

    def hold(self, client: Client, asked: float) -> None:
        """One run at a constant rate."""
        load = Load(max(self.fewest, int(asked * self.run_s)), rate=asked, workers=self.highest[client.name].workers)
        with Mock(self._server_core) as mock, tempfile.TemporaryDirectory(prefix="vbench-load-") as folder:
            try:
                said = client.run(mock.port, load, Path(folder))
                truth = mock.truth()
                errors = errors_of(said, truth)
            except Failed as error:
                self.failures.append(f"{client.name}, {asked}/s: {error}")
                print(self.failures[-1], flush=True)
                return
        late = quantile(sorted(one.lateness_s for one in truth), 0.99)
        held = Held(asked, rate_of([one.read_s for one in truth]), errors, late)
        self.held.setdefault((client.name, asked), []).append(held)
        print(f"{client.name} at {asked}/s: {held}", flush=True)


def measure(
    clients: Sequence[Client], bare: Client, server_core: int, rounds: int, run_s: float, fewest: int = 60
) -> Course:
    """Find the highest rates, then hold the levels in rounds, every other one backwards."""
    course = Course(clients, server_core, run_s, fewest)
    limit = course.find_highest(bare)
    course.highest = {client.name: course.find_highest(client) for client in clients}
    course.highest = {name: one for name, one in course.highest.items() if one.rate}
    runs = [(course.clients[name], rate) for name, rates in course.levels().items() for rate in rates]
    runs.sort(key=lambda run: run[1])
    for index in range(rounds):
        for client, rate in runs if index % 2 == 0 else reversed(runs):
            course.hold(client, rate)
    course.highest[bare.name] = limit
    return course


def summary(course: Course) -> dict[str, object]:
    """For JSON: highest rates, and medians over the rounds."""
    middle = {
        f"{name} at {asked}/s": {
            field.name: statistics.median(values)
            for field in dataclasses.fields(Errors)
            if (values := [value for one in held if (value := getattr(one.errors, field.name)) is not None])
        }
        for (name, asked), held in course.held.items()
    }
    highest = {name: dataclasses.asdict(one) for name, one in course.highest.items()}
    return {"highest": highest, "errors": middle, "failures": course.failures}


def main() -> None:
    """Measure, and write the table."""
    parser = parser_of(__doc__, "load_generator")
    parser.add_argument("--guidellm", type=Path, help=f"its interpreter: {INSTALL['GuideLLM']}")
    parser.add_argument("--aiperf", type=Path, help=f"its interpreter: {INSTALL['AIPerf']}")
    parser.add_argument("--tokenizer", type=Path, default=ROOT / "models/demo/base", help="peers want one")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long each run sends requests")
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        parser.error("two cores are needed: one for the server, one for the client")
    clients, versions = clients_of(asked, cores[1])
    course = measure(clients, own_client(cores[1], "bare"), cores[0], asked.rounds, asked.seconds)
    command = f".venv/bin/python -m benchmarks.trust.load_generator --rounds {asked.rounds}"
    command += "".join(f" --{name} PYTHON" for name in ("guidellm", "aiperf") if getattr(asked, name))
    finish(asked.out, page(course.highest, course.held, course.failures, versions, command), summary(course))


def clients_of(asked: argparse.Namespace, core: int) -> tuple[list[Client], dict[str, str]]:
    """vbench's and the peers that are there, and what is said of each: its version, or how to get it."""
    clients, versions = [own_client(core)], {"vbench": "this one"}
    for name, make, python in (("GuideLLM", guidellm, asked.guidellm), ("AIPerf", aiperf, asked.aiperf)):
        if python is None:
            versions[name] = f"not measured: {INSTALL[name]}"
            print(f"{name}: {versions[name]}", flush=True)
        else:
            clients.append(make(python.absolute(), core, asked.tokenizer.absolute()))
            versions[name] = version_of(python, name.lower())
    return clients, versions


if __name__ == "__main__":
    main()
