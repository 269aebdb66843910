package millicent

// A Statement lets a principal act on a function, or on one of its versions
// or aliases: a part of what the Lambda API calls its resource policy.
type Statement struct {
	ID        string `json:"id"`        // unique within the policy
	Action    string `json:"action"`    // lambda:InvokeFunction, lambda:*, …
	Principal string `json:"principal"` // *, a service, an account id or an ARN

	// Conditions, each empty when it was not given.
	SourceARN        string `json:"sourceARN,omitempty"`
	SourceAccount    string `json:"sourceAccount,omitempty"`
	OrgID            string `json:"orgID,omitempty"`
	EventSourceToken string `json:"eventSourceToken,omitempty"`
	URLAuthType      string `json:"urlAuthType,omitempty"`
	ViaURL           *bool  `json:"viaURL,omitempty"` // only through the function's URL
}
