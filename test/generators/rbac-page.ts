/** docs/reference/rbac.md, from the table of permissions. */
import { stringify } from 'yaml';
import { fenced, generatedNote, page, table } from './markdown.ts';
import { type Permission, permissions, type Use } from './permissions.ts';

export function rbacPage(): string {
  return page(
    generatedNote,
    '# Permissions',
    'patchpanel writes one kind of object, the VirtualMachine, and only by `patch`. KubeVirt and Multus do the rest with their own rights. What follows is all that it asks for; a test holds this table against the requests of real runs.',
    table(
      ['API group', 'Resource', '`plan`', '`apply`', 'exec', 'Scope', 'Why', 'Without it'],
      permissions.map(({ group, resource, verbs, scope, why, without }) => [
        group === '' ? 'core' : group,
        resource,
        words(verbs.plan),
        words(verbs.apply),
        words(verbs.exec),
        scope,
        why,
        without ?? 'the run ends with `cluster/forbidden`',
      ]),
    ),
    '`plan` needs the first column alone, and so may run with credentials that can write nothing, as in a pull request. The exec column is optional for both: exec in a launcher pod is a strong right, since it can run any command there. `render`, `validate` and `inspect` need no cluster.',
    'Where a desired state names more than a few namespaces, patchpanel tries to list VMs, VMIs and pods of the whole cluster at once, and goes namespace by namespace where that is refused: namespaced bindings are enough.',
    'Where a desired state declares `pciePorts`, patchpanel also reads `/openapi/v3/apis/kubevirt.io/v1`, to know whether VMs have a field for it. That path is no resource: the ClusterRole `system:discovery` opens it to every user who is authenticated. Without it the field is taken to be missing.',
    '## Roles',
    'Bind `patchpanel-cluster` by a ClusterRoleBinding. Bind `patchpanel-plan` or `patchpanel-apply`, and if you want `patchpanel-exec`, by a RoleBinding in each namespace with declared VMs. A namespace that only holds networks needs no more than `list` on network-attachment-definitions.',
    fenced('yaml', roles()),
  );
}

function words(verbs: readonly string[] | undefined): string {
  return verbs?.join(', ') ?? '';
}

function roles(): string {
  const both = ['plan', 'apply'] as const;
  return [
    role('patchpanel-cluster', both, ({ scope }) => scope === 'cluster'),
    role('patchpanel-plan', ['plan'], ({ scope }) => scope === 'namespace'),
    role('patchpanel-apply', both, ({ scope }) => scope === 'namespace'),
    role('patchpanel-exec', ['exec'], ({ scope }) => scope === 'namespace'),
  ].join('---\n');
}

/** One rule for each API group and set of verbs. */
function role(name: string, uses: readonly Use[], belongs: (permission: Permission) => boolean): string {
  const rules = new Map<string, { apiGroups: string[]; resources: string[]; verbs: string[] }>();
  for (const permission of permissions.filter(belongs)) {
    const verbs = [...new Set(uses.flatMap((use) => permission.verbs[use] ?? []))].sort();
    if (verbs.length === 0) continue;
    const key = `${permission.group} ${verbs.join()}`;
    const rule = rules.get(key) ?? { apiGroups: [permission.group], resources: [], verbs };
    rule.resources.push(permission.resource);
    rules.set(key, rule);
  }
  return stringify(
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name },
      rules: [...rules.values()],
    },
    { flowCollectionPadding: false, lineWidth: 0 },
  );
}
