/**
 * Runs the container of a Job as a kubelet would where no container engine is: its user, its environment and arguments, the
 * token of its service account, and a read-only root with what it mounts, as process 1 of namespaces of its own. Needs root on Linux.
 */
import { spawn } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CliResult } from './cli-process.ts';
import type { Manifest } from './deploy-manifests.ts';

interface Reference {
  readonly name: string;
  readonly key: string;
  readonly optional?: boolean;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly configMapKeyRef?: Reference; readonly secretKeyRef?: Reference };
  }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly resources: Readonly<Record<'requests' | 'limits', Readonly<Record<string, string>>>>;
}

export interface PodSpec {
  readonly serviceAccountName: string;
  readonly automountServiceAccountToken: boolean;
  readonly restartPolicy: string;
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly emptyDir?: object }[];
}

/** What a cluster has around a pod. */
export interface Surroundings {
  readonly server: string;
  readonly ca: string;
  /** Of the pod's service account. */
  readonly token: string;
  /** ConfigMaps and Secrets are looked up among these; a Secret by its `stringData`. */
  readonly objects: readonly Manifest[];
  /** Once standard error says this, the pod is told to end. */
  readonly stopAt?: string;
}

const root = fileURLToPath(new URL('..', import.meta.url));
const accountFolder = '/run/secrets/kubernetes.io/serviceaccount';

/**
 * $1: the checkout, $2: a Node, $3: the files of the service account, or nothing where none is mounted, $4: the user. The
 * rest is the command. Everything is mounted before the root turns read-only.
 */
const script = `
mount -t tmpfs tmpfs /opt
mkdir /opt/patchpanel
mount --bind "$1" /opt/patchpanel
mount -o remount,ro,bind /opt/patchpanel
install -m 0755 "$2" /opt/node
mount -t tmpfs tmpfs /run
if [ -n "$3" ]; then
  mkdir -p ${accountFolder}
  cp "$3"/* ${accountFolder}
  chmod 0644 ${accountFolder}/*
fi
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -o remount,ro,bind /
cd /
user=$4
shift 4
exec setpriv --reuid "$user" --regid "$user" --clear-groups --bounding-set=-all --no-new-privs /opt/node "$@"
`;

/** Environment of the first container. @throws Error where an object or key that it needs is not there */
export function environmentOf({ env }: Container, objects: readonly Manifest[]): Readonly<Record<string, string>> {
  const entries = env.flatMap(({ name, value, valueFrom }) => {
    const { configMapKeyRef, secretKeyRef } = valueFrom ?? {};
    const found =
      value ??
      (configMapKeyRef && lookUp('ConfigMap', 'data', configMapKeyRef, objects)) ??
      (secretKeyRef && lookUp('Secret', 'stringData', secretKeyRef, objects));
    return found === undefined ? [] : [[name, found] as const];
  });
  return Object.fromEntries(entries);
}

function lookUp(
  kind: string,
  field: string,
  { name, key, optional }: Reference,
  objects: readonly Manifest[],
): string | undefined {
  const object = objects.find((each) => each.kind === kind && each.metadata.name === name);
  const value = (object?.[field] as Readonly<Record<string, string>> | undefined)?.[key];
  if (value === undefined && optional !== true) throw new Error(`${kind} ${name} has no ${key}`);
  return value;
}

/** `$(NAME)` is the variable of that name; what names none stays as it is. */
export function argumentsOf({ args }: Container, env: Readonly<Record<string, string>>): readonly string[] {
  return args.map((arg) => arg.replaceAll(/\$\(([A-Za-z_]\w*)\)/g, (whole, name: string) => env[name] ?? whole));
}

/** Runs the pod's container to its end. */
export async function runPod(spec: PodSpec, { server, ca, token, objects, stopAt }: Surroundings): Promise<CliResult> {
  const [container] = spec.containers;
  if (container === undefined) throw new Error('the pod has no container');
  const env = environmentOf(container, objects);
  const { hostname, port } = new URL(server);
  const account = await mkdtemp(join(tmpdir(), 'patchpanel-account-'));
  try {
    await writeFile(join(account, 'token'), token);
    await writeFile(join(account, 'ca.crt'), ca);
    await writeFile(join(account, 'namespace'), 'patchpanel');
    const mounted = spec.automountServiceAccountToken ? account : '';
    return await run(
      [root, realpathSync(process.execPath), mounted, String(spec.securityContext.runAsUser)],
      argumentsOf(container, env),
      { ...env, KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
      stopAt,
    );
  } finally {
    await rm(account, { recursive: true, force: true });
  }
}

function run(
  parameters: readonly string[],
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  stopAt: string | undefined,
): Promise<CliResult> {
  const unshare = [
    '--mount',
    '--pid',
    '--fork',
    '--mount-proc',
    '--kill-child',
    '--propagation',
    'private',
    'sh',
    '-euc',
    script,
    'sh',
  ];
  const child = spawn('unshare', [...unshare, ...parameters, '/opt/patchpanel/cmd/patchpanel.ts', ...args], {
    env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr, stopped] = ['', '', false];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (stopped || stopAt === undefined || !stderr.includes(stopAt)) return;
    stopped = true;
    process.kill(childOf(child.pid), 'SIGTERM');
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** unshare itself waits for the process that it made, and passes no signal on. */
function childOf(pid: number | undefined): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
}
