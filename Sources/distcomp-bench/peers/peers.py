"""What others need for the same: 2,000 times `sh -c true` by each of them and by us, in turn, on this machine, now.

`make peers` runs it. What is not installed is fetched by pip and apt, as they are set up here, into a directory that is removed at the
end; what cannot be had is skipped with a line. One process a core for everybody. Of systems with a server the time runs from the first
submit to the last stored result, the server and its workers being up; of commands, `distcomp run` among them, it is all they take.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORES = len(os.sched_getaffinity(0))
INSTALL_SECONDS = 300
RUN_SECONDS = 600


class Missing(Exception):
    """A system that cannot be had or does not work here; says why."""


class Bench:
    """A directory for everything, and how to start things that end with it."""

    def __init__(self, directory, products, count):
        self.directory = directory
        self.products = products
        self.count = count
        self.python = directory / "python" / "bin"
        self.runs = 0

    def fresh_directory(self):
        self.runs += 1
        path = self.directory / f"run-{self.runs}"
        path.mkdir()
        # The tasks of some run as another user.
        path.chmod(0o755)
        return path

    def run(self, words, seconds=RUN_SECONDS, **options):
        """Runs a command in a session of its own to its end, and ends what it leaves; its standard output."""
        process = subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True, **options)
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Missing(f"{Path(words[0]).name} had not ended after {seconds} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode != 0:
            lines = (errors or output).strip().splitlines() or ["no word of why"]
            raise Missing(f"{Path(words[0]).name} ended with {process.returncode}: {lines[-1][:200]}")
        return output

    @contextlib.contextmanager
    def running(self, words, **options):
        """A server or worker, ended with all it started."""
        process = subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True, **options)
        try:
            yield process
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def need_python_package(self, name):
        if not (self.python / "pip").exists():
            self.run([sys.executable, "-m", "venv", self.python.parent], INSTALL_SECONDS)
        pip = [self.python / "pip", "install", "--quiet", "--disable-pip-version-check"]
        self.run(pip + [name], INSTALL_SECONDS)

    def program(self, name, package):
        """Where `name` is: installed, or unpacked from its package."""
        if installed := shutil.which(name):
            return installed
        unpacked = self.directory / package
        if not unpacked.exists():
            if shutil.which("apt-get") is None:
                raise Missing(f"{name} is not installed, and there is no apt-get")
            unpacked.mkdir()
            self.run(["apt-get", "download", package], INSTALL_SECONDS, cwd=unpacked)
            for archive in unpacked.glob("*.deb"):
                self.run(["dpkg", "-x", archive, unpacked])
        path = unpacked / "usr" / "bin" / name
        if not path.exists():
            raise Missing(f"package {package} has no {name}")
        return path


def timed(work):
    start = time.monotonic()
    work()
    return time.monotonic() - start


def printed_seconds(output):
    """The last word: HyperQueue prints more before it."""
    return float(output.split()[-1])


def wait_until(what, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Missing(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)


# Each system: how it is made ready once, and one run, which returns its seconds.


class Xargs:
    name = f"xargs -P{CORES}"
    stored, killed, capped = "no", "what ran is lost", "no"

    def prepare(self, bench):
        pass

    def seconds(self, bench):
        words = ["sh", "-c", f"seq {bench.count} | xargs -P{CORES} -I{{}} sh -c true"]
        return timed(lambda: bench.run(words))


class Parallel(Xargs):
    name = "GNU parallel"
    stored, killed, capped = "with --results, --joblog", "with --joblog --resume", "no"

    def prepare(self, bench):
        self.parallel = bench.program("parallel", "parallel")

    def seconds(self, bench):
        home = bench.fresh_directory()
        words = ["sh", "-c", f'seq {bench.count} | "{self.parallel}" --will-cite -j{CORES} -n0 sh -c true']
        return timed(lambda: bench.run(words, env={**os.environ, "HOME": str(home)}))


class TaskSpooler:
    name = "task-spooler"
    stored, killed, capped = "files", "all is lost with its server", "no"

    def prepare(self, bench):
        self.spooler = bench.program("tsp", "task-spooler")

    def seconds(self, bench):
        scratch = bench.fresh_directory()
        environment = {**os.environ, "TS_SOCKET": f"{scratch}/socket", "TMPDIR": str(scratch)}
        add = f'for number in $(seq {bench.count}); do "{self.spooler}" sh -c true >/dev/null; done; "{self.spooler}" -w'
        bench.run([self.spooler, "-S", CORES], env=environment)
        try:
            return timed(lambda: bench.run(["sh", "-c", add], env=environment))
        finally:
            bench.run([self.spooler, "-K"], env=environment)


class HyperQueue:
    name = "HyperQueue"
    stored, killed, capped = "files", "run again; server: with a journal", "no"

    def prepare(self, bench):
        bench.need_python_package("hyperqueue")

    def seconds(self, bench):
        words = [bench.python / "python", HERE / "hyperqueue_cluster.py", bench.count, CORES, bench.fresh_directory()]
        return printed_seconds(bench.run(words))


class RedisQueue:
    """huey, RQ and Celery: a Redis and their workers, started for one run."""

    capped = "no"

    def prepare(self, bench):
        for package in [self.system, "redis", "packaging"]:  # kombu, Celery's, does not name the last.
            bench.need_python_package(package)

    def seconds(self, bench):
        scratch = bench.fresh_directory()
        path = scratch / "redis.sock"
        environment = {
            **os.environ, "PEERS_REDIS": str(path), "PEERS_SYSTEM": self.system, "PYTHONPATH": str(HERE),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        redis = ["redis-server", "--port", "0", "--unixsocket", path, "--dir", scratch, "--save", ""]
        with contextlib.ExitStack() as stack:
            stack.enter_context(bench.running(redis))
            wait_until("redis-server", path.exists)
            for words in self.workers(bench, path):
                stack.enter_context(bench.running(words, cwd=scratch, env=environment))
            # Imported, not run as a script: workers and submitter must mean the same by the task's name.
            command = [bench.python / "python", "-c", "import redis_queues; redis_queues.main()"]
            # The first tasks show that the workers are up.
            bench.run(command + [CORES * 2], 60, cwd=scratch, env=environment)
            return printed_seconds(bench.run(command + [bench.count], cwd=scratch, env=environment))


class Huey(RedisQueue):
    name, system = "huey", "huey"
    stored, killed = "in Redis", "what ran is lost"

    def workers(self, bench, socket):
        return [[bench.python / "huey_consumer", "redis_queues.app", "-w", CORES, "-k", "process", "-q"]]


class RQ(RedisQueue):
    name, system = "RQ", "rq"
    stored, killed = "in Redis", "noticed, failed"

    def workers(self, bench, socket):
        return [[bench.python / "rq", "worker", "--quiet", "--url", f"unix://{socket}?db=4", "peers"]] * CORES


class Celery(RedisQueue):
    name, system = "Celery", "celery"
    stored, killed = "in Redis", "lost; with acks_late after an hour"

    def workers(self, bench, socket):
        return [[bench.python / "celery", "-A", "redis_queues:app", "worker", "-c", CORES, "--loglevel", "ERROR"]]


class DistComp:
    """A node with its Redis, up before the time begins, as with the other systems that have a server. Tasks run as nobody."""

    name = "DistComp"
    stored, killed, capped = "in Redis, files", "run again", "yes"

    def prepare(self, bench):
        self.products = bench.products
        if not (self.products / "distcomp").exists():
            raise Missing(f"{self.products / 'distcomp'} is not built")

    def lines(self, scratch, name, count):
        # Every line is a task of its own, so its file and number must be in it.
        path = scratch / name
        path.write_text("".join(f"shell:1:0:0:sh -c true {name} {number}\n" for number in range(count)))
        return path

    def seconds(self, bench):
        scratch = bench.fresh_directory()
        path = scratch / "redis.sock"
        settings = {
            "redis_url": f"unix://{path}", "state_dir": str(scratch / "state"), "result_dir": str(scratch / "result"),
            "node_name": "peers", "max_task_per_worker": CORES, "log_level": "error",
            "task_user": "nobody" if os.geteuid() == 0 else None,
        }
        (scratch / "conf.json").write_text(json.dumps(settings))
        redis = ["redis-server", "--port", "0", "--unixsocket", path, "--dir", scratch, "--save", ""]
        submit = [self.products / "distcomp", "submit", "--quiet", "--redis", f"unix://{path}"]
        with contextlib.ExitStack() as stack:
            stack.enter_context(bench.running(redis))
            wait_until("redis-server", path.exists)
            stack.enter_context(bench.running([self.products / "distcompd", "--config", scratch / "conf.json"], cwd=scratch))
            # The first tasks show that the node is up.
            bench.run(submit + [self.lines(scratch, "first", CORES * 2)], cwd=scratch)
            wait_until("the first tasks", lambda: finished(path) == CORES * 2)
            tasks = self.lines(scratch, "tasks", bench.count)

            def work():
                bench.run(submit + [tasks], cwd=scratch)
                wait_until("the tasks", lambda: finished(path) == CORES * 2 + bench.count, RUN_SECONDS)

            return timed(work)


def finished(path):
    """How many fields finished_tasks has."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"HLEN finished_tasks\r\n")
        return int(connection.recv(64)[1:])


