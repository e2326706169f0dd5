"""Spark's part of the comparison: one job in one session, once to warm up and to keep its rows, then to be measured.

`compare.py` starts it with the Python that has PySpark and one argument, a task as JSON. The last line that it prints is JSON.
"""

import json
import sys
import time
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import avg, col, explode, split, window
from pyspark.sql.functions import max as maximum
from pyspark.sql.functions import min as minimum


class Source:
    """The files of a task, as a stream."""

    def __init__(self, spark: SparkSession, task: dict) -> None:
        self.reader = spark.readStream
        if task["files_per_epoch"]:
            self.reader = self.reader.option("maxFilesPerTrigger", task["files_per_epoch"])
        self.path = task["input"]

    def text(self) -> DataFrame:
        return self.reader.text(self.path)

    def events(self, columns: str) -> DataFrame:
        return self.reader.schema(columns).json(self.path).withWatermark("ts", "5 minutes")


def word_count(source: Source) -> DataFrame:
    words = source.text().select(explode(split(col("value"), " ")).alias("word")).where("word <> ''")
    return words.groupBy("word").count()


def error_count(source: Source) -> DataFrame:
    errors = source.events("ts TIMESTAMP, sensor STRING, level STRING").where("level = 'ERROR'")
    counts = errors.groupBy(window("ts", "1 minute"), "sensor").count()
    return counts.select(*window_columns(), "sensor", "count")


def sliding(source: Source) -> DataFrame:
    events = source.events("ts TIMESTAMP, sensor STRING, temperature DOUBLE")
    windows = events.groupBy(window("ts", "10 minutes", "5 minutes"), "sensor")
    value = col("temperature")
    results = windows.agg(avg(value).alias("avg"), minimum(value).alias("min"), maximum(value).alias("max"))
    return results.select(*window_columns(), "sensor", "avg", "min", "max")


def window_columns() -> list:
    return [col("window.start").alias("window_start"), col("window.end").alias("window_end")]


JOBS = {"word-count": word_count, "error-count": error_count, "sliding": sliding}


def run(spark: SparkSession, task: dict, folder: Path, keep: bool) -> float:
    """Runs the job from an empty checkpoint; says how many seconds it took."""
    frame = JOBS[task["pipeline"]](Source(spark, task))
    writer = frame.writeStream.outputMode(task["mode"]).option("checkpointLocation", str(folder / "checkpoint"))
    output = folder / "output"
    if task["mode"] == "append":
        writer = writer.format("csv").option("path", str(output)).option("header", True)
    elif keep:
        writer = writer.foreachBatch(
            lambda rows, epoch: rows.write.option("header", True).csv(str(output / f"epoch-{epoch:06}"))
        )
    else:
        # Spark's file sink takes no updates, and its memory sink brings all rows to the driver. Here the rows are computed
        # and dropped: the least that a sink can cost.
        writer = writer.format("noop")
    started = time.perf_counter()
    query = writer.trigger(availableNow=True).start()
    query.awaitTermination()
    return time.perf_counter() - started


def main() -> None:
    task = json.loads(sys.argv[1])
    settings = {
        # With the gigabyte that is Spark's default, the second run of the word count ends in an OutOfMemoryError.
        "spark.driver.memory": "4g",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName(task["pipeline"])
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")

    folder = Path(task["folder"])
    run(spark, task, folder / "warm-up", keep=True)
    first = time.time() - task["began"]
    seconds = [run(spark, task, folder / f"round-{round}", keep=False) for round in range(task["rounds"])]
    print(json.dumps({"first": first, "seconds": seconds, "peak_kib": peak_kib(spark)}))


def peak_kib(spark: SparkSession) -> int:
    """The most memory that the JVM has had; the Python beside it only waits."""
    process = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
