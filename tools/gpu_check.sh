#!/usr/bin/env bash
# Builds, proves and times every form of B0 and B2 on a machine with an NVIDIA GPU: JSON lines.
#
#   tools/gpu_check.sh gather FOLDER        on a workstation: wheels and graphs, to carry along
#   tools/gpu_check.sh run [FOLDER]         on the machine with the GPU, without a network
#
# `gather` needs Python with edgeseg[export,rtx] and the package index. `run` makes an environment of
# FOLDER's wheels; without FOLDER it takes the Python on the PATH ($PYTHON names another), which then
# needs edgeseg[export,rtx]. Where TensorRT is installed, as on a Jetson, it is measured, too.
#
# Both libraries build typed graphs in FP16 and INT8 of the exact and a merged network, in every form,
# prove them against the emulation, and time engine, batches of 4 and 8, and whole frames at 1280x720
# with 150 classes, with and without CUDA graphs. It ends within $SECONDS_IN_ALL, 480 by default: what
# the time was too short for is named. Lines are for docs/jetson.md and docs/rtx.md. Without a GPU the
# plans are built all the same, and a line says what was left out.
set -euo pipefail

checkout=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
limit=${SECONDS_IN_ALL:-480}
SECONDS=0

usage() {
  sed -n '2,17s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

say() {
  echo "$*" >&2
}

gather() {
  local folder=$1
  mkdir -p "$folder/wheels"
  "$python" -m pip wheel --quiet --no-deps --wheel-dir "$folder/wheels" "$checkout"
  "$python" -m pip download --quiet --only-binary=:all: --constraint "$checkout/constraints.txt" \
    --dest "$folder/wheels" --find-links "$folder/wheels" 'edgeseg[rtx]' onnx
  make_kit "$folder/kit"
  say "carry $folder and a checkout along; there: tools/gpu_check.sh run $folder"
}

make_kit() {
  say "writing graphs without their weights to $1"
  # What follows is given for tests: a smaller size, or one network.
  # shellcheck disable=SC2086
  "$python" "$checkout/tools/gpu_kit.py" "$1" ${KIT_OPTIONS:-}
}

run() {
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  local kit=$work/kit
  if [ -n "${1:-}" ]; then
    kit=$1/kit
    "$python" -m venv --system-site-packages "$work/env" # a Jetson's TensorRT is the system's
    python=$work/env/bin/python
    say "installing the wheels of $1"
    "$python" -m pip install --quiet --no-index --find-links "$1/wheels" 'edgeseg[rtx]' onnx
  else
    make_kit "$kit"
  fi
  say "writing typed graphs, and what the emulation gives for them"
  # shellcheck disable=SC2086
  "$python" "$checkout/tools/gpu_cases.py" "$kit" "$work/cases" ${CASES_OPTIONS:-}
  local left=$((limit - SECONDS))
  say "building and measuring, for $left s at most"
  # A builder cannot be interrupted between two cases: the last one gets what is left of a minute.
  timeout --signal=INT $((left > 60 ? left : 60)) \
    "$python" "$checkout/tools/gpu_measure.py" "$work/cases" --seconds $((left > 60 ? left - 30 : 30))
}

[ "$#" -ge 1 ] || usage
command=$1
shift
case $command in
  gather) [ "$#" -eq 1 ] || usage; gather "$1" ;;
  run) [ "$#" -le 1 ] || usage; run "${1:-}" ;;
  *) usage ;;
esac
