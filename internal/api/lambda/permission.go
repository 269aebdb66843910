package lambda

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/millicent-run/millicent"
	"github.com/millicent-run/millicent/internal/store"
)

const maxPolicy = 20480 // bytes of a policy's JSON

func (h *Handler) addPermission(ctx context.Context, req *request, in *AddPermissionRequest) (*AddPermissionResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	if n.qualifier == millicent.Latest {
		return nil, invalid("We currently do not support adding policies for $LATEST.")
	}
	s := &millicent.Statement{
		ID: *in.StatementId, Action: *in.Action, Principal: *in.Principal,
		SourceARN: value(in.SourceArn), SourceAccount: value(in.SourceAccount), OrgID: value(in.PrincipalOrgID),
		EventSourceToken: value(in.EventSourceToken), URLAuthType: value(in.FunctionUrlAuthType), ViaURL: in.InvokedViaFunctionUrl,
	}
	if principal(s.Principal) == nil {
		return nil, invalid("The provided principal was invalid. Please check the principal and try again.")
	}
	if s.URLAuthType != "" && s.Action != "lambda:InvokeFunctionUrl" {
		return nil, invalid("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action")
	}
	_, err = h.update(ctx, n, functionNotFound(n), func(f *millicent.Function) error {
		if err := checkPolicyOwner(f, n); err != nil {
			return err
		}
		if err := h.checkPolicyRevision(f, n, in.RevisionId); err != nil {
			return err
		}
		if slices.ContainsFunc(f.Policies[n.qualifier], func(o *millicent.Statement) bool { return o.ID == s.ID }) {
			return conflict("The statement id (%s) provided already exists. Please provide a new statement id, or remove the existing statement.", s.ID)
		}
		if f.Policies == nil {
			f.Policies = map[string][]*millicent.Statement{}
		}
		f.Policies[n.qualifier] = append(f.Policies[n.qualifier], s)
		touch(f, n.qualifier)
		return checkPolicySize(f.Policies[n.qualifier], n)
	})
	if err != nil {
		return nil, err
	}
	text, err := marshal(showStatement(s, n))
	return &AddPermissionResponse{Statement: new(string(text))}, err
}

