package millicent

import (
	"net/url"
	"strings"
)

// A Source is where the events of a mapping come from.
type Source struct {
	Kind SourceKind

	Region string // of a queue
	Tenant string // of a queue
	Name   string // of a queue or stream

	Server  string // of a NATS server, a URL without a path; empty for the platform's own subjects
	Subject string // wildcards allowed; of a stream, what is taken of it, empty for all
}

// SourceKind is the kind of a Source.
type SourceKind string

// The kinds of sources, with their resource names. SERVER is nats://HOST:PORT
// or, for TLS in any case, tls://HOST:PORT.
const (
	FromQueue   SourceKind = "queue"   // arn:aws:sqs:REGION:ACCOUNT:NAME
	FromSubject SourceKind = "subject" // arn:aws-millicent:nats:::SUBJECT or arn:aws-millicent:nats:::SERVER/SUBJECT
	FromStream  SourceKind = "stream"  // arn:aws-millicent:nats:::SERVER/stream/NAME[/SUBJECT]
)

// ParseSource returns the source that a resource name stands for; ok is false
// for what cannot be one.
func ParseSource(arn string) (s Source, ok bool) {
	rest, found := strings.CutPrefix(arn, subjectPrefix)
	if !found {
		region, tenant, name, ok := ParseQueueARN(arn)
		return Source{Kind: FromQueue, Region: region, Tenant: tenant, Name: name}, ok
	}
	if !strings.Contains(rest, "://") {
		return Source{Kind: FromSubject, Subject: rest}, isFilter(rest)
	}
	u, err := url.Parse(rest)
	if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return Source{}, false
	}
	s = Source{Kind: FromSubject, Server: u.Scheme + "://" + u.Host}
	switch path := strings.Split(strings.TrimPrefix(u.Path, "/"), "/"); {
	case len(path) == 1:
		s.Subject = path[0]
		return s, isFilter(s.Subject)
	case len(path) <= 3 && path[0] == "stream":
		s.Kind, s.Name = FromStream, path[1]
		if len(path) == 3 {
			s.Subject = path[2]
		}
		return s, isStreamName(s.Name) && (len(path) == 2 || isFilter(s.Subject))
	}
	return Source{}, false
}

// isFilter reports whether a text is a subject with or without wildcards:
// tokens without spaces, joined by dots, at most 255 bytes.
func isFilter(s string) bool {
	tokens := strings.Split(s, ".")
	for i, t := range tokens {
		switch {
		case t == "*", t == ">" && i == len(tokens)-1:
		case t == "", strings.ContainsAny(t, "*>/ ") || strings.ContainsFunc(t, unprintable):
			return false
		}
	}
	return len(s) <= 255
}

func isStreamName(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsAny(s, `.*>/\ `) && !strings.ContainsFunc(s, unprintable)
}

func unprintable(r rune) bool { return r <= ' ' || r == 0x7F || r == '\uFFFD' }
