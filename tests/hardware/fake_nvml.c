/* A stand-in for libnvidia-ml.so.1 that answers from a script, so that the real pynvml is driven through real structs.

   $FAKE_NVML_SCRIPT holds a line per answer:   FUNCTION DEVICE FROM RESULT FIELDS...
   DEVICE is an index, or - for any. The answer counts from the function's FROM-th call (0 is the first) on that device;
   of several the one with the largest FROM wins. RESULT is an nvmlReturn_t; one of 7777 never returns, as a driver that
   hangs. What has no line is NOT_SUPPORTED.
   Compiled with -DOLD_DRIVER it lacks what a driver before R510 lacks. Layouts are those of NVIDIA's nvml.h. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long long ull;
typedef struct { ull total, free, used; } memory_v1;
typedef struct { unsigned version; ull total, reserved, free, used; } memory_v2;
typedef struct { unsigned pid; ull used; unsigned gpu_instance, compute_instance; } process;
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { void *device; ull type, data; unsigned gpu_instance, compute_instance; } event;

enum { SUCCESS = 0, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, VERSION_MISMATCH = 25, STUCK = 7777, MAX_COUNTERS = 256 };
enum { TEXT = 512 };

static struct { char name[64]; int device; long calls; } counters[MAX_COUNTERS];
static int owner_of_set[16], num_sets;

static int index_of(void *device) { return (int)(intptr_t)device - 1; }

static long count_call(const char *name, int device) {
    for (int i = 0; i < MAX_COUNTERS; i++) {
        if (!counters[i].name[0]) {
            snprintf(counters[i].name, sizeof counters[i].name, "%s", name);
            counters[i].device = device;
        }
        if (counters[i].device == device && !strcmp(counters[i].name, name)) return counters[i].calls++;
    }
    abort();
}

/* The scripted result; its fields go to `fields`, and the number of earlier calls to `calls`. */
static int answer(const char *name, int device, char *fields, long *calls) {
    char line[TEXT], function[64], which[16];
    long from, best = -1;
    int result, offset, found = NOT_SUPPORTED;
    FILE *script = fopen(getenv("FAKE_NVML_SCRIPT"), "r");
    *calls = count_call(name, device);
    fields[0] = 0;
    while (script && fgets(line, sizeof line, script)) {
        if (sscanf(line, "%63s %15s %ld %d %n", function, which, &from, &result, &offset) < 4) continue;
        if (strcmp(function, name) || (strcmp(which, "-") && atoi(which) != device)) continue;
        if (from > *calls || from < best) continue;
        best = from;
        found = result;
        line[strcspn(line, "\n")] = 0;
        snprintf(fields, TEXT, "%s", line + offset);
    }
    if (script) fclose(script);
    while (found == STUCK) pause();
    return found;
}

static int numbers(const char *name, int device, ull *values, int count) {
    char fields[TEXT], *at = fields;
    long calls;
    int result = answer(name, device, fields, &calls);
    for (int i = 0; i < count; i++) values[i] = strtoull(at, &at, 0);
    if (at[0] == ' ' && at[1] == '+') values[0] += strtoull(at + 2, NULL, 0) * (ull)calls; /* "1000 +50": grows */
    return result;
}

static int text(const char *name, int device, char *out, unsigned size) {
    char fields[TEXT];
    long calls;
    int result = answer(name, device, fields, &calls);
    if (result == SUCCESS) snprintf(out, size, "%s", fields);
    return result;
}

static int processes(const char *name, void *device, unsigned *count, process *out) {
    char fields[TEXT], *word;
    long calls;
    unsigned found = 0;
    int result = answer(name, index_of(device), fields, &calls);
    if (result != SUCCESS) return result;
    for (word = strtok(fields, " "); word; word = strtok(NULL, " "), found++) {
        char *colon = strchr(word, ':');
        if (out && found < *count) {
            memset(&out[found], 0, sizeof *out);
            out[found].pid = strncmp(word, "self", 4) ? (unsigned)strtoul(word, NULL, 0) : (unsigned)getpid();
            out[found].used = strcmp(colon + 1, "null") ? strtoull(colon + 1, NULL, 0) : ~0ull;
        }
    }
    result = found > *count ? INSUFFICIENT_SIZE : SUCCESS;
    *count = found;
    return result;
}

