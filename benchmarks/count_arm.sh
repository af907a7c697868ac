#!/usr/bin/env bash
# Counts the instructions of one image on an emulated Cortex-A76, for each engine.
#
#   benchmarks/count_arm.sh FOLDER [ENGINE:FILE ...]     a JSON line each
#
# FOLDER is what `small_boards.py --write` wrote; a small --size keeps emulation short. Needs
# qemu-user, a C compiler, pip and apt-get, but no root: Debian's arm64 packages and the wheels for
# aarch64 are unpacked below $WORK, whose content another run uses again.
#
# Counted is what one more image takes, on one thread. The results are those of a board. The count is
# no time: it says how well an engine's code uses the processor's vectors, and nothing of memory,
# caches or cores.
set -euo pipefail

folder=$(realpath "$1")
shift
here=$(cd "$(dirname "$0")" && pwd)
work=${WORK:-$(mktemp -d)}
root=$work/root site=$work/site
constraints=$here/../constraints.txt

unpack_debian() {
  local apt=$work/apt
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/debs" "$root"
  : >"$apt/status"
  local options=(-qq -o APT::Architecture=arm64 -o APT::Architectures=arm64
    -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o Dir::State::status="$apt/status"
    -o Debug::NoLocking=1 -o APT::Sandbox::User=)
  apt-get "${options[@]}" update
  (cd "$apt/debs" && apt-get "${options[@]}" download libc6 libgcc-s1 libstdc++6 zlib1g libexpat1 \
    libssl3 libffi8 libbz2-1.0 liblzma5 libuuid1 python3.11-minimal libpython3.11-minimal \
    libpython3.11-stdlib)
  for package in "$apt/debs"/*.deb; do dpkg -x "$package" "$root"; done
}

unpack_wheels() {
  local platforms=()
  for version in 2014 _2_17 _2_24 _2_26 _2_27 _2_28 _2_34 _2_35; do
    platforms+=(--platform "manylinux${version}_aarch64")
  done
  pip download --quiet --no-deps --only-binary=:all: "${platforms[@]}" --python-version 3.11 \
    -c "$constraints" -d "$work/wheels" numpy onnxruntime openvino ncnn ai-edge-litert flatbuffers \
    packaging protobuf ml-dtypes tqdm typing-extensions
  for wheel in "$work/wheels"/*.whl; do python3 -m zipfile -e "$wheel" "$site"; done
}

# ONNX Runtime and ncnn read there what the processor can do.
pose_as_board() {
  mkdir -p "$root/proc"
  local features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm"
  printf '%s\t: %s\n' processor 0 Features "$features lrcpc dcpop asimddp" 'CPU implementer' 0x41 \
    'CPU architecture' 8 'CPU variant' 0x4 'CPU part' 0xd0b 'CPU revision' 1 >"$root/proc/cpuinfo"
}

run() { # ENGINE FILE RUNS
  PYTHONPATH=$site:$here/.. OPENBLAS_NUM_THREADS=1 qemu-aarch64 -cpu cortex-a76 -L "$root" \
    -plugin "$work/count.so" "$root/usr/bin/python3.11" "$here/small_engines.py" "$1" "$folder" \
    "$2" --threads 1 --runs "$3" 2>"$work/stderr" || { cat "$work/stderr" >&2; return 1; }
}

count() { sed -n 's/^executed //p' "$work/stderr"; }

{
  [ -x "$root/usr/bin/python3.11" ] || unpack_debian
  [ -d "$site" ] || unpack_wheels
  pose_as_board
  cc -O2 -shared -fPIC -o "$work/count.so" "$here/count_instructions.c"
} >&2
if [ "$#" -eq 0 ]; then
  set -- onnxruntime:exact-fused.onnx openvino-f32:exact-plain.onnx openvino-f16:exact-plain.onnx \
    ncnn:exact-ncnn ncnn:exact-ncnn-split ncnn-f16s:exact-ncnn ncnn-f16:exact-ncnn \
    litert:exact-litert.tflite litert-f16:exact-litert.tflite
fi
for way in "$@"; do
  engine=${way%%:*} file=${way#*:}
  run "$engine" "$file" 1 >"$work/line" || exit 1
  once=$(count)
  run "$engine" "$file" 2 >"$work/line" || exit 1
  printf '{"millions": %d, "run": %s}\n' $((($(count) - once) / 1000000)) "$(cat "$work/line")"
done
