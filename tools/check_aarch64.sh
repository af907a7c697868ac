#!/usr/bin/env bash
# Installs the wheel on an emulated Arm board and replays bundles' golden frames there.
#
#   tools/check_aarch64.sh [BUNDLE ...]        results on stdout, progress on stderr
#
# Without bundles: the packaged demo, the demo exported for OpenVINO with INT8, and, where the
# checkpoint lies beside the checkout, CamVid's for both engines. Every variant is replayed as it is
# placed there. In 96x128 the demo for both engines then segments the drawn drive with its page on,
# and `edgeseg build` proves and times it. The status is 1 if any failed; the others are still run.
#
# Needs root, pip, git, to export edgeseg[export] on the PATH ($EDGESEG names another), and the
# packages debootstrap, qemu-user-static and binfmt-support; about 15 minutes on two cores, and 1 GB
# in $WORK, whose Debian root another run uses again. $MIRROR is Debian's, $PIP_INDEX_URL PyPI's.
#
# It shows that the results are right. Emulated speed says nothing of a board's.
set -euo pipefail

checkout=$(cd "$(dirname "$0")/.." && pwd)
edgeseg=${EDGESEG:-edgeseg}
work=${WORK:-$(mktemp -d)}
root=$work/root
camvid=$checkout/../shared/weights/segformer_b0_camvid
# The processor of a Raspberry Pi 5: no SVE, no I8MM, no bfloat16.
cpu=cortex-a76

check_needs() {
  local missing=()
  for package in debootstrap qemu-user-static binfmt-support; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  if [ "${#missing[@]}" -gt 0 ]; then
    echo "missing packages; install them: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "a Debian root is made and entered by root: run this with sudo" >&2
    exit 1
  fi
  if [ "$#" -eq 0 ] && ! command -v "$edgeseg" >/dev/null; then
    echo "no edgeseg to export with: activate its environment, or set EDGESEG" >&2
    exit 1
  fi
}

make_root() {
  # Without an init system, as in a container, nothing has told the kernel of qemu yet.
  [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] || update-binfmts --enable qemu-aarch64
  if [ ! -d "$root" ]; then
    debootstrap --arch=arm64 --variant=minbase --include=python3,python3-venv,ca-certificates \
      bookworm "$root.unfinished" ${MIRROR:+"$MIRROR"}
    mv "$root.unfinished" "$root"
  fi
  # The way to the package index may have a certificate authority of its own.
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
}

# OpenVINO hangs without /sys. ONNX Runtime reads in /proc/cpuinfo what the processor can do, and
# crashes on the host's, an x86 one's: it is given the emulated processor's, and no more of /proc.
pose_as_board() {
  local features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm"
  for core in $(seq 0 $(($(nproc) - 1))); do
    printf '%s\t: %s\n' processor "$core" Features "$features lrcpc dcpop asimddp" \
      'CPU implementer' 0x41 'CPU architecture' 8 'CPU variant' 0x4 'CPU part' 0xd0b \
      'CPU revision' 1
    echo
  done >"$root/proc/cpuinfo"
  mount --bind -o ro /sys "$root/sys"
  trap 'umount --lazy "$root/sys"' EXIT
}

# Killed where it hangs: under qemu a process may not even hear SIGTERM.
in_root() {
  timeout --foreground --signal=KILL 1h chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 \
    PATH=/check/env/bin:/usr/bin:/bin QEMU_CPU="$cpu" ${index:+PIP_INDEX_URL="$index"} "$@"
}

install_wheel() {
  local source=$work/source
  rm -rf "$source" "$root/check"
  mkdir -p "$source" "$root/check/bundles"
  # From a copy: setuptools leaves build/ beside what it builds, and packs what is left in it.
  git -C "$checkout" ls-files -z --cached --others --exclude-standard |
    tar -C "$checkout" --create --null --files-from=- | tar -C "$source" --extract
  pip wheel --quiet --no-deps --wheel-dir "$root/check" "$source"
  cp "$source/constraints.txt" "$root/check/"
  wheel=$(basename "$root"/check/edgeseg-*.whl)
  index=${PIP_INDEX_URL:-$(pip config get global.index-url 2>/dev/null || true)}
  in_root python3 -m venv /check/env
  in_root pip install --quiet --only-binary=:all: -c /check/constraints.txt \
    "/check/${wheel}[openvino,opencv,preview]"
}

