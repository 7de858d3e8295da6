#!/usr/bin/env bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# usage: tests/bench/run.sh DIR BENCH [options of compare.py]     (as root: the peers run as users of their own)
# Both sides from nothing, filled with the same corpus, warmed up, compared A B A B …, ended.
set -euo pipefail
dir=$(realpath -m "$1"); bench=$(realpath "$2"); shift 2
python=$(dirname "$0")/../../.venv/bin/python
command -v doveadm postfix >/dev/null || { echo "needs (Debian): dovecot-imapd dovecot-lmtpd postfix" >&2; exit 1; }
mkdir -p "$dir"; chmod 755 "$dir"
end() { make -s bench-target-stop DIR="$dir/congvan" || true; bash "$bench/peers_down.sh" "$dir/peer"; }
trap end EXIT
bash "$bench/peers_up.sh" "$dir/peer" sdbox
make -s bench-target DIR="$dir/congvan"
for side in peer congvan; do
  "$python" "$bench/mailbench.py" fill --target "$dir/$side/target.json"
  "$python" "$bench/mailbench.py" run --target "$dir/$side/target.json" --only login,fanout --quick >/dev/null
done
"$python" "$bench/compare.py" "$dir/peer/target.json" "$dir/congvan/target.json" --out "$dir/results.json" "$@"
