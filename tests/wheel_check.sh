#!/usr/bin/env bash
# Builds the wheel, installs it outside the tree and starts the demo from /.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/.venv/bin/python" -m build --wheel --no-isolation --outdir "$work/dist" "$root" >/dev/null
if "$root/.venv/bin/python" -m zipfile -l "$work"/dist/*.whl | grep -q '^tests/'; then
  echo "tests are in the wheel" >&2
  exit 1
fi
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip --disable-pip-version-check install -q --require-hashes -r "$root/requirements.lock"
"$work/venv/bin/python" -m pip --disable-pip-version-check install -q --no-deps "$work"/dist/*.whl
base=$(cd "$root" && .venv/bin/python -c 'from tests.running import free_base_port; print(free_base_port())')
cd /
"$work/venv/bin/congvan" --help >/dev/null
"$work/venv/bin/congvan" demo --dir "$work/demo" --base-port "$base" --seconds 1 >/dev/null
echo "wheel: built, installed and started from /"
