package millicent

import (
	"slices"
	"time"
)

// A FunctionURL is an HTTP endpoint of a function's draft or of one of its
// aliases.
type FunctionURL struct {
	ID         string    `json:"id"`         // 32 of [a-z0-9], the first label of the host name
	Qualifier  string    `json:"qualifier"`  // "" for the draft, else an alias name
	AuthType   string    `json:"authType"`   // NONE or AWS_IAM
	InvokeMode string    `json:"invokeMode"` // one of the modes below; "" means Buffered and was not given
	CORS       *CORS     `json:"cors,omitempty"`
	Created    time.Time `json:"created"`
	Modified   time.Time `json:"modified"`
}

// How a FunctionURL answers.
const (
	Buffered       = "BUFFERED"        // once the function has
	ResponseStream = "RESPONSE_STREAM" // while it does
)

// CORS is a function URL's cross-origin policy.
type CORS struct {
	AllowCredentials *bool    `json:"allowCredentials,omitempty"`
	AllowHeaders     []string `json:"allowHeaders,omitempty"`
	AllowMethods     []string `json:"allowMethods,omitempty"`
	AllowOrigins     []string `json:"allowOrigins,omitempty"`
	ExposeHeaders    []string `json:"exposeHeaders,omitempty"`
	MaxAge           *int     `json:"maxAge,omitempty"` // seconds, 0 to 86400
}

// Clone returns a deep copy, safe to modify.
func (u *FunctionURL) Clone() *FunctionURL {
	c := *u
	if u.CORS != nil {
		cors := *u.CORS
		cors.AllowHeaders = slices.Clone(cors.AllowHeaders)
		cors.AllowMethods = slices.Clone(cors.AllowMethods)
		cors.AllowOrigins = slices.Clone(cors.AllowOrigins)
		cors.ExposeHeaders = slices.Clone(cors.ExposeHeaders)
		c.CORS = &cors
	}
	return &c
}
