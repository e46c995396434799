/**
 * The sandbox's virt-api as a process of a real cluster has it: webhooks that kube-apiserver asks over https, and the
 * aggregated API `subresources.kubevirt.io` that it hands requests on to.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { json as readJson } from 'node:stream/consumers';
import { isDeepStrictEqual } from 'node:util';
import type { Cluster, KubeObject, Resource } from '../../reconcile/kube/cluster.ts';
import type { ServerCertificate } from '../../sandbox/api/certificate.ts';
import type {
  AdmissionDenial,
  AdmissionHook,
  AdmissionRequest,
  SubresourceHandler,
} from '../../sandbox/api/contract.ts';
import { kubevirtAdmission } from '../../sandbox/kubevirt/admission.ts';
import { migrationAdmission } from '../../sandbox/kubevirt/migration-admission.ts';
import { kubevirtResources } from '../../sandbox/kubevirt/resources.ts';
import { kubevirtSubresources } from '../../sandbox/kubevirt/subresources.ts';

type Operation = 'CREATE' | 'UPDATE';

interface Webhook {
  /** KubeVirt's name: a refusal quotes it. */
  readonly name: string;
  readonly phase: 'mutate' | 'validate';
  readonly plural: string;
  readonly operations: readonly Operation[];
}

const always: readonly Operation[] = ['CREATE', 'UPDATE'];
const webhooks: readonly Webhook[] = [
  { name: 'virtualmachines-mutator.kubevirt.io', phase: 'mutate', plural: 'virtualmachines', operations: always },
  {
    name: 'virtualmachineinstances-mutator.kubevirt.io',
    phase: 'mutate',
    plural: 'virtualmachineinstances',
    operations: always,
  },
  {
    name: 'migrations-mutator.kubevirt.io',
    phase: 'mutate',
    plural: 'virtualmachineinstancemigrations',
    operations: ['CREATE'],
  },
  { name: 'virtualmachine-validator.kubevirt.io', phase: 'validate', plural: 'virtualmachines', operations: always },
  {
    name: 'virtualmachineinstances-create-validator.kubevirt.io',
    phase: 'validate',
    plural: 'virtualmachineinstances',
    operations: ['CREATE'],
  },
  {
    name: 'virtualmachineinstances-update-validator.kubevirt.io',
    phase: 'validate',
    plural: 'virtualmachineinstances',
    operations: ['UPDATE'],
  },
];

const hooks: readonly AdmissionHook[] = [...kubevirtAdmission, migrationAdmission];
const group = 'subresources.kubevirt.io';

export interface VirtApi {
  close(): Promise<void>;
}

