# Bodies of kernels and the logic around them. nvcc compiles them for the device; tests/kernels/cuda
# compiles them for the host, where they run against the reference.
set(MESHPLAN_CUDA_KERNEL_SOURCES
  activation.cu
  adamw.cu
  attention.cpp
  attention_decode.cu
  attention_graph.cpp
  attention_merge.cu
  attention_rows.cu
  attention_unfused.cpp
  bias.cu
  cross_entropy.cu
  dispatch.cpp
  elementwise.cu
  embedding.cu
  gemm.cpp
  gemm_problem.cpp
  norm.cu
  random.cu
  rotary.cu)
