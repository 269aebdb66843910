package eventsource

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPatterns(t *testing.T) {
	const event = `{"body":{"name":"Köln","state":null,"n":3,"empty":"","list":["a","b"],"ip":"10.1.2.3",
		"items":[{"kind":"x","n":1},{"kind":"y","n":2}],"file":"a/b/c.txt","yes":true}}`
	var v any
	if err := json.Unmarshal([]byte(event), &v); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		pattern string
		want    bool
	}{
		{`{"name":["Köln"]}`, true},
		{`{"name":["Bonn","Köln"]}`, true},
		{`{"name":["Bonn"]}`, false},
		{`{"state":[null]}`, true},
		{`{"none":[null]}`, false},
		{`{"empty":[""]}`, true},
		{`{"n":[3]}`, true},
		{`{"n":[3.0]}`, true},
		{`{"n":["3"]}`, false},
		{`{"yes":[true]}`, true},
		{`{"list":["b"]}`, true},
		{`{"list":["c"]}`, false},
		{`{"name":["Köln"],"n":[4]}`, false},
		{`{"name":[{"prefix":"Kö"}]}`, true},
		{`{"name":[{"prefix":{"equals-ignore-case":"kÖ"}}]}`, true},
		{`{"name":[{"suffix":"ln"}]}`, true},
		{`{"name":[{"suffix":{"equals-ignore-case":"LN"}}]}`, true},
		{`{"name":[{"equals-ignore-case":"KÖLN"}]}`, true},
		{`{"name":[{"anything-but":"Köln"}]}`, false},
		{`{"name":[{"anything-but":["Bonn","Ulm"]}]}`, true},
		{`{"name":[{"anything-but":{"prefix":"K"}}]}`, false},
		{`{"name":[{"anything-but":{"suffix":["x","y"]}}]}`, true},
		{`{"none":[{"anything-but":"x"}]}`, false},
		{`{"n":[{"anything-but":3}]}`, false},
		{`{"n":[{"numeric":[">",2,"<=",3]}]}`, true},
		{`{"n":[{"numeric":["=",2]}]}`, false},
		{`{"name":[{"numeric":[">",0]}]}`, false},
		{`{"n":[{"exists":true}]}`, true},
		{`{"n":[{"exists":false}]}`, false},
		{`{"none":[{"exists":false}]}`, true},
		{`{"state":[{"exists":true}]}`, true},
		{`{"none":["x",{"exists":false}]}`, true},
		{`{"ip":[{"cidr":"10.0.0.0/8"}]}`, true},
		{`{"ip":[{"cidr":"192.168.0.0/16"}]}`, false},
		{`{"file":[{"wildcard":"a/*/c.*"}]}`, true},
		{`{"file":[{"wildcard":"*b*"}]}`, true},
		{`{"file":[{"wildcard":"a*b"}]}`, false},
		{`{"items":{"kind":["x"],"n":[1]}}`, true},
		{`{"items":{"kind":["x"],"n":[2]}}`, false},
		{`{"$or":[{"n":[9]},{"name":["Köln"]}]}`, true},
		{`{"$or":[{"n":[9]},{"name":["Bonn"]}],"yes":[true]}`, false},
		{`{"deep":{"deeper":[{"exists":false}]}}`, true},
	} {
		p, err := ParsePattern(`{"body":` + tt.pattern + `}`)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		if got := p.Match(v); got != tt.want {
			t.Errorf("%s: %v", tt.pattern, got)
		}
	}
}

func TestPatternsThatAreNone(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `"x"`, `{}`, `{"a":{}}`, `{"a":"x"}`, `{"a":[]}`, `{"a":[["x"]]}`, `{"a":[{}]}`, `{"a":[{"nonsense":"x"}]}`,
		`{"a":[{"prefix":1}]}`, `{"a":[{"prefix":"x","suffix":"y"}]}`, `{"a":[{"numeric":[">"]}]}`, `{"a":[{"numeric":["~",1]}]}`,
		`{"a":[{"numeric":[">","1"]}]}`, `{"a":[{"exists":1}]}`, `{"a":[{"anything-but":[]}]}`, `{"a":[{"anything-but":{"nonsense":"x"}}]}`,
		`{"a":[{"cidr":"x"}]}`, `{"a":[{"wildcard":"a**b"}]}`, `{"$or":[{"a":["x"]}]}`, `{"$or":["x","y"]}`,
		`{"a":["` + strings.Repeat("x", maxPattern) + `"]}`,
		strings.Repeat(`{"a":`, maxDepth+1) + `["x"]` + strings.Repeat("}", maxDepth+1),
	} {
		if _, err := ParsePattern(text); err == nil {
			t.Errorf("%.80s is taken for a pattern", text)
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add(`{"a":[{"anything-but":{"prefix":["x"]}},{"numeric":[">",1]}],"$or":[{"b":["x"]},{"c":[null]}]}`, `{"a":["x",2],"c":null}`)
	f.Add(`{"a":{"b":[{"wildcard":"*x*"}]}}`, `{"a":[{"b":"axb"}]}`)
	f.Fuzz(func(t *testing.T, pattern, event string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		var v any
		if json.Unmarshal([]byte(event), &v) != nil {
			return
		}
		first := p.Match(v)
		if again, err := ParsePattern(pattern); err != nil || again.Match(v) != first {
			t.Errorf("it matches (%v) and does not: %v", first, err)
		}
	})
}
