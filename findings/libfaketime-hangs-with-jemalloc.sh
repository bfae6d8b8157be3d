#!/bin/bash
# libfaketime and jemalloc in one process hang it before main: the first looks up the real clock_gettime with dlsym, which asks for
# memory, and the second asks for the time before it gives any. So a program that is linked with jemalloc, as Debian's redis-server is,
# cannot be given another time this way, in whatever order the two are loaded. libfaketime before plain malloc is fine.
#
# Downloads pinned packages of Debian 12 into a directory of its own, without installing them, and removes it. Status 1 when it is so no
# more.
set -euo pipefail

place=$(mktemp -d /tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
cd "$place"
apt-get download -qq -o APT::Sandbox::User=root libfaketime=0.9.10-2.1 libjemalloc2=5.3.0-1
for package in *.deb; do
  dpkg-deb --show "$package"
  dpkg-deb --extract "$package" files
done
faketime=$(find "$place/files" -name libfaketime.so.1)
jemalloc=$(find "$place/files" -name libjemalloc.so.2)

# outcome LIBRARIES: what becomes of a program that asks for the year with these loaded before it, in five seconds at most.
outcome() {
  local status=0
  timeout --signal=KILL 5 env LD_PRELOAD="$1" FAKETIME="@2001-01-01 00:00:00" date +%Y 2>> "$place/said" || status=$?
  [[ $status -eq 0 ]] || echo "hung or failed"
}

alone=$(outcome "$faketime")
without=$(outcome "$jemalloc")
before=$(outcome "$faketime $jemalloc")
after=$(outcome "$jemalloc $faketime")
printf '%-34s %s\n' "libfaketime alone" "$alone" "jemalloc alone" "$without" \
  "libfaketime, then jemalloc" "$before" "jemalloc, then libfaketime" "$after"
grep -m1 recursive "$place/said" || true

[[ $alone == 2001 && $without != 2001 && $before == "hung or failed" && $after == "hung or failed" ]] \
  || { echo "this has changed" >&2; exit 1; }
echo "as described: the two do not live in one process"
