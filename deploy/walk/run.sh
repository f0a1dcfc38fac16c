#!/usr/bin/env bash
# The walk of a new administrator: boots a fresh Debian 12 in an emulated
# machine, installs the package there and follows README to the first exemption;
# see walk.sh. Prints the transcript while it comes, and keeps it in dist/walk.
# Needs root (for debootstrap), an amd64 Debian, and the packages below; minutes
# with an emulated processor, ACCEL=kvm where there is a real one.
#
# The machine before the walk is built once; remove dist/walk for another.
set -euo pipefail
umask 022
cd "$(dirname "$0")/../.."
folder=dist/walk
limit=${LIMIT:-45m}
accel=${ACCEL:-tcg,thread=multi}
# The instructions beyond these are where the emulator of Debian 12 goes wrong:
# with AVX every mount namespace fails (EBUSY).
[ "${ACCEL:-tcg}" = kvm ] && cpu=host || cpu=Nehalem

missing=()
for entry in qemu-system-x86_64:qemu-system-x86 debootstrap:debootstrap mke2fs:e2fsprogs; do
	PATH=$PATH:/usr/sbin:/sbin command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
[ ${#missing[@]} -eq 0 ] || { echo "first: apt-get install --no-install-recommends ${missing[*]}" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || { echo "debootstrap needs root" >&2; exit 1; }
PATH=$PATH:/usr/sbin:/sbin

mkdir -p $folder
stamp=$(sha256sum deploy/walk/image.sh)
if [ ! -e $folder/disk.img ] || [ "$(cat $folder/stamp 2>/dev/null)" != "$stamp" ]; then
	echo "building the machine; $folder/image.log"
	deploy/walk/image.sh $folder >$folder/image.log 2>&1 || { tail -n 20 $folder/image.log; exit 1; }
	echo "$stamp" >$folder/stamp
fi

# The second disk has the walk, README and the package.
payload=$folder/payload
rm -rf $payload
mkdir -p $payload/dist
cp deploy/walk/*.sh README.md $payload/
OUT=$payload/dist deploy/deb/build.sh amd64
truncate -s 64M $folder/payload.new
mke2fs -q -F -t ext4 -d $payload $folder/payload.new
mv $folder/payload.new $folder/payload.img

transcript=$folder/transcript
: >$transcript
# The time is set, for README's dates. Only the first disk is written to, and
# that not for good.
timeout "$limit" qemu-system-x86_64 -accel "$accel" -cpu "$cpu" -smp 2 -m 1024 \
	-display none -monitor none -nic none -no-reboot -snapshot -rtc base=2026-12-01T08:00:00 \
	-serial file:$folder/console -serial file:$transcript \
	-kernel $folder/vmlinuz -initrd $folder/initrd -append 'root=/dev/vda rw console=ttyS0 panic=-1 quiet' \
	-drive file=$folder/disk.img,format=raw,if=virtio,cache=unsafe \
	-drive file=$folder/payload.img,format=raw,if=virtio,readonly=on </dev/null &
machine=$!
trap 'kill $machine 2>/dev/null || true' EXIT
echo "booting; the console is in $folder/console, the transcript in $transcript"
tail -f -n +1 --pid=$machine $transcript
wait $machine || { echo "the machine did not end by itself within $limit:" >&2; tail -n 20 $folder/console >&2; exit 1; }
grep -q '^walk: passed' $transcript || { echo "the walk has failed; $transcript" >&2; exit 1; }
