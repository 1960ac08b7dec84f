"""A real training and its commit killed at random moments while others read: old or new, and in the end the same."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from dataclasses import dataclass

import pytest
import worlds
from growing import grow_for_ever
from test_sigkill import drained, forked, killed, read_for_ever

from lifelong import LivingModel
from lifelong.store.store import Store

TASKS = [worlds.label(0), worlds.cross(1)]
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["growing"])
PAUSE = 0.02
"""Seconds between two reads, so that the training has a core to itself."""


@dataclass
class Told:
    """How many kills there were, how many commits returned or were found afterwards, how many models were whole in the end."""

    kills: int = 0
    commits: int = 0
    lives: int = 0


def identities(path):
    return {name: entry["identity"] for name, entry in Store.open(path).newest().body["tasks"].items()}


def never_killed(folder):
    """The identities of a copy of the base that learns in peace, and the seconds that a task takes in a process of its own."""
    path = shutil.copytree(folder / "base", folder / "never-killed")
    start = time.monotonic()
    writer = SERVER.Process(target=grow_for_ever, args=(path, folder / "cache", TASKS))
    writer.start()
    while Store.open(path).newest().number <= len(TASKS):
        assert writer.is_alive(), "the training failed"
        time.sleep(0.05)
    seconds = (time.monotonic() - start) / len(TASKS)
    writer.kill()
    writer.join()
    return identities(path), seconds


def kill_while_they_grow(folder, kills, seed):
    """Models one after the other, each killed until it is whole, so many kills in all; and what readers complained of."""
    LivingModel.pretrain(folder / "base", worlds.first(), cache=folder / "cache")
    wanted, once = never_killed(folder)
    rng, told = random.Random(seed), Told()
    complaints_read, complaints_write = os.pipe()
    while told.kills < kills:
        path = shutil.copytree(folder / "base", folder / f"shop-{told.kills}")
        reader = forked(lambda path=path: read_for_ever(path, complaints_write, PAUSE))
        try:
            while told.kills < kills and Store.open(path).newest().number <= len(TASKS):
                told.commits += kill_once(path, folder / "cache", 2 * once * rng.random())
                told.kills += 1
        finally:
            assert killed(reader), "the reader came to an end by itself"
        for task in TASKS[Store.open(path).newest().number - 1 :]:
            LivingModel.open(path, cache=folder / "cache").add_task(task)
        assert identities(path) == wanted
        told.lives += 1
    return told, drained(complaints_read).decode().splitlines()


def kill_once(path, cache, after):
    """Start a process that trains and commits, kill it after so many seconds; how many versions have come."""
    before = Store.open(path).newest().number
    writer = SERVER.Process(target=grow_for_ever, args=(path, cache, TASKS))
    writer.start()
    time.sleep(after)
    writer.kill()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL, "the training came to an end by itself"
    store = Store.open(path)
    assert store.verify().problems == []
    newest = store.newest()
    assert newest.number >= before
    assert list(newest.body["order"]) == [entry["name"] for entry in (worlds.first(), *TASKS)][: newest.number]
    return newest.number - before


@pytest.mark.slow
def test_trainings_that_were_killed_again_and_again_end_as_one_that_never_was(tmp_path):
    told, complaints = kill_while_they_grow(tmp_path, 5, 0)
    assert complaints == []
    assert told.lives  # whole in the end, each with the identities of the one that was never killed


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(1, 7))
def test_50_kills_of_trainings_end_as_one_that_never_was(tmp_path, capsys, seed):
    told, complaints = kill_while_they_grow(tmp_path, 50, seed)
    assert complaints == []
    assert told.commits >= 5
    with capsys.disabled():
        print(f"\nseed {seed}: {told}, 0 lost, 0 mixed, every identity as without a kill")
