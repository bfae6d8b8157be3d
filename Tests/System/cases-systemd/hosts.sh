# Under systemd: the unit's limits are the node's, also while it runs; and whoever types `distcomp run`, as whoever and from wherever,
# has caps that hold, below the limits of the place it was typed in.
source "$(dirname "$0")/../lib-systemd.sh"
start_redis
cat > reserve.py <<'PY'
import mmap
print(len(mmap.mmap(-1, 12 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=0)))
PY
cat > grow.py <<'PY'
import sys
data = bytearray(int(sys.argv[1]) << 20)
PY
cat > tasks <<TASKS
shell:9:40M:0:300:exec tail /dev/zero
shell:5:1G:0:300:python3 $CASE/reserve.py
TASKS
echo "shell:5:0:0:300:exec python3 $CASE/grow.py 450" > grow
mkdir --mode 777 open
chmod a+r *.py tasks grow
capped='2 tasks: 1 finished, 1 failed \(1 oom\)'
run() { "${@:2}" "$PRODUCTS/distcomp" run "$CASE/tasks" --state "$CASE/open/$1" --quiet 2>&1; }
row() {
  expect_match "$1: a task above its cap is told oom, and one that reserves 12 GB under 1 GB lives" "$capped" "$2"
  [[ $2 == *"memory caps are off"* ]] && not_ok "$1: memory is capped" "$2"
}

# --- root's shell ---------------------------------------------------------------------------------------------------------------------
row "root's shell" "$(run root)"
found=$("$PRODUCTS/distcomp" doctor)
expect_match "doctor sees what a run has: a scope from the system's manager" "host +a group of its own, delegated by systemd as a scope.*system's manager" "$found"
expect_match "and caps" 'ok +memory caps' "$found"

expect_equal "the node in that scope has what it was handed: what tasks write is shown" "shown" \
  "$("$PRODUCTS/distcomp" run --state "$CASE/open/shown" --quiet --output stream -- echo shown 2>/dev/null)"

limited=(systemd-run --scope --quiet --collect -p MemoryMax=400M --)
said=$("${limited[@]}" "$PRODUCTS/distcomp" run grow --state "$CASE/open/limited" --quiet 2>&1)
expect_match "in a scope with MemoryMax a task does not get more" '1 failed \(1 oom\)' "$said"
expect_match "and the limit is named" 'for the memory.max of /system.slice/run-[^ ]* is 400 MB' \
  "$("$PRODUCTS/distcomp" results --state "$CASE/open/limited" --format jsonl)"
said=$("${limited[@]:0:4}" -p Delegate=yes "${limited[@]:4}" "$PRODUCTS/distcomp" run grow --state "$CASE/open/delegated" --quiet 2>&1)
expect_match "nor in one that is delegated, below which the run's groups are" '1 failed \(1 oom\)' "$said"
said=$("${limited[@]}" sh -c "'$PRODUCTS/distcomp' run grow --state '$CASE/open/shared' --quiet; true" 2>&1)
expect_match "nor in one that holds others as well" '1 failed \(1 oom\)' "$said"
expect_equal "no control group of a run is left" "" "$(find /sys/fs/cgroup -name 'distcomp.*' -type d)"

# Each run has a scope of its own: what was left in the one before is found all the same.
echo "shell:5:0:0:0:echo up >> $CASE/open/log; until test -e $CASE/open/go; do sleep 0.2; done" > again
killed_run() {
  rm -f open/log
  "$PRODUCTS/distcomp" run "$CASE/again" --state "$CASE/open/again" --quiet "$@" > again.log 2>&1 &
  run=$!
  await 60 test -s open/log
  task=$(pgrep -fn "until test -e $CASE/open/go")
  node=$(pgrep -fn -- "--state $CASE/open/again/node")
}
echo "{\"memory_caps\": \"required\", \"result_dir\": \"$CASE/open/result\"}" > required.json
killed_run --config "$CASE/required.json"
kill -9 "$node"
wait "$run"
expect "a node of a run that is killed leaves no task running" test ! -e "/proc/$task"
killed_run
# All at once, as pkill does: none can tell another.
kill -STOP "$run" "$node"
kill -9 $(pgrep -f "distcomp-launch") "$node" "$run"
wait "$run" 2> /dev/null
expect "a task of a run that was killed with all its helpers goes on" test -e "/proc/$task"
"$PRODUCTS/distcomp" run --state "$CASE/open/again" --quiet < /dev/null > again.log 2>&1 &
run=$!
await 60 sh -c "[ \$(wc -l < $CASE/open/log) = 2 ]"
expect "and is ended before the next run begins it again" test ! -e "/proc/$task"
touch open/go
expect "which ends well" wait "$run"

