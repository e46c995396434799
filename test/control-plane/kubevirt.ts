/**
 * KubeVirt's own virt-api and virt-controller on a control plane, unchanged, with the CRDs, roles, webhooks and API services that
 * its operator would install. The node's side (kubelet, Multus, virt-handler) is left to the sandbox's actors.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Cluster, KubeObject, Resource } from '../../reconcile/kube/cluster.ts';
import { kubevirts } from '../../reconcile/kube/resources.ts';
import { fields, items, text } from '../../reconcile/systems/json-shape.ts';
import type { Json } from '../../reconcile/vocabulary.ts';
import { launcherImage } from '../../sandbox/actors/launcher-pod.ts';
import { baseObjects } from '../../sandbox/base-objects.ts';
import { actorUsers } from '../../sandbox/cast.ts';
import { kubeconfigOf } from '../../sandbox/kubeconfig.ts';
import type { ControlPlane, User } from './control-plane.ts';
import { untilServed } from './definitions.ts';
import { kubevirtPrograms, kubevirtVersion } from './programs.ts';
import { freePorts, ServerProcess } from './server-process.ts';

const namespace = 'kubevirt';

/** Who the components are; the webhooks let only these write VMIs. */
export const kubevirtUsers = {
  api: serviceAccount('kubevirt-apiserver'),
  controller: serviceAccount('kubevirt-controller'),
} as const;

/** The actors that are left beside them; virt-handler comes with tokens of its nodes. */
export const nodeUsers: readonly User[] = (['scheduler', 'kubelet', 'dynamicNetworks'] as const).map((actor) => ({
  name: actorUsers[actor],
  groups: ['system:masters'],
}));

function serviceAccount(name: string): User {
  const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
  return { name: `system:serviceaccount:${namespace}:${name}`, groups };
}

export interface KubeVirt {
  /** Of the components. */
  readonly version: string;
  stop(): Promise<void>;
}

