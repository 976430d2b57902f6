"""What /proc tells of processes and of the kernel; memory in kB."""
import os


def _read(path):
    try:
        with open(path) as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _value(text, name):
    for line in text.splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def tree(root):
    """A process and all below it."""
    below = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = _read(f"/proc/{name}/stat")
            if stat:
                below.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(name))
    found = [root]
    for pid in found:
        found += below.get(pid, [])
    return found


def title(pid):
    return _read(f"/proc/{pid}/cmdline").split("\0")[0]


def pss(pids):
    return sum(_value(_read(f"/proc/{p}/smaps_rollup"), "Pss") for p in pids)


def switches(pids):
    """How often these processes were given a processor, and gave it back or lost it."""
    total = 0
    for pid in pids:
        status = _read(f"/proc/{pid}/status")
        total += _value(status, "voluntary_ctxt_switches") + _value(status, "nonvoluntary_ctxt_switches")
    return total


def cpu(pid):
    """Seconds of a processor that a process has taken, with those of its children that have ended; 0 if
    it has ended itself: then its parent has them."""
    fields = _read(f"/proc/{pid}/stat").rsplit(")", 1)[-1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def faults(pid):
    """How many pages a process has touched for the first time."""
    return int(_read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[7])


def kernel():
    """What the kernel holds for all processes: page tables, stacks, and slab, with its sockets."""
    text = _read("/proc/meminfo")
    return {name: _value(text, name) for name in ("PageTables", "KernelStack", "Slab")}
