package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
)

// A model is the service description in AWS's own JSON format, as far as the
// generator needs it.
type model struct {
	Operations map[string]*operation `json:"operations"`
	Shapes     map[string]*shape     `json:"shapes"`
}

type operation struct {
	Name string `json:"name"`
	HTTP struct {
		Method       string `json:"method"`
		RequestURI   string `json:"requestUri"`
		ResponseCode int    `json:"responseCode"`
	} `json:"http"`
	Input  *reference `json:"input"`
	Output *reference `json:"output"`
}

type reference struct {
	Shape string `json:"shape"`
}

type shape struct {
	Type      string     `json:"type"`
	Members   members    `json:"members"`
	Required  []string   `json:"required"`
	Enum      []string   `json:"enum"`
	Pattern   string     `json:"pattern"`
	Min       *float64   `json:"min"`
	Max       *float64   `json:"max"`
	Member    *reference `json:"member"` // of a list
	Key       *reference `json:"key"`    // of a map
	Value     *reference `json:"value"`  // of a map
	Payload   string     `json:"payload"`
	Sensitive bool       `json:"sensitive"`
	Exception bool       `json:"exception"`
	Error     struct {
		HTTPStatusCode int  `json:"httpStatusCode"`
		SenderFault    bool `json:"senderFault"`
	} `json:"error"`
}

type member struct {
	Name         string
	Shape        string `json:"shape"`
	Location     string `json:"location"`
	LocationName string `json:"locationName"`
}

// members keeps the order of the model, which is the order of the answers and
// of the validation errors.
type members []member

func (ms *members) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		var m member
		if err := dec.Decode(&m); err != nil {
			return err
		}
		m.Name, _ = name.(string)
		*ms = append(*ms, m)
	}
	return nil
}

func readModel(path string) (*model, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := &model{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m.applyRecorded()
	return m, nil
}

// operationNames returns the names of all operations, sorted.
func (m *model) operationNames() []string { return slices.Sorted(maps.Keys(m.Operations)) }

// reachable returns the names of the shapes that the roots are made of, the
// roots included.
func (m *model) reachable(roots ...string) map[string]bool {
	seen := map[string]bool{}
	var walk func(name string)
	walk = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		s := m.Shapes[name]
		for _, mem := range s.Members {
			walk(mem.Shape)
		}
		for _, r := range []*reference{s.Member, s.Key, s.Value} {
			if r != nil {
				walk(r.Shape)
			}
		}
	}
	for _, r := range roots {
		walk(r)
	}
	return seen
}