# --- a user ------------------------------------------------------------------------------------------------------------------------------
useradd --create-home tester
user=(setpriv --reuid=tester --regid=tester --init-groups)
said=$(run alone "${user[@]}" env -i PATH="$PATH" HOME=/home/tester)
expect_match "a user without a manager is watched, and told so" "memory caps are off: .*a watch, not a cap.*$capped|$capped.*memory caps are off" "$(tr '\n' ' ' <<< "$said")"
expect_match "doctor tells what would make it better" 'loginctl enable-linger' "$("${user[@]}" "$PRODUCTS/distcomp" doctor)"
systemctl start "user@$(id -u tester)" || not_ok "a manager for the user starts" "$(systemctl status "user@$(id -u tester)" 2>&1)"
runtime=/run/user/$(id -u tester)
await 60 test -e "$runtime/bus"
row "a user's session" "$(run session "${user[@]}" env -i PATH="$PATH" HOME=/home/tester XDG_RUNTIME_DIR="$runtime")"
expect_equal "and sees what tasks write" "shown" "$("${user[@]}" env -i PATH="$PATH" HOME=/home/tester XDG_RUNTIME_DIR="$runtime" \
  "$PRODUCTS/distcomp" run --state "$CASE/open/shown-user" --quiet --output stream -- echo shown 2>/dev/null)"
row "a user without XDG_RUNTIME_DIR, as in cron" "$(run cron "${user[@]}" env -i PATH="$PATH" HOME=/home/tester)"
row "a user with the XDG_RUNTIME_DIR of another" "$(run su "${user[@]}" env -i PATH="$PATH" HOME=/home/tester XDG_RUNTIME_DIR=/run)"
echo 'shell:5:0:0:60:echo "[$XDG_RUNTIME_DIR]"' > variable
said=$("${user[@]}" env -i PATH="$PATH" "$PRODUCTS/distcomp" run "$CASE/variable" --state "$CASE/open/variable" --quiet 2>&1)
expect_match "its tasks are not handed what the caller did not have" '"stdout":"\[\]' \
  "$("$PRODUCTS/distcomp" results --state "$CASE/open/variable" --format jsonl)"
expect_match "doctor sees the scope from the user's manager" "delegated by systemd as a scope.*user's manager" \
  "$("${user[@]}" env -i PATH="$PATH" "$PRODUCTS/distcomp" doctor)"
systemctl stop "user@$(id -u tester)"

# --- the unit ------------------------------------------------------------------------------------------------------------------------------
expect "the package installs" install "$package"
set_up '"max_retry_per_task": 1'
drop_in MemoryMax=700M CPUQuota=50%
systemctl restart distcompd
offer() {
  "$PRODUCTS/distcomp" workers --json "${queue[@]}" | sed -n 's/.*"total_cores":\([0-9.]*\).*"memory_bytes_for_tasks":\([0-9]*\).*/\1 \2/p'
}
offers() { [[ $(offer) == "$1" ]]; }
expect "the unit offers what MemoryMax and CPUQuota leave it" wait_until 60 offers "0.5 $((636 << 20))"
systemctl set-property --runtime distcompd MemoryMax=500M CPUQuota=80%
expect "systemctl set-property is noticed" wait_until 60 offers "0.8 $((436 << 20))"
tasks=/sys/fs/cgroup$(dirname "$(sed -n 's/^0:://p' "/proc/$(main_process)/cgroup")")/tasks
expect_equal "and all tasks together are capped below it" $((436 << 20)) "$(cat "$tasks/memory.max")"
submit "shell:5:300M:0:300:python3 $CASE/reserve.py" "shell:5:0:0:300:exec python3 $CASE/grow.py 480"
await 120 all_ended
expect_equal "a task without a cap meets that" oom "$(field cause 'grow.py 480')"
expect_match "and is told whose limit it is" 'the memory.max of /system.slice/distcompd.service is 500 MB' "$(field reason 'grow.py 480')"
