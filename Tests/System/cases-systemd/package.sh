# The package from its installation to its purge: what a node finds, does, hides and leaves.
source "$(dirname "$0")/../lib-systemd.sh"
before=$(everything)

expect "the package installs where there is no Redis yet" install "$package"
expect_match "and says that the node tries again" 'tries again every 5 s' "$(cat "$CASE/dpkg.log")"
expect_equal "the unit is enabled" enabled "$(systemctl is-enabled distcompd)"
expect_equal "the settings are root's alone" "640 root:root" "$(stat --format='%a %U:%G' /etc/distcomp/conf.json)"
expect_equal "tasks have a user with a home of its own" "distcomp 750" \
  "$(stat --format='%U %a' "$(getent passwd distcomp | cut --delimiter=: --fields=6)")"
expect "bash can complete distcomp" bash -c 'source /usr/share/bash-completion/completions/distcomp && complete -p distcomp'
for page in 1/distcomp.1 5/distcomp.conf.5 8/distcompd.8; do zcat "/usr/share/man/man$page.gz"; done > "$CASE/pages"
commands=$(distcomp --help | sed -n '/^SUBCOMMANDS/,$s/^  \([a-z]*\) .*/\1/p')
settings=$(distcomp config show --json | sed 's/^{"setting":"\([a-z_]*\)".*/\1/')
unnamed=""
for word in $commands $settings; do grep -q "distcomp $word\|fB$word" "$CASE/pages" || unnamed+=" $word"; done
expect_equal "the manual names every command and setting" "" "$unnamed"

start_redis
set_up '"log_level": "debug"'
expect "once its settings name a Redis, the node starts without being asked" wait_until 90 is_active
expect_equal "the exposure is what docs/OPERATIONS.md says" "$(sed -n 's/.*overall exposure level[^0-9]*\([0-9]*\.[0-9]\).*/\1/p' "$(dirname "$0")/../../../docs/OPERATIONS.md")" \
  "$(systemd-analyze --no-pager security distcompd 2> /dev/null | sed -n 's/.*Overall exposure level.*: \([0-9.]*\).*/\1/p')"

# --- what a task sees, and does not -----------------------------------------------------------------------------------------
echo 'DISTCOMP_KEY_PREFIX=another-hidden-word' > "$CASE/environment"
drop_in "EnvironmentFile=$CASE/environment"
systemctl restart distcompd
expect "a secret of the daemon's environment is one" grep -q another-hidden-word "/proc/$(main_process)/environ"
rm /etc/systemd/system/distcompd.service.d/test.conf
cat > "$CASE/look" <<'LOOK'
#!/bin/sh
daemon=$(pgrep -x distcompd)
test -n "$daemon" || echo "there is no daemon"
for file in /etc/distcomp/conf.json "$@" /proc/$daemon/environ /proc/$daemon/mem /proc/$daemon/fd/0 /proc/$daemon/maps; do
  head -c 1 $file > /dev/null 2>&1 && echo "can read $file"
done
ls /proc/$daemon/fd /proc/$daemon/cwd/ /var/lib/distcomp/*/lock > /dev/null 2>&1 && echo "can look into the daemon"
grep -a hidden-word /proc/[0-9]*/cmdline /proc/self/environ
kill -0 $daemon 2> /dev/null && echo "can send signals"
systemctl show distcompd | grep hidden-word
journalctl -u distcompd 2> /dev/null | grep hidden-word
echo looked
LOOK
cat > "$CASE/work" <<'WORK'
#!/bin/sh
echo "$(id -un) $(ulimit -n) $(cat /proc/self/oom_score_adj) $(grep NoNewPrivs /proc/self/status | tr -dc 01)"
touch "$HOME/file" "$DISTCOMP_OUTPUT_DIR/file" /tmp/file-of-a-task /var/tmp/file-of-a-task || echo "cannot write"
test -c /dev/fuse -o -c /dev/kmsg || echo "no devices"
unshare --user --map-root-user --pid --fork --mount-proc true || echo "no container"
python3 -c 'import mmap; mmap.mmap(-1, 4096, prot=7)' || echo "no just-in-time compiler"
mkdir "$DISTCOMP_OUTPUT_DIR/shared" && chmod g+s "$DISTCOMP_OUTPUT_DIR/shared" || echo "no shared folder"
WORK
chmod 755 "$CASE"/look "$CASE"/work
systemctl daemon-reload
systemctl restart distcompd
lock=$(find /var/lib/distcomp -name lock)
submit "shell:5:0:0:60:$CASE/look $lock" "shell:4:0:0:60:$CASE/work" 'shell:3:40M:0:60:tail /dev/zero' 'shell:2:0:0:60:exit 3'
expect "tasks submitted by another process run" wait_until 120 all_ended
expect_equal "no task can read the daemon's secrets, nor send it signals" looked "$(field stdout look)"
expect_equal "what protects the daemon does not hamper tasks" "distcomp 1024 0 1" "$(field stdout work)"
expect_equal "a cap holds" oom "$(field cause tail)"

expect "a user who may not read the settings can still say which queue" \
  runuser -u nobody -- distcomp status --redis "$redis"

entry=$(journal 'TASK=shell:2:0:0:60:exit 3' CAUSE=exit | tail -1)
for part in '"EXIT_CODE":"3"' '"PRIORITY":"6"' '"SYSLOG_IDENTIFIER":"distcompd"' "\"WORKER\":\"$(hostname)\"" '"ATTEMPT":"3"'; do
  expect_match "the journal has $part" "$part" "${entry// : /:}"
