/*
 * Makes a filter with libseccomp as runc would: reads one word a line or several, writes raw BPF.
 *
 *   default ACTION            libseccomp's number of the action
 *   arch NAME                 as seccomp_arch_resolve_name takes it
 *   rule ACTION CALL N        then N times: INDEX OP VALUE VALUETWO, OP being enum scmp_compare
 */
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	char word[64], name[64];
	uint32_t action;
	int native = 0;
	scmp_filter_ctx filter = NULL;

	while (scanf("%63s", word) == 1) {
		if (!strcmp(word, "default") && scanf("%" SCNu32, &action) == 1) {
			filter = seccomp_init(action);
		} else if (!strcmp(word, "arch") && scanf("%63s", name) == 1) {
			uint32_t arch = seccomp_arch_resolve_name(name);
			native |= arch == seccomp_arch_native();
			if (seccomp_arch_add(filter, arch) < 0 && arch != seccomp_arch_native())
				return 2;
			if (!native)
				seccomp_arch_remove(filter, SCMP_ARCH_NATIVE);
			native = 1; /* removed, or wanted */
		} else if (!strcmp(word, "rule")) {
			struct scmp_arg_cmp tests[6];
			unsigned n, op, i;
			if (scanf("%" SCNu32 " %63s %u", &action, name, &n) != 3 || n > 6)
				return 3;
			for (i = 0; i < n; i++) {
				if (scanf("%u %u %" SCNu64 " %" SCNu64, &tests[i].arg, &op, &tests[i].datum_a, &tests[i].datum_b) != 4)
					return 3;
				tests[i].op = op;
			}
			if (seccomp_rule_add_array(filter, action, seccomp_syscall_resolve_name(name), n, tests) < 0)
				return 4;
		} else {
			return 3;
		}
	}
	return seccomp_export_bpf(filter, 1) < 0 ? 5 : 0;
}
