"""Predictions that are killed at a chosen moment, each in a process of its own.

    python -m tests.kill_worker <slide> <folder> <scales, as 1,4> <mask or prob>

Everything is loaded once; then each attempt is a fork of this process. Prints JSON, see `main`.
"""

import json
import os
import signal
import sys
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import torch

from kagglekit.inference import predict_masks, predict_prob
from kagglekit.models import Model, Recipe
from kagglekit.slides import open_slide

MOMENTS = [
    *(("call", share) for share in (0.0, 0.15, 0.4, 0.5, 0.75, 0.999)),
    *(("fsync", share) for share in (0.1, 0.5, 0.8)),
    *(("replace", share) for share in (0.3, 0.999)),
]
"""What is about to be done when the kill comes, and at which share of all the times it is."""


class Counted(torch.nn.Module):
    """A small network that looks around; tells `happens` before each call."""

    def __init__(self, seed, happens):
        super().__init__()
        torch.manual_seed(seed)
        self.net = torch.nn.Conv2d(3, 2, 5, padding=2)
        self.net.weight.data *= 8
        self.happens = happens

    def forward(self, x):
        self.happens("call")
        return self.net(x)


class Work:
    def __init__(self, slide, folder, scales, mode):
        self.slide, self.folder, self.scales, self.mode = slide, folder, scales, mode
        self.notes = folder / "notes"

    def predict(self, happens):
        """Predict with a checkpoint; return a hash of the result."""
        models = [
            Model(Counted(k, happens), Recipe(classes=2, scale=scale, window=64, mean=(0.5,), std=(0.1,))).eval()
            for k, scale in enumerate(self.scales)
        ]  # fmt: skip
        options = {
            "min_overlap": 24, "tta": "flips", "batch_size": 1, "progress": False, "checkpoint": self.notes,
        }  # fmt: skip
        with open_slide(self.slide) as slide:
            if self.mode == "prob":
                found = predict_prob(models, slide, self.folder / "map.npy", **options)
                return sha256(np.ascontiguousarray(found)).hexdigest()
            masks = predict_masks(models, slide, threshold=(0.4, 0.6), **options)
            return " / ".join(mask.to_text() for mask in masks)

    def fork(self, kill=None):
        """Predict in another process, killed when `kill` has happened often enough.

        Returns:
            How often what happened, and the result, None if it was killed.
        """
        log, answer = self.folder / "log", self.folder / "answer"
        log.write_bytes(b"")
        answer.unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            counts = {"call": 0, "fsync": 0, "replace": 0}
            out = os.open(log, os.O_WRONLY | os.O_APPEND)

            def happens(what):
                if kill == (what, counts[what]):
                    os.kill(os.getpid(), signal.SIGKILL)
                counts[what] += 1
                os.write(out, what[:1].encode())

            watch(happens)
            answer.write_text(self.predict(happens))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if not killed and status != 0:
            raise RuntimeError(f"the attempt ended with status {status}")
        seen = log.read_bytes()
        counts = {what: seen.count(what[:1].encode()) for what in ("call", "fsync", "replace")}
        return counts, None if killed else answer.read_text()


def watch(happens):
    """Tell of what a checkpoint does to the disk."""
    fsync, replace = os.fsync, os.replace

    def fsync_told(descriptor):
        happens("fsync")
        fsync(descriptor)

    def replace_told(source, target, **more):
        if Path(target).name == "prediction-state.npz":
            happens("replace")
        replace(source, target, **more)

    os.fsync, os.replace = fsync_told, replace_told


def main(slide, folder, scales, mode):
    """Print the undisturbed result and calls, and of each moment what came of killing and resuming."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)  # its threads would not be there in a fork
    work = Work(slide, Path(folder), [int(scale) for scale in scales.split(",")], mode)
    expected = work.predict(lambda what: None)  # compiles what is compiled at first use, too
    whole, again = work.fork()
    attempts = []
    for what, share in MOMENTS:
        first, none = work.fork((what, int(share * whole[what])))
        kept = work.notes.exists()
        second, found = work.fork()
        attempts.append(
            {
                "moment": [what, share],
                "killed": none is None,
                "kept": kept,
                "calls": first["call"] + second["call"],
                "right": found == expected,
                "clean": not work.notes.exists(),
            }
        )
    calls, killed = 0, 0
    for share in (0.3, 0.2, 0.2):  # killed three times
        counts, none = work.fork(("call", int(share * whole["call"])))
        calls, killed = calls + counts["call"], killed + (none is None)
    counts, found = work.fork()
    thrice = {"killed": killed, "calls": calls + counts["call"], "right": found == expected}
    told = {"whole": whole, "same": again == expected, "size": len(expected), "attempts": attempts}
    print(json.dumps(told | {"thrice": thrice}))


if __name__ == "__main__":
    main(*sys.argv[1:])
