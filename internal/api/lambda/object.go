package lambda

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/millicent-run/millicent"
)

// An object is a JSON object with its members in the order of the text:
// answers repeat it.
type object struct {
	keys   []string
	values map[string]any
}

func newObject() *object { return &object{values: map[string]any{}} }

func (o *object) set(key string, v any) {
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = v
}

// maxDepth bounds the nesting of a request; the deepest of the model is 5.
const maxDepth = 32

// parseObject reads a JSON object. Its values are nil, bool, string,
// json.Number, []any and *object.
func parseObject(body []byte) (*object, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	v, err := parseValue(dec, 0)
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			if o, ok := v.(*object); ok {
				return o, nil
			}
			err = errors.New("the request is not a JSON object")
		} else {
			err = errors.New("there is something after the JSON object")
		}
	}
	return nil, &millicent.Error{
		Code:    codeSerialization,
		Message: "Could not parse the request body: " + err.Error(),
	}
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	t, err := token(dec)
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return parseMembers(dec, depth)
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := parseValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := token(dec)
		return list, err
	}
	return t, nil
}

func parseMembers(dec *json.Decoder, depth int) (*object, error) {
	o := newObject()
	for dec.More() {
		t, err := token(dec)
		if err != nil {
			return nil, err
		}
		key, ok := t.(string)
		if !ok {
			return nil, fmt.Errorf("a member's name is %v", t)
		}
		v, err := parseValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		o.set(key, v)
	}
	_, err := token(dec)
	return o, err
}

// token returns the next token of a value that has not ended yet.
func token(dec *json.Decoder) (json.Token, error) {
	t, err := dec.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return t, err
}

// convert checks that v has the type of s and returns it as check and assign
// expect it: numbers of a double as javaFloat, base64 untouched. Members that
// the model does not know are left out.
func (s *shape) convert(path string, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch s.kind {
	case kindString, kindBlob:
		if _, ok := v.(string); ok {
			return v, nil
		}
	case kindBoolean:
		if _, ok := v.(bool); ok {
			return v, nil
		}
	case kindInteger, kindLong, kindDouble:
		if n, ok := v.(json.Number); ok {
			return s.convertNumber(path, n)
		}
	case kindList:
		if list, ok := v.([]any); ok {
			return s.convertList(path, list)
		}
	case kindMap, kindStructure:
		if o, ok := v.(*object); ok {
			return s.convertObject(path, o)
		}
	}
	return nil, s.mismatch(path, v)
}

func (s *shape) convertNumber(path string, n json.Number) (any, error) {
	switch s.kind {
	case kindInteger:
		if i, err := strconv.ParseInt(n.String(), 10, 32); err == nil {
			return json.Number(strconv.FormatInt(i, 10)), nil
		}
	case kindLong:
		if i, err := n.Int64(); err == nil {
			return json.Number(strconv.FormatInt(i, 10)), nil
		}
	case kindDouble:
		if f, err := n.Float64(); err == nil && !math.IsInf(f, 0) {
			return json.Number(javaDouble(f)), nil
		}
	}
	return nil, s.mismatch(path, n)
}

func (s *shape) convertList(path string, list []any) (any, error) {
	out := make([]any, len(list))
	for i, v := range list {
		var err error
		if out[i], err = s.element.convert(path, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *shape) convertObject(path string, o *object) (any, error) {
	out := newObject()
	if s.kind == kindMap {
		for _, k := range o.keys {
			v, err := s.element.convert(path, o.values[k])
			if err != nil {
				return nil, err
			}
			out.set(k, v)
		}
		return out, nil
	}
	for _, m := range s.members {
		v, err := m.shape.convert(join(path, m.path()), o.values[m.name])
		if err != nil {
			return nil, err
		}
		if v != nil {
			out.set(m.name, v)
		}
	}
	return out, nil
}

var kindNames = map[kind]string{
	kindString: "String", kindBlob: "Blob", kindBoolean: "Boolean", kindInteger: "Integer",
	kindLong: "Long", kindDouble: "Double", kindList: "List", kindMap: "Map", kindStructure: "Structure",
}

func (s *shape) mismatch(path string, v any) error {
	got := "an object"
	switch v.(type) {
	case string:
		got = "a string"
	case json.Number:
		got = "a number"
	case bool:
		got = "a boolean"
	case []any:
		got = "a list"
	}
	return millicent.Errorf(codeSerialization, "Value at '%s' is %s that can not be converted to %s", path, got, kindNames[s.kind])
}
