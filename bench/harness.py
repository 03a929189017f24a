"""What the scripts of this directory share: timed runs of programs, writers, the state of the page cache, results as JSON."""
import ctypes
import json
import mmap
import os
import platform
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20


def fail(text):
    sys.exit(f"{os.path.basename(sys.argv[0])}: {text}")


def built(build, *path):
    """A program of the build directory."""
    found = os.path.join(build, *path)
    if not os.path.exists(found):
        fail(f"{found} is missing: configure with -DCMAKE_BUILD_TYPE=Release -DCONTRAIL_BENCH=ON, build, and name the directory by --build")
    return found


def default_build():
    return os.environ.get("CONTRAIL_BUILD", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "build"))


def add_common(parser, repeats):
    parser.add_argument("--build", default=default_build(), help="build directory (default: $CONTRAIL_BUILD, or build)")
    parser.add_argument("--directory", default=".", help="where to work: a directory on the disk to be measured")
    parser.add_argument("--repeats", type=int, default=repeats, help=f"measured rounds after the warm-up (default: {repeats})")
    parser.add_argument("--json", help="write the results there")


def machine(directory):
    model = "unknown"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), model)
    except OSError:
        pass
    with open("/proc/mounts", encoding="utf-8") as f:
        mounts = [line.split() for line in f]
    real = os.path.realpath(directory)
    at = max((m for m in mounts if real == m[1] or real.startswith(m[1].rstrip("/") + "/")), key=lambda m: len(m[1]))
    return {
        "processor": model,
        "processors": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB,
        "kernel": platform.release(),
        "file_system": at[2],
        "load": os.getloadavg(),
        "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def save(path, result):
    """Afterwards the load is known too."""
    result["machine"]["load_after"] = os.getloadavg()
    if path:
        with open(path, "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
            f.write("\n")


class workspace:
    """A directory that goes, also when the run is interrupted, and with it all programs that were started."""

    def __init__(self, parent):
        self.path = tempfile.mkdtemp(prefix="contrail-bench-", dir=parent)
        self.children = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda n, frame: sys.exit(128 + n))

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        shutil.rmtree(self.path, ignore_errors=True)

    def __truediv__(self, name):
        return os.path.join(self.path, name)

    def start(self, words, **more):
        child = subprocess.Popen(words, **more)
        self.children.append(child)
        return child


class ran:
    """What one run took. `seconds` is None when it did not finish in time."""

    def __init__(self, seconds, cpu, output, began_ns, ended_ns):
        self.seconds, self.cpu, self.output = seconds, cpu, output
        self.began_ns, self.ended_ns = began_ns, ended_ns


def sync_tree(path):
    """What a backup that survives a power failure owes: every file and every directory."""
    def one(what):
        descriptor = os.open(what, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    if os.path.isdir(path):
        for where, _, files in os.walk(path):
            for name in files:
                one(os.path.join(where, name))
            one(where)
    else:
        one(path)
    one(os.path.dirname(path))


def run(space, words, durable=(), limit=600.0, may_fail=False):
    """Runs a program; `durable` are synced afterwards, which counts as well."""
    with tempfile.TemporaryFile(dir=space.path) as out:
        began = time.monotonic_ns()
        child = space.start(words, stdout=out, stderr=subprocess.STDOUT)
        until = time.monotonic() + limit
        status = None
        # A wait that sleeps between looks would add to short runs: a signal ends it instead.
        descriptor = os.pidfd_open(child.pid)
        try:
            done, _, _ = select.select([descriptor], [], [], max(0.0, until - time.monotonic()))
            if not done:
                child.kill()
            _, status, used = os.wait4(child.pid, 0)
        finally:
            os.close(descriptor)
        child.returncode = os.waitstatus_to_exitcode(status)
        finished = bool(done)
        if finished and child.returncode == 0:
            for path in durable:
                sync_tree(path)
        ended = time.monotonic_ns()
        out.seek(0)
        text = out.read().decode(errors="replace")
    space.children.remove(child)
    if finished and child.returncode != 0 and not may_fail:
        fail(f"{' '.join(words)}: exit status {child.returncode}\n{text}")
    seconds = (ended - began) / 1e9 if finished else None
    return ran(seconds, used.ru_utime + used.ru_stime, text, began, ended)


def warm(path):
    with open(path, "rb", buffering=0) as f:
        block = bytearray(MIB)
        while f.readinto(block):
            pass


def chill(path, shared=False):
    """Takes the file, and the log beside it, out of the page cache. Unless somebody else uses them meanwhile (shared) they must be cold then."""
    for one in (str(path), str(path) + "-wal"):
        if os.path.exists(one):
            descriptor = os.open(one, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
    if not shared and resident(path) > 0.01:
        fail(f"{path}: {resident(path):.0%} of it stays in the page cache; a cold figure cannot be taken here")


def resident(path):
    """Share of the file that is in the page cache."""
    size = os.path.getsize(path)
    if size == 0:
        return 0.0
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    pages = (size + mmap.PAGESIZE - 1) // mmap.PAGESIZE
    there = (ctypes.c_ubyte * pages)()
    descriptor = os.open(path, os.O_RDONLY)
    at = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    os.close(descriptor)
    if at in (None, ctypes.c_void_p(-1).value) or libc.mincore(at, size, there) != 0:
        fail(f"{path}: the system does not tell what is in the page cache")
    libc.munmap(at, size)
    return sum(v & 1 for v in there) / pages


class companion:
    """A process beside the measured one, which ends when its input does."""

    def __init__(self, space, words, log=None):
        self.space, self.log = space, log
        self.child = space.start(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.child.stdout.readline().strip() != b"ready":
            fail(f"{' '.join(words)}: did not start")

    def stop(self):
        """Of a writer: its transactions as (begin ns, duration ns)."""
        self.child.stdin.close()
        if self.child.wait(120) != 0:
            fail("a companion process failed")
        self.child.stdout.close()
        self.space.children.remove(self.child)
        if not self.log:
            return []
        with open(self.log, "rb") as f:
            data = f.read()
        os.remove(self.log)
        return list(struct.iter_unpack("=QQ", data))


def within(transactions, windows):
    """Rate, worst and 99.9th percentile (ms) of the transactions that ran in the windows; of one that outlasts its window all of it counts."""
    seconds = sum(ended - began for began, ended in windows) / 1e9
    there, ended_there = [], 0
    for began, ended in windows:
        inside = [(b, d) for b, d in transactions if began <= b + d and b <= ended]
        there += [d for _, d in inside]
        ended_there += sum(1 for b, d in inside if b + d <= ended)
    if not there:
        return {"rate": 0.0, "worst_ms": seconds * 1e3, "p999_ms": seconds * 1e3, "seconds": seconds}
    there.sort()
    return {"rate": ended_there / seconds, "worst_ms": there[-1] / 1e6,
            "p999_ms": there[min(len(there) - 1, int(len(there) * 0.999))] / 1e6, "seconds": seconds}


def median(values):
    return statistics.median(values) if values else None


def spread(values, form="{:.2f}"):
    """Median and, in brackets, extremes."""
    if not values:
        return "-"
    return f"{form.format(median(values))} [{form.format(min(values))}, {form.format(max(values))}]"


def table(head, rows):
    widths = [max(len(str(line[i])) for line in [head] + rows) for i in range(len(head))]
    for line in [head] + rows:
        cells = [str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip(), flush=True)
