/**
 * A real kube-apiserver with the sandbox's actors on it, each a client of it as in the sandbox: all of them, or those of the nodes
 * beside KubeVirt's own controllers and webhooks.
 */
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import { kubevirts, networkAttachmentDefinitions } from '../../reconcile/kube/resources.ts';
import { fields, items } from '../../reconcile/systems/json-shape.ts';
import { Faults } from '../../sandbox/actors/context.ts';
import { nodeNames } from '../../sandbox/actors/kubelet.ts';
import { baseObjects, type Placed } from '../../sandbox/base-objects.ts';
import { type ActorName, actorPrograms, actorUsers, type Cast, startCast } from '../../sandbox/cast.ts';
import type { Fault } from '../../sandbox/contract.ts';
import { demoNamespace, demoSeeds, fleetSeeds } from '../../sandbox/kubevirt/fleet.ts';
import { demoPods } from '../../sandbox/plain-pods.ts';
import {
  type Accounts,
  accountUsers,
  type ClusterKind,
  type ClusterOptions,
  type ClusterUnderTest,
} from '../cluster-under-test.ts';
import { readManifests } from '../deploy-manifests.ts';
import { usualRights } from '../rights.ts';
import { AuditLog } from './audit.ts';
import { startControlPlane } from './control-plane.ts';
import { installDefinitions } from './definitions.ts';
import { Rbac } from './enforce.ts';
import { furnish, furnishPods, furnishVms, grant, keepServiceAccounts, tokenFor } from './furnish.ts';
import { type KubeletEndpoint, serveKubelet } from './kubelet-endpoint.ts';
import { kubevirtUsers, nodeUsers, openVirtHandler, startKubeVirt } from './kubevirt.ts';
import { serveVirtApi } from './virt-api.ts';

const accountFiles = ['base/namespace.yaml', 'base/service-accounts.yaml'] as const;

export async function startRealCluster(
  kind: Exclude<ClusterKind, 'sandbox'>,
  options: ClusterOptions,
): Promise<ClusterUnderTest> {
  const hasKubevirt = kind === 'kubevirt' && options.actors !== false;
  const actors = Object.values(actorUsers).map((name) => ({ name, groups: ['system:masters'] }));
  const plane = await startControlPlane({
    users: hasKubevirt ? [...nodeUsers, ...Object.values(kubevirtUsers)] : actors,
  });
  const ends: (() => Promise<unknown>)[] = [() => plane.stop()];
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      for (const end of ends.reverse()) await end();
    })();
    return stopped;
  };
  try {
    const { admin } = plane;
    const faults = new Faults(options.faults ?? []);
    const client = async (name: ActorName): Promise<Cluster> => {
      if (hasKubevirt && name === 'virtHandler') return await openVirtHandler(plane, nodeNames);
      return await plane.open(plane.tokenOf(actorUsers[name]), actorPrograms[name]);
    };
    await installDefinitions(admin, {
      released: options.definitions !== 'trimmed',
      ...(hasKubevirt && { groups: [networkAttachmentDefinitions.group] }),
    });
    const accounts = await keepServiceAccounts(admin);
    ends.push(() => accounts.stop());
    await grant(admin, readManifests(...accountFiles));
    const rbac = new Rbac(admin);
    let exec = !forbidsExec(options.faults ?? []);
    await rbac.enforce(usualRights({ exec }));
    let cast: Cast | undefined;
    if (options.actors !== false) {
      const kubelet = await serveKubelet(
        plane.tls,
        admin,
        async (request) => (await options.exec?.(request)) ?? (await cast?.exec(request)),
      );
      ends.push(() => kubelet.close());
      const dynamicNetworks = options.dynamicNetworks !== false;
      for (const placed of baseObjects(dynamicNetworks)) {
        if (!hasKubevirt || placed.group !== kubevirts.group) await furnish(admin, reachable(placed, kubelet));
      }
      if (hasKubevirt) {
        const kubevirt = await startKubeVirt(plane);
        ends.push(() => kubevirt.stop());
      } else {
        const virtApi = await serveVirtApi(plane.tls, admin, await client('virtApi'));
        ends.push(() => virtApi.close());
      }
      const reader = await plane.open(plane.adminToken, 'informers');
      const { speed = 1, onDomain } = options;
      cast = await startCast({
        client,
        reader,
        speed,
        faults,
        dynamicNetworks,
        onDomain,
        virtController: !hasKubevirt,
      });
      ends.push(async () => await cast?.stop());
      const vms = [...demoSeeds(), ...(options.vms === undefined ? [] : fleetSeeds({ count: options.vms }))];
      await furnishVms(admin, vms);
      await furnishPods(admin, demoPods(demoNamespace, new Date().toISOString()));
    }
    const log = new AuditLog(plane.auditLog);
    const cluster: ClusterUnderTest = {
      kind,
      version: plane.versions.kubernetes,
      server: plane.url,
      ca: plane.tls.certificate,
      admin,
      adminToken: plane.adminToken,
      tokens: await accountTokens(admin),
      async misbehave(...list: readonly Fault[]) {
        if (exec === forbidsExec(list)) {
          exec = !exec;
          await rbac.enforce(usualRights({ exec }));
        }
        faults.set(list);
        cast?.wake();
      },
      enforce: (manifests) => rbac.enforce(manifests),
      requests: () => log.take().filter(({ user }) => accountUsers.includes(user)),
      stop,
    };
    cluster.requests();
    return cluster;
  } catch (error) {
    await stop();
    throw error;
  }
}

function forbidsExec(faults: readonly Fault[]): boolean {
  return faults.some(({ name }) => name === 'exec-forbidden');
}

async function accountTokens(admin: Cluster): Promise<Accounts> {
  const [plan, apply] = await Promise.all(
    ['plan', 'apply'].map((use) => tokenFor(admin, 'patchpanel', `patchpanel-${use}`)),
  );
  return { plan: plan ?? '', apply: apply ?? '' };
}

/** A node whose kubelet the API server finds on loopback; other objects as they are. */
function reachable(placed: Placed, { port }: KubeletEndpoint): Placed {
  if (placed.plural !== 'nodes') return placed;
  const status = fields(placed.object.status);
  const own = {
    ...status,
    addresses: [...items(status.addresses), { type: 'ExternalIP', address: '127.0.0.1' }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    // As kubelets of 1.36 do: the WebSocket of an exec comes through as it is.
    declaredFeatures: ['ExtendWebSocketsToKubelet'],
  };
  return { ...placed, object: { ...placed.object, status: own } };
}