/** Starts it, and tells the API server of it. @param cluster the API as virt-api's service account sees it */
export async function serveVirtApi(tls: ServerCertificate, admin: Cluster, cluster: Cluster): Promise<VirtApi> {
  const handlers = kubevirtSubresources(() => cluster);
  const server = createServer({ key: tls.key, cert: tls.certificate }, (request, response) => {
    answer(request, handlers)
      .catch((error: unknown) => ({ status: 500, body: String(error instanceof Error ? error.stack : error) }))
      .then(({ status, body }) => send(response, status, body))
      .catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  try {
    await register(admin, tls, port);
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

function send(response: ServerResponse, status: number, body: unknown): void {
  if (body === undefined) response.writeHead(status).end();
  else if (typeof body === 'string')
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(body);
  else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

async function answer(request: IncomingMessage, handlers: readonly SubresourceHandler[]): Promise<Answer> {
  const { pathname } = new URL(request.url ?? '', 'https://virt-api');
  if (pathname.startsWith('/webhooks/')) {
    const webhook = webhooks.find(({ name }) => pathname === `/webhooks/${name}`);
    if (webhook === undefined) return { status: 404 };
    return { status: 200, body: review(webhook, (await readJson(request)) as Review) };
  }
  if (pathname === `/apis/${group}/v1`) return { status: 200, body: discovery(handlers) };
  const found = /^\/apis\/[^/]+\/v1\/namespaces\/([^/]+)\/([^/]+)\/([^/]+)\/([^/]+)$/.exec(pathname);
  const [, namespace = '', plural, name = '', subresource] = found ?? [];
  const handler = handlers.find((one) => one.plural === plural && one.subresource === subresource);
  if (handler === undefined) return { status: 404, body: '404: Page Not Found' };
  const text = await readText(request);
  return await handler.handle({
    method: request.method ?? '',
    namespace,
    name,
    body: text === '' ? undefined : JSON.parse(text),
    accept: request.headers.accept ?? '',
    user: String(request.headers['x-remote-user'] ?? ''),
  });
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function discovery(handlers: readonly SubresourceHandler[]): object {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: `${group}/v1`,
    resources: handlers.map(({ plural, subresource }) => ({
      name: `${plural}/${subresource}`,
      singularName: '',
      namespaced: true,
      kind: '',
      verbs: [],
    })),
  };
}

/** An AdmissionReview of admission.k8s.io/v1, as far as it is read. */
interface Review {
  readonly request: {
    readonly uid: string;
    readonly operation: Operation;
    readonly subResource?: string;
    readonly namespace?: string;
    readonly name?: string;
    readonly object: KubeObject;
    readonly oldObject: KubeObject | null;
    readonly userInfo: { readonly username: string };
    readonly dryRun?: boolean;
  };
}

function review(webhook: Webhook, { request: asked }: Review): object {
  const resource = kubevirtResources.find(({ plural }) => plural === webhook.plural);
  if (resource === undefined) throw new Error(`there is no resource ${webhook.plural}`);
  const request: AdmissionRequest = {
    operation: asked.operation,
    resource,
    ...(asked.subResource !== undefined && { subresource: asked.subResource }),
    ...(asked.namespace !== undefined && { namespace: asked.namespace }),
    name: asked.name ?? '',
    object: asked.object,
    ...(asked.oldObject !== null && { oldObject: asked.oldObject }),
    user: asked.userInfo.username,
    dryRun: asked.dryRun === true,
  };
  const { denial, object } = decide(webhook, request);
  const response =
    denial === undefined
      ? { uid: asked.uid, allowed: true, ...patchOf(asked.object, object) }
      : { uid: asked.uid, allowed: false, status: refusal(webhook, denial) };
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response };
}

function decide(
  { phase, plural }: Webhook,
  request: AdmissionRequest,
): { readonly denial?: AdmissionDenial; readonly object?: KubeObject } {
  let { object } = request;
  for (const hook of hooks.filter((one) => one.plural === plural)) {
    const asked: AdmissionRequest = object === undefined ? request : { ...request, object };
    const denial = phase === 'mutate' ? hook.refuse?.(asked) : hook.validate?.(asked);
    if (denial !== undefined) return { denial };
    if (phase === 'mutate' && hook.mutate !== undefined) object = hook.mutate(asked);
  }
  return object === undefined ? {} : { object };
}

function patchOf(before: KubeObject, after: KubeObject | undefined): object {
  const patch = Object.entries(after ?? {})
    .filter(([key, value]) => !isDeepStrictEqual(value, before[key]))
    .map(([key, value]) => ({ op: 'add', path: `/${key}`, value }));
  if (patch.length === 0) return {};
  return { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') };
}

/** kube-apiserver puts the name of the webhook before its words itself. */
function refusal({ name }: Webhook, { code, reason, message, causes }: AdmissionDenial): object {
  const prefix = `admission webhook "${name}" denied the request: `;
  if (!message.startsWith(prefix)) throw new Error(`${name} refuses in the name of another: ${message}`);
  return { code, reason, message: message.slice(prefix.length), ...(causes !== undefined && { details: { causes } }) };
}

async function register(admin: Cluster, tls: ServerCertificate, port: number): Promise<void> {
  const admission = 'admissionregistration.k8s.io';
  const configurations = [
    ['mutate', 'MutatingWebhookConfiguration', 'mutatingwebhookconfigurations', 'virt-api-mutator'],
    ['validate', 'ValidatingWebhookConfiguration', 'validatingwebhookconfigurations', 'virt-api-validator'],
  ] as const;
  for (const [phase, kind, plural, name] of configurations) {
    const resource: Resource = { group: admission, version: 'v1', plural, kind };
    const own = webhooks.filter((webhook) => webhook.phase === phase);
    await admin.create(resource, {
      apiVersion: `${admission}/v1`,
      kind,
      metadata: { name },
      webhooks: own.map((webhook) => configurationOf(webhook, tls, port)),
    });
  }
  const namespace = 'kubevirt';
  await admin.create(
    { group: '', version: 'v1', plural: 'services', kind: 'Service' },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace, name: 'virt-api' },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    },
  );
  const services: Resource = {
    group: 'apiregistration.k8s.io',
    version: 'v1',
    plural: 'apiservices',
    kind: 'APIService',
  };
  await admin.create(services, {
    apiVersion: 'apiregistration.k8s.io/v1',
    kind: 'APIService',
    metadata: { name: `v1.${group}` },
    spec: {
      group,
      version: 'v1',
      groupPriorityMinimum: 1000,
      versionPriority: 15,
      insecureSkipTLSVerify: true,
      service: { namespace, name: 'virt-api', port },
    },
  });
}

function configurationOf({ name, plural, operations }: Webhook, tls: ServerCertificate, port: number): object {
  const url = `https://127.0.0.1:${port}/webhooks/${name}`;
  return {
    name,
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    failurePolicy: 'Fail',
    clientConfig: { url, caBundle: Buffer.from(tls.certificate).toString('base64') },
    rules: [{ apiGroups: ['kubevirt.io'], apiVersions: ['*'], resources: [plural], operations, scope: '*' }],
  };
}
