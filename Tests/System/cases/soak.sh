# Some thousand short tasks on a node whose memory is just above its threshold: see the script for what is asked of them. The output
# goes to a file system on a disk, as on a node: of a tmpfs, files are memory.
modprobe loop && modprobe ext4
head -c 128M /dev/zero > "$CASE/disk"  # Its memory is taken before anything is measured.
mkfs.ext4 -q -F -N 20000 "$CASE/disk"
mkdir "$CASE/result"
mount -o loop "$CASE/disk" "$CASE/result" || { echo "not ok - a disk for the output"; exit; }
"$(dirname "$0")/../soak" --products "$PRODUCTS" --tasks 300 --margin 48 --standstill 120 --result-dir "$CASE/result"
umount "$CASE/result"
