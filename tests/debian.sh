#!/usr/bin/env bash
# The Debian packages that the tests use as foreign programs: installs them as root, names them otherwise.
set -eu
declare -A of=(
  [gpg]=gnupg [gpgsm]=gpgsm [cmsutil]=libnss3-tools
  [mutt]=mutt [age]=age [strace]=strace [mbsync]=isync [swaks]=swaks [xmlsec1]=xmlsec1 [pdfsig]=poppler-utils
  [opendkim]=opendkim [clamd]=clamav-daemon [chromium]=chromium [openssl]=openssl [setpriv]=util-linux [softhsm2-util]=softhsm2 [postfix]=postfix
  [neomutt]=neomutt [javac]=default-jdk-headless [dovecot]=dovecot-imapd
  [thunderbird]=thunderbird
)
missing=()
for program in "${!of[@]}"; do
  command -v "$program" >/dev/null || missing+=("${of[$program]}")
done
if ! command -v initdb >/dev/null && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
  missing+=(postgresql)
fi
[ -e /usr/share/java/javax.mail.jar ] || missing+=(libmail-java)
exim=${XDG_CACHE_HOME:-$HOME/.cache}/congvan-tests/exim  # as tests/mailserver/queue/foreign.py has it
[ ${#missing[@]} -eq 0 ] && [ -x "$exim"/usr/sbin/exim4 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
  [ ${#missing[@]} -eq 0 ] && exit 0  # the tests with Exim are left out
  echo "These Debian packages are missing: ${missing[*]}" >&2
  echo "Install them:  sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
[ ${#missing[@]} -eq 0 ] || apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
# Exim can't be installed beside Postfix: its program is unpacked into a folder of its own.
if [ ! -x "$exim"/usr/sbin/exim4 ]; then
  unpack=$(mktemp -d)
  if (cd "$unpack" && chmod 755 . && apt-get download -qq exim4-daemon-light); then
    mkdir -p "$exim"
    dpkg-deb -x "$unpack"/exim4-daemon-light_*.deb "$exim"
    id Debian-exim >/dev/null 2>&1 || useradd -r -U -M -s /usr/sbin/nologin Debian-exim
  fi
  rm -rf "$unpack"
fi
