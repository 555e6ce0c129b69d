/* A stand-in for libcuda.so.1: two devices of $FAKE_CUDA_TOTAL bytes, $FAKE_CUDA_FREE of them free. What is allocated is
   written to $FAKE_CUDA_LOG, a line "DEVICE BYTES" each, by its number without CUDA_VISIBLE_DEVICES. That variable is
   followed, numbers and UUIDs. Signatures are those of cuda.h. */

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_CONTEXT = 201, COUNT = 2 };

static int current = -1, visible[COUNT] = {0, 1}, num_visible = COUNT;
static size_t used[COUNT];
static char contexts[COUNT];

static size_t number(const char *name) { return getenv(name) ? strtoull(getenv(name), NULL, 10) : 0; }

/* As CUDA does it: what isn't there hides itself and all that follows. */
static void choose_visible(char *text) {
    char *word, *end;
    num_visible = 0;
    for (word = strtok(text, ","); word && num_visible < COUNT; word = strtok(NULL, ",")) {
        long device = strtol(word, &end, 10);
        if (!strncmp(word, "GPU-", 4)) device = strtol(word + 4, NULL, 16) >> 24 & 0x0f; /* GPU-a1a1a1a1: 1 */
        else if (end == word) return;
        if (device < 0 || device >= COUNT) return;
        visible[num_visible++] = (int)device;
    }
}

int cuInit(unsigned flags) {
    char text[256];
    if (getenv("CUDA_VISIBLE_DEVICES")) {
        snprintf(text, sizeof text, "%s", getenv("CUDA_VISIBLE_DEVICES"));
        choose_visible(text);
    }
    return flags || !num_visible || getenv("FAKE_CUDA_BROKEN") ? NO_DEVICE : SUCCESS;
}

int cuGetErrorString(int code, const char **text) {
    *text = code == OUT_OF_MEMORY ? "out of memory" : code == NO_DEVICE ? "no CUDA-capable device is detected" : "other";
    return SUCCESS;
}

int cuDeviceGetCount(int *count) { *count = num_visible; return SUCCESS; }

int cuDeviceGet(int *device, int ordinal) {
    if (ordinal < 0 || ordinal >= num_visible) return INVALID_DEVICE;
    *device = ordinal;
    return SUCCESS;
}

int cuDeviceGetUuid(unsigned char *uuid, int device) {
    memset(uuid, 0xa0 + visible[device], 16);
    return SUCCESS;
}

int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &contexts[device]; return SUCCESS; }

int cuCtxSetCurrent(void *context) { current = (int)((char *)context - contexts); return SUCCESS; }

int cuMemGetInfo_v2(size_t *available, size_t *total) {
    if (current < 0) return INVALID_CONTEXT;
    *available = number("FAKE_CUDA_FREE") - used[current];
    *total = number("FAKE_CUDA_TOTAL");
    return SUCCESS;
}

int cuMemAlloc_v2(unsigned long long *pointer, size_t bytes) {
    FILE *log;
    if (current < 0) return INVALID_CONTEXT;
    if (used[current] + bytes > number("FAKE_CUDA_FREE")) return OUT_OF_MEMORY;
    used[current] += bytes;
    *pointer = used[current];
    log = fopen(getenv("FAKE_CUDA_LOG"), "a");
    fprintf(log, "%d %zu\n", visible[current], bytes);
    fclose(log);
    return SUCCESS;
}
