package lambda

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
)

// none is the output of an operation that answers nothing.
type none struct{}

// encode writes an operation's output: its headers, its status, and its body,
// which is the payload member where there is one and a JSON object else.
func encode(w http.ResponseWriter, op *operation, out any) error {
	status := op.status
	v := reflect.Indirect(reflect.ValueOf(out))
	var body []byte
	raw := false
	for i := range v.NumField() {
		field, tag := v.Field(i), v.Type().Field(i).Tag
		switch {
		case tag.Get("payload") != "" && field.Kind() == reflect.Slice: // others are streams
			body, raw = field.Bytes(), true
		case field.IsZero():
		case tag.Get("status") != "":
			status = int(field.Elem().Int())
		case tag.Get("header") != "":
			w.Header().Set(tag.Get("header"), field.Elem().String())
		}
	}
	if _, empty := out.(*none); !raw && !empty && status != http.StatusNoContent {
		var err error
		if body, err = marshal(out); err != nil {
			return err
		}
	}
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

// marshal returns v as JSON without HTML's escapes.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
