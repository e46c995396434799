/**
 * A real etcd and kube-apiserver on loopback: TLS, RBAC, an audit log, service account tokens. Nothing runs on it until
 * somebody comes to: no controllers, no nodes.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cluster } from '../../reconcile/kube/cluster.ts';
import { connect } from '../../reconcile/kube/connect.ts';
import { type ServerCertificate, selfSigned } from '../../sandbox/api/certificate.ts';
import { kubeconfigOf } from '../../sandbox/kubeconfig.ts';
import { controlPlanePrograms } from './programs.ts';
import { freePorts, ServerProcess } from './server-process.ts';

/** Who a token speaks for. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

export interface ControlPlaneOptions {
  /** Users beside the administrator; each gets a token. */
  readonly users?: readonly User[];
  /** Whether the audit log holds the bodies of writes. */
  readonly auditBodies?: boolean;
  /** More flags for kube-apiserver, such as `--feature-gates=...`. */
  readonly flags?: readonly string[];
}

export interface ControlPlane {
  readonly url: string;
  /** Of the API server; also its authority, and that of the kubelets that it calls. */
  readonly tls: ServerCertificate;
  readonly adminToken: string;
  /** Admin kubeconfig, YAML. */
  readonly kubeconfig: string;
  readonly admin: Cluster;
  /** Of kube-apiserver and etcd. */
  readonly versions: { readonly kubernetes: string; readonly etcd: string };
  /** JSON lines of audit.k8s.io/v1 Events, written before the end of each response. */
  readonly auditLog: string;
  /** Folder for what belongs to this control plane; it goes with it. */
  readonly folder: string;
  /** Lets etcd forget all revisions before the latest: continue tokens and versions of before are gone. */
  compact(): Promise<void>;
  /** Token of one of the users. */
  tokenOf(user: string): string;
  /** A client that the server slows down no more than it has to. */
  open(token: string, userAgent: string): Promise<Cluster>;
  stop(): Promise<void>;
}

/** Requests as a whole; what the servers say to themselves is left out. Bodies of writes only where they are asked for. */
function auditPolicy(bodies: boolean): string {
  const verbs = ['create', 'update', 'patch', 'delete'];
  return JSON.stringify({
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [
      { level: 'None', users: ['system:apiserver', 'system:kube-apiserver'] },
      ...(bodies ? [{ level: 'RequestResponse', verbs, omitManagedFields: true }] : []),
      { level: 'Metadata', omitManagedFields: true },
    ],
  });
}

