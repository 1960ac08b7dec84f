"""Answers for many users through Ray Data: events brought together by user, then answered by actors that hold the model.

Needs `pip install 'ray[data]'`. Ray moves tables and nothing else: what a table of whole users is answered with is the pure
function `lifelong.batch.tables.answer_batch`, so the bits are those of `LivingModel.recommend` on one machine. Without Ray,
`lifelong batch` does the same over a folder of files, shared out with --shard.

    python -m examples.ray_batch            # a tiny model, 200 users, all steps
"""

import os
import tempfile
from pathlib import Path
from secrets import token_hex

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data

from lifelong import LivingModel
from lifelong.batch.partitions import partition_of, whole_users
from lifelong.batch.tables import BatchAnswerer, Question
from lifelong.data.columns import Columns

PARTITION = "partition"
MODEL = {
    "name": "next",
    "encoder": {"name": "sasrec", "width": 16, "blocks": 1},
    "length": 12,
    "head": "next_item",
    "data": {"dataset": {"name": "synthetic", "users": 240, "items": 60}, "inputs": {"domain": "domain_0"}},
    "fit": {"epochs": 1},
}


def partition_by_user(events: ray.data.Dataset, out: Path, parts: int, columns: Columns) -> int:
    """Write one row a user, its items and times as lists, into `parts` Parquet files by a hash of the id; returns the users.

    `lifelong batch` and the data set `files` read what comes out. A partition must fit into a worker's memory.
    """

    def with_partition(table: pa.Table) -> pa.Table:
        return table.append_column(PARTITION, pa.array(partition_of(table[columns.user], parts)))

    def write(table: pa.Table) -> pa.Table:
        name = f"part-{table[PARTITION][0].as_py():05}.parquet"
        users = whole_users(table, columns)
        partial = (
            out / f".{name}.{token_hex(4)}.partial"
        )  # a worker that dies and is started again leaves no half of a file
        pq.write_table(users, partial)
        os.replace(partial, out / name)
        return pa.table({"users": [len(users)]})

    out.mkdir(parents=True, exist_ok=True)
    keyed = events.map_batches(with_partition, batch_format="pyarrow")
    return int(keyed.groupby(PARTITION, num_partitions=parts).map_groups(write, batch_format="pyarrow").sum("users"))


def answer(users: ray.data.Dataset, model: Path, question: Question, actors: int = 1) -> ray.data.Dataset:
    """The answers for a data set of one row a user, by so many actors; each opens the model once."""
    return users.map_batches(
        BatchAnswerer,
        fn_constructor_args=(str(model.resolve()), question),
        batch_format="pyarrow",
        batch_size=4096,
        concurrency=actors,
    )


def make_events(catalogue: tuple[str, ...], folder: Path) -> None:
    """Three files of events of 200 users, with every user in all of them."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(3):
        user, item = random.integers(0, 200, 2000), random.integers(0, len(catalogue), 2000)
        time = np.arange(2000) + 1_600_000_000 + 2000 * number
        events = {"user": [f"u{n}" for n in user], "item": [catalogue[n] for n in item], "time": time}
        pq.write_table(pa.table(events), folder / f"{number}.parquet")


def main(folder: Path) -> None:
    """A model, events, partitions of whole users, answers; and that these are the model's own."""
    model = LivingModel.pretrain(folder / "model", MODEL, cache=folder / "cache")
    make_events(model.members["next"].catalogue, folder / "events")
    users = partition_by_user(ray.data.read_parquet(str(folder / "events")), folder / "users", 4, Columns())
    question = Question(answer="recommend", k=5)
    answer(ray.data.read_parquet(str(folder / "users")), folder / "model", question).write_parquet(
        str(folder / "answers")
    )
    answers = pq.read_table(folder / "answers").sort_by([("user", "ascending"), ("rank", "ascending")]).to_pylist()
    histories = {row["user"]: row["item"] for row in pq.read_table(folder / "users").to_pylist()}
    expected = dict(zip(histories, model.recommend(list(histories.values()), k=5), strict=True))
    same = all(row["score"] == expected[row["user"]].scores[row["rank"] - 1] for row in answers)
    print(f"{users} users in 4 partitions, {len(answers)} answers, the model's own bit for bit: {same}")
    if not same or len(answers) != 5 * users:
        raise SystemExit(1)


if __name__ == "__main__":
    ray.init(num_cpus=2, object_store_memory=200 << 20, include_dashboard=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
