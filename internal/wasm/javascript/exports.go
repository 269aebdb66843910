package javascript

import (
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// This file has the conditional exports and imports of packages
// (nodejs.org/api/packages.html).

// conditions are those that hold for an import. It is not Node.js that asks:
// packages have something else for that.
func conditions(kind api.ResolveKind) map[string]bool {
	if kind == api.ResolveJSRequireCall || kind == api.ResolveJSRequireResolve {
		return map[string]bool{"worker": true, "require": true, "default": true}
	}
	return map[string]bool{"worker": true, "import": true, "module": true, "default": true}
}

// maxTargets is how deep conditions may be in one another.
const maxTargets = 20

// mapped returns what a manifest's exports or imports have for a key: a path
// that begins with "./", or a package's name; empty for nothing. JSON has lost
// the order of conditions, so the more special ones come first.
func mapped(entries any, key string, holds map[string]bool) string {
	table, isTable := entries.(map[string]any)
	if isTable {
		for name := range table {
			isTable = strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#")
			break
		}
	}
	if !isTable {
		if key != "." {
			return ""
		}
		return target(entries, "", holds, 0)
	}
	if entry, ok := table[key]; ok && !strings.Contains(key, "*") {
		return target(entry, "", holds, 0)
	}
	best, match := "", ""
	for pattern := range table {
		before, after, ok := strings.Cut(pattern, "*")
		if ok && len(key) >= len(before)+len(after) && strings.HasPrefix(key, before) && strings.HasSuffix(key, after) && len(before) >= len(best) {
			best, match = before, pattern
		}
	}
	if match == "" {
		return ""
	}
	_, after, _ := strings.Cut(match, "*")
	return target(table[match], key[len(best):len(key)-len(after)], holds, 0)
}

// target returns the first path whose conditions hold, with part in place of *.
func target(entry any, part string, holds map[string]bool, depth int) string {
	if depth > maxTargets {
		return ""
	}
	switch e := entry.(type) {
	case string:
		return strings.ReplaceAll(e, "*", part)
	case []any:
		for _, one := range e {
			if found := target(one, part, holds, depth+1); found != "" {
				return found
			}
		}
	case map[string]any:
		for _, condition := range []string{"worker", "module", "import", "require", "default"} {
			if one, ok := e[condition]; ok && holds[condition] {
				if found := target(one, part, holds, depth+1); found != "" {
					return found
				}
			}
		}
	}
	return ""
}

// builtins are names of modules that are part of Node.js.
var builtins = strings.Fields(`assert async_hooks buffer child_process cluster crypto dgram diagnostics_channel dns events fs fs/promises
	http http2 https inspector module net os path perf_hooks process punycode querystring readline repl stream string_decoder
	timers timers/promises tls tty url util v8 vm worker_threads zlib`)
