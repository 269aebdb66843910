package process

import "github.com/millicent-run/millicent/internal/lifecycle"

// linkParts is the response that comes in parts by a link.
type linkParts struct {
	of      *turn // nil while there is none
	kind    string
	held    []byte // what has come of it, where it is wanted whole
	tooMuch bool   // it is larger than a response may be
}

// begin takes the start of a response in parts.
func (l *link) begin(body []byte) error {
	id, rest, ok := cutShort(body, l.id)
	if !ok {
		return errViolation
	}
	kind, rest, ok := cutShort(rest, mediaJSON)
	if !ok || len(rest) > 0 {
		return errViolation
	}
	t, _, _ := l.session.claim(id, stateResponse)
	if t == nil {
		return errViolation
	}
	l.parts = linkParts{of: t, kind: kind}
	if t.stream != nil {
		t.stream.begin(kind)
	}
	return nil
}

// chunk takes a part. Of a response that is too large the caller is told at
// once; what else comes of it is read and forgotten.
func (l *link) chunk(part []byte) error {
	p := &l.parts
	switch {
	case p.of == nil:
		return errViolation
	case p.tooMuch:
	case p.of.stream != nil:
		if _, err := p.of.stream.Write(part); err != nil {
			l.refuseParts(lifecycle.ResponseTooLarge(maxStream))
		}
		l.in.reuse(part)
	case len(p.held)+len(part) > maxPayload:
		l.refuseParts(lifecycle.ResponseTooLarge(maxPayload))
	default:
		p.held = append(p.held, part...)
	}
	return nil
}

func (l *link) refuseParts(f *lifecycle.Failure) {
	l.parts.held, l.parts.tooMuch = nil, true
	l.session.foretell(l.parts.of, &outcome{failure: f})
}

// finish takes the end of a response in parts.
func (l *link) finish(body []byte) error {
	kind, document, ok := cutShort(body, "")
	if !ok || l.parts.of == nil {
		return errViolation
	}
	out := &outcome{payload: l.parts.held, contentType: l.parts.kind}
	if kind != "" {
		out = &outcome{failure: bounded(&lifecycle.Failure{Type: lifecycle.FunctionErrorType(kind), Document: document})}
	}
	if s := l.parts.of.stream; s != nil {
		out = s.whole(out)
	}
	l.session.settle(l.parts.of, out)
	l.parts, l.in.spare = linkParts{}, nil
	return nil
}
