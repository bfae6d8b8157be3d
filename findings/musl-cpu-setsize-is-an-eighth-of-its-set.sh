#!/bin/bash
# With musl 1.2.3 CPU_SETSIZE is 128, and cpu_set_t has room for 1,024 processors all the same. glibc's CPU_SETSIZE is the number of
# processors a set holds, man pages say so, and programs walk a set up to it: those built with musl, as small static ones often are,
# then find no processor above 127 in a set that the kernel filled, and CPU_COUNT says how many they have missed. On a node of more
# processors a launcher that hands a set on, or checks a number against CPU_SETSIZE, leaves the upper ones idle, or refuses them.
#
# Seen on 2026-11-29 with musl 1.2.3, which Debian 12 has, beside glibc 2.36; mended in musl 1.2.5. Downloads musl's two Debian packages (2 MB) into a directory of
# its own, builds eight lines of C against them with the gcc at hand, and removes all. Status 1 when it is so no more.
set -euo pipefail
shopt -s inherit_errexit

place=$(mktemp -d /tmp/finding.XXXXXX)
trap 'rm -rf "$place"' EXIT
cat > "$place/set.c" <<'C'
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
int main(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int number = 100; number < 200; number++) CPU_SET(number, &set);
    int walked = 0;
    for (int number = 0; number < CPU_SETSIZE; number++) walked += !!CPU_ISSET(number, &set);
    printf("CPU_SETSIZE %d, room for %d; of 100 in the set %d are counted, %d found by walking\n", CPU_SETSIZE,
           (int)sizeof set * 8, CPU_COUNT(&set), walked);
}
C

with_musl() {
  local version=$1 part root=$place/$1
  for part in musl musl-dev; do
    python3 - "http://deb.debian.org/debian/pool/main/m/musl/${part}_${version}_amd64.deb" "$place/$part.deb" <<'PYTHON'
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1], timeout=60) as reply, open(sys.argv[2], "wb") as file:
    file.write(reply.read())
PYTHON
    dpkg-deb --extract "$place/$part.deb" "$root"
  done
  local libraries=$root/usr/lib/x86_64-linux-musl
  gcc -std=c11 -static -nostdinc -nostdlib -fno-stack-protector -no-pie -isystem "$root/usr/include/x86_64-linux-musl" \
    -o "$root/set" "$libraries/crt1.o" "$libraries/crti.o" "$place/set.c" "$libraries/libc.a" "$libraries/crtn.o"
  "$root/set"
}

gcc -std=c11 -o "$place/set" "$place/set.c"
glibc=$("$place/set")
echo "$(getconf GNU_LIBC_VERSION): $glibc"
status=0
[[ $glibc == "CPU_SETSIZE 1024, room for 1024; of 100 in the set 100 are counted, 100 found by walking" ]] || status=1
for version in 1.2.3-1 1.2.5-3; do
  found=$(with_musl "$version")
  echo "musl $version: $found"
  expected="CPU_SETSIZE 128, room for 1024; of 100 in the set 100 are counted, 28 found by walking"
  [[ $version == 1.2.3-1 ]] || expected=$glibc
  [[ $found == "$expected" ]] || status=1
done
if [[ $status -eq 0 ]]; then echo "as described"; else echo "this has changed"; fi
exit "$status"
