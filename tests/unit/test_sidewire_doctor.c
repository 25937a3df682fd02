/*
 * The doctor's judgements that need no machine: file systems, strength of keys.
 */
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "../../sidewire/doctor.h"

static void
test_file_systems(void **state)
{
	static const int64_t bad[] = { NFS_SUPER_MAGIC, CIFS_SUPER_MAGIC,
	    SMB2_SUPER_MAGIC, V9FS_MAGIC, CEPH_SUPER_MAGIC, FUSE_SUPER_MAGIC };
	static const int64_t good[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,
	    BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(machine_bad_file_system(bad[i]));
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(machine_bad_file_system(good[i]));
	/* As a 32-bit kernel gives it. */
	assert_string_equal(machine_bad_file_system((int32_t)CIFS_SUPER_MAGIC), "CIFS");
}

static void
test_keys(void **state)
{
	static const struct {
		const char	*key;
		int		 min, max;	/* bits */
	} cases[] = {
		{ "", 0, 0 },
		{ "a", 0, 0 },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0, 0 },
		{ "abababababababababababababababababababab", 0, 2 },
		{ "0123456789abcdefghijklmnopqrstuvwxyz", 0, 60 },
		{ "abcdefghabcdefghabcdefghabcdefgha", 0, 24 },
		{ "9f86d081884c7d659a2feaa0c55ad015", 100, 128 },
		{ "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		    220, 256 },
	};
	size_t i;
	int bits;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bits = keys_bits((const unsigned char *)cases[i].key,
		    strlen(cases[i].key));
		assert_in_range(bits, cases[i].min, cases[i].max);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_systems),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
