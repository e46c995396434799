/** What gives patchpanel's service accounts their rights while scenarios run. */
import { type Manifest, readManifests } from './deploy-manifests.ts';

const execFile = 'overlays/with-exec/rbac.yaml';
const rbac = 'rbac.authorization.k8s.io';

/** Rights of `apply` that scenarios need and no manifest gives yet. */
const unshipped: readonly Manifest[] = [
  {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRole',
    metadata: { name: 'patchpanel-unshipped' },
    rules: [
      // Scenarios keep records of their own in the namespaces of their VMs.
      { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['get', 'create', 'patch'] },
    ],
  },
  {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: 'patchpanel-unshipped' },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'patchpanel-unshipped' },
    subjects: [{ kind: 'ServiceAccount', name: 'patchpanel-apply', namespace: 'patchpanel' }],
  },
];

/** All roles of examples/deploy; the one for exec is bound to `plan` as well, as by whoever wants exact ports in a plan. */
export function usualRights({ exec = true }: { readonly exec?: boolean } = {}): readonly Manifest[] {
  const shipped = readManifests(
    'base/rbac.yaml',
    'base/record.yaml',
    'base/policy-rbac.yaml',
    'overlays/with-pods/rbac.yaml',
    'overlays/with-restart/rbac.yaml',
    'overlays/with-sidecar/rbac.yaml',
    ...(exec ? [execFile] : []),
  );
  return [...shipped.filter(({ apiVersion }) => apiVersion.startsWith(rbac)).map(boundToBoth), ...unshipped];
}

function boundToBoth(manifest: Manifest): Manifest {
  if (manifest.kind !== 'ClusterRoleBinding' || manifest.metadata.name !== 'patchpanel-exec') return manifest;
  const [subject] = manifest.subjects as readonly object[];
  return { ...manifest, subjects: ['plan', 'apply'].map((use) => ({ ...subject, name: `patchpanel-${use}` })) };
}
