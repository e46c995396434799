/**
 * A hook sidecar of KubeVirt that gives a domain more PCIe root ports: for versions that read no number of ports, where
 * the feature gate Sidecar is on. KubeVirt runs the script of a ConfigMap as `onDefineDomain --vmi JSON --domain XML`
 * each time it defines a domain, and defines what that prints. It does so twice where it reserves ports by placeholder
 * NICs: the second XML is the first as libvirt placed it.
 *
 * Rests on KubeVirt's sidecar shim (cmd/sidecars) and on how virt-controller renders a launcher pod: the ConfigMap becomes
 * a volume of its own name, which must be a DNS label; scripts come from ConfigMaps since v1.1, and an entry may leave the
 * image out since v1.3.
 */
import { createHash } from 'node:crypto';
import { fields, items, text } from './json-shape.ts';

/** What a VM needs for so many root ports. */
export interface RootPortHook {
  readonly configMap: string;
  readonly key: string;
  readonly script: string;
}

/** Longest DNS label. */
const longestLabel = 63;
const suffix = '-root-ports';
const keyPattern = /^root-ports-(\d{1,4})\.sh$/;
const hookPath = '/usr/bin/onDefineDomain';

/**
 * Where ports are listed libvirt adds no spare, and gives boot devices the lowest, so `ports` is how many the domain has
 * in all. They are numbered from 1: libvirt takes the first one without a number for the root bus. Indexes that are taken
 * are left alone, so the script may be run on its own output. The number is in the name of the key: so the template and
 * each instance tell with how many ports they go.
 */
export function rootPortHook(vm: { readonly name: string }, ports: number): RootPortHook {
  return {
    configMap: configMapName(vm.name),
    key: `root-ports-${ports}.sh`,
    // Builtins of the shell alone: the image of the sidecar holds little else.
    script: `#!/bin/sh
# PCIe root ports 1 to ${ports}, where the domain does not have them.
rest=$4
there=' '
while :; do
  case $rest in *'<controller '*) ;; *) break ;; esac
  rest=\${rest#*<controller }
  tag=\${rest%%>*}
  case $tag in
    *type=[\\'\\"]pci[\\'\\"]*index=* | *index=*type=[\\'\\"]pci[\\'\\"]*)
      index=\${tag#*index=?}
      there="$there\${index%%[\\'\\"]*} "
      ;;
  esac
done
ports=
i=0
while [ $i -lt ${ports} ]; do
  i=$((i + 1))
  case $there in *" $i "*) ;; *) ports="$ports<controller type='pci' index='$i' model='pcie-root-port'/>" ;; esac
done
printf '%s%s</devices>%s' "\${4%%</devices>*}" "$ports" "\${4#*</devices>}"
`,
  };
}

function configMapName(vm: string): string {
  const plain = `${vm}${suffix}`;
  if (plain.length <= longestLabel && !vm.includes('.')) return plain;
  return `vm-${createHash('sha256').update(vm).digest('hex').slice(0, 16)}${suffix}`;
}

/**
 * The template annotation with the hook in it: other sidecars stay as they are, and an entry of ours for another number
 * makes room. Undefined where the annotation that is there is no list.
 */
export function withHook(annotation: string | undefined, { configMap, key }: RootPortHook): string | undefined {
  const entries = sidecars(annotation);
  if (entries === undefined) return undefined;
  const others = entries.filter((entry) => text(fields(fields(entry).configMap).name) !== configMap);
  const own = { args: ['--version', 'v1alpha2'], configMap: { name: configMap, key, hookPath } };
  return JSON.stringify([...others, own]);
}

/** How many root ports the hook in an annotation of a template or VMI gives; undefined where there is none of ours. */
export function hookPorts(annotation: string | undefined): number | undefined {
  const keys = (sidecars(annotation) ?? []).map((entry) => {
    const { name, key } = fields(fields(entry).configMap);
    return text(name)?.endsWith(suffix) === true ? keyPattern.exec(text(key) ?? '')?.[1] : undefined;
  });
  const found = keys.filter((key) => key !== undefined).map(Number);
  return found.length === 0 ? undefined : Math.max(...found);
}

function sidecars(annotation: string | undefined): readonly unknown[] | undefined {
  if (annotation === undefined || annotation.trim() === '') return [];
  try {
    const value: unknown = JSON.parse(annotation);
    return Array.isArray(value) ? items(value) : undefined;
  } catch {
    return undefined;
  }
}
