package url

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/millicent-run/millicent"
)

// isPreflight reports whether a request is a browser's question before the
// real one; the platform answers it, and the function does not run.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions &&
		r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// preflight writes the headers that answer a preflight. A disallowed origin
// gets none, which is how a browser is told no.
func preflight(c *millicent.CORS, request, answer http.Header) {
	if !allowOrigin(c, request, answer) {
		return
	}
	credentials := c.AllowCredentials != nil && *c.AllowCredentials
	list := func(name string, allowed []string, asked string) {
		if slices.Contains(allowed, "*") && credentials && asked != "" {
			answer.Set(name, asked) // with credentials a browser takes * literally
		} else if len(allowed) > 0 {
			answer.Set(name, strings.Join(allowed, ","))
		}
	}
	list("Access-Control-Allow-Methods", c.AllowMethods, request.Get("Access-Control-Request-Method"))
	list("Access-Control-Allow-Headers", c.AllowHeaders, request.Get("Access-Control-Request-Headers"))
	if c.MaxAge != nil {
		answer.Set("Access-Control-Max-Age", strconv.Itoa(*c.MaxAge))
	}
}

// crossOrigin replaces the CORS headers of a function's answer by those of
// the URL's configuration.
func crossOrigin(c *millicent.CORS, request, answer http.Header) {
	for name := range answer {
		if strings.HasPrefix(name, "Access-Control-") {
			answer.Del(name)
		}
	}
	if allowOrigin(c, request, answer) && len(c.ExposeHeaders) > 0 {
		answer.Set("Access-Control-Expose-Headers", strings.Join(c.ExposeHeaders, ","))
	}
}

// allowOrigin writes what allows the request's origin, and reports whether it
// is allowed.
func allowOrigin(c *millicent.CORS, request, answer http.Header) bool {
	origin := request.Get("Origin")
	credentials := c.AllowCredentials != nil && *c.AllowCredentials
	wildcard := slices.Contains(c.AllowOrigins, "*")
	if !wildcard || credentials {
		answer.Add("Vary", "Origin")
	}
	if origin == "" {
		return false
	}
	if !wildcard && !slices.ContainsFunc(c.AllowOrigins, func(o string) bool { return strings.EqualFold(o, origin) }) {
		return false
	}
	if wildcard && !credentials {
		origin = "*"
	}
	answer.Set("Access-Control-Allow-Origin", origin)
	if credentials {
		answer.Set("Access-Control-Allow-Credentials", "true")
	}
	return true
}
