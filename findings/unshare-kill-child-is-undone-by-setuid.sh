#!/bin/bash
# `unshare --fork --kill-child --setuid USER COMMAND` leaves COMMAND running when unshare is killed, and so it does with --setgid, also as
# the first process of a namespace (--pid), of which the man page says that all below unshare end easily and reliably. One expects both
# options of one command to hold. But the signal is asked for before the user is changed, and that change makes the kernel forget it
# (prctl(2), PR_SET_PDEATHSIG). So whoever kills the unshare that keeps a job in a namespace, as a supervisor that knows its process alone
# does, has ended nothing. The user has to be changed first, or once more inside: `setpriv --reuid USER ... --pdeathsig KILL COMMAND`
# asks in the right order.
#
# Seen on 2026-11-30 with util-linux 2.38.1 (Debian 12) and 2.41 (Debian 13). Downloads these two Debian packages, and the C library of
# the second (4 MB), into a directory of its own, and removes them. Wants root. Status 1 when it is so no more.
set -euo pipefail
shopt -s inherit_errexit

[[ $(id -u) -eq 0 ]] || { echo "this wants root, who may become another user" >&2; exit 2; }
place=$(mktemp -d /tmp/finding.XXXXXX)
child=""
clean_up() {
  [[ -z $child ]] || kill -9 "$child" 2> /dev/null || true
  rm -rf "$place"
}
trap clean_up EXIT

fetch() {  # fetch PACKAGE VERSION SOURCE DIRECTORY
  python3 - "http://deb.debian.org/debian/pool/main/$3/${1}_${2}_amd64.deb" "$place/$1.deb" <<'PYTHON'
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=60) as reply, open(sys.argv[2], "wb") as file:
    file.write(reply.read())
PYTHON
  dpkg-deb --extract "$place/$1.deb" "$4"
}

# Whether the command of an unshare with these options is there when that has been killed.
left_by() {
  local parent state
  "${unshare[@]}" --fork --kill-child "$@" sleep 600 &
  parent=$!
  for _ in {1..600}; do
    child=$(pgrep -x -P "$parent" sleep) && break
    sleep 0.1
  done
  kill -9 "$parent"
  wait "$parent" 2> /dev/null || true
  # It had long enough to die where it says `stays`.
  for _ in {1..30}; do
    state=$(awk '/^State:/ {print $2}' "/proc/$child/status" 2> /dev/null || true)
    [[ -n $state && $state != Z ]] || { child=""; echo ends; return; }
    sleep 0.1
  done
  kill -9 "$child"
  child=""
  echo stays
}

status=0
try() {
  "${unshare[@]}" --version
  local options found
  for options in "" "--pid" "--setuid 65534" "--setgid 65534" "--pid --setuid 65534"; do
    read -ra words <<< "$options"
    left_by "${words[@]}" > "$place/found" 2> /dev/null
    found=$(< "$place/found")
    echo "  --fork --kill-child $options: the command $found"
    case $options in
      *set?id*) [[ $found == stays ]] || status=1 ;;
      *) [[ $found == ends ]] || status=1 ;;
    esac
  done
}

fetch util-linux 2.38.1-5+deb12u3 u/util-linux "$place/old"
unshare=("$place/old/usr/bin/unshare")
try
fetch util-linux 2.41-5 u/util-linux "$place/new"
fetch libc6 2.41-12 g/glibc "$place/new"
library=$place/new/usr/lib/x86_64-linux-gnu
unshare=("$library/ld-linux-x86-64.so.2" --library-path "$library:/usr/lib/x86_64-linux-gnu" "$place/new/usr/bin/unshare")
try
if [[ $status -eq 0 ]]; then echo "as described"; else echo "this has changed"; fi
exit "$status"
