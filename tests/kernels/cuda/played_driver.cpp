// A libcuda.so.1 without a GPU under it, for cudnn_plans_test: it takes the kernels that cuDNN
// compiles for a described device, and runs nothing. Whatever else is called fails.
extern "C" {

namespace {
constexpr int kNoDevice = 100;  // CUDA_ERROR_NO_DEVICE
int something = 0;
}  // namespace

int cuGetErrorString(int, const char** text) {
  *text = "no device is played";
  return 0;
}
int cuGetErrorName(int, const char** text) { return cuGetErrorString(0, text); }
int cuLibraryLoadData(void** library, const void*, void*, void*, unsigned, void*, void*, unsigned) {
  *library = &something;
  return 0;
}
int cuLibraryGetKernel(void** kernel, void*, const char*) {
  *kernel = &something;
  return 0;
}
int cuLibraryUnload(void*) { return 0; }
int cuKernelSetAttribute(int, int, void*, int) { return 0; }
int cuKernelGetAttribute(int* value, int, void*, int) {
  *value = 0;
  return 0;
}

// Looked up when cuDNN starts its compiler.
#define MESHPLAN_NOT_PLAYED(name) \
  int name() { return kNoDevice; }
MESHPLAN_NOT_PLAYED(cuInit)
MESHPLAN_NOT_PLAYED(cuDriverGetVersion)
MESHPLAN_NOT_PLAYED(cuDeviceGet)
MESHPLAN_NOT_PLAYED(cuDeviceGetCount)
MESHPLAN_NOT_PLAYED(cuCtxGetCurrent)
MESHPLAN_NOT_PLAYED(cuCtxGetLimit)
MESHPLAN_NOT_PLAYED(cuCtxPopCurrent)
MESHPLAN_NOT_PLAYED(cuCtxPushCurrent)
MESHPLAN_NOT_PLAYED(cuStreamGetCtx)
MESHPLAN_NOT_PLAYED(cuLinkCreate)
MESHPLAN_NOT_PLAYED(cuLinkAddData)
MESHPLAN_NOT_PLAYED(cuLinkComplete)
MESHPLAN_NOT_PLAYED(cuLinkDestroy)
MESHPLAN_NOT_PLAYED(cuLaunchKernel)
MESHPLAN_NOT_PLAYED(cuLaunchKernelEx)
MESHPLAN_NOT_PLAYED(cuLaunchCooperativeKernel)
MESHPLAN_NOT_PLAYED(cuLibraryLoadFromFile)
MESHPLAN_NOT_PLAYED(cuOccupancyMaxPotentialClusterSize)
#undef MESHPLAN_NOT_PLAYED
}
