/* volk_code.c - the one place that holds volk's code (the run-time loader of Vulkan's functions). */
#define VOLK_IMPLEMENTATION
#include <volk.h>
