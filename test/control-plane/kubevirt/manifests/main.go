// Command manifests prints what KubeVirt's operator would install for virt-controller, virt-api and virt-handler, less the workloads
// themselves: one JSON array, in an order in which it can be created.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	extv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	apiregv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/components"
	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/rbac"
)

func main() {
	if len(os.Args) != 2 {
		fail("usage: manifests NAMESPACE")
	}
	if err := printManifests(os.Args[1]); err != nil {
		fail(err.Error())
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(1)
}

func printManifests(namespace string) error {
	objects := []runtime.Object{}
	for _, create := range []func() (*extv1.CustomResourceDefinition, error){
		components.NewVirtualMachineInstanceCrd, components.NewVirtualMachineCrd, components.NewPresetCrd,
		components.NewReplicaSetCrd, components.NewVirtualMachineInstanceMigrationCrd, components.NewKubeVirtCrd,
		components.NewVirtualMachinePoolCrd, components.NewVirtualMachineSnapshotCrd,
		components.NewVirtualMachineSnapshotContentCrd, components.NewVirtualMachineRestoreCrd,
		components.NewVirtualMachineExportCrd, components.NewVirtualMachineBackupCrd,
		components.NewVirtualMachineBackupTrackerCrd, components.NewVirtualMachineInstancetypeCrd,
		components.NewVirtualMachineClusterInstancetypeCrd, components.NewVirtualMachinePreferenceCrd,
		components.NewVirtualMachineClusterPreferenceCrd, components.NewMigrationPolicyCrd,
		components.NewVirtualMachineCloneCrd, components.NewPluginCrd,
	} {
		crd, err := create()
		if err != nil {
			return err
		}
		objects = append(objects, crd)
	}
	objects = append(objects, components.NewKubeVirtPriorityClassCR())
	objects = append(objects, rbac.GetAllCluster()...)
	objects = append(objects, rbac.GetAllApiServer(namespace)...)
	objects = append(objects, rbac.GetAllController(namespace, false)...)
	objects = append(objects, rbac.GetAllHandler(namespace)...)
	objects = append(objects, components.NewVirtAPIMutatingWebhookConfiguration(namespace),
		components.NewVirtAPIValidatingWebhookConfiguration(namespace),
		components.NewVirtLauncherPodMutatingWebhookConfiguration(namespace))
	for _, service := range components.NewVirtAPIAPIServices(namespace) {
		objects = append(objects, service)
	}
	for _, object := range objects {
		if err := name(object); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(objects)
}

// name gives an object the kind and apiVersion that Go values go without.
func name(object runtime.Object) error {
	if !object.GetObjectKind().GroupVersionKind().Empty() {
		return nil
	}
	kinds := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, extv1.AddToScheme, apiregv1.AddToScheme} {
		if err := add(kinds); err != nil {
			return err
		}
	}
	found, _, err := kinds.ObjectKinds(object)
	if err != nil {
		return fmt.Errorf("%T: %w", object, err)
	}
	object.GetObjectKind().SetGroupVersionKind(found[0])
	return nil
}
