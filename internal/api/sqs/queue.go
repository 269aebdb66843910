package sqs

import (
	"context"
	"net/url"
	"sort"
	"strings"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/sqs"
)

const maxPage = 1000 // queues of one answer

// urlOf returns a queue's URL, by which later requests name it.
func urlOf(req *request, q *millicent.Queue) string {
	return req.origin + "/" + q.Tenant + "/" + q.Name
}

// parsePath returns what a queue's URL says in its path.
func parsePath(path string) (tenant, name string, ok bool) {
	tenant, name, ok = strings.Cut(strings.Trim(path, "/"), "/")
	if !ok || len(tenant) != 12 || strings.Trim(tenant, "0123456789") != "" || name == "" || strings.Contains(name, "/") {
		return "", "", false
	}
	return tenant, name, true
}

// queue returns the queue that a request names by URL. Which host the URL
// names does not matter: this server has one set of queues, and is known by
// several names.
func (h *Handler) queue(req *request, u queueURL) (*millicent.Queue, error) {
	if u.QueueURL == "" {
		return nil, millicent.Errorf(sqs.CodeMissing, "The request must contain the parameter QueueUrl.")
	}
	parsed, err := url.Parse(u.QueueURL)
	if err != nil {
		return nil, invalidAddress(u)
	}
	tenant, name, ok := parsePath(parsed.Path)
	if !ok {
		if name = strings.Trim(parsed.Path, "/"); strings.Contains(name, "/") {
			return nil, invalidAddress(u)
		}
		tenant = req.identity.Tenant // by its name alone, as SQS allows, too
	}
	if tenant != req.identity.Tenant {
		return nil, millicent.Errorf(millicent.CodeAccessDenied, "Access to the resource %.200s is denied.", u.QueueURL)
	}
	q, err := h.cfg.Queues.Queue(tenant, name)
	if err == nil && h.cfg.Count != nil {
		h.cfg.Count(tenant, name)
	}
	return q, err
}

func invalidAddress(u queueURL) error {
	return millicent.Errorf("InvalidAddress", "The address %.200s is not valid for this endpoint.", u.QueueURL)
}

func (h *Handler) createQueue(ctx context.Context, req *request, in *createQueueRequest) (*queueURL, error) {
	q, err := h.cfg.Queues.Create(ctx, req.identity.Tenant, in.QueueName, in.Attributes, in.Tags)
	if err != nil {
		return nil, err
	}
	return &queueURL{urlOf(req, q)}, nil
}

func (h *Handler) getQueueURL(_ context.Context, req *request, in *getQueueURLRequest) (*queueURL, error) {
	switch {
	case in.QueueName == "":
		return nil, millicent.Errorf(sqs.CodeMissing, "The request must contain the parameter QueueName.")
	case in.Owner != "" && in.Owner != req.identity.Tenant:
		return nil, millicent.Errorf(sqs.CodeNoQueue, "The specified queue does not exist.")
	}
	q, err := h.cfg.Queues.Queue(req.identity.Tenant, in.QueueName)
	if err != nil {
		return nil, err
	}
	return &queueURL{urlOf(req, q)}, nil
}

func (h *Handler) getQueueAttributes(_ context.Context, req *request, in *getQueueAttributesRequest) (*queueAttributes, error) {
	q, err := h.queue(req, in.queueURL)
	if err != nil {
		return nil, err
	}
	all, err := h.cfg.Queues.Attributes(q, in.AttributeNames)
	return &queueAttributes{all}, err
}

func (h *Handler) setQueueAttributes(ctx context.Context, req *request, in *setQueueAttributesRequest) (*none, error) {
	q, err := h.queue(req, in.queueURL)
	if err != nil {
		return nil, err
	}
	return &none{}, h.cfg.Queues.SetAttributes(ctx, q.Tenant, q.Name, in.Attributes)
}

func (h *Handler) listQueues(_ context.Context, req *request, in *listQueuesRequest) (*listQueuesResponse, error) {
	page, next, err := paged(h.cfg.Queues.List(req.identity.Tenant, in.Prefix), in.NextToken, in.MaxResults)
	return &listQueuesResponse{urlsOf(req, page), next}, err
}

func (h *Handler) listSources(_ context.Context, req *request, in *listSourcesRequest) (*listSourcesResponse, error) {
	q, err := h.queue(req, in.queueURL)
	if err != nil {
		return nil, err
	}
	page, next, err := paged(h.cfg.Queues.Sources(q), in.NextToken, in.MaxResults)
	return &listSourcesResponse{urlsOf(req, page), next}, err
}

func urlsOf(req *request, list []*millicent.Queue) []string {
	urls := []string{}
	for _, q := range list {
		urls = append(urls, urlOf(req, q))
	}
	return urls
}

// paged returns the part of a sorted list that follows a token, the name of
// the last queue before. Without a size there is one page, and no token.
func paged(list []*millicent.Queue, token string, size *int) (page []*millicent.Queue, next string, err error) {
	n := maxPage
	if size != nil {
		if n = *size; n < 1 || n > maxPage {
			return nil, "", malformed("Value %d for parameter MaxResults is invalid. Reason: MaxResults must be between 1 and %d.", n, maxPage)
		}
	}
	from := sort.Search(len(list), func(i int) bool { return list[i].Name > token })
	list = list[from:]
	if len(list) <= n {
		return list, "", nil
	}
	list = list[:n]
	if size != nil {
		next = list[n-1].Name
	}
	return list, next, nil
}

func (h *Handler) deleteQueue(ctx context.Context, req *request, in *queueURL) (*none, error) {
	q, err := h.queue(req, *in)
	if err != nil {
		return nil, err
	}
	return &none{}, h.cfg.Queues.Delete(ctx, q.Tenant, q.Name)
}

func (h *Handler) purgeQueue(ctx context.Context, req *request, in *queueURL) (*none, error) {
	q, err := h.queue(req, *in)
	if err != nil {
		return nil, err
	}
	return &none{}, h.cfg.Queues.Purge(ctx, q)
}

func (h *Handler) tagQueue(ctx context.Context, req *request, in *tagQueueRequest) (*none, error) {
	q, err := h.queue(req, in.queueURL)
	if err != nil {
		return nil, err
	}
	return &none{}, h.cfg.Queues.Tag(ctx, q.Tenant, q.Name, in.Tags)
}

func (h *Handler) untagQueue(ctx context.Context, req *request, in *untagQueueRequest) (*none, error) {
	q, err := h.queue(req, in.queueURL)
	if err != nil {
		return nil, err
	}
	return &none{}, h.cfg.Queues.Untag(ctx, q.Tenant, q.Name, in.TagKeys)
}

func (h *Handler) listQueueTags(_ context.Context, req *request, in *queueURL) (*listQueueTagsResponse, error) {
	q, err := h.queue(req, *in)
	if err != nil {
		return nil, err
	}
	return &listQueueTagsResponse{q.Tags}, nil
}
