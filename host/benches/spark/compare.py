#!/usr/bin/env python3
"""Tidemill and Spark side by side: the same jobs on the same generated files in one run.

    python3 host/benches/spark/compare.py [JOB ...] [--rounds N]

Takes Python 3.11, Java 17 and what building Tidemill takes. PySpark comes from PyPI into a virtual environment below the target
folder. Both systems get two cores, keep checkpoints, and read what is there ("available-now"); Spark runs each job once before
it is measured, in the same session, so that its code is compiled. The rows of both are compared one by one: where they differ
the script says so and exits with 1. With TIDEMILL_BENCH_SCALE=0.01 it shows in a minute or two whether it still works.
"""

import argparse
import csv
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

PYSPARK = "4.3.0"
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
WORK = TARGET / "bench-data" / "spark"
# How many differences are shown.
SHOWN = 5
# Longer than any job takes: Spark without memory may go on for ever without coming to an end.
LONGEST_JOB = 30 * 60


@dataclass(frozen=True)
class Job:
    """A pipeline of benches/pipelines, and what its rows are."""

    pipeline: str
    # Which of the generated inputs it reads, and the source that does.
    input: str
    source: str
    mode: str
    key: tuple[str, ...]
    exact: tuple[str, ...]
    # Sums of floating-point numbers depend on their order, so these may differ in the last digits.
    close: tuple[str, ...] = ()
    # None for all files in one epoch.
    files_per_epoch: int | None = None


WINDOW = ("window_start", "window_end", "sensor")
JOBS = {
    "word-count": Job("word-count", "text", "lines", "complete", ("word",), ("count",)),
    "word-count-4-epochs": Job("word-count", "text", "lines", "complete", ("word",), ("count",), files_per_epoch=5),
    "error-count": Job("error-count", "events", "events", "append", WINDOW, ("count",)),
    "sliding": Job("sliding", "events", "events", "update", WINDOW, ("min", "max"), ("avg",)),
}


@dataclass(frozen=True)
class Measured:
    """What a system did with a job."""

    # From the start of the process to the end of the first run.
    first: float
    # The median of the rounds.
    seconds: float
    peak_kib: int
    rows: dict


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("jobs", metavar="JOB", nargs="*", help=f"{', '.join(JOBS)}; all of them without a name")
    arguments.add_argument("--rounds", type=int, default=3, help="how often each job is measured (3); medians count")
    arguments.add_argument("--runner", type=Path, help="a finished build of the benchmark `spark`, instead of building it")
    options = arguments.parse_args()
    unknown = [job for job in options.jobs if job not in JOBS]
    if unknown:
        arguments.error(f"there is no job {', '.join(unknown)}; there are {', '.join(JOBS)}")

    # Also into a file, each job's figures come when the job is done.
    sys.stdout.reconfigure(line_buffering=True)
    WORK.mkdir(parents=True, exist_ok=True)
    check_java()
    python = python_with_spark()
    runner = options.runner.resolve() if options.runner else build_runner()
    inputs = json.loads(output_of([runner, "generate"]).splitlines()[-1])
    agree = True
    for name in options.jobs or JOBS:
        job = JOBS[name]
        with tempfile.TemporaryDirectory(dir=WORK) as folder:
            ours = run_tidemill(runner, job, inputs[job.input], Path(folder) / "tidemill", options.rounds)
            sparks = run_spark(python, job, inputs[job.input], Path(folder) / "spark", options.rounds)
        agree &= report(name, job, size_of(inputs[job.input]), ours, sparks)
    return 0 if agree else 1


def check_java() -> None:
    """Spark says of an old Java only that it cannot load a class."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else "java"
    if not shutil.which(java):
        sys.exit(f"there is no {java}; install Java 17, or set JAVA_HOME to where it is")
    told = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', told)
    if not version or int(version[1]) < 17:
        sys.exit(f"{java} is too old for Spark {PYSPARK}; set JAVA_HOME to a Java 17:\n{told}")


def python_with_spark() -> Path:
    """The Python of a virtual environment with PySpark, made when it is not there."""
    if sys.version_info < (3, 11):
        sys.exit(f"this takes Python 3.11, and this is {sys.version}")
    folder = WORK / f"venv-{PYSPARK}"
    done = folder / "done"
    if not done.exists():
        print(f"installing pyspark {PYSPARK} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, f"pyspark=={PYSPARK}"], check=True)
        done.touch()
    return folder / "bin" / "python"


def build_runner() -> Path:
    """Builds Tidemill's part; main.rs beside this file."""
    build = ["cargo", "bench", "--package", "tidemill", "--bench", "spark", "--no-run"]
    messages = output_of([*build, "--message-format=json-render-diagnostics"], cwd=ROOT)
    for message in map(json.loads, messages.splitlines()):
        if message["reason"] == "compiler-artifact" and message["target"]["name"] == "spark" and message["executable"]:
            return Path(message["executable"])
    sys.exit("cargo has built no benchmark `spark`; is it in host/Cargo.toml?")


def output_of(command: list, cwd: Path | None = None) -> str:
    """What a command prints. What it says on standard error is for people."""
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"failed with {done.returncode}: {' '.join(map(str, command))}")
    return done.stdout


