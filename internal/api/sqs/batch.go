package sqs

import (
	"net/http"
	"regexp"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
)

const (
	maxBatch      = 10      // entries
	maxBatchBytes = 1 << 20 // of all messages together
)

func ids[E any](entries []E, id func(E) string) []string {
	all := make([]string, len(entries))
	for i, e := range entries {
		all[i] = id(e)
	}
	return all
}

// checkBatch checks the ids of a batch's entries; name is what the API calls
// an entry.
func checkBatch(all []string, name string) error {
	switch {
	case len(all) == 0:
		return millicent.Errorf(sqs.CodeEmptyBatch, "There should be at least one %s in the request.", name)
	case len(all) > maxBatch:
		return millicent.Errorf(sqs.CodeTooManyEntries, "Maximum number of entries per request are %d. You have sent %d.", maxBatch, len(all))
	}
	seen := map[string]bool{}
	for _, id := range all {
		if !batchID(id) {
			return millicent.Errorf(sqs.CodeInvalidBatchID, "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if seen[id] {
			return millicent.Errorf(sqs.CodeIDsNotDistinct, "Id %s repeated.", id)
		}
		seen[id] = true
	}
	return nil
}

var batchIDForm = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,80}$`)

func batchID(id string) bool {
	return batchIDForm.MatchString(id)
}

// failed is the entry of an answer for what could not be done.
func failed(id string, err error) failedEntry {
	f := faultOf(err)
	return failedEntry{ID: id, SenderFault: f.status < http.StatusInternalServerError, Code: f.queryCode, Message: f.message}
}

// results tells what became of each entry.
func results(all []string, errs []error) (done []doneEntry, bad []failedEntry) {
	done = []doneEntry{}
	for i, id := range all {
		if errs[i] != nil {
			bad = append(bad, failed(id, errs[i]))
			continue
		}
		done = append(done, doneEntry{id})
	}
	return done, bad
}