done
redis-cli HSET todo_tasks $'shell:5:0:0:60:true\nFORGED=yes' "" 'shell:1:0:0:60:echo with a newline before' "" > /dev/null
expect "a line with a newline, written by another program, ends too" wait_until 60 all_ended
expect_equal "and forges no field" "" "$(journal FORGED=yes)"

# --- the pages ------------------------------------------------------------------------------------------------------------------
expect_equal "the pages are not served unless somebody wants them" "disabled inactive" \
  "$(systemctl is-enabled distcomp-web) $(systemctl is-active distcomp-web)"
command install --mode=600 --owner=distcomp-web --group=distcomp-web /etc/distcomp/conf.json /etc/distcomp/web.json
expect "they start" systemctl start distcomp-web
page() { python3 -c 'import sys, urllib.request as web; print(web.urlopen("http://localhost:8817" + sys.argv[1]).read().decode())' "$1"; }
expect_match "and show what failed" 'What failed.*oom' "$(page / | tr '\n' ' ')"
expect_match "to programs as well" '"command":"exit 3"' "$(page '/api/tasks?cause=exit')"
pages=$(systemctl show --property=MainPID --value distcomp-web)
expect_equal "as a user of their own, without any right" "distcomp-web 0000000000000000 1" \
  "$(stat --format=%U "/proc/$pages") $(sed -n 's/^CapEff:\t//p' "/proc/$pages/status") $(sed -n 's/^NoNewPrivs:\t//p' "/proc/$pages/status")"
expect_equal "on loopback alone" 127.0.0.1:8817 "$(ss --no-header --listening --tcp --numeric | awk '$4 ~ /:8817$/ {print $4}')"
expect "they stop" systemctl stop distcomp-web
expect_equal "in order" success "$(systemctl show --property=Result --value distcomp-web)"
rm /etc/distcomp/web.json

# --- changes ------------------------------------------------------------------------------------------------------------------
process=$(main_process)
submit 'shell:5:0:0:0:sleep 6003'
expect "a task runs" wait_until 60 running '^sleep 6003'
set_up '"max_task_per_worker": 7, "log_level": "debug"'
expect "a good file is taken by systemctl reload" systemctl reload distcompd
expect "which the journal tells" wait_until 30 logged 'new settings: .*max_task_per_worker'
set_up '"max_task_per_worker": "many", "lease_second": 3'
systemctl reload distcompd
expect "a bad one is told" wait_until 30 logged 'the new settings are not used'
expect "and the node goes on" is_active
expect_equal "as the same process, its task undisturbed" "$process 1" "$(main_process) $(pgrep -fc '^sleep 6003')"

set_up '"restart_mode": "keep", "stop_grace_seconds": 0, "log_level": "debug"'
systemctl restart distcompd
expect "its task runs again" wait_until 60 running '^sleep 6003'
submit "shell:5:0:0:0:until [ -e $CASE/go ]; do sleep 1; done; echo spans the upgrade"
expect "another that waits for us runs" wait_until 60 running "$CASE/go"
process=$(main_process)
task=$(pgrep -f '^sleep 6003')
expect "an upgrade installs" install "$later_package"
replaced() { [[ $(readlink "/proc/$process/exe") == /usr/sbin/distcompd ]]; }
expect "with restart_mode keep the node becomes the new program" wait_until 90 replaced
expect_equal "which is that of the later package" later "$(tail --bytes 5 "/proc/$process/exe")"
expect_equal "in place, its task undisturbed" "$process $task" "$(main_process) $(pgrep -f '^sleep 6003')"
expect "it goes on taking tasks" submit 'shell:9:0:0:60:echo after the upgrade'
touch "$CASE/go"
expect "which end, as does the task that spans the upgrade" wait_until 60 only_the_sleeper
expect_equal "at its first attempt" 1 "$(field attempts 'spans the upgrade')"
expect_equal "reported once" 1 "$(journal CAUSE=exit EXIT_CODE=0 | grep -c 'spans the upgrade')"

set_up '"stop_grace_seconds": 0'
systemctl restart distcompd
process=$(main_process)
expect "another installs" install "$package"
expect "without it the node is started anew" wait_until 90 is_active
expect_equal "as another process" yes "$([[ $(main_process) != "$process" ]] && echo yes)"
expect_match "the administrator's settings are kept" hidden-word "$(cat /etc/distcomp/conf.json)"
expect "and its task runs again" wait_until 60 running '^sleep 6003'
expect_equal "once" 1 "$(pgrep -fc '^sleep 6003')"

# --- the end --------------------------------------------------------------------------------------------------------------------
dpkg --no-triggers --remove distcomp > "$CASE/dpkg.log" 2>&1
expect_equal "removed, the node has stopped, and no task runs" "inactive 0" \
  "$(systemctl is-active distcompd) $(pgrep -fc '^sleep 6003')"
expect_equal "its task is back in todo" "1 0" "$(count todo) $(count in_progress)"
expect "the settings are still there" test -e /etc/distcomp/conf.json
dpkg --purge distcomp > "$CASE/dpkg.log" 2>&1
expect_match "purged, it says that results are kept" 'results in /var/lib/distcomp/result are kept' "$(cat "$CASE/dpkg.log")"
expect_equal "which they are, and nothing else of it" /var/lib/distcomp/result "$(find /var/lib/distcomp -mindepth 1 -maxdepth 1)"
rm -rf /var/lib/distcomp /etc/systemd/system/distcompd.service.d
expect "it installs again" install "$package"
dpkg --purge distcomp > "$CASE/dpkg.log" 2>&1
expect_equal "purged without results, it leaves nothing" "$before" "$(everything)"