/** Installs KubeVirt and starts its components. @throws Error with the end of a component's log where it does not come up */
export async function startKubeVirt(plane: ControlPlane): Promise<KubeVirt> {
  const programs = kubevirtPrograms().folder;
  const version = kubevirtVersion();
  const folder = join(plane.folder, 'kubevirt');
  await mkdir(folder);
  const [apiPort = 0, controllerPort = 0] = await freePorts(2);
  const { admin } = plane;
  const manifests = JSON.parse(
    execFileSync(join(programs, 'manifests'), [namespace], { encoding: 'utf8', maxBuffer: 2 ** 26 }),
  ) as readonly KubeObject[];
  const processes: ServerProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(processes.map((one) => one.stop()));
  };
  // As the operator sets it: the image of hook sidecars that name none.
  const env = { SIDECAR_SHIM_IMAGE: `registry:5000/kubevirt/sidecar-shim:${version}` };
  const start = async (name: string, user: User, port: number, flags: readonly string[]): Promise<ServerProcess> => {
    const config = kubeconfigOf({
      server: plane.url,
      certificate: plane.tls.certificate,
      token: plane.tokenOf(user.name),
    });
    const kubeconfig = join(folder, `${name}.kubeconfig`);
    await writeFile(kubeconfig, config, { mode: 0o600 });
    const all = [`--kubeconfig=${kubeconfig}`, '--listen=127.0.0.1', `--port=${port}`, '-v=2', ...flags];
    const process = new ServerProcess(name, join(programs, name), all, folder, env);
    processes.push(process);
    return process;
  };
  try {
    // They read their certificate again whenever anything happens in its folder, and say so in their logs.
    const certificates = join(folder, 'certificates');
    await mkdir(certificates);
    const certificate = join(certificates, 'tls.crt');
    const key = join(certificates, 'tls.key');
    await writeFile(certificate, plane.tls.certificate);
    await writeFile(key, plane.tls.key, { mode: 0o600 });
    const isLate = ({ kind = '' }: KubeObject): boolean =>
      kind === 'APIService' || kind.endsWith('WebhookConfiguration');
    const early = manifests.filter((object) => !isLate(object));
    await Promise.all(early.map((object) => admin.create(resourceOf(object), object)));
    const definitions = early.filter(({ kind }) => kind === 'CustomResourceDefinition');
    await Promise.all(definitions.map(({ metadata }) => untilServed(admin, metadata.name)));
    await installation(admin);
    const api = await start('virt-api', kubevirtUsers.api, apiPort, [
      `--tls-cert-file=${certificate}`,
      `--tls-key-file=${key}`,
      `--handler-cert-file=${certificate}`,
      `--handler-key-file=${key}`,
    ]);
    const controller = await start('virt-controller', kubevirtUsers.controller, controllerPort, [
      `--prom-cert-file=${certificate}`,
      `--prom-key-file=${key}`,
      `--launcher-image=${launcherImage}`,
      `--exporter-image=registry.example/virt-exportserver:${version}`,
    ]);
    // An API service that is not there yet would be looked for again at growing distances.
    await api.until('listens', () => listens(apiPort));
    for (const object of manifests.filter(isLate)) {
      await admin.create(resourceOf(object), pointedAt(object, apiPort, plane.tls.certificate));
    }
    await api.until('serves its API', async () => {
      await admin.raw('/apis/subresources.kubevirt.io/v1');
      return true;
    });
    await controller.until('leads', async () => {
      const lease = await admin.get(leases, namespace, 'virt-controller');
      return (text(fields(lease?.spec).holderIdentity) ?? '') !== '';
    });
    return { version, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const serviceAccounts: Resource = { group: '', version: 'v1', plural: 'serviceaccounts', kind: 'ServiceAccount' };

/** A client that writes each VMI as the virt-handler of its node: the webhook refuses one that says nothing of its node. */
export async function openVirtHandler(plane: ControlPlane, nodes: readonly string[]): Promise<Cluster> {
  const clients = new Map<string, Cluster>();
  for (const node of nodes) {
    const issued = await plane.admin.create(
      serviceAccounts,
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        metadata: { namespace, name: 'kubevirt-handler' },
        spec: { boundObjectRef: { apiVersion: 'v1', kind: 'Node', name: node } },
      },
      { subresource: 'token' },
    );
    clients.set(node, await plane.open(text(fields(issued.status).token) ?? '', 'virt-handler'));
  }
  const any = clients.get(nodes[0] ?? '');
  if (any === undefined) throw new Error('a virt-handler needs a node');
  return new Proxy(any, {
    get(target, property) {
      if (property === 'update') {
        return (...args: Parameters<Cluster['update']>) => {
          const node = text(fields(args[1].status).nodeName) ?? '';
          return (clients.get(node) ?? target).update(...args);
        };
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } finally {
    socket.destroy();
  }
}

const leases: Resource = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease' };

/** What the operator leaves behind once it has installed everything. */
async function installation(admin: Cluster): Promise<void> {
  await admin.create(
    { group: '', version: 'v1', plural: 'services', kind: 'Service' },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace, name: 'virt-api' },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    },
  );
  for (const { plural, object } of baseObjects(false)) {
    if (plural !== kubevirts.plural) continue;
    await admin.create(kubevirts, object);
    const status = { ...fields(object.status), defaultArchitecture: 'amd64' } as Json;
    await admin.mergePatch(kubevirts, namespace, object.metadata.name, { status }, { subresource: 'status' });
  }
}

const plurals: Readonly<Record<string, string>> = { PriorityClass: 'priorityclasses' };

function resourceOf({ apiVersion = '', kind = '' }: KubeObject): Resource {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  return { group, version, kind, plural: plurals[kind] ?? `${kind.toLowerCase()}s` };
}

/** The same object with virt-api at its port of loopback. */
function pointedAt(object: KubeObject, port: number, authority: string): KubeObject {
  const caBundle = Buffer.from(authority).toString('base64');
  if (object.kind === 'APIService') {
    const spec = fields(object.spec);
    const { namespace: where, name } = fields(spec.service);
    // It is asked by the name of its Service, which the certificate does not have.
    return { ...object, spec: { ...spec, service: { namespace: where, name, port }, insecureSkipTLSVerify: true } };
  }
  const webhooks = items(object.webhooks).map((webhook) => {
    const path = text(fields(fields(fields(webhook).clientConfig).service).path) ?? '';
    return { ...fields(webhook), clientConfig: { url: `https://127.0.0.1:${port}${path}`, caBundle } };
  });
  return { ...object, webhooks };
}
