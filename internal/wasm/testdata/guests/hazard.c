// A command that does not end, or takes what it can.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static char buffer[16 << 20], *volatile kept;

static int calls(volatile int *n) { return (*n)++; }

static int recurse(volatile int n) { return n < 0 ? 0 : recurse(n + 1) + n; }

int main(void) {
	char op[32] = "";
	volatile int n = 0;
	if (!fgets(op, sizeof op, stdin)) {
		return 2;
	}
	while (strcmp(op, "loop") == 0) {
		n++;
	}
	while (strcmp(op, "calls") == 0) {
		calls(&n);
	}
	while (strcmp(op, "fill") == 0) {
		memset(buffer, n++, sizeof buffer);
	}
	while (strcmp(op, "host") == 0) {
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
	}
	while (strcmp(op, "grow") == 0) {
		kept = malloc(1 << 20);
		if (!kept) {
			exit(7);
		}
		memset(kept, 1, 1 << 20);
	}
	return recurse(1);
}
