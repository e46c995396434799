/** docs/reference/rbac.md, from the table of permissions. */
import { fenced, generatedNote, page, table } from './markdown.ts';
import { permissions } from './permissions.ts';
import { clusterRoles } from './rbac-manifests.ts';

export function rbacPage(): string {
  return page(
    generatedNote,
    '# Permissions',
    'patchpanel writes one kind of object, the VirtualMachine, and only by `patch`. What more it does, it does only where that is wanted: it asks for restarts, writes the ConfigMaps of hook sidecars, keeps a record and a lock, writes Events, and patches the annotations of declared pods. KubeVirt and Multus do the rest with their own rights. What follows is all that it asks for; a test holds the roles below against the requests of real runs.',
    table(
      [
        'API group',
        'Resource',
        '`plan`',
        '`apply`',
        '`trace`',
        'exec',
        'restart',
        'sidecar',
        'record',
        'events',
        'pods',
        'policy',
        'Scope',
        'Why',
        'Without it',
      ],
      permissions.map(({ group, resource, verbs, scope, why, without }) => [
        group === '' ? 'core' : group,
        resource,
        words(verbs.plan),
        words(verbs.apply),
        words(verbs.trace),
        words(verbs.exec),
        words(verbs.restart),
        words(verbs.sidecar),
        words(verbs.record),
        words(verbs.events),
        words(verbs.pods),
        words(verbs.policy),
        scope,
        why,
        without ?? 'the run ends with `cluster/forbidden`',
      ]),
    ),
    '`plan` needs the first column alone, and so may run with credentials that can write nothing, as in a pull request. The exec column is optional for both: exec in a launcher pod is a strong right, since it can run any command there. So is the restart column, for `apply`: without a desired state that allows [restarts](desired-state.md#restarts) it is never asked for. Nor is what the sidecar column has, where KubeVirt reads a number of ports, as from 1.8 on, or no VM declares [`pciePorts`](desired-state.md#pcie-ports). The record and events columns are for `apply --record` and `apply --events`; the scope `home` is the namespace of the record. The policy column is for `plan`, `apply` and `trace` with `--policy-configmap`, in the namespace of that ConfigMap: `get`, by its name. No account of patchpanel needs a right to write it, and none should have one: who may write it is the owner of the platform. The pods column is for targets of kind Pod alone; a right to patch pods is one to change more of them than annotations, so give it where they are. `trace` works with what `plan` may do, and tells more with the trace column: `patchpanel-trace` is a role for the person on call, who needs no other. Where the dynamic-networks controller is not ready on every node it also looks for its pods, in the namespace of the controller. `adopt` needs what `plan` needs, and `adopt --take` also `get` and `patch` on virtualmachines. `render`, `validate` and `inspect` need no cluster.',
    'Where a desired state names more than a few namespaces, patchpanel tries to list VMs, VMIs and pods of the whole cluster at once, and goes namespace by namespace where that is refused: namespaced bindings are enough.',
    'Where a desired state declares `pciePorts`, patchpanel also reads `/openapi/v3/apis/kubevirt.io/v1`, to know whether VMs have a field for it. That path is no resource: the ClusterRole `system:discovery` opens it to every user who is authenticated. Without it the field is taken to be missing.',
    '## Roles',
    '[examples/deploy](../../examples/deploy/README.md) has them with service accounts and bindings. To bind them yourself: bind `patchpanel-cluster` by a ClusterRoleBinding. Bind `patchpanel-plan`, `patchpanel-apply` or `patchpanel-trace`, and if you want `patchpanel-exec`, `patchpanel-restart`, `patchpanel-sidecar`, `patchpanel-events` or `patchpanel-pods`, by a RoleBinding in each namespace with declared VMs, or by a ClusterRoleBinding for all of them; `patchpanel-record` is for the namespace of the record alone. A namespace that only holds networks needs no more than `list` on network-attachment-definitions.',
    fenced('yaml', clusterRoles()),
  );
}

function words(verbs: readonly string[] | undefined): string {
  return verbs?.join(', ') ?? '';
}
