// Command virt-controller is KubeVirt's, unchanged.
package main

import "kubevirt.io/kubevirt/pkg/virt-controller/watch"

func main() {
	watch.Execute()
}
