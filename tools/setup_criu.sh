#!/usr/bin/env bash
# Puts CRIU 4.2.1 or newer into build/criu, as Debian testing has it, with its own loader and libraries; nothing is installed in
# the system. Debian 12's own CRIU does not work on recent kernels. Prints the path of the wrapper to run.
#
# The mirror is the one that apt uses here. Does nothing when it is there already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
dir=$PWD/build/criu
root=$dir/root

mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1
}

# apt with a world of its own: sources, lists, an empty package state, a cache.
private_apt() {
  apt-get -q -o Dir::Etc::SourceList="$dir/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
    -o Dir::State="$dir/apt/state" -o Dir::State::status="$dir/apt/status" -o Dir::Cache="$dir/apt/cache" \
    -o APT::Sandbox::User="$(id -un)" -o Debug::NoLocking=1 -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

fetch() {
  local from
  from=$(mirror)
  [ -n "$from" ] || { echo "setup_criu: apt has no Debian mirror; is this Debian, and has apt-get update been run?" >&2; exit 1; }
  rm -rf "$dir"
  mkdir -p "$dir/apt/state/lists/partial" "$dir/apt/cache/archives/partial" "$root"
  : >"$dir/apt/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $from testing main" >"$dir/apt/sources.list"
  private_apt update >"$dir/log" 2>&1 && private_apt -y --no-install-recommends --download-only install criu >>"$dir/log" 2>&1 ||
    { tail -n 5 "$dir/log" >&2; return 1; }
}

unpack() {
  local package
  for package in "$dir"/apt/cache/archives/*.deb; do
    case $package in
      */perl* | */python* | */debconf*) ;;
      *) dpkg-deb -x "$package" "$root" ;;
    esac
  done
  rm -rf "$dir/apt"
}

wrapper() {
  cat >"$dir/criu" <<TEXT
#!/bin/sh
exec "$root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" \\
  "$root/usr/sbin/criu" "\$@"
TEXT
  chmod +x "$dir/criu"
}

main() {
  if ! "$dir/criu" --version >/dev/null 2>&1; then
    fetch
    unpack
    wrapper
    "$dir/criu" --version >/dev/null
  fi
  echo "$dir/criu"
}

main