/** @throws Error with the end of a server's log where it does not come up */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const programs = controlPlanePrograms().folder;
  const folder = await mkdtemp(join(tmpdir(), 'patchpanel-control-plane-'));
  const servers: ServerProcess[] = [];
  const clusters: Cluster[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(clusters.map((cluster) => cluster.close()));
    // The API server first: without etcd it would not end in peace.
    for (const server of servers.reverse()) await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const [clientPort = 0, peerPort = 0, port = 0] = await freePorts(3);
    const etcd = new ServerProcess('etcd', join(programs, 'etcd'), etcdFlags(folder, clientPort, peerPort), folder);
    servers.push(etcd);
    await etcd.until('is ready', async () => (await fetch(`http://127.0.0.1:${clientPort}/health`)).ok);

    const tls = selfSigned(new Date());
    const frontProxy = selfSigned(new Date());
    const adminToken = newToken();
    const administrator: User = { name: 'kubernetes-admin', groups: ['system:masters'] };
    const tokens = new Map((options.users ?? []).map((user) => [user.name, newToken()]));
    const lines = [administrator, ...(options.users ?? [])].map(
      ({ name, groups }) => `${tokens.get(name) ?? adminToken},${name},${name},"${groups.join(',')}"`,
    );
    const files = {
      'tokens.csv': `${lines.join('\n')}\n`,
      'server.key': tls.key,
      'server.crt': tls.certificate,
      'front-proxy.key': frontProxy.key,
      'front-proxy.crt': frontProxy.certificate,
      'audit-policy.json': auditPolicy(options.auditBodies === true),
    };
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text, { mode: 0o600 });
    const flags = [...apiServerFlags(folder, port, clientPort), ...(options.flags ?? [])];
    const api = new ServerProcess('kube-apiserver', join(programs, 'kube-apiserver'), flags, folder);
    servers.push(api);
    const url = `https://127.0.0.1:${port}`;
    const open = async (token: string, userAgent: string): Promise<Cluster> => {
      const limits = { qps: 100_000, burst: 100_000, concurrency: 64 };
      const cluster = await connect({ server: url, ca: tls.certificate, token, userAgent, ...limits });
      clusters.push(cluster);
      return cluster;
    };
    await api.until('is ready', () => isReady(url, tls.certificate, adminToken));
    const admin = await open(adminToken, 'test');
    const version = (await admin.raw('/version')) as { readonly gitVersion: string };
    const etcdVersion = await fetch(`http://127.0.0.1:${clientPort}/version`);
    return {
      url,
      tls,
      adminToken,
      kubeconfig: kubeconfigOf({ server: url, certificate: tls.certificate, token: adminToken }),
      admin,
      versions: {
        kubernetes: version.gitVersion,
        etcd: ((await etcdVersion.json()) as { readonly etcdserver: string }).etcdserver,
      },
      auditLog: join(folder, 'audit.log'),
      folder,
      compact: () => compact(`http://127.0.0.1:${clientPort}`),
      tokenOf(user) {
        const token = tokens.get(user);
        if (token === undefined) throw new Error(`the control plane knows no user ${user}`);
        return token;
      },
      open,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function etcdFlags(folder: string, clientPort: number, peerPort: number): readonly string[] {
  const client = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  return [
    ['--name', 'test'],
    ['--data-dir', join(folder, 'etcd')],
    ['--listen-client-urls', client],
    ['--advertise-client-urls', client],
    ['--listen-peer-urls', peer],
    ['--initial-advertise-peer-urls', peer],
    ['--initial-cluster', `test=${peer}`],
    // All is thrown away in the end.
    ['--unsafe-no-fsync'],
  ].flat();
}

function apiServerFlags(folder: string, port: number, etcdPort: number): readonly string[] {
  const file = (name: string): string => join(folder, name);
  return [
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    `--cert-dir=${folder}`,
    `--tls-cert-file=${file('server.crt')}`,
    `--tls-private-key-file=${file('server.key')}`,
    `--client-ca-file=${file('server.crt')}`,
    `--token-auth-file=${file('tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${file('server.crt')}`,
    `--service-account-signing-key-file=${file('server.key')}`,
    '--service-cluster-ip-range=10.96.0.0/24',
    // Its own service would need an address that is not of loopback.
    '--endpoint-reconciler-type=none',
    `--kubelet-certificate-authority=${file('server.crt')}`,
    `--kubelet-client-certificate=${file('server.crt')}`,
    `--kubelet-client-key=${file('server.key')}`,
    // A kubelet of the tests listens on loopback, and says so beside the address that its node has for others.
    '--kubelet-preferred-address-types=ExternalIP,InternalIP',
    `--requestheader-client-ca-file=${file('front-proxy.crt')}`,
    '--requestheader-allowed-names=',
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    `--proxy-client-cert-file=${file('front-proxy.crt')}`,
    `--proxy-client-key-file=${file('front-proxy.key')}`,
    `--audit-policy-file=${file('audit-policy.json')}`,
    `--audit-log-path=${file('audit.log')}`,
    // One client with many hands is no reason to let it wait.
    '--enable-priority-and-fairness=false',
  ];
}

async function compact(etcd: string): Promise<void> {
  const post = async (path: string, body: object): Promise<unknown> =>
    await (await fetch(`${etcd}${path}`, { method: 'POST', body: JSON.stringify(body) })).json();
  const { header } = (await post('/v3/kv/range', { key: 'AA==' })) as {
    readonly header: { readonly revision: string };
  };
  await post('/v3/kv/compaction', { revision: header.revision, physical: true });
}

/** Whether the API server has all that it needs. */
async function isReady(url: string, ca: string, token: string): Promise<boolean> {
  const asked = request(new URL('/readyz', url), { ca, headers: { authorization: `Bearer ${token}` } }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode === 200;
}

function newToken(): string {
  return randomBytes(24).toString('base64url');
}
