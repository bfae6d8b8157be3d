# The package that was built on another Debian, on Debian 13: Linux 6.12, systemd 257, glibc 2.41, and a /tmp that is memory.
source "$(dirname "$0")/../lib-systemd.sh"
expect_match "this is a Debian 13" '^13\.' "$(cat /etc/debian_version)"
start_redis
expect "the package installs, with all it needs there" install "$package"
# Pinned tasks are launched when they come: no launch that was made ready, in a group of its own, begins them.
set_up '"max_task_per_worker": 1, "cpu_limit": "pin"'
expect "the unit starts" systemctl restart distcompd
expect "a node that stands says so" wait_until 60 says '0 running'
expect_match "it nests below the unit's own group" 'distcompd.service/distcomp\.[^/]*/supervisor' \
  "$(cat "/proc/$(main_process)/cgroup")"

tasks=()
for number in {1..20}; do tasks+=("shell:5:40M:1:60:sed s/^/$number:/ /proc/self/cgroup"); done
submit "shell:9:40M:1:60:head -c 30M /dev/zero | tail | wc -c" "${tasks[@]}" \
  'shell:3:40M:1:60:dd if=/dev/zero of=/tmp/fill bs=1M count=100; echo went on'
expect "all of them end" wait_until 120 all_ended
expect_equal "those within their cap finish" 21 "$(count finished)"
groups_used=$(for number in {1..20}; do field stdout ":sed s/^/$number:/" | sed 's/^[0-9]*://'; done | sort -u | wc -l)
expect "tasks were given groups that others had had ($groups_used for 20)" [ "$groups_used" -lt 10 ]
expect "and the peak of one is its own" [ "$(field memory_peak_bytes ':sed s/^/20:/')" -lt 20000000 ]
expect_equal "files in /tmp count against the cap" oom "$(field cause of=/tmp/fill)"
rm -f /tmp/fill
