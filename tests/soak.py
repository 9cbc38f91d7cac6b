"""Random training programs for as long as you like, with interrupts, forks, threads and a disk that fills up.

    python tests/soak.py --minutes 60 [--disk FOLDER]

Each round makes a training from a seed and runs it twice: once in peace, and once with a fault.  What the faulty run
leaves, and what resuming it gives, must be what the peaceful one gives, bit for bit.  FOLDER is a small file system
that may be filled, such as a tmpfs of 1 MB; without it the disk's faults are left out.  Memory and open files must
not grow.  Needs a POSIX system.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import gc
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

import tinygrad_nn as tn
from tinygrad_nn import nn, optim

OPTIMIZERS = ["SGD", "Adam", "AdamW", "NAdam", "RMSprop", "Adagrad", "Rprop", "IDBD"]
EPOCHS = 6


class Training:
    """A training that is drawn from a seed: made again, it is the same."""

    def __init__(self, seed: int, folder: Path):
        rng = np.random.default_rng(seed)
        dtype = rng.choice([np.float32, np.float64])
        features, hidden, outputs, batch = (int(rng.integers(*r)) for r in ((1, 6), (1, 20), (1, 4), (2, 40)))
        n = batch * int(rng.integers(1, 5))
        layers = [nn.Dense(features, hidden, str(rng.choice(["tanh", "relu", "sigmoid"])), rng=seed, dtype=dtype)]
        if rng.random() < 0.4:
            layers.append(nn.BatchNorm(hidden, dtype=dtype))
        if rng.random() < 0.4:
            layers.append(nn.Dropout(0.3, rng=np.random.default_rng(seed)))
        self.model = nn.Sequential(*layers, nn.Dense(hidden, outputs, rng=seed + 1, dtype=dtype))
        name = str(rng.choice(OPTIMIZERS))
        self.optimizer = getattr(optim, name)(self.model.parameters(), lr=0.01)
        schedule = optim.ExponentialLR(self.optimizer, 0.9) if rng.random() < 0.5 else None
        data = rng.normal(size=(features, n)).astype(dtype), rng.normal(size=(outputs, n)).astype(dtype)
        self.settings = {
            "data": data, "batch_size": batch, "schedule": schedule, "rng": seed,
            "compile": [True, False, "auto"][rng.integers(3)], "clip": float(rng.choice([1.0, 100.0])),
            "validation": data if rng.random() < 0.5 else None,
        }  # fmt: skip
        self.path = folder / f"{seed}{rng.choice(['.npz', '.safetensors'])}"

    def fit(self, **more):
        """Train, as far as nothing comes between."""
        settings = {**self.settings, **more}
        return tn.fit(self.model, "mse", self.optimizer, epochs=EPOCHS, progress=False, **settings)

    def seen(self):
        """All that training has changed, to the last bit."""
        arrays = self.model.state_dict()
        for i, state in self.optimizer.state_dict()["state"].items():
            arrays |= {f"{i}.{name}": array for name, array in state.items()}
        return {name: (np.asarray(a).dtype.str, np.asarray(a).tobytes()) for name, a in arrays.items()}


@contextlib.contextmanager
def alarm(seconds):
    """KeyboardInterrupt after so many seconds, as by Ctrl-C."""

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peaceful(seed, folder):
    training = Training(seed, folder)
    start = time.perf_counter()
    history = training.fit()
    return training.seen(), list(history.loss), time.perf_counter() - start


def interrupted(seed, folder, rng):
    """Ctrl-C at any time, and resumed until it is finished."""
    wanted, losses, took = peaceful(seed, folder)
    for _ in range(50):
        training = Training(seed, folder)
        try:
            with alarm(max(1e-4, rng.uniform(0, 1.2 * took))):
                history = training.fit(checkpoint=training.path, resume=True)
        except KeyboardInterrupt:  # before or after the loop
            continue
        if not history.interrupted and len(history) == EPOCHS:
            break
    else:
        training = Training(seed, folder)
        history = training.fit(checkpoint=training.path, resume=True)
    assert training.seen() == wanted, "parameters differ after interrupts"
    assert list(history.loss) == losses, "the history differs after interrupts"
    training.path.unlink()


def killed(seed, folder, rng):
    """A process that is killed at any time, and resumed."""
    wanted, losses, took = peaceful(seed, folder)
    for _ in range(4):
        child = os.fork()
        if not child:
            try:
                training = Training(seed, folder)
                training.fit(checkpoint=training.path, resume=True)
            finally:
                os._exit(0)
        time.sleep(rng.uniform(0, 1.2 * took))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    training = Training(seed, folder)
    history = training.fit(checkpoint=training.path, resume=True)
    assert training.seen() == wanted, "parameters differ after SIGKILL"
    assert list(history.loss) == losses, "the history differs after SIGKILL"
    training.path.unlink()
    for left in folder.glob(f"*{seed}*"):  # what a killed process had begun to write
        left.unlink()


def forked(seed, folder, rng):
    """A child that is forked while threads replay goes on by itself, and does not hang."""
    training = Training(seed, folder)
    X, Y = training.settings["data"]
    training.model.train()

    @tn.compile
    def step(x, y):
        training.optimizer.zero_grad()
        loss = tn.mse(training.model(x), y)
        loss.backward()
        training.optimizer.step()
        return loss

    step(X, Y)  # else a thread may hold Python's import lock when the process is forked
    stop = threading.Event()

    def replay():
        while not stop.is_set():
            step(X, Y)

    threads = [threading.Thread(target=replay) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(rng.uniform(0, 0.05))
    child = os.fork()
    if not child:
        try:
            for _ in range(5):
                step(X, Y)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    if ended == (0, 0):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise AssertionError("a child that was forked while threads replay hangs")
    assert ended[1] == 0, "a child that was forked while threads replay fails"


def threaded(seed, folder, rng):
    """Trainings in threads give what they give one after the other."""
    seeds = [seed + 1000 * i for i in range(3)]
    wanted = [peaceful(s, folder)[0] for s in seeds]
    trainings = [Training(s, folder) for s in seeds]
    threads = [threading.Thread(target=training.fit) for training in trainings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [training.seen() for training in trainings] == wanted, "trainings in threads differ"


def full_disk(seed, disk, rng):
    """A disk that fills up: the last whole checkpoint stays, and training resumes from it when there is room."""
    wanted, losses, _ = peaceful(seed, disk)
    ballast = disk / "ballast"
    training = Training(seed, disk)

    def fill(epoch, _):
        if epoch == at:
            with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(int(rng.integers(1, 4096))))

    at = int(rng.integers(1, EPOCHS))
    with contextlib.suppress(OSError):
        training.fit(checkpoint=training.path, resume=True, callbacks=[fill])
    left = [*disk.glob(f"*{seed}*")]
    assert len(left) <= 1, f"files are left behind on a full disk: {left}"
    ballast.unlink(missing_ok=True)
    training = Training(seed, disk)
    history = training.fit(checkpoint=training.path, resume=True)
    assert training.seen() == wanted, "parameters differ after a full disk"
    assert list(history.loss) == losses, "the history differs after a full disk"
    training.path.unlink()


def resources():
    """Memory in MB, objects, open files and threads."""
    gc.collect()
    with open("/proc/self/statm") as file:
        memory = int(file.read().split()[1]) * resource.getpagesize() >> 20
    return memory, len(gc.get_objects()), len(os.listdir("/proc/self/fd")), threading.active_count()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--disk", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    kinds = [interrupted, killed, forked, threaded] + [full_disk] * (options.disk is not None)
    counts, failures, first = collections.Counter(), 0, None
    end, seed = time.monotonic() + 60 * options.minutes, options.seed
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            kind = kinds[seed % len(kinds)]
            try:
                kind(seed, options.disk if kind is full_disk else Path(folder), np.random.default_rng(seed + 10**6))
            except Exception:
                failures += 1
                print(f"--- {kind.__name__}, seed {seed}")
                traceback.print_exc()
                sys.stderr.flush()
            counts[kind.__name__] += 1
            seed += 1
            if sum(counts.values()) == 100:
                first = resources()
    print(", ".join(f"{n} {name}" for name, n in counts.items()), f"{failures} failures")
    print("memory in MB, objects, files, threads:", first, "after 100 rounds,", resources(), "at the end")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
