/**
 * A hook sidecar of KubeVirt that gives a domain more PCIe root ports: for versions that read no number of ports, where
 * the feature gate Sidecar is on. KubeVirt runs the script of a ConfigMap as `onDefineDomain --vmi JSON --domain XML`
 * and defines the domain that it prints.
 */
export interface RootPortHook {
  readonly configMap: string;
  readonly key: string;
  /** The script, line by line. */
  readonly lines: readonly string[];
  /** Value of the template annotation `hooks.kubevirt.io/hookSidecars`. */
  readonly annotation: string;
}

/** Longest name of an object whose name is a DNS subdomain. */
const longestName = 253;
const suffix = '-root-ports';

/**
 * libvirt gives boot devices the lowest of the ports, and adds no spare where ports are listed, so `ports` is how many the
 * domain has in all. They are numbered from 1: libvirt takes the first one without a number for the root bus.
 */
export function rootPortHook(vm: { readonly name: string }, ports: number): RootPortHook {
  const configMap = `${vm.name.slice(0, longestName - suffix.length)}${suffix}`;
  const key = 'root-ports.sh';
  return {
    configMap,
    key,
    lines: [
      '#!/bin/sh',
      `p=; i=0; while [ $i -lt ${ports} ]; do i=$((i+1)); p="$p<controller type='pci' index='$i' model='pcie-root-port'/>"; done; printf %s "$4" | sed "s|</devices>|$p</devices>|"`,
    ],
    annotation: JSON.stringify([
      { args: ['--version', 'v1alpha2'], configMap: { name: configMap, key, hookPath: '/usr/bin/onDefineDomain' } },
    ]),
  };
}
