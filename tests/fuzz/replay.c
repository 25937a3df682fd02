/*
 * Gives a fuzz target each file of the directories that are its arguments, once.
 */
#include <dirent.h>
#include <string.h>

#include "fuzz.h"

static int
replay_file(const char *path)
{
	unsigned char *p;
	long len;
	FILE *f;

	f = fopen(path, "re");
	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) < 0 ||
	    fseek(f, 0, SEEK_SET) != 0) {
		perror(path);
		return -1;
	}
	/* No byte more, so that a sanitizer sees who reads too far. */
	p = malloc(len > 0 ? (size_t)len : 1);
	if (p == NULL || fread(p, 1, (size_t)len, f) != (size_t)len) {
		perror(path);
		return -1;
	}
	(void)LLVMFuzzerTestOneInput(p, (size_t)len);
	free(p);
	(void)fclose(f);
	return 0;
}

static int
replay_dir(const char *dir)
{
	struct dirent *entry;
	char path[4096];
	int n = 0;
	DIR *d;

	d = opendir(dir);
	if (d == NULL) {
		perror(dir);
		return -1;
	}
	for (entry = readdir(d); entry != NULL; entry = readdir(d)) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (replay_file(path) < 0)
			return -1;
		n++;
	}
	(void)closedir(d);
	return n;
}

int
main(int argc, char **argv)
{
	int i, n;

	(void)LLVMFuzzerInitialize(&argc, &argv);
	for (i = 1; i < argc; i++) {
		n = replay_dir(argv[i]);
		if (n <= 0)
			return EXIT_FAILURE;
		(void)printf("%s: %d inputs\n", argv[i], n);
	}
	return EXIT_SUCCESS;
}