class DistCompRun(DistComp):
    """The command of somebody without a fleet, as `sudo` starts it. Its Redis and its node start and end within its time."""

    name = "distcomp run"

    def seconds(self, bench):
        scratch = bench.fresh_directory()
        words = [self.products / "distcomp", "run", self.lines(scratch, "tasks", bench.count), "--state", scratch / "state"]
        nobody = {"SUDO_UID": "65534", "SUDO_GID": "65534"} if os.geteuid() == 0 else {}
        return timed(
            lambda: bench.run(words + ["--slots", CORES, "--quiet"], cwd=scratch, env={**os.environ, **nobody}))


SYSTEMS = [Xargs(), Parallel(), HyperQueue(), Huey(), RQ(), Celery(), TaskSpooler(), DistComp(), DistCompRun()]


def measured(bench, rounds):
    """The seconds of each round, by system; those that fail are left out with a line."""
    times = {}
    for system in SYSTEMS:
        try:
            system.prepare(bench)
            times[system] = []
        except (Missing, OSError) as problem:
            print(f"{system.name}: skipped, {problem}", flush=True)
    for _ in range(rounds):
        for system in list(times):
            try:
                times[system].append(system.seconds(bench))
            except (Missing, OSError, ValueError) as problem:
                print(f"{system.name}: skipped, {problem}", flush=True)
                del times[system]
    return times


