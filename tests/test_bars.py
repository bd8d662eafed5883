import os
import signal
import subprocess
import sys
import threading

from tqdm import tqdm as plain

from kagglekit.bars import tqdm
from tests import forks


def dies_while_it_draws():
    tqdm.get_lock().acquire()
    plain.get_lock().acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_fork_killed_while_it_draws_holds_up_nobody():
    tqdm(total=1, disable=True)
    shared, _ = tqdm.get_lock().locks  # between processes, and between threads
    assert forks.wait([forks.fork(dies_while_it_draws)]) == [-signal.SIGKILL]
    assert shared.acquire(timeout=5)
    shared.release()


def test_a_fork_draws_though_a_thread_of_its_parent_was_drawing():
    drawing, forked = threading.Event(), threading.Event()

    def draw():
        with tqdm.get_lock():
            drawing.set()
            forked.wait()

    def draws_too():
        with tqdm(total=1, disable=False, file=open(os.devnull, "w")) as bar:  # noqa: PTH123
            bar.update()

    thread = threading.Thread(target=draw)
    thread.start()
    drawing.wait()
    child = forks.fork(draws_too)
    kill = threading.Timer(20, os.kill, (child, signal.SIGKILL))
    kill.start()
    assert forks.wait([child]) == [0]
    kill.cancel()
    forked.set()
    thread.join()


SAYING = """
import os, sys
from kagglekit.bars import say

say("Größe")
sys.stdout = None
say("nobody")
print("done", file=sys.stderr)
"""


def test_what_nobody_can_read_ends_nothing():
    ended = subprocess.run(
        [sys.executable, "-c", SAYING],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "done\n")
