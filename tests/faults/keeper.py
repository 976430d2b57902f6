#!/usr/bin/python3
"""Ends what a run has started, however the run itself ended.

    keeper.py FOLDER      waits for the end of its standard input, which only the run holds open

Each process of a run maps the file FOLDER/….control (see shim.c), whatever it makes of its title,
its parent and its user, so that is how it is found. The folder goes, too, unless the run said "keep".
"""
import ctypes
import glob
import os
import shutil
import signal
import sys
import time


def processes(folder, name=""):
    """pid -> title of all that belong to a run, or to one of its hosts or clusters."""
    mark = f"{folder}/{name}.control" if name else f"{folder}/"
    found = {}
    for maps in glob.glob("/proc/[0-9]*/maps"):
        pid = int(maps.split("/")[2])
        try:
            with open(maps) as f:
                if not any(mark in line and line.endswith(".control\n") for line in f):
                    continue
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                found[pid] = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
    return found


def remove_segments(folder):
    """The System V segment by which PostgreSQL knows its folder outlives a kill."""
    libc = ctypes.CDLL(None)
    for path in glob.glob(f"{folder}/*/pg/postmaster.pid"):
        try:
            with open(path) as f:
                libc.shmctl(int(f.read().splitlines()[6].split()[1]), 0, None)
        except (OSError, IndexError, ValueError):
            pass


def end_all(folder):
    """Kills them until there are none; returns what there were."""
    killed = {}
    for _ in range(200):
        now = processes(folder)
        if not now:
            break
        killed.update(now)
        for pid in now:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)
    remove_segments(folder)
    return killed


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    words = sys.stdin.read().split()
    end_all(sys.argv[1])
    if "keep" not in words:
        shutil.rmtree(sys.argv[1], ignore_errors=True)