export_bundles() {
  local out=$work/bundles
  rm -rf "$out"
  mkdir "$out"
  local int8=(--int8 --recipe int8-linear --calibration-images 50)
  "$edgeseg" export --model b0 --target openvino "${int8[@]}" -o "$out/demo-openvino"
  # Too small to be accurate: they show what is proved and timed.
  for target in onnxruntime openvino; do
    "$edgeseg" export --model b0 --target "$target" --size 96x128 --form exact "${int8[@]}" \
      --max-drop 20 --max-class-drop 20 -o "$out/small-$target"
    small+=("$out/small-$target")
  done
  bundles=("$checkout/edgeseg/data/demo_bundle" "$out/demo-openvino")
  if [ -d "$camvid" ]; then
    for target in onnxruntime openvino; do
      "$edgeseg" export --weights "$camvid" --target "$target" --precision fp32 \
        -o "$out/camvid-$target"
      bundles+=("$out/camvid-$target")
    done
  fi
}

# Not `edgeseg verify`: with several variants on a new CPU it would first time them, 23 rounds each,
# and replay only the fastest. `build` does that on small bundles.
replay() {
  in_root python - "/check/bundles/$1" <<'PY'
import sys
from pathlib import Path

from edgeseg.bundle.store import open_bundle
from edgeseg.runtime.golden import judge_golden
from edgeseg.runtime.proving.trial import place_all
from edgeseg.verification.subjects import BundleModel

bundle = open_bundle(Path(sys.argv[1]))
missed = False
for variant in place_all(bundle):
    print(f"{bundle.folder.name}, {bundle.manifest.target}, {variant.title}:", flush=True)
    segment = BundleModel(bundle, variant=variant).segment
    for gate in judge_golden(bundle, variant, segment).gates:
        verdict = "passed" if gate.passed else "MISSED"
        print(f"  {verdict}: {gate.name} {gate.value:.3f} (limit {gate.limit:.3f})", flush=True)
        missed |= not gate.passed
sys.exit(missed)
PY
}

# A run whose frames come at a camera's pace, its lines, and its page.
run_live() {
  in_root python - "/check/bundles/$1" /check/lines.jsonl 127.0.0.1:8899 <<'PY'
import json
import signal
import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import urlopen

bundle, written, address = sys.argv[1:]
options = ["--source", "demo", "--preview", address, "--jsonl", written, "--json"]
command = ["edgeseg", "run", bundle, *options]


def fetch(path):
    with urlopen(f"http://{address}{path}", timeout=60) as answer:
        return answer.headers["Content-Type"], answer.read()


with subprocess.Popen(command, stdout=subprocess.PIPE) as run:
    ends = time.monotonic() + 1200
    frames = 0
    while frames < 5 and run.poll() is None and time.monotonic() < ends:
        time.sleep(2)
        try:
            frames = json.loads(fetch("/stats")[1])["frames"]
        except (URLError, KeyError, ValueError):
            continue
    answers = [(path, *fetch(path)) for path in ("/", "/snapshot", "/healthz")]
    run.send_signal(signal.SIGINT)
    summary = json.loads(run.stdout.read())
with open(written) as file:
    lines = [json.loads(line) for line in file]
print(f"{summary['frames']} frames on {summary['backend']}, {len(lines)} lines")
for path, kind, body in answers:
    print(f"  {path}: {kind}, {len(body)} bytes")
sys.exit(not (run.returncode == 0 and len(lines) == summary["frames"] >= 5))
PY
}

check_needs "$@"
echo "working in $work" >&2
bundles=("$@")
small=()
{
  make_root
  pose_as_board
  install_wheel
  [ "$#" -gt 0 ] || export_bundles
  for bundle in "${bundles[@]}" "${small[@]}"; do
    cp -r "$bundle" "$root/check/bundles/"
  done
} >&2

date +%F
echo "\$ tools/check_aarch64.sh${*:+ ${*##*/}}"
echo "$wheel of commit $(git -C "$checkout" describe --always --dirty), $cpu under" \
  "$(qemu-aarch64-static --version | head -n 1)"
in_root pip list --format=freeze | grep -i -E '^(numpy|onnxruntime|opencv.*|openvino|pillow)='
echo
in_root edgeseg doctor 2>&1
failed=()
for bundle in "${bundles[@]}"; do
  name=$(basename "$bundle")
  echo
  replay "$name" || failed+=("$name (exit status $?)")
done
for bundle in "${small[@]}"; do
  name=$(basename "$bundle")
  echo
  echo "edgeseg run $name, live:"
  run_live "$name" || failed+=("$name, live (exit status $?)")
  echo
  echo "\$ edgeseg build $name --json"
  in_root edgeseg build "/check/bundles/$name" --json 2>&1 || failed+=("$name (exit status $?)")
done
echo
if [ "${#failed[@]}" -gt 0 ]; then
  printf 'FAILED: %s\n' "${failed[@]}"
  exit 1
fi
echo "all passed"
