/* A plugin for QEMU: how often each block of instructions ran. `cargo xtask size` builds it and reads what it writes:
 * a line a block, "address instructions runs". The few declarations of QEMU's plugin interface that it needs stand
 * here, because Debian's QEMU comes without the header. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*)(uint64_t id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int operation, void *counter, uint64_t amount);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*)(uint64_t id, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
enum { ADD_U64 = 0 };

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

struct block {
    uint64_t address, instructions, runs;
    struct block *next;
};
static struct block *blocks;
static char *path;

/* A block may be translated again: it keeps its counter. */
static struct block *find(uint64_t address, uint64_t instructions) {
    struct block *block;
    for (block = blocks; block; block = block->next)
        if (block->address == address && block->instructions == instructions) return block;
    block = calloc(1, sizeof *block);
    if (!block) abort();
    block->address = address;
    block->instructions = instructions;
    block->next = blocks;
    return blocks = block;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    struct block *block = find(qemu_plugin_tb_vaddr(tb), qemu_plugin_tb_n_insns(tb));
    qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD_U64, &block->runs, 1);
}

static void ended(uint64_t id, void *unused) {
    (void)id, (void)unused;
    FILE *file = fopen(path, "w");
    if (!file) return;
    for (const struct block *block = blocks; block; block = block->next)
        fprintf(file, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", block->address, block->instructions, block->runs);
    fclose(file);
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int count, char **arguments) {
    (void)info;
    for (int i = 0; i < count; i++)
        if (!strncmp(arguments[i], "out=", 4)) path = strdup(arguments[i] + 4);
    if (!path) return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