#define UINT(name) \
    int name(void *device, unsigned *out) { ull v; int r = numbers(#name, index_of(device), &v, 1); *out = v; return r; }
#define ULL(name) \
    int name(void *device, ull *out) { return numbers(#name, index_of(device), out, 1); }
#define TWO(name) \
    int name(void *device, unsigned *a, unsigned *b) { \
        ull v[2]; int r = numbers(#name, index_of(device), v, 2); *a = v[0]; *b = v[1]; return r; }
#define PROCESSES(name) \
    int name(void *device, unsigned *count, process *out) { return processes(#name, device, count, out); }

int nvmlInitWithFlags(unsigned flags) { ull v; (void)flags; return numbers("nvmlInitWithFlags", -1, &v, 1); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) { (void)code; return "an error of this test"; }
int nvmlSystemGetDriverVersion(char *out, unsigned size) { return text("nvmlSystemGetDriverVersion", -1, out, size); }
int nvmlSystemGetCudaDriverVersion_v2(int *out) {
    ull v; int r = numbers("nvmlSystemGetCudaDriverVersion_v2", -1, &v, 1); *out = (int)v; return r; }
int nvmlDeviceGetCount_v2(unsigned *out) {
    ull v; int r = numbers("nvmlDeviceGetCount_v2", -1, &v, 1); *out = (unsigned)v; return r; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **out) {
    ull v; *out = (void *)(intptr_t)(index + 1); return numbers("nvmlDeviceGetHandleByIndex_v2", (int)index, &v, 1); }
int nvmlDeviceGetName(void *d, char *out, unsigned size) { return text("nvmlDeviceGetName", index_of(d), out, size); }
int nvmlDeviceGetUUID(void *d, char *out, unsigned size) { return text("nvmlDeviceGetUUID", index_of(d), out, size); }
UINT(nvmlDeviceGetPowerUsage)
UINT(nvmlDeviceGetEnforcedPowerLimit)
UINT(nvmlDeviceGetMaxPcieLinkGeneration)
UINT(nvmlDeviceGetMaxPcieLinkWidth)
UINT(nvmlDeviceGetPersistenceMode)
ULL(nvmlDeviceGetTotalEnergyConsumption)
ULL(nvmlDeviceGetCurrentClocksThrottleReasons)
TWO(nvmlDeviceGetEccMode)
TWO(nvmlDeviceGetMigMode)
TWO(nvmlDeviceGetCudaComputeCapability)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v2)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2)

int nvmlDeviceGetClockInfo(void *d, int type, unsigned *out) {
    ull v; int r = numbers(type == 1 ? "nvmlDeviceGetClockInfo:sm" : "nvmlDeviceGetClockInfo:memory", index_of(d), &v, 1);
    *out = v; return r; }
int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *out) {
    ull v; int r = numbers("nvmlDeviceGetTemperature", index_of(d), &v, 1); (void)sensor; *out = v; return r; }
int nvmlDeviceGetUtilizationRates(void *d, utilization *out) {
    ull v[2]; int r = numbers("nvmlDeviceGetUtilizationRates", index_of(d), v, 2);
    out->gpu = v[0]; out->memory = v[1]; return r; }
int nvmlDeviceGetTotalEccErrors(void *d, int kind, int counter, ull *out) {
    (void)kind; (void)counter; return numbers("nvmlDeviceGetTotalEccErrors", index_of(d), out, 1); }
/* Fields: total used. */
int nvmlDeviceGetMemoryInfo(void *d, memory_v1 *out) {
    ull v[2]; int r = numbers("nvmlDeviceGetMemoryInfo", index_of(d), v, 2);
    out->total = v[0]; out->used = v[1]; out->free = v[0] - v[1]; return r; }

#ifndef OLD_DRIVER
ULL(nvmlDeviceGetCurrentClocksEventReasons)
PROCESSES(nvmlDeviceGetComputeRunningProcesses_v3)
PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3)
/* Fields: total reserved used. */
int nvmlDeviceGetMemoryInfo_v2(void *d, memory_v2 *out) {
    ull v[3]; int r;
    if (out->version != (sizeof *out | 2u << 24)) return VERSION_MISMATCH;
    r = numbers("nvmlDeviceGetMemoryInfo_v2", index_of(d), v, 3);
    out->total = v[0]; out->reserved = v[1]; out->used = v[2]; out->free = v[0] - v[1] - v[2]; return r; }
#endif

int nvmlEventSetCreate(void **set) {
    ull v; *set = (void *)(intptr_t)++num_sets; return numbers("nvmlEventSetCreate", -1, &v, 1); }
int nvmlEventSetFree(void *set) { (void)set; return SUCCESS; }
int nvmlDeviceRegisterEvents(void *d, ull types, void *set) {
    ull v; (void)types; owner_of_set[(intptr_t)set % 16] = index_of(d);
    return numbers("nvmlDeviceRegisterEvents", index_of(d), &v, 1); }
int nvmlEventSetWait_v2(void *set, event *out, unsigned timeout_ms) {
    int device = owner_of_set[(intptr_t)set % 16]; (void)timeout_ms;
    out->device = (void *)(intptr_t)(device + 1); out->type = 8;
    return numbers("nvmlEventSetWait_v2", device, &out->data, 1); }
