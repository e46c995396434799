/** What patchpanel asks of a cluster, as RBAC spells it; the roles of examples/deploy are generated from it. */

export type Use = 'plan' | 'apply' | 'trace' | 'exec' | 'restart' | 'sidecar' | 'record' | 'events' | 'pods' | 'policy';

export interface Permission {
  readonly group: string;
  readonly resource: string;
  readonly verbs: Readonly<Partial<Record<Use, readonly string[]>>>;
  /** `cluster`: a ClusterRoleBinding is needed; `home`: in the namespace of the record. */
  readonly scope: 'cluster' | 'namespace' | 'home';
  readonly why: string;
  /** What happens without it, where patchpanel does without. */
  readonly without?: string;
}

const kubevirt = 'kubevirt.io';

export const permissions: readonly Permission[] = [
  {
    group: kubevirt,
    resource: 'virtualmachines',
    verbs: { plan: ['list'], apply: ['get', 'list', 'watch', 'patch'] },
    scope: 'namespace',
    why: 'reads the declared VMs, and the MAC addresses of the others; plugs and unplugs by patching the VM',
  },
  {
    group: kubevirt,
    resource: 'virtualmachineinstances',
    verbs: { plan: ['list'], apply: ['get', 'list', 'watch'] },
    scope: 'namespace',
    why: 'sees what runs',
  },
  {
    group: '',
    resource: 'pods',
    verbs: { plan: ['list'], apply: ['list', 'watch'], pods: ['get', 'patch'] },
    scope: 'namespace',
    why: 'sees the annotations of the launcher pods, which it never writes, and those of declared pods; plugs and unplugs by patching the latter',
  },
  {
    group: 'k8s.cni.cncf.io',
    resource: 'network-attachment-definitions',
    verbs: { plan: ['list'], apply: ['list'] },
    scope: 'namespace',
    why: 'checks that a network is there and its config valid, in the namespaces of the VMs and those of their networks',
  },
  {
    group: 'apps',
    resource: 'daemonsets',
    verbs: { plan: ['list'], apply: ['list'] },
    scope: 'cluster',
    why: 'looks for the dynamic-networks controller, to know whether NICs are plugged in place or by migration',
    without: 'in place is assumed; the plan says so',
  },
  {
    group: kubevirt,
    resource: 'kubevirts',
    verbs: { plan: ['list'], apply: ['list'] },
    scope: 'cluster',
    why: 'knows KubeVirt version, live migration, binding plugins and whether hook sidecars are on',
    without: 'ports are forecast less exactly, and a stopped VM does not get the `pciePorts` that it declares',
  },
  {
    group: '',
    resource: 'events',
    verbs: { apply: ['list'], trace: ['list'], events: ['create'] },
    scope: 'namespace',
    why: 'tells why a layer lags, in the words of the node; with `--events`, writes what was changed',
    without:
      'a failure is told by the layer alone, and only when its time is up; so is a trace; an Event that can not be written is a warning',
  },
  {
    group: 'subresources.kubevirt.io',
    resource: 'virtualmachines/restart',
    verbs: { restart: ['update'] },
    scope: 'namespace',
    why: 'restarts VMs that allow it, in the windows of the Settings',
    without: 'a restart that the desired state allows ends with `cluster/forbidden`; what waits for it stays staged',
  },
  {
    group: '',
    resource: 'configmaps',
    verbs: { sidecar: ['create', 'get', 'patch'] },
    scope: 'namespace',
    why: 'holds the script of the hook sidecar that gives a VM its `pciePorts`, where KubeVirt has no other way',
    without: 'giving such a VM more ports ends with `cluster/forbidden`',
  },
  {
    group: '',
    resource: 'configmaps',
    verbs: { record: ['create', 'get', 'patch'] },
    scope: 'home',
    why: 'keeps the record of the last runs, with `--record`; `status` needs `get` alone, and `status -o html` also looks at what `plan` may read',
    without: 'the record is not written, which is a warning; `--if-changed` ends with `cluster/forbidden`',
  },
  {
    group: '',
    resource: 'configmaps',
    verbs: { policy: ['get'] },
    scope: 'home',
    why: 'reads the one ConfigMap of `--policy-configmap`, which it never writes',
  },
  {
    group: 'coordination.k8s.io',
    resource: 'leases',
    verbs: { record: ['create', 'get', 'patch'] },
    scope: 'home',
    why: 'keeps runs apart, with `--record`',
  },
  {
    group: '',
    resource: 'pods/exec',
    verbs: { exec: ['get', 'create'] },
    scope: 'namespace',
    why: '`virsh dumpxml` in the compute container: free ports as they are, and proof that the guest has the NIC. In a pod whose domain is declared, `ip` and `virsh` to plug its NICs. Kubernetes asks for `get` before 1.35 and for `create` since',
    without:
      'ports are forecast by the rules of KubeVirt, and VMI status speaks for the domain; `--domain-xml never` asks for none',
  },
];
