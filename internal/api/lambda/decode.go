package lambda

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"

	"github.com/millicent-run/millicent"
)

// decode reads a request into in, a pointer to the operation's input
// structure: its members are collected from where they travel, converted,
// checked against every constraint of the model, and assigned. It returns the
// members by name, for what an answer repeats of them.
func decode(op *operation, r *http.Request, labels map[string]string, body []byte, in any) (*object, error) {
	sent := newObject()
	if op.hasBody() && len(body) > 0 {
		var err error
		if sent, err = parseObject(body); err != nil {
			return nil, err
		}
	}
	query := r.URL.Query()
	fields := newObject()
	for i := range op.input.members {
		m := &op.input.members[i]
		if m.in == inPayload {
			continue
		}
		v, err := m.shape.convert(m.path(), m.collect(r, query, labels, sent))
		if err != nil {
			return nil, err
		}
		if v != nil {
			fields.set(m.name, v)
		}
	}
	if err := op.check(fields); err != nil {
		return nil, err
	}
	return fields, assignMembers(reflect.ValueOf(in).Elem(), op.input, fields, body)
}

// hasBody reports whether the operation's request has a JSON body.
func (op *operation) hasBody() bool {
	for i := range op.input.members {
		if op.input.members[i].in == inBody {
			return true
		}
	}
	return false
}

func (op *operation) check(fields *object) error {
	var r report
	for i := range op.input.members {
		if m := &op.input.members[i]; m.in != inPayload {
			m.check(m.path(), fields.values[m.name], &r)
		}
	}
	return r.err()
}

// collect returns the member's value as it travels, nil when it is absent.
func (m *member) collect(r *http.Request, query url.Values, labels map[string]string, sent *object) any {
	switch m.in {
	case inURI:
		return present(labels[m.key])
	case inHeader:
		return present(r.Header.Get(m.key))
	case inQuery:
		values := query[m.key]
		if len(values) == 0 {
			return nil
		}
		if m.shape.kind == kindList {
			list := make([]any, len(values))
			for i, v := range values {
				list[i] = v
			}
			return list
		}
		return m.shape.fromText(values[0])
	}
	return sent.values[m.name]
}

func present(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// fromText returns the value that a query parameter stands for; what cannot
// be converted is left to convert to refuse.
func (s *shape) fromText(text string) any {
	switch s.kind {
	case kindInteger, kindLong, kindDouble:
		return json.Number(text)
	case kindBoolean:
		if text == "true" || text == "false" {
			return text == "true"
		}
	}
	return text
}

func assignMembers(dst reflect.Value, s *shape, o *object, payload []byte) error {
	for i := range s.members {
		m := &s.members[i]
		field := dst.FieldByName(m.name)
		if m.in == inPayload {
			field.SetBytes(payload)
			continue
		}
		if v := o.values[m.name]; v != nil {
			if err := assign(field, m.shape, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// assign stores a converted and checked value in a field of the wire types.
func assign(dst reflect.Value, s *shape, v any) error {
	if dst.Kind() == reflect.Pointer {
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	switch s.kind {
	case kindString:
		dst.SetString(v.(string))
	case kindBoolean:
		dst.SetBool(v.(bool))
	case kindInteger, kindLong:
		n, err := v.(json.Number).Int64()
		if err != nil {
			return err
		}
		dst.SetInt(n)
	case kindDouble:
		f, err := v.(json.Number).Float64()
		if err != nil {
			return err
		}
		dst.SetFloat(f)
	case kindBlob:
		data, err := base64.StdEncoding.DecodeString(v.(string))
		if err != nil {
			return &millicent.Error{Code: codeSerialization, Message: "A binary value is not base64.", Err: err}
		}
		dst.SetBytes(data)
	case kindStructure:
		return assignMembers(dst, s, v.(*object), nil)
	case kindList:
		return assignList(dst, s, v.([]any))
	case kindMap:
		return assignMap(dst, s, v.(*object))
	}
	return nil
}

func assignList(dst reflect.Value, s *shape, list []any) error {
	dst.Set(reflect.MakeSlice(dst.Type(), len(list), len(list)))
	for i, v := range list {
		if err := assign(dst.Index(i), s.element, v); err != nil {
			return err
		}
	}
	return nil
}

func assignMap(dst reflect.Value, s *shape, o *object) error {
	dst.Set(reflect.MakeMapWithSize(dst.Type(), len(o.keys)))
	for _, k := range o.keys {
		v := reflect.New(dst.Type().Elem()).Elem()
		if err := assign(v, s.element, o.values[k]); err != nil {
			return err
		}
		dst.SetMapIndex(reflect.ValueOf(k), v)
	}
	return nil
}
