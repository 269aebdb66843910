package native

import (
	"net/http"
	"strconv"
	"time"

	"github.com/millicent-run/millicent"
)

// maxTimes bounds how many times of a schedule are told.
const maxTimes = 100

// ScheduleStatus tells where a schedule stands.
type ScheduleStatus struct {
	Group   string           `json:"group"`
	Name    string           `json:"name"`
	Paused  bool             `json:"paused"`
	CatchUp string           `json:"catchUp"`          // what happens to times that are missed: none, latest or all
	Last    time.Time        `json:"last,omitzero"`    // the latest time that was run
	Missed  int              `json:"missed"`           // times that were missed and skipped
	Waiting int              `json:"waiting"`          // times that are due and not done with
	Failed  *ScheduleFailure `json:"failed,omitempty"` // the latest time whose target could not be called
	Next    []time.Time      `json:"next,omitempty"`   // the times to come, in the schedule's zone
}

// ScheduleFailure tells why a schedule's target could not be called.
type ScheduleFailure struct {
	Time    time.Time `json:"time"`
	Code    string    `json:"code"`
	Message string    `json:"message"`
}

func (h *Handler) schedule(w http.ResponseWriter, r *http.Request) error {
	times := 1
	if s := r.URL.Query().Get("times"); s != "" {
		var err error
		if times, err = strconv.Atoi(s); err != nil || times < 0 || times > maxTimes {
			return millicent.Errorf(millicent.CodeInvalid, "times has to be a number from 0 to %d.", maxTimes)
		}
	}
	status, err := h.cfg.Schedule(millicent.IdentityFrom(r.Context()).Tenant, r.PathValue("group"), r.PathValue("name"), times)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, status)
}
