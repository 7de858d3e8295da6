#!/usr/bin/env bash
# The Debian packages that the tests use as foreign programs: installs them as root, names them otherwise.
set -eu
declare -A of=(
  [mutt]=mutt [mbsync]=isync [swaks]=swaks [xmlsec1]=xmlsec1 [pdfsig]=poppler-utils
  [opendkim]=opendkim [clamd]=clamav-daemon [chromium]=chromium [openssl]=openssl [setpriv]=util-linux [softhsm2-util]=softhsm2
)
missing=()
for program in "${!of[@]}"; do
  command -v "$program" >/dev/null || missing+=("${of[$program]}")
done
if ! command -v initdb >/dev/null && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
  missing+=(postgresql)
fi
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "These Debian packages are missing: ${missing[*]}" >&2
  echo "Install them:  sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
