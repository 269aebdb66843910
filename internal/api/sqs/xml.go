package sqs

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

const namespace = "http://queue.amazonaws.com/doc/2012-11-05/"

// encodeXML returns the answer to an operation of the query protocol.
func encodeXML(operation, requestID string, answer any) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0"?><%sResponse xmlns="%s">`, operation, namespace)
	if _, empty := answer.(*none); !empty {
		fmt.Fprintf(&b, "<%sResult>", operation)
		toXML(&b, reflect.ValueOf(answer).Elem())
		fmt.Fprintf(&b, "</%sResult>", operation)
	}
	b.WriteString("<ResponseMetadata>")
	element(&b, "RequestId", requestID)
	fmt.Fprintf(&b, "</ResponseMetadata></%sResponse>", operation)
	return b.Bytes()
}

// encodeXMLError returns an error of the query protocol.
func encodeXMLError(kind, code, message, requestID string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<?xml version="1.0"?><ErrorResponse xmlns="%s"><Error>`, namespace)
	element(&b, "Type", kind)
	element(&b, "Code", code)
	element(&b, "Message", message)
	b.WriteString("<Detail/></Error>")
	element(&b, "RequestId", requestID)
	b.WriteString("</ErrorResponse>")
	return b.Bytes()
}

func element(b *bytes.Buffer, name, text string) {
	b.WriteString("<" + name + ">")
	_ = xml.EscapeText(b, []byte(text)) // a buffer takes everything
	b.WriteString("</" + name + ">")
}

// toXML writes the members of a struct. Those that json would leave out are.
func toXML(b *bytes.Buffer, v reflect.Value) {
	for i := range v.NumField() {
		f, value := v.Type().Field(i), v.Field(i)
		if f.Anonymous {
			toXML(b, value)
			continue
		}
		if strings.HasSuffix(f.Tag.Get("json"), ",omitempty") && value.IsZero() {
			continue
		}
		name, key, item := names(f)
		fieldToXML(b, name, key, item, value)
	}
}

func fieldToXML(b *bytes.Buffer, name, key, item string, v reflect.Value) {
	switch value := v.Interface().(type) {
	case string:
		element(b, name, value)
	case *string:
		if value != nil {
			element(b, name, *value)
		}
	case bool:
		element(b, name, strconv.FormatBool(value))
	case []byte:
		element(b, name, base64.StdEncoding.EncodeToString(value))
	default:
		switch v.Kind() {
		case reflect.Slice:
			for i := range v.Len() {
				fieldToXML(b, name, "", "", v.Index(i))
			}
		case reflect.Map:
			keys := v.MapKeys()
			slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
			for _, k := range keys {
				b.WriteString("<" + name + ">")
				element(b, key, k.String())
				fieldToXML(b, item, "", "", v.MapIndex(k))
				b.WriteString("</" + name + ">")
			}
		case reflect.Struct:
			b.WriteString("<" + name + ">")
			toXML(b, v)
			b.WriteString("</" + name + ">")
		default:
			panic(fmt.Sprintf("a wire type has a field of type %T", value))
		}
	}
}
