#!/usr/bin/env python3
"""Kills a loaded pagestore at random moments, also while it recovers, and looks whether everything that it said was durable is there.

    kill_loaded.py PROGRAM COUNT [DIRECTORY] [--seed S]

PROGRAM is pagestore_load. One store lives through all COUNT rounds, in DIRECTORY (a new one else, removed when all was well); with
"circular" in its path old logs are deleted. Exits with 1, and tells round, seed and directory, when something is wrong.
"""
import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time


class Wrong(Exception):
    pass


class Run:
    """A process under load, and the numbers that it has confirmed."""

    def __init__(self, program, directory, seed, milliseconds):
        self.process = subprocess.Popen([program, "run", directory, str(seed), str(milliseconds)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.ready = threading.Event()
        self.confirmed = {}
        self.errors = ""
        self.readers = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        for reader in self.readers:
            reader.start()

    def _read(self):
        for line in self.process.stdout:
            if not line.endswith("\n"):
                break  # the process ended in the middle of it
            if line == "ready\n":
                self.ready.set()
                continue
            writer, number = line.split()
            self.confirmed[int(writer)] = int(number)
        self.ready.set()

    def _read_errors(self):
        self.errors = self.process.stderr.read()

    def end(self, kill):
        ended = self.process.poll() is not None
        if kill and not ended:
            self.process.kill()
        status = self.process.wait(timeout=120)
        for reader in self.readers:
            reader.join()
        if self.errors or status not in ((0, -9, 1) if kill else (0,)) or (ended and kill and status != 0):
            raise Wrong(f"the loaded process ended by itself with {status}: {self.errors}")


def check(program, directory, end):
    done = subprocess.run([program, "check", directory, end], capture_output=True, text=True, timeout=300)
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines or lines[-1] != "good":
        raise Wrong(f"check ended with {done.returncode}: {done.stderr}")
    recovered = lines[0].split()
    return {int(w): int(n) for w, n in (line.split() for line in lines[1:-1])}, recovered[1] == "1", int(recovered[2])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program")
    arguments.add_argument("count", type=int)
    arguments.add_argument("directory", nargs="?")
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    chance = random.Random(given.seed)
    top = given.directory or tempfile.mkdtemp(prefix="contrail-kill-")
    stores = [top + "/store", top + "/circular"]
    least = {store: {} for store in stores}
    kills = early = again = recoveries = changes = confirmed = 0
    opening = 0.02  # seconds until the last one was ready
    begun = time.monotonic()
    for number in range(given.count):
        store = stores[number % 2]
        try:
            run = Run(given.program, store, chance.randrange(1 << 32), 60000)
            if chance.random() < 0.2:
                time.sleep(chance.uniform(0, opening))  # wherever it is: opening, recovering, attaching
                early += 0 if run.ready.is_set() else 1
            else:
                started = time.monotonic()
                if not run.ready.wait(timeout=120):
                    raise Wrong("the process does not get ready")
                opening = time.monotonic() - started
                time.sleep(chance.uniform(0, 0.25))
            run.end(kill=True)
            kills += 1
            for writer, last in run.confirmed.items():
                confirmed += max(0, last - least[store].get(writer, 0))
                least[store][writer] = max(last, least[store].get(writer, 0))
            while chance.random() < 0.3:  # again, while it recovers
                recovering = Run(given.program, store, 1, 60000)
                time.sleep(chance.uniform(0, opening))
                recovering.end(kill=True)
                again += 1
                for writer, last in recovering.confirmed.items():
                    least[store][writer] = max(last, least[store].get(writer, 0))
            found, ran, redone = check(given.program, store, chance.choice(["complete", "abrupt", "dirty"]))
            recoveries += ran
            changes += redone
            for writer, last in least[store].items():
                if found.get(writer, -1) < last:
                    raise Wrong(f"writer {writer} had {last} confirmed, and is at {found.get(writer)}")
            least[store] = found
        except (Wrong, subprocess.TimeoutExpired, ValueError) as wrong:
            print(f"round {number + 1} of {given.count}, seed {given.seed}, {store}: {wrong}")
            return 1
    print(f"{kills} kills, {early} of them before it was ready, {again} more while recovering; {recoveries} recoveries redid {changes} changes; "
          f"{confirmed} commits were confirmed, none is missing; {time.monotonic() - begun:.0f} s")
    if not given.directory:
        shutil.rmtree(top)
    if given.count >= 20 and (recoveries == 0 or confirmed < given.count):
        print("too little happened for this to tell anything")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
