# Where there is no systemd: each place that a node may be started in, what is capped there, and that a program which reserves much
# and uses little lives everywhere.
source "$(dirname "$0")/../lib.sh"
cd "$CASE" || exit
tree=/sys/fs/cgroup
echo '+memory +pids +cpu' > "$tree/cgroup.subtree_control"
sleep 500 & other=$!
started+=("$other")

cat > reserve.py <<'PY'
import mmap
print(len(mmap.mmap(-1, 12 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=0)))
PY
cat > grow.py <<'PY'
import sys, time
data = bytearray(int(sys.argv[1]) << 20)
time.sleep(float(sys.argv[2]))
PY
chmod -R a+rX .
cat > tasks <<TASKS
shell:9:40M:0:120:exec tail /dev/zero
shell:5:1G:0:120:python3 $CASE/reserve.py
TASKS

# run NAME [COMMAND PREFIX...]: the tasks, as `distcomp run` under that prefix; what it said is in $said.
run() {
  local name=$1
  shift
  said=$("$@" "$PRODUCTS/distcomp" run "$CASE/tasks" --state "$name" --quiet 2>&1)
}
left() { find "$tree" -name 'distcomp.*' -type d; }
# inside GROUP COMMAND...
inside() { sh -c "echo 0 > $tree/$1/cgroup.procs; shift; exec \"\$@\"" sh "$@"; }
both_rows() {
  expect_match "$1: a task above its cap is told oom, and one that reserves 12 GB under 1 GB lives" \
    '2 tasks: 1 finished, 1 failed \(1 oom\)' "$said"
  expect_equal "$1: no control group is left" "" "$(left)"
}

# --- root, its own group shared with others --------------------------------------------------------------------------------------
mkdir "$tree/crowd"
echo "$other" > "$tree/crowd/cgroup.procs"
run beside inside crowd
both_rows "root's shell in a shared group"
[[ $said == *"memory caps are off"* ]] && not_ok "caps are on there" "$said"
expect_match "doctor names the row: a group beside" 'host +root without systemd: a group beside its own, below /sys/fs/cgroup' \
  "$(inside crowd "$PRODUCTS/distcomp" doctor)"

# The limit of the group that it was started in is no limit on a group beside, so it is heeded.
echo 400M > "$tree/crowd/memory.max"
echo "shell:5:0:0:60:exec python3 $CASE/grow.py 450 1" > tasks.one
said=$(inside crowd "$PRODUCTS/distcomp" run "$CASE/tasks.one" --state bound --quiet 2>&1)
expect_match "a group beside is no way round the limit of its own" '1 failed \(1 oom\)' "$said"
expect_match "and it is said which limit that was" \
  'all tasks of this node together \(336 MB, for the memory.max of /crowd is 400 MB\)' \
  "$("$PRODUCTS/distcomp" results --state bound --format jsonl)"
echo max > "$tree/crowd/memory.max"

# --- a container: the root of a tree of its own, with other processes in it ----------------------------------------------------------
mkdir "$tree/box"
cat > box.sh <<BOX
umount $tree && mount -t cgroup2 none $tree
sleep 400 & neighbour=\$!
"$PRODUCTS/distcomp" run "$CASE/tasks" --state container --quiet
"$PRODUCTS/distcomp" doctor
echo "neighbour: \$(cat /proc/\$neighbour/cgroup)"
find $tree -name 'distcomp.*' -type d
echo "handed down: \$(cat $tree/cgroup.subtree_control)"
kill \$neighbour
BOX
said=$(inside box unshare --cgroup --mount sh "$CASE/box.sh" 2>&1)
both_rows "a container with a tree of its own"
expect_match "doctor names the row: others are moved into a leaf" 'host +a group of its own, whose other processes are moved' "$said"
expect_match "they are back afterwards" $'neighbour: 0::/\nhanded down: $' "$said"

# --- a parent without pids --------------------------------------------------------------------------------------------------------------
mkdir "$tree/no-pids" "$tree/no-pids/inner"
echo '+memory' > "$tree/no-pids/cgroup.subtree_control"
run nopids inside no-pids/inner
both_rows "a parent without pids"
expect_equal "it is said once that processes have no limit" 1 "$(grep -c 'no limit on the processes of a task' <<< "$said")"

# --- nobody of these ----------------------------------------------------------------------------------------------------------------------
mkdir --mode 777 open
cd open || exit
run watched setpriv --reuid=nobody --regid=nogroup --clear-groups
both_rows "an ordinary user without groups"
expect_match "it is said that this is a watch, not a cap" 'memory caps are off: .*\(a watch, not a cap\)' "$said"
expect_match "doctor names the row: tasks can only be watched" 'host +no control groups: tasks can only be watched' \
  "$(setpriv --reuid=nobody --regid=nogroup --clear-groups "$PRODUCTS/distcomp" doctor)"
cd "$CASE" || exit

# --- what a node has ------------------------------------------------------------------------------------------------------------------------
start_redis
# The kernel is to kill, not the node for fear of it.
configure '"min_dram_gb_trigger_return": 0, "min_dram_gb_accept_new_task": 0.001'
mkdir "$tree/unit" "$tree/unit/own"
echo '+memory +pids +cpu' > "$tree/unit/cgroup.subtree_control"
echo 700M > "$tree/unit/memory.max"
echo 0 > "$tree/unit/memory.swap.max"
echo '50000 100000' > "$tree/unit/own/cpu.max"
start_daemon sh -c "echo 0 > $tree/unit/own/cgroup.procs; exec \"\$@\"" sh
offer() {
  "$PRODUCTS/distcomp" workers --json "${queue[@]}" | python3 -c '
import json, sys
for line in sys.stdin:
    node = json.loads(line)
    print(node["memory_bytes_for_tasks"] >> 20, node["total_cores"], round(node["total_memory_gb"], 1))'
}
expect_equal "a node offers what the limits above it leave" "636 0.5 0.7" "$(offer)"
tasks=$(dirname "$(sed -n 's/^0:://p' "/proc/$daemon/cgroup")")/tasks
expect_equal "all tasks together are capped below the limit" $((636 << 20)) "$(cat "$tree$tasks/memory.max")"

mkdir "$tree/unit/sibling"
(echo 0 > "$tree/unit/sibling/cgroup.procs"; exec python3 "$CASE/grow.py" 250 600) & sibling=$!
started+=("$sibling")
held() { [[ $(cat "$tree/unit/sibling/memory.current") -gt $((240 << 20)) ]]; }
await 60 held
submit "shell:5:600M:0:60:exec python3 $CASE/grow.py 520 5"
await 120 all_ended
expect_equal "a kill for a limit above is an oom" oom "$(field cause 'grow.py 520')"
expect_match "and names that limit" 'the memory.max of /unit \(700 MB\)' "$(field reason 'grow.py 520')"
kill "$sibling"; wait "$sibling" 2>/dev/null
submit "shell:5:100M:0:60:exec python3 $CASE/grow.py 150 5"
await 120 all_ended
expect_equal "one for its own limit names no other" "" "$(field reason 'grow.py 150' | grep -o 'oom by')"

echo 500M > "$tree/unit/memory.max"
echo '80000 100000' > "$tree/unit/own/cpu.max"
changed() { [[ $(offer) == "436 0.8 0.5" ]]; }
expect "limits that change are noticed, and lead to other offers" wait_until 30 changed
expect_equal "and to another cap on all tasks together" $((436 << 20)) "$(cat "$tree$tasks/memory.max")"
kill "$daemon"; wait "$daemon" 2>/dev/null
kill "$other"; wait "$other" 2>/dev/null
