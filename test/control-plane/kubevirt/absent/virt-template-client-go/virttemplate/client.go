// Package virttemplate stands in for a module that the Go module proxy doesn't serve: a client that can't be made.
package virttemplate

import (
	"errors"

	"k8s.io/client-go/rest"
)

// Client would read VM templates.
type Client struct{}

// Versioned would read one version of them.
type Versioned struct{}

// NewForConfig always fails.
func NewForConfig(*rest.Config) (*Client, error) {
	return nil, errors.New("VM templates are not part of this build")
}

// TemplateV1beta1 is never reached.
func (*Client) TemplateV1beta1() *Versioned { return nil }

// RESTClient is never reached.
func (*Versioned) RESTClient() rest.Interface { return nil }
