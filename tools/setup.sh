#!/usr/bin/env bash
# Installs the Debian packages named in the given list files: tools/setup.sh LIST...
# Does nothing, fast, when all are there. Uses apt directly as root, otherwise through sudo; otherwise says what to run.
set -euo pipefail

wanted() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$@" | sort -u; }

missing() {
  local installed
  # dpkg-query fails when it does not know one of the names; what it prints about the others still counts.
  installed=$(wanted "$@" | xargs dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null |
    sed -n 's/^installed //p' | sort -u || true)
  comm -23 <(wanted "$@") <(printf '%s\n' "$installed")
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    sudo "$@"
  else
    return 77
  fi
}

install() {
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o Dpkg::Use-Pty=0 -o Acquire::Retries=3)
  as_root "${apt[@]}" update >/dev/null || return
  as_root "${apt[@]}" install --no-install-recommends "$@" >/dev/null
}

main() {
  if ! command -v dpkg-query >/dev/null; then
    echo "setup: this is not a Debian system; please install what these name: $*" >&2
    exit 1
  fi
  local packages status=0
  mapfile -t packages < <(missing "$@")
  [ ${#packages[@]} -gt 0 ] || return 0
  echo "setup: installing ${#packages[@]} packages: ${packages[*]}"
  install "${packages[@]}" || status=$?
  if [ "$status" = 77 ]; then
    echo "setup: packages are missing and this user can neither be root nor use sudo. As root, run:" >&2
    echo "  apt-get update && apt-get install --no-install-recommends ${packages[*]}" >&2
  fi
  return "$status"
}

main "$@"
