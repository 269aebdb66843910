package lambda

import (
	"regexp"
	"strings"
	"sync"
)

// A pattern is a regular expression of the service model. The model's are
// Java's; all but the few with look-around are Go's too. The text is kept as
// it is, for it is part of the answer to a value that does not match.
type pattern struct {
	text    string
	compile func() func(string) bool
}

// newPattern returns the pattern of a text. It is compiled when first used: a
// server that starts uses none of them.
func newPattern(text string) *pattern {
	return &pattern{text: text, compile: sync.OnceValue(func() func(string) bool {
		if match, ok := lookAround[text]; ok {
			return match
		}
		return regexp.MustCompile(`\A(?:` + text + `)\z`).MatchString
	})}
}

// matches reports whether the whole of s matches.
func (p *pattern) matches(s string) bool { return p.compile()(s) }

// lookAround holds the patterns that Go's engine cannot express.
var lookAround = map[string]func(string) bool{
	`(?!^[0-9]+$)([a-zA-Z0-9-_]+)`:                     isAliasName,
	`((?!^\d+$)^[0-9a-zA-Z-_]+$)`:                      isAliasName,
	`[0-9A-Za-z\.\-_]*(?<!\.)`:                         isBucketName,
	`(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)`:        isCollectionName,
	urlFunctionName + `(?!\d+$)` + `[0-9a-zA-Z-_]+))?`: isURLFunctionName,
}

// urlFunctionName is the pattern of a URL's function name up to the
// look-ahead, which stands at the beginning of the qualifier.
const urlFunctionName = `(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]{1,64})(:(`

var urlFunctionNamePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\A(?:` + urlFunctionName + `[0-9a-zA-Z-_]+))?)\z`)
})

// isURLFunctionName accepts a function name whose qualifier, if any, is not a
// version's number.
func isURLFunctionName(s string) bool {
	m := urlFunctionNamePattern().FindStringSubmatch(s)
	return m != nil && (m[len(m)-1] == "" || !isDigits(m[len(m)-1]))
}

// isAliasName accepts what is not a number only.
func isAliasName(s string) bool { return consistsOf(s, "-_") && s != "" && !isDigits(s) }

func isBucketName(s string) bool { return consistsOf(s, ".-_") && !strings.HasSuffix(s, ".") }

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// consistsOf reports whether s has ASCII letters, digits and the characters
// of others only.
func consistsOf(s, others string) bool {
	for _, c := range []byte(s) {
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return true
}

var collectionForm = regexp.MustCompile(`\A[_a-zA-Z0-9][^$]*\z`)

// isCollectionName matches the names of DocumentDB's collections.
func isCollectionName(s string) bool {
	return !strings.HasPrefix(s, "system.") && collectionForm.MatchString(s)
}
