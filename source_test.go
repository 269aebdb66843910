package millicent

import "testing"

func TestParseSource(t *testing.T) {
	for arn, want := range map[string]Source{
		"arn:aws:sqs:us-east-1:000000000000:q":            {Kind: FromQueue, Region: "us-east-1", Tenant: "000000000000", Name: "q"},
		"arn:aws-millicent:nats:::orders.new":             {Kind: FromSubject, Subject: "orders.new"},
		"arn:aws-millicent:nats:::orders.>":               {Kind: FromSubject, Subject: "orders.>"},
		"arn:aws-millicent:nats:::nats://h:1/a.*.b":       {Kind: FromSubject, Server: "nats://h:1", Subject: "a.*.b"},
		"arn:aws-millicent:nats:::tls://[::1]:4222/a":     {Kind: FromSubject, Server: "tls://[::1]:4222", Subject: "a"},
		"arn:aws-millicent:nats:::nats://h/stream/S":      {Kind: FromStream, Server: "nats://h", Name: "S"},
		"arn:aws-millicent:nats:::nats://h/stream/S/a.>":  {Kind: FromStream, Server: "nats://h", Name: "S", Subject: "a.>"},
		"arn:aws-millicent:nats:::":                       {},
		"arn:aws-millicent:nats:::a..b":                   {},
		"arn:aws-millicent:nats:::a.>.b":                  {},
		"arn:aws-millicent:nats:::a*":                     {},
		"arn:aws-millicent:nats:::a b":                    {},
		"arn:aws-millicent:nats:::a\nb":                   {},
		"arn:aws-millicent:nats:::stream/S":               {},
		"arn:aws-millicent:nats:::http://h/a":             {},
		"arn:aws-millicent:nats:::nats://h":               {},
		"arn:aws-millicent:nats:::nats:///a":              {},
		"arn:aws-millicent:nats:::nats://u:p@h/a":         {},
		"arn:aws-millicent:nats:::nats://h/a?b":           {},
		"arn:aws-millicent:nats:::nats://h/stream/a.b":    {},
		"arn:aws-millicent:nats:::nats://h/stream/S/":     {},
		"arn:aws-millicent:nats:::nats://h/stream/S/a/b":  {},
		"arn:aws-millicent:nats:::nats://h/stream/S%2Fa":  {Kind: FromStream, Server: "nats://h", Name: "S", Subject: "a"},
		"arn:aws-millicent:webhook:::https://example.com": {},
		"arn:aws:kinesis:us-east-1:000000000000:stream/s": {},
	} {
		got, ok := ParseSource(arn)
		if ok != (want.Kind != "") || ok && got != want {
			t.Errorf("%q: got %+v %v, want %+v", arn, got, ok, want)
		}
	}
}

func FuzzParseSource(f *testing.F) {
	f.Add("arn:aws-millicent:nats:::nats://h:1/stream/S/a.>")
	f.Add("arn:aws-millicent:nats:::a.*")
	f.Fuzz(func(t *testing.T, arn string) {
		s, ok := ParseSource(arn)
		if !ok {
			return
		}
		for _, text := range []string{s.Name, s.Subject} {
			for _, r := range text {
				if s.Kind != FromQueue && (r <= ' ' || r == 0x7F) {
					t.Errorf("%q has %q", arn, text)
				}
			}
		}
	})
}
