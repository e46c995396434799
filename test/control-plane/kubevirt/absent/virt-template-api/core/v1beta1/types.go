// Package v1beta1 stands in for a module that the Go module proxy doesn't serve: the fields that KubeVirt's controllers read.
package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ConditionReady is the condition that an export waits for.
const ConditionReady = "Ready"

// VirtualMachineTemplate is the resource.
type VirtualMachineTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   VirtualMachineTemplateSpec   `json:"spec"`
	Status VirtualMachineTemplateStatus `json:"status,omitempty"`
}

// VirtualMachineTemplateSpec is what is wanted of it.
type VirtualMachineTemplateSpec struct {
	VirtualMachine *runtime.RawExtension `json:"virtualMachine,omitempty"`
	Parameters     []Parameter           `json:"parameters,omitempty"`
}

// VirtualMachineTemplateStatus is what is known of it.
type VirtualMachineTemplateStatus struct {
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Parameter is a value that the template leaves open.
type Parameter struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

// DeepCopy panics: no object of this kind is ever read.
func (in *VirtualMachineTemplate) DeepCopy() *VirtualMachineTemplate {
	panic("VM templates are not part of this build")
}

// DeepCopyObject panics: no object of this kind is ever read.
func (in *VirtualMachineTemplate) DeepCopyObject() runtime.Object {
	return in.DeepCopy()
}
