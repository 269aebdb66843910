package scheduler

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/millicent-run/millicent"
)

func TestFunctionsAreRefused(t *testing.T) {
	h := New(Config{Region: "us-east-1"})
	for _, line := range []string{
		"GET /schedules", "POST /schedules/s", "GET /schedules/s", "PUT /schedules/s", "DELETE /schedules/s",
		"GET /schedule-groups", "POST /schedule-groups/g", "GET /schedule-groups/g", "DELETE /schedule-groups/g",
		"GET /tags/arn:aws:scheduler:us-east-1:000000000000:schedule-group%2Fg", "POST /tags/arn:aws:scheduler:us-east-1:000000000000:schedule-group%2Fg",
		"DELETE /tags/arn:aws:scheduler:us-east-1:000000000000:schedule-group%2Fg",
	} {
		method, path, _ := strings.Cut(line, " ")
		r := httptest.NewRequest(method, "http://localhost"+path, nil)
		if !Match(r) {
			t.Errorf("%s is not taken for a request to the scheduler", line)
			continue
		}
		ctx := millicent.WithIdentity(r.Context(), millicent.Identity{Tenant: "000000000000", Function: "f"})
		w := httptest.NewRecorder()
		err := h.Serve(w, r.WithContext(ctx))
		status, header, _ := h.Answer(r, err, 0)
		if w.Body.Len() != 0 || status != 403 || header.Get("X-Amzn-Errortype") != "AccessDeniedException" {
			t.Errorf("%s: %d %v %s (%v)", line, status, header, w.Body, err)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, path := range []string{"/", "/schedulesx", "/2015-03-31/functions", "/2017-03-31/tags/arn:aws:lambda:us-east-1:000000000000:function:f", "/tags/arn:aws:lambda:x", "/schedule-groupsx/a"} {
		if Match(httptest.NewRequest("GET", "http://localhost"+path, nil)) {
			t.Errorf("%s is taken for a request to the scheduler", path)
		}
	}
}
