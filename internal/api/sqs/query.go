package sqs

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
)

// The query protocol: a list is PREFIX.1, PREFIX.2, …, and a map is a list of
// PREFIX.1.Name and PREFIX.1.Value, or whatever the tag names them.

// maxMembers bounds a list or a map of a form.
const maxMembers = 1000

// decodeQuery fills in the struct that v points to from a form.
func decodeQuery(form url.Values, v any) error {
	return fromForm(form, "", reflect.ValueOf(v).Elem())
}

func fromForm(form url.Values, prefix string, v reflect.Value) error {
	for i := range v.NumField() {
		f, value := v.Type().Field(i), v.Field(i)
		if f.Anonymous {
			if err := fromForm(form, prefix, value); err != nil {
				return err
			}
			continue
		}
		name, key, item := names(f)
		if err := fieldFromForm(form, prefix+name, key, item, value); err != nil {
			return err
		}
	}
	return nil
}

// names returns what the query protocol calls a field: its own name, and what
// the key and the value of a map's entries are called.
func names(f reflect.StructField) (name, key, value string) {
	name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	if tag := strings.Split(f.Tag.Get("query"), ","); tag[0] != "" {
		name = tag[0]
		if len(tag) == 3 {
			key, value = tag[1], tag[2]
		}
	}
	return name, key, value
}

func fieldFromForm(form url.Values, name, key, item string, v reflect.Value) error {
	switch {
	case v.Kind() == reflect.Map:
		return mapFromForm(form, name, key, item, v)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		return listFromForm(form, name, v)
	case v.Kind() == reflect.Struct:
		return fromForm(form, name+".", v)
	case !form.Has(name):
		return nil
	}
	return scalarFromForm(name, form.Get(name), v)
}

func scalarFromForm(name, text string, v reflect.Value) error {
	switch target := v.Addr().Interface().(type) {
	case *string:
		*target = text
	case **string:
		*target = &text
	case **int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return malformed("Value for parameter %s is not a number.", name)
		}
		*target = &n
	case *[]byte:
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return malformed("Value for parameter %s is not in base64.", name)
		}
		*target = b
	default:
		panic(fmt.Sprintf("a wire type has a field of type %T", target))
	}
	return nil
}

// present reports whether a form has a parameter, or one below it.
func present(form url.Values, name string) bool {
	if form.Has(name) {
		return true
	}
	for k := range form {
		if strings.HasPrefix(k, name+".") {
			return true
		}
	}
	return false
}

func listFromForm(form url.Values, name string, v reflect.Value) error {
	for i := 1; ; i++ {
		at := name + "." + strconv.Itoa(i)
		if !present(form, at) {
			return nil
		}
		if i > maxMembers {
			return malformed("%s has more than %d members.", name, maxMembers)
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if err := fieldFromForm(form, at, "", "", item); err != nil {
			return err
		}
		v.Set(reflect.Append(v, item))
	}
}

func mapFromForm(form url.Values, name, key, item string, v reflect.Value) error {
	for i := 1; ; i++ {
		at := name + "." + strconv.Itoa(i) + "."
		if !form.Has(at + key) {
			return nil
		}
		if i > maxMembers {
			return malformed("%s has more than %d members.", name, maxMembers)
		}
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		value := reflect.New(v.Type().Elem()).Elem()
		if err := fieldFromForm(form, at+item, "", "", value); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(form.Get(at+key)), value)
	}
}

func malformed(format string, args ...any) error {
	return millicent.Errorf(sqs.CodeInvalidValue, format, args...)
}
