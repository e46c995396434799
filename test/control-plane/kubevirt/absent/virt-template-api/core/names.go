// Package core stands in for a module that the Go module proxy doesn't serve. It holds only what KubeVirt's controllers name when
// they are compiled; without the CRD of VM templates none of it is reached.
package core

// The names of the resource that the controllers would look for.
const (
	GroupName            = "template.kubevirt.io"
	SingularResourceName = "virtualmachinetemplate"
	PluralResourceName   = "virtualmachinetemplates"
)
