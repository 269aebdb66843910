// A command that leaves what it is told wherever a C program can: "OP N TEXT".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char event[1 << 16], op[32], text[256], kept[1 << 14];

static int deep(int n) {
	volatile char here[512];
	for (size_t i = 0; i < sizeof here; i++) {
		here[i] = text[i % strlen(text)];
	}
	return n == 0 ? here[0] : deep(n - 1) + here[n % 512];
}

// found counts a text in the memory. Each of its bytes comes as the next higher
// one, so that it is not there by the search.
static int found(int size) {
	volatile char *memory = (volatile char *)8;
	int count = 0, length = strlen(text);
	for (int i = 0; i < size - 8 - length; i++) {
		int k = 0;
		while (k < length && memory[i + k] == text[k] - 1) {
			k++;
		}
		count += k == length;
	}
	return count;
}

static int leave(int n) {
	if (strcmp(op, "heap") == 0) {
		for (int i = 0; i < n; i++) {
			char *p = malloc(5000);
			for (size_t at = 0; p && at + sizeof text < 5000; at += sizeof text) {
				memcpy(p + at, text, sizeof text);
			}
		}
	} else if (strcmp(op, "static") == 0) {
		for (size_t at = 0; at + sizeof text <= sizeof kept; at += sizeof text) {
			memcpy(kept + at, text, sizeof text);
		}
	} else if (strcmp(op, "grow") == 0) {
		size_t page = __builtin_wasm_memory_grow(0, n);
		int dirty = 0;
		if (page != (size_t)-1) {
			for (char *p = (char *)(page << 16); p < (char *)((page + n) << 16); p++) {
				dirty += *p != 0;
			}
			strcpy((char *)(page << 16), text);
			strcpy((char *)((page + n) << 16) - sizeof text, text);
		}
		return dirty;
	} else if (strcmp(op, "stack") == 0) {
		return deep(n);
	} else if (strcmp(op, "files") == 0) {
		for (int i = 0; i < n; i++) {
			char name[32];
			snprintf(name, sizeof name, "/tmp/%d", i);
			FILE *f = fopen(name, "a+");
			if (!f || fputs(text, f) < 0) {
				abort();
			}
			fflush(f); // and it stays open
			if (ftell(f) != (long)strlen(text)) {
				return -1; // there was something before
			}
		}
	} else if (strcmp(op, "find") == 0) {
		return found(n);
	}
	return kept[0]; // which is 0 at first
}

int main(void) {
	int n;
	event[fread(event, 1, sizeof event - 1, stdin)] = 0;
	if (kept[0] || sscanf(event, "%31s %d %255s", op, &n, text) != 3) {
		return 2;
	}
	printf("%d", leave(n));
	return 0;
}
