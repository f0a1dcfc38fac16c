#!/usr/bin/env bash
# Builds dist/dnsblproxy_VERSION_ARCH.deb for each ARCH on the command line
# (amd64, arm64). The same commit, Go and dpkg give the same bytes: times come
# from SOURCE_DATE_EPOCH (default: that of the commit), owners are root.
#
# GO names the go command, VERSION and COMMIT what the program says of itself, OUT
# the folder for packages.
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC
cd "$(dirname "$0")/../.."

export GO=${GO:-go}
OUT=${OUT:-dist}
VERSION=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo devel)}
COMMIT=${COMMIT:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

# Debian wants versions that begin with a digit, and sorts "~" before all else.
# A commit without a tag says nothing of its age: its time does.
case $VERSION in
	v[0-9]* | [0-9]*.*) debversion=${VERSION#v} ;;
	*) debversion=0.0~$(date -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).$VERSION ;;
esac
debversion=${debversion//-/+}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

# put MODE SOURCE TARGET copies one file into the tree.
put() { install -D -m "$1" "$2" "$tree/$3"; }

# pack SOURCE TARGET.gz copies one file, compressed without name and time.
pack() {
	mkdir -p "$tree/$(dirname "$2")"
	gzip -9n <"$1" >"$tree/$2"
}

for arch in "${@:-amd64}"; do
	tree=$stage/$arch
	mkdir -p "$tree/usr/bin" "$tree/etc/dnsblproxy/allow.d"
	CGO_ENABLED=0 GOOS=linux GOARCH=$arch $GO build -trimpath -buildvcs=false \
		-ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT" -o "$tree/usr/bin/dnsblproxy" ./cmd/dnsblproxy

	put 640 config.example.toml etc/dnsblproxy/config.toml
	put 644 deploy/systemd/dnsblproxy.service usr/lib/systemd/system/dnsblproxy.service
	put 644 deploy/systemd/dnsblproxy.socket usr/lib/systemd/system/dnsblproxy.socket
	put 644 deploy/systemd/sysusers.conf usr/lib/sysusers.d/dnsblproxy.conf
	put 644 docs/completion/dnsblproxy.bash usr/share/bash-completion/completions/dnsblproxy
	put 644 docs/completion/_dnsblproxy usr/share/zsh/vendor-completions/_dnsblproxy
	put 644 docs/completion/dnsblproxy.fish usr/share/fish/vendor_completions.d/dnsblproxy.fish
	for page in docs/man/*.[15]; do
		pack "$page" "usr/share/man/man${page##*.}/$(basename "$page").gz"
	done

	doc=usr/share/doc/dnsblproxy
	put 644 deploy/deb/copyright $doc/copyright
	GOARCH=$arch deploy/licenses.sh >"$stage/licenses"
	pack "$stage/licenses" $doc/licenses.gz
	for file in README.md CHANGELOG.md SECURITY.md docs/*.md; do
		put 644 "$file" "$doc/$file"
	done
	put 644 deploy/prometheus/dnsblproxy.rules.yml $doc/examples/dnsblproxy.rules.yml
	put 644 deploy/grafana/dnsblproxy.json $doc/examples/dnsblproxy.grafana.json
	put 644 config.example.toml $doc/examples/config.toml
	printf 'dnsblproxy (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' "$debversion" \
		"$(sed -n 's/^Maintainer: //p' deploy/deb/control)" "$(date -R -d "@$SOURCE_DATE_EPOCH")" >"$stage/changelog"
	pack "$stage/changelog" $doc/changelog.gz
	put 644 deploy/deb/lintian-overrides usr/share/lintian/overrides/dnsblproxy

	mkdir "$tree/DEBIAN"
	size=$(du -k -s --apparent-size --exclude=DEBIAN "$tree" | cut -f1)
	sed -e "s/@VERSION@/$debversion/; s/@ARCH@/$arch/; s/@SIZE@/$size/" deploy/deb/control >"$tree/DEBIAN/control"
	echo /etc/dnsblproxy/config.toml >"$tree/DEBIAN/conffiles"
	for script in postinst prerm postrm; do
		put 755 "deploy/deb/$script" "DEBIAN/$script"
	done
	(cd "$tree" && find usr etc -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)

	mkdir -p "$OUT"
	rm -f "$OUT"/dnsblproxy_*_"$arch".deb # README installs what is there
	package=$OUT/dnsblproxy_${debversion}_$arch.deb
	# One thread: how xz splits its work would depend on the machine.
	dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$tree" "$package" >/dev/null
	echo "$package"
done
