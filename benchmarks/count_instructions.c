/* A plugin of qemu's: how many instructions a program with one thread executes.

   Declared is what it uses of qemu's public interface for plugins, version 1. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct qemu_plugin_tb;

int qemu_plugin_version = 1;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*cb)(uint64_t, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *count, uint64_t add);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*cb)(uint64_t, void *), void *data);

static uint64_t executed;

static void take_block(uint64_t id, struct qemu_plugin_tb *tb)
{
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &executed, qemu_plugin_tb_n_insns(tb));
}

static void print_count(uint64_t id, void *data)
{
    fprintf(stderr, "executed %llu\n", (unsigned long long)executed);
}

int qemu_plugin_install(uint64_t id, const void *about, int argc, char **argv)
{
    qemu_plugin_register_vcpu_tb_trans_cb(id, take_block);
    qemu_plugin_register_atexit_cb(id, print_count, NULL);
    return 0;
}