func (h *Handler) getPolicy(_ context.Context, req *request, in *GetPolicyRequest) (*GetPolicyResponse, error) {
	n, err := h.resolve(req, *in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	f, v, alias, err := h.version(n)
	switch {
	case millicent.ErrorCode(err) == millicent.CodeNotFound:
		return nil, noURL // the same words
	case err != nil:
		return nil, err
	}
	statements := f.Policies[n.qualifier]
	if len(statements) == 0 {
		return nil, noURL
	}
	text, err := marshal(showPolicy(statements, n))
	revision := v.Revision
	if alias != nil {
		revision = alias.Revision
	}
	return &GetPolicyResponse{Policy: new(string(text)), RevisionId: &revision}, err
}

func (h *Handler) removePermission(ctx context.Context, req *request, in *RemovePermissionRequest) (*none, error) {
	n, err := h.resolve(req, *in.FunctionName, in.Qualifier)
	if err != nil {
		return nil, err
	}
	_, err = h.update(ctx, n, notFound("No policy found for: %s", n.arn()), func(f *millicent.Function) error {
		if err := checkPolicyOwner(f, n); err != nil {
			return err
		}
		statements := f.Policies[n.qualifier]
		if len(statements) == 0 {
			return notFound("No policy is associated with the given resource.")
		}
		i := slices.IndexFunc(statements, func(s *millicent.Statement) bool { return s.ID == *in.StatementId })
		if i < 0 {
			return notFound("Statement %s is not found in resource policy.", *in.StatementId)
		}
		if err := h.checkPolicyRevision(f, n, in.RevisionId); err != nil {
			return err
		}
		f.Policies[n.qualifier] = slices.Delete(statements, i, i+1)
		if len(f.Policies[n.qualifier]) == 0 {
			delete(f.Policies, n.qualifier)
		}
		touch(f, n.qualifier)
		return nil
	})
	return &none{}, err
}

// checkPolicyOwner refuses a qualifier of which there is none. What may be an
// alias's name is looked for among the aliases.
func checkPolicyOwner(f *millicent.Function, n name) error {
	switch {
	case n.qualifier == "" || f.Aliases[n.qualifier] != nil || hasVersion(f, n.qualifier):
		return nil
	case isAliasName(n.qualifier):
		return notFound("Cannot find alias arn: %s", n.arn())
	}
	return functionNotFound(n)
}

// checkPolicyRevision compares with the revision of what the policy is on.
func (h *Handler) checkPolicyRevision(f *millicent.Function, n name, revision *string) error {
	if revision == nil {
		return nil
	}
	current := f.Draft.Revision
	if alias := f.Aliases[n.qualifier]; alias != nil {
		current = alias.Revision
	} else if n.qualifier != "" {
		v, err := h.cfg.Store.Version(n.account, n.function, n.qualifier)
		if err != nil {
			return err
		}
		current = v.Revision
	}
	if *revision != current {
		return revisionMismatch("GetPolicy")
	}
	return nil
}

// touch gives what a policy is on a new revision. A published version keeps
// its own: it never changes.
func touch(f *millicent.Function, qualifier string) {
	if alias := f.Aliases[qualifier]; alias != nil {
		alias.Revision = store.NewRevision()
	} else if qualifier == "" {
		f.Draft.Revision = store.NewRevision()
	}
}

// A policyText is a policy as the API writes it.
type policyText struct {
	Version   string          `json:"Version"`
	ID        string          `json:"Id"`
	Statement []statementText `json:"Statement"`
}

type statementText struct {
	Sid       string         `json:"Sid"`
	Effect    string         `json:"Effect"`
	Principal any            `json:"Principal"`
	Action    string         `json:"Action"`
	Resource  string         `json:"Resource"`
	Condition map[string]any `json:"Condition,omitempty"`
}

func showPolicy(statements []*millicent.Statement, n name) policyText {
	p := policyText{Version: "2012-10-17", ID: "default"}
	for _, s := range statements {
		p.Statement = append(p.Statement, showStatement(s, n))
	}
	return p
}

func showStatement(s *millicent.Statement, n name) statementText {
	equals := map[string]string{}
	for key, v := range map[string]string{
		"AWS:SourceAccount":          s.SourceAccount,
		"aws:PrincipalOrgID":         s.OrgID,
		"lambda:EventSourceToken":    s.EventSourceToken,
		"lambda:FunctionUrlAuthType": s.URLAuthType,
	} {
		if v != "" {
			equals[key] = v
		}
	}
	conditions := map[string]any{}
	if len(equals) > 0 {
		conditions["StringEquals"] = equals
	}
	if s.SourceARN != "" {
		conditions["ArnLike"] = map[string]string{"AWS:SourceArn": s.SourceARN}
	}
	if s.ViaURL != nil {
		conditions["Bool"] = map[string]string{"lambda:InvokedViaFunctionUrl": strconv.FormatBool(*s.ViaURL)}
	}
	return statementText{
		Sid: s.ID, Effect: "Allow", Principal: principal(s.Principal), Action: s.Action,
		Resource: n.arn(), Condition: conditions,
	}
}

// principal returns a policy's form of a principal, nil when it is none.
func principal(p string) any {
	switch {
	case p == "*":
		return p
	case strings.HasSuffix(p, ".amazonaws.com"):
		return map[string]string{"Service": p}
	case len(p) == 12 && isDigits(p):
		return map[string]string{"AWS": "arn:aws:iam::" + p + ":root"}
	case strings.HasPrefix(p, "arn:"):
		return map[string]string{"AWS": p}
	}
	return nil
}

func checkPolicySize(statements []*millicent.Statement, n name) error {
	text, err := marshal(showPolicy(statements, n))
	if err == nil && len(text) > maxPolicy {
		err = millicent.Errorf("PolicyLengthExceededException", "The final policy size (%d) is bigger than the limit (%d).", len(text), maxPolicy)
	}
	return err
}
