#!/usr/bin/env bash
# Builds the machine that the walk starts from: Debian 12 with systemd, unbound
# and Postfix as its packages leave them, nothing of ours. Beside them it has
# what plays the Internet (nsd, rbldnsd, ldnsutils) and a client (swaks).
#
#   image.sh FOLDER     leaves disk.img, vmlinuz and initrd there
#
# At boot it runs walk.sh of the file system on its second disk, with the second
# serial port for output, and switches itself off.
set -euo pipefail
folder=$1
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

mirror=${MIRROR:-http://deb.debian.org/debian}
packages=(
	# the machine
	systemd systemd-sysv dbus udev kmod linux-image-cloud-amd64 iproute2 netbase init-system-helpers adduser
	ca-certificates less dns-root-data man-db bash-completion unbound postfix bind9-dnsutils
	# the Internet and a client
	nsd ldnsutils rbldnsd swaks
)

root=$folder/root
rm -rf "$root"
debootstrap --variant=minbase --include="$(IFS=, && echo "${packages[*]}")" bookworm "$root" "$mirror"

echo mail >"$root/etc/hostname"
printf '127.0.0.1 localhost\n192.0.2.25 mail.example.org mail\n' >"$root/etc/hosts"
# As a machine that was installed with a resolver on it.
echo 'nameserver 127.0.0.1' >"$root/etc/resolv.conf"
# They play other machines, in a network namespace: internet.sh.
systemctl --root="$root" -q mask nsd.service rbldnsd.service rbldnsd.socket
# They would only take time from an emulated processor.
systemctl --root="$root" -q mask apt-daily.timer apt-daily-upgrade.timer man-db.timer dpkg-db-backup.timer \
	e2scrub_all.timer e2scrub_reap.service fstrim.timer getty@tty1.service serial-getty@ttyS0.service systemd-pstore.service \
	systemd-udev-trigger.service systemd-binfmt.service
mkdir "$root/walk"
cat >"$root/etc/systemd/system/walk.service" <<'UNIT'
[Unit]
Description=Walk of a new administrator
After=multi-user.target

[Service]
Type=oneshot
ExecStartPre=/usr/bin/mount -o ro /dev/vdb /walk
ExecStart=/walk/walk.sh
ExecStopPost=/usr/bin/systemctl poweroff --no-block
StandardOutput=file:/dev/ttyS1
StandardError=file:/dev/ttyS1

[Install]
WantedBy=multi-user.target
UNIT
systemctl --root="$root" -q enable walk.service

cp "$root"/boot/vmlinuz-* "$folder/vmlinuz"
cp "$root"/boot/initrd.img-* "$folder/initrd"
rm -f "$folder/disk.new"
truncate -s 3G "$folder/disk.new"
mke2fs -q -t ext4 -d "$root" "$folder/disk.new"
rm -rf "$root"
mv "$folder/disk.new" "$folder/disk.img"
