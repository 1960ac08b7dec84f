"""Run a function in several processes, as torchrun would start them."""

import os
import socket

import torch
import torch._dynamo  # what optimizers and DTensors import on first use: once here, not in every fork
import torch.distributed.fsdp
import torch.distributed.tensor
import torch.multiprocessing as mp

from lifelong.parallel.group import shut, start


def run_ranks(world, function, *arguments, timeout_s=60.0):
    """function(group, *arguments) in `world` forked processes; an assertion that fails in one of them fails here."""
    run_processes(world, _joined, timeout_s, function, arguments)


def run_processes(world, function, *arguments):
    """function(*arguments) in processes that have torchrun's environment and no more."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    mp.start_processes(_one, (world, port, function, arguments), nprocs=world, start_method="fork")


def _one(rank, world, port, function, arguments):
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(world), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    function(*arguments)


def _joined(timeout_s, function, arguments):
    group = start(torch.device("cpu"), timeout_s)
    try:
        function(group, *arguments)
    finally:
        shut(group)
