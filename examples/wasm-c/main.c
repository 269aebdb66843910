// A function that greets whoever the event or the request names: a WASI
// command. The event is its standard input, the answer its standard output,
// and what it writes to standard error is the log.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// member finds the first string that the JSON text has under a name, and
// returns it as it is written there, without the quotes: escapes and all, so
// that it can be put into other JSON. The result is NULL where there is none.
static const char *member(const char *json, const char *name, size_t *length) {
	size_t n = strlen(name);
	bool named = false; // the last string was the name
	for (const char *p = json; *p; p++) {
		if (*p == '"') {
			const char *start = ++p;
			while (*p && *p != '"') {
				p += p[0] == '\\' && p[1] ? 2 : 1;
			}
			if (!*p) {
				return NULL;
			}
			if (named) {
				*length = p - start;
				return start;
			}
			const char *next = p + 1 + strspn(p + 1, " \t\r\n");
			named = *next == ':' && (size_t)(p - start) == n && memcmp(start, name, n) == 0;
			if (*next == ':') {
				p = next;
			}
		} else if (!strchr(" \t\r\n", *p)) {
			named = false;
		}
	}
	return NULL;
}

// read_all returns what a stream has, with a zero at its end.
static char *read_all(FILE *stream) {
	size_t size = 0, room = 4096;
	char *text = malloc(room);
	while (text) {
		size += fread(text + size, 1, room - size - 1, stream);
		if (size < room - 1) {
			text[size] = 0;
			return text;
		}
		text = realloc(text, room *= 2);
	}
	return NULL;
}

int main(void) {
	char *event = read_all(stdin);
	if (!event) {
		fputs("the event does not fit the memory\n", stderr);
		return 1;
	}
	size_t length;
	const char *name = member(event, "name", &length);
	if (!name) {
		name = "world";
		length = strlen(name);
	}
	const char *request = getenv("AWS_LAMBDA_REQUEST_ID");
	printf("{\"message\":\"Hello, %.*s!\",\"runtime\":\"C\",\"request\":\"%s\"}", (int)length, name, request ? request : "");
	return 0;
}
