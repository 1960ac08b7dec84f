"""One thread everywhere: the tests' tensors are tiny, and two threads that wait for each other are slower than one."""

import os

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"  # where a test asks for two threads, they do not spin
os.environ["OMP_NUM_THREADS"] = "1"

import torch

torch.set_num_threads(1)