def run_tidemill(runner: Path, job: Job, files: str, folder: Path, rounds: int) -> Measured:
    """A process for each round, as `tidemill run` would be; one more comes first, as with Spark."""
    settings = [f"sources.{job.source}.path={files}", "workers=2"]
    if job.files_per_epoch:
        settings.append(f"sources.{job.source}.max_files_per_trigger={job.files_per_epoch}")
    reports = []
    for round in range(1 + rounds):
        output = folder / f"round-{round}"
        into_files = [f"sinks.out.path={output}"] if job.mode == "append" else []
        told = output_of([runner, "run", job.pipeline, output, *settings, *into_files])
        reports.append(json.loads(told.splitlines()[-1]))
    seconds = statistics.median(report["seconds"] for report in reports[1:])
    peak = max(report["peak_kib"] for report in reports[1:])
    return Measured(reports[0]["seconds"], seconds, peak, rows_of(folder / "round-0", job))


def run_spark(python: Path, job: Job, files: str, folder: Path, rounds: int) -> Measured:
    """A session for each job, so that its peak of memory is the job's own."""
    folder.mkdir()
    task = {
        "pipeline": job.pipeline,
        "mode": job.mode,
        "input": files,
        "files_per_epoch": job.files_per_epoch,
        "folder": str(folder),
        "rounds": rounds,
        "began": time.time(),
    }
    log = WORK / "spark.log"
    with log.open("w") as errors:
        command = [python, HERE / "spark_jobs.py", json.dumps(task)]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, timeout=LONGEST_JOB)
        except subprocess.TimeoutExpired:
            sys.exit(f"Spark has not finished within {LONGEST_JOB // 60} minutes; what it said is in {log}")
    if done.returncode != 0:
        sys.exit(f"Spark failed with {done.returncode}; what it said is in {log}")
    told = json.loads(done.stdout.splitlines()[-1])
    rows = rows_of(folder / "warm-up" / "output", job)
    return Measured(told["first"], statistics.median(told["seconds"]), told["peak_kib"], rows)


def rows_of(folder: Path, job: Job) -> dict:
    """Values by key, out of all CSV files of a folder in the order of their names: a later row replaces an earlier one."""
    rows = {}
    for file in sorted(folder.rglob("*.csv")):
        with file.open(newline="") as lines:
            for row in csv.DictReader(lines):
                key = tuple(instant(row[name]) if name.startswith("window_") else row[name] for name in job.key)
                if job.mode == "append" and key in rows:
                    sys.exit(f"the row of {shown(key)} is there twice, again in {file}")
                exact = tuple(float(row[name]) for name in job.exact)
                rows[key] = (exact, tuple(float(row[name]) for name in job.close))
    return rows


@lru_cache(maxsize=None)
def instant(text: str) -> datetime:
    """One instant, however many digits its seconds were written with."""
    return datetime.fromisoformat(text)


def same(ours: tuple, sparks: tuple) -> bool:
    close = all(math.isclose(our, spark, rel_tol=1e-9) for our, spark in zip(ours[1], sparks[1]))
    return ours[0] == sparks[0] and close


def shown(key: tuple) -> str:
    return ", ".join(map(str, key))


def report(name: str, job: Job, size: int, ours: Measured, sparks: Measured) -> bool:
    """Prints the figures; says whether the rows are the same."""
    megabytes = size / 1e6
    print(f"{name}, {megabytes:.0f} MB")
    for system, measured in ((f"spark {PYSPARK}", sparks), ("tidemill", ours)):
        speed, peak = megabytes / measured.seconds, measured.peak_kib / 1024
        print(
            f"  {system:<12} {measured.seconds:8.3f} s {speed:7.1f} MB/s {peak:7.0f} MiB at most"
            f"   first run, with the start of the process, {measured.first:.1f} s"
        )
    faster, memory = sparks.seconds / ours.seconds, ours.peak_kib / sparks.peak_kib
    print(f"  tidemill has {faster:.1f} times the speed and {memory:.2f} of the memory")

    missing = [key for key in sparks.rows if key not in ours.rows]
    extra = [key for key in ours.rows if key not in sparks.rows]
    other = [key for key, row in ours.rows.items() if key in sparks.rows and not same(row, sparks.rows[key])]
    for what, keys in (("only Spark has", missing), ("only Tidemill has", extra), ("they differ in", other)):
        for key in keys[:SHOWN]:
            print(f"  {what} {shown(key)}: spark {sparks.rows.get(key)}, tidemill {ours.rows.get(key)}")
    if missing or extra or other:
        print(f"  DIFFERENT: {len(missing)} rows only in Spark, {len(extra)} only in Tidemill, {len(other)} with other values")
        return False
    if not ours.rows:
        print("  NOTHING COMPARED: there is no row; TIDEMILL_BENCH_SCALE is too small")
        return False
    print(f"  the same {len(ours.rows)} rows")
    return True


def size_of(folder: str) -> int:
    return sum(file.stat().st_size for file in Path(folder).iterdir())


if __name__ == "__main__":
    sys.exit(main())
