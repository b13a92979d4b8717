#!/usr/bin/env bash
# Builds what on_device.sh needs and lays it in one folder of less than 64 MiB, for a machine with a
# GPU that has CUDA, cuBLAS and NCCL, and nothing else of ours.
#
#   tests/gpu/pack.sh [FOLDER]      (build/gpu-pack)
#
# The target runs  FOLDER/on_device.sh. Needs here: nvcc, and the packages of tests/packages.txt.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:-$root/build/gpu-pack}
build=$root/build/gpu-pack-build
readonly root folder build
readonly most_bytes=$((64 * 1024 * 1024))

# The small GEMM of our own: no library for the host to carry.
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMESHPLAN_CUDA=ON \
  -DMESHPLAN_GEMM=own -DMESHPLAN_BENCHMARKS=OFF
targets=(meshplan meshplan_cuda gpu_engine_test cuda_kernels_test)
ninja -C "$build" "${targets[@]}"

rm -rf "$folder"
mkdir -p "$folder/bin" "$folder/lib"
for target in "${targets[@]}"; do
  file=$(find "$build" -maxdepth 4 -type f -not -path '*/played/*' \
    \( -name "$target" -o -name "$target.so" \) | head -n 1)
  cp "$file" "$folder/bin/"
done
strip --strip-unneeded "$folder"/bin/*

# Shared libraries that a machine with CUDA does not have anyway.
for file in "$folder"/bin/*; do
  ldd "$file" | awk '$2 == "=>" && $3 ~ /^\// {print $3}'
done | sort -u | while read -r library; do
  case $(basename "$library") in
    libc.so* | libm.so* | libdl.so* | librt.so* | libpthread.so* | libgcc_s.so* | ld-linux* | \
      libstdc++.so* | libcublas* | libnccl* | libcuda* | libnvidia*) ;;
    *) cp -L "$library" "$folder/lib/" ;;
  esac
done

cp -r "$root/tests/gpu/models" "$root/tests/gpu/plans.txt" "$root/tests/gpu/on_device.sh" \
  "$root/tests/gpu/compare_pytorch.py" "$folder/"

printf '{"commit": "%s", "date": "%s", "cuda": "%s"}\n' \
  "$(git -C "$root" describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)" \
  "$(date -u +%Y-%m-%d)" "$(nvcc --version | grep -oE 'V[0-9.]+')" >"$folder/packed.json"

size=$(du -sb "$folder" | cut -f 1)
echo "$folder: $size bytes"
if ((size > most_bytes)); then
  echo "pack.sh: more than 64 MiB" >&2
  exit 1
fi
