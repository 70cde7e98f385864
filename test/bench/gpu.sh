#!/usr/bin/env bash
# The GPU bench on a bare Linux x64 machine with an NVIDIA GPU: doctor, correctness against the CPU, and lines per
# second over batch sizes 1 to 256 and 1 to 4 instances beside bare onnxruntime loops. It needs no Redis and no S3.
#
#   1. npm ci
#   2. CUDA 12 and cuDNN 9 where the loader finds them (LD_LIBRARY_PATH), and ONNX Runtime's CUDA provider, either by
#        ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js     (fetches it), or
#        ORT_CUDA_LIB=<folder with libonnxruntime_providers_cuda.so and _shared.so>               (copied from there),
#      of the very version of onnxruntime-node: such a folder is lib/ of ONNX Runtime's GPU archive for Linux x64.
#   3. test/bench/gpu.sh [options of gpu.ts, such as --sizes 1,8,64 --instances 1,2 --seconds 10]
#
# NODE names the node to use, else the one on PATH. Prints a table; writes test/bench/results/gpu-cuda.json.
# Exit code 0 only where the GPU read what the CPU reads.
set -euo pipefail
cd "$(dirname "$0")/../.."

refuse() {
  echo "gpu.sh: $1" >&2
  exit 1
}

node=${NODE:-node}
command -v "$node" >/dev/null || refuse "there is no node at \"$node\"; install Node 20.19 or later, or name it with NODE."
[ -d node_modules/onnxruntime-node ] || refuse "the packages are not installed; run npm ci first."

if [ -n "${ORT_CUDA_LIB:-}" ]; then
  version=$("$node" -p "require('onnxruntime-node/package.json').version")
  binding="node_modules/onnxruntime-node/bin/napi-v6/linux/x64"
  [ -d "$binding" ] || refuse "there is no $binding; CUDA needs Linux on x64."
  for library in libonnxruntime_providers_cuda.so libonnxruntime_providers_shared.so; do
    [ -f "$ORT_CUDA_LIB/$library" ] || refuse "ORT_CUDA_LIB has no $library ($ORT_CUDA_LIB)."
  done
  # A provider library of another version crashes or is refused when it is loaded; the archive names its own.
  for named in "$ORT_CUDA_LIB"/libonnxruntime.so.*.*.*; do
    [ ! -e "$named" ] || [ "${named##*/libonnxruntime.so.}" = "$version" ] ||
      refuse "ORT_CUDA_LIB is of version ${named##*/libonnxruntime.so.}, onnxruntime-node of $version; give the same."
  done
fi

gpus=$(nvidia-smi -L 2>/dev/null || true)
[ -n "$gpus" ] || refuse "no NVIDIA GPU is seen here (nvidia-smi is missing or lists none); without one only the form of the table can be had, with: node --import tsx test/bench/gpu.ts --provider cpu --sizes 1,2 --instances 1 --seconds 1"
echo "$gpus"

if [ -n "${ORT_CUDA_LIB:-}" ]; then
  cp "$ORT_CUDA_LIB"/libonnxruntime_providers_cuda.so "$ORT_CUDA_LIB"/libonnxruntime_providers_shared.so "$binding/"
fi

# Its verdict on Redis, S3 and ports does not matter here; that CUDA works the bench itself insists on.
INFERENCE_PROVIDER=cuda "$node" apps/cli/bin/glyphmill.js doctor || echo "gpu.sh: of these only \"provider cuda\" matters here" >&2

exec "$node" --import tsx test/bench/gpu.ts --provider cuda "$@"
