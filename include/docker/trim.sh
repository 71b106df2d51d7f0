#!/bin/sh
# `sh trim.sh SITE_PACKAGES`: takes away what no program of an image reads, a sixth of its size.
set -eu
cd "$1"
# Packages test themselves at home.
for package in numpy pandas scipy sklearn pywt pyarrow matplotlib libcst networkx; do
    [ ! -d $package ] || find $package -type d -name tests -prune -exec rm -r {} +
done
# Headers for compiling against them, and of OpenVINO the devices that nobody here serves with.
rm -rf pyarrow/include pyarrow/src numpy/_core/include openvino/include openvino/cmake
# The network protocol of Arrow.
rm -f pyarrow/*flight*
rm -f openvino/libs/libopenvino_intel_gpu_plugin.so openvino/libs/libopenvino_intel_npu_plugin.so openvino/libs/cache.json
# Who learns turns TensorFlow's models into OpenVINO's: the others only read those.
[ ! -d tensorflow ] || exit 0
rm -rf openvino/tools openvino/frontend/[opt]*
for format in onnx tensorflow tensorflow_lite pytorch paddle gguf jax; do
    rm -f openvino/libs/libopenvino_${format}_frontend.so*
done