def print_table(times, count):
    base = next((values for system, values in times.items() if type(system) is Xargs), None)
    columns = "{:<24} {:>8} {:>9}  {:<26} {:<36} {}"
    print(columns.format("", "tasks/s", "to xargs", "result stored", "worker killed", "memory cap enforced"))
    for system, values in sorted(times.items(), key=lambda item: statistics.median(item[1])):
        ratio = f"{statistics.median(b / v for b, v in zip(base, values)):.2f}" if base else "-"
        rate = f"{count / statistics.median(values):.0f}"
        print(columns.format(system.name, rate, ratio, system.stored, system.killed, system.capped))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=Path, default=Path(".build/release"), help="where distcomp is")
    parser.add_argument("--tasks", type=int, default=2000, help="how many tasks each runs (default: 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often; medians are printed (default: 3)")
    arguments = parser.parse_args()
    # So that everything is ended and removed then, too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    with tempfile.TemporaryDirectory(prefix="distcomp-peers-", dir="/tmp") as directory:
        os.chmod(directory, 0o755)
        bench = Bench(Path(directory), arguments.products.resolve(), arguments.tasks)
        print(f"{arguments.tasks} times sh -c true, one process a core ({CORES}), {arguments.rounds} rounds", flush=True)
        print_table(measured(bench, arguments.rounds), arguments.tasks)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
