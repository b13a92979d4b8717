#!/usr/bin/env bash
# Installs the Debian packages of tests/packages.txt that are missing.
# Safe to run again; without anything missing it changes nothing and needs no network.
#
#   tests/install.sh            install what is missing (as root, or through sudo)
#   tests/install.sh --list     print what is missing, install nothing
set -euo pipefail

list_only=false
case "${1-}" in
  "") ;;
  --list) list_only=true ;;
  *)
    echo "install.sh: expected --list or nothing, found '$1'" >&2
    exit 2
    ;;
esac

packages_file="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/packages.txt"
mapfile -t packages < <(sed -e 's/#.*//' "$packages_file" | xargs -n1)

if ! command -v dpkg-query >/dev/null; then
  echo "install.sh: this is no Debian or Ubuntu; install the equivalents of:" >&2
  printf '  %s\n' "${packages[@]}" >&2
  exit 1
fi

missing=()
for package in "${packages[@]}"; do
  status="$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)"
  if [[ "$status" != installed ]]; then missing+=("$package"); fi
done

if ((${#missing[@]} == 0)); then
  echo "install: all ${#packages[@]} packages are there"
  exit 0
fi
echo "install: missing: ${missing[*]}"
if "$list_only"; then exit 0; fi

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "install.sh: run as root, or install sudo, or: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
echo "install: installed ${#missing[@]} packages"
