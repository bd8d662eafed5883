"""Programs of the tests as processes of their own, alone or under `accelerate launch`."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(command, **env):
    """Start a command where `tests` can be imported, with variables of its environment."""
    env = os.environ | {
        "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "GLOO_SOCKET_IFNAME": "lo",
        "PYTHONPATH": str(ROOT),
    } | env  # fmt: skip
    command = list(map(str, command))
    return subprocess.Popen(
        command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(process):
    """Return what a command printed, once it has ended well."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    return out


def launch(*words, options):
    """Return the command that starts two ranks of a module, two on this machine or one of two.

    With `--cpu` accelerate starts a single process, or asks for MPI; `--multi_gpu` starts two,
    GPUs or not.
    """
    return [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
        "--mixed_precision", "no", "--dynamo_backend", "no", *options, "-m", *words,
    ]  # fmt: skip


def launch_on(hosts, port, *words):
    """Run a module as two ranks, one on each host; both must end well."""
    address = ("--main_process_ip", "10.99.0.1", "--main_process_port", port)
    processes = []
    for rank, host in enumerate(hosts):
        there = ("--num_machines", "2", "--machine_rank", rank, *address)
        command = ["ip", "netns", "exec", host, *launch(*words, options=there)]
        processes.append(run(command, GLOO_SOCKET_IFNAME="cable"))
    for process in processes:
        ended(process)
