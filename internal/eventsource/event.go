package eventsource

import (
	"bytes"
	"encoding/json"
)

// maxPayload bounds the event of one invocation, as for every caller.
const maxPayload = 6 << 20

// A batch is records that one invocation gets, with their event.
type batch[T any] struct {
	records []T
	event   []byte
}

// encoded is a record in the JSON that the function gets.
type encoded interface{ encoding() []byte }

// What an event has around its records.
const eventBegin, eventEnd = `{"Records":[`, "]}"

// split makes events of records, each of at most most of them and size bytes,
// in order. A record that is larger by itself has an event of its own.
func split[T encoded](records []T, most, size int) (all []batch[T]) {
	for from := 0; from < len(records); {
		to, left := from, size-len(eventBegin)-len(eventEnd)
		for ; to < len(records) && to-from < most; to++ {
			left -= len(records[to].encoding()) + len(",")
			if to > from && left < 0 {
				break
			}
		}
		all = append(all, batch[T]{records[from:to], eventOf(records[from:to])})
		from = to
	}
	return all
}

// eventOf returns the event that has records.
func eventOf[T encoded](records []T) []byte {
	size := len(eventBegin) + len(eventEnd)
	for _, r := range records {
		size += len(r.encoding()) + len(",")
	}
	event := bytes.NewBuffer(make([]byte, 0, size))
	event.WriteString(eventBegin)
	for i, r := range records {
		if i > 0 {
			event.WriteByte(',')
		}
		event.Write(r.encoding())
	}
	event.WriteString(eventEnd)
	return event.Bytes()
}

// wanted reports whether a record passes filters: one of them, if there are
// any. view is the record but for its content, which is under key: as JSON for
// patterns that ask for an object there, as the text that it is for others.
func wanted(filters []*Pattern, view map[string]any, key, content string) bool {
	if len(filters) == 0 {
		return true
	}
	var parsed any
	_ = json.Unmarshal([]byte(content), &parsed) // a text that is no JSON stays nil
	_, isObject := parsed.(map[string]any)
	for _, p := range filters {
		object, present := p.wants(key)
		switch {
		case !present:
		case object != isObject:
			continue // content of another form than the pattern's: dropped, whatever else is asked for
		}
		view[key] = content
		if object {
			view[key] = parsed
		}
		if p.Match(view) {
			return true
		}
	}
	return false
}

// asAny returns v as encoding/json decodes it.
func asAny(v any) (decoded any) {
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &decoded)
	}
	if err != nil {
		return nil // texts and numbers always go there and back
	}
	return decoded
}

// failures returns which records of a batch, by their ids, a function's answer
// says have failed: of an answer that is not understood, all.
func failures(ids []string, payload []byte) (failed map[string]bool) {
	all := map[string]bool{}
	for _, id := range ids {
		all[id] = true
	}
	var text string
	if len(bytes.TrimSpace(payload)) == 0 || json.Unmarshal(payload, &text) == nil {
		if text == "" {
			return nil // nothing, null, or an empty text
		}
		return all
	}
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(payload, &answer); err != nil {
		return all
	}
	list, ok := answer["batchItemFailures"]
	if !ok {
		return nil
	}
	var items []map[string]any
	if err := json.Unmarshal(list, &items); err != nil {
		return all
	}
	failed = map[string]bool{}
	for _, item := range items {
		id, ok := item["itemIdentifier"].(string)
		if !ok || !all[id] {
			return all
		}
		failed[id] = true
	}
	return failed
}
