package eventsource

import (
	"slices"
	"time"

	"github.com/millicent-run/millicent"
)

func invalid(format string, args ...any) error {
	return millicent.Errorf(millicent.CodeInvalid, format, args...)
}

// check checks a mapping as a whole.
func (s *Service) check(m *millicent.Mapping) error {
	source, ok := millicent.ParseSource(m.Source)
	if !ok || source.Kind == millicent.FromQueue && (source.Region != s.cfg.Region || source.Tenant != m.Tenant) {
		return invalid("Unrecognized event source.")
	}
	v, err := s.cfg.Store.Resolve(m.Tenant, m.Function, m.Qualifier, 0)
	if err != nil {
		return invalid("Function does not exist")
	}
	if source.Kind == millicent.FromQueue {
		err = s.checkQueue(m, source.Name, v)
	} else {
		err = checkAccess(m, source, v)
	}
	switch {
	case err != nil:
		return err
	case len(m.Filters) > 5:
		return invalid("Invalid filter pattern definition.")
	}
	_, err = parseFilters(m.Filters)
	return err
}

// checkQueue checks what a mapping of a queue has to fit.
func (s *Service) checkQueue(m *millicent.Mapping, name string, v *millicent.Version) error {
	q, err := s.cfg.Queues.Queue(m.Tenant, name)
	if err != nil {
		return invalid("Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue does not exist.")
	}
	switch {
	case m.BatchSize > 10 && m.Window == 0 && !q.FIFO():
		return invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
	case q.FIFO() && m.BatchSize > 10:
		return invalid("Batch size must be between 1 and 10 for FIFO queues")
	case q.FIFO() && m.Window > 0:
		return invalid("Batching window is not supported for FIFO queues")
	case q.Visibility < v.Timeout:
		return invalid("Invalid request provided: Queue visibility timeout: %d seconds is less than Function timeout: %d seconds",
			int(q.Visibility/time.Second), int(v.Timeout/time.Second))
	}
	return nil
}

// checkAccess checks what a mapping of NATS needs to connect.
func checkAccess(m *millicent.Mapping, source millicent.Source, v *millicent.Version) error {
	for i, a := range m.Access {
		switch {
		case source.Server == "":
			return invalid("The platform's own subjects need no SourceAccessConfigurations.")
		case a.Type != millicent.AccessBasic && a.Type != millicent.AccessRootCA:
			return invalid("Unsupported source access configuration type for given event source mapping type: %s", a.Type)
		case slices.ContainsFunc(m.Access[:i], func(o millicent.SourceAccess) bool { return o.Type == a.Type }):
			return invalid("There is more than one source access configuration of the type %s.", a.Type)
		case v.Environment[a.Variable] == "":
			return invalid("The URI %.200s of a source access configuration is no environment variable of the function.", a.Variable)
		}
	}
	return nil
}

// exists is the answer to a second mapping of a source to a function.
func exists(o *millicent.Mapping) error {
	text := "The event source arn (\" %s \") and function (\" %s \") provided mapping already exists. Please update or delete the existing mapping with UUID %s"
	if _, _, _, ok := millicent.ParseQueueARN(o.Source); ok {
		text = "An event source mapping with SQS arn (\" %s \") and function (\" %s \") already exists. Please update or delete the existing mapping with UUID %s"
	}
	return millicent.Errorf(millicent.CodeConflict, text, o.Source, o.Function, o.ID)
}

func parseFilters(texts []string) (filters []*Pattern, err error) {
	for _, text := range texts {
		p, err := ParsePattern(text)
		if err != nil {
			return nil, &millicent.Error{Code: millicent.CodeInvalid, Message: "Invalid filter pattern definition.", Err: err}
		}
		filters = append(filters, p)
	}
	return filters, nil
}
