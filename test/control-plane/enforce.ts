/** Swaps what RBAC gives patchpanel's service accounts on a real API server. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster, KubeObject, Resource } from '../../reconcile/kube/cluster.ts';
import { isStatus } from '../../reconcile/kube/failures.ts';
import { fields } from '../../reconcile/systems/json-shape.ts';
import { accountUsers } from '../cluster-under-test.ts';
import { type Manifest, permits, type Right, rightsOf } from '../deploy-manifests.ts';
import { furnish } from './furnish.ts';

const group = 'rbac.authorization.k8s.io';
const reviews: Resource = {
  group: 'authorization.k8s.io',
  version: 'v1',
  plural: 'subjectaccessreviews',
  kind: 'SubjectAccessReview',
};

export class Rbac {
  readonly #admin: Cluster;
  #inForce: readonly Manifest[] = [];

  constructor(admin: Cluster) {
    this.#admin = admin;
  }

  /** From now on the roles and bindings among these manifests, and no others; the server decides by them on return. */
  async enforce(manifests: readonly Manifest[]): Promise<void> {
    const wanted = manifests.filter(({ apiVersion }) => apiVersion.startsWith(`${group}/`));
    const before = this.#inForce;
    for (const { kind, metadata } of before) {
      try {
        await this.#admin.delete(resourceOf(kind), metadata.namespace, metadata.name);
      } catch (error) {
        if (!isStatus(error, 404)) throw error;
      }
    }
    for (const manifest of wanted) {
      const { namespace } = manifest.metadata;
      if (namespace !== undefined) await furnish(this.#admin, placed('Namespace', { metadata: { name: namespace } }));
      const { kind, ...rest } = manifest;
      await furnish(this.#admin, placed(kind, rest));
    }
    this.#inForce = wanted;
    for (const user of accountUsers) {
      const account = user.split(':').at(-1) ?? '';
      const now = rightsOf(account, wanted);
      for (const right of [...rightsOf(account, before), ...now]) await this.#until(user, right, permits(now, right));
    }
  }

  async #until(user: string, right: Right, allowed: boolean): Promise<void> {
    const [resource, subresource] = right.resource.split('/');
    const { verb, namespace, name } = right;
    const resourceAttributes = {
      verb,
      group: right.group === 'core' ? '' : right.group,
      resource,
      ...(subresource !== undefined && { subresource }),
      ...(namespace !== undefined && { namespace }),
      ...(name !== undefined && { name }),
    };
    const review = { metadata: { name: '' }, spec: { user, resourceAttributes } };
    while (fields((await this.#admin.create(reviews, review)).status).allowed !== allowed) await sleep(10);
  }
}

function resourceOf(kind: string): Resource {
  return { group, version: 'v1', plural: `${kind.toLowerCase()}s`, kind };
}

function placed(kind: string, object: object): { group: string; plural: string; object: KubeObject } {
  const own = kind === 'Namespace' ? '' : group;
  const apiVersion = own === '' ? 'v1' : `${own}/v1`;
  return { group: own, plural: `${kind.toLowerCase()}s`, object: { ...object, apiVersion, kind } as KubeObject };
}
