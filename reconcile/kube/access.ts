/**
 * How a request gets past the door of an API server: its address, TLS, proxy and credentials. A kubeconfig that is more than
 * plain is read by @kubernetes/client-node, which also runs credential plugins; everything is sent through one keep-alive agent, since
 * client-node itself opens a connection for every request.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent, type AgentOptions as HttpAgentOptions } from 'node:http';
import { type AgentOptions, Agent as HttpsAgent, type RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { PatchpanelError } from '../errors.ts';
import { fields } from '../systems/json-shape.ts';
import { networkCode, networkReason } from './failures.ts';
import { type InlineKubeconfig, readInlineKubeconfig } from './inline-kubeconfig.ts';

/** What one request carries. */
interface Credentials {
  readonly agent: HttpAgent;
  readonly headers: Readonly<Record<string, string>>;
}

export interface Access {
  /** Address of the server; a path prefix is kept, user information is not. */
  readonly server: URL;
  credentials(): Promise<Credentials>;
  /** Reads the credentials anew after a 401. False: there is nothing that could have changed. */
  renew(): Promise<boolean>;
  close(): void;
}

export interface DirectAccessOptions {
  readonly server: string;
  readonly token?: string | undefined;
  /** Read again each minute, since the kubelet rotates it. */
  readonly tokenFile?: string | undefined;
  readonly caFile?: string | undefined;
  /** PEM, in place of a file. */
  readonly ca?: string | undefined;
}

export interface KubeconfigAccessOptions {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount';
/** client-go re-reads a token file as often. */
const tokenLifeMs = 60_000;
/** How often client-node is asked whether a plugin's token or certificate still holds: it re-reads files each time. */
const credentialCheckMs = 5_000;

/** An address and at most a token: the sandbox's actors, and the pod that patchpanel runs in. */
export function directAccess(options: DirectAccessOptions): Access {
  const server = parseServer(options.server);
  const ca = options.ca ?? (options.caFile === undefined ? undefined : readConfigFile(options.caFile));
  const agent = createAgent(server, ca === undefined ? {} : { ca });
  let token = options.token;
  let readAt = -Infinity;
  return {
    server,
    async credentials() {
      if (options.tokenFile !== undefined && performance.now() - readAt > tokenLifeMs) {
        token = (await readTokenFile(options.tokenFile)).trim();
        readAt = performance.now();
      }
      return { agent, headers: token === undefined ? {} : { Authorization: `Bearer ${token}` } };
    },
    async renew() {
      readAt = -Infinity;
      return options.tokenFile !== undefined;
    },
    close: () => agent.destroy(),
  };
}

/**
 * The order of kubectl: --kubeconfig, the files of KUBECONFIG, ~/.kube/config, the service account of the pod.
 * @throws PatchpanelError `cluster/config`
 */
export async function configuredAccess(options: KubeconfigAccessOptions): Promise<Access> {
  const files = kubeconfigFiles(options);
  const [file, ...others] = files;
  if (file !== undefined) {
    const inline = others.length === 0 ? await readInlineKubeconfig(file, options.context) : undefined;
    return inline === undefined
      ? await kubeconfigAccess(files, options.context)
      : inlineAccess(inline, () => kubeconfigAccess(files, options.context));
  }
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = options.env;
  if (host === undefined || !existsSync(`${serviceAccount}/token`)) {
    throw new PatchpanelError(
      'cluster/config',
      'there is no kubeconfig, and this process does not run in a pod of a cluster',
    );
  }
  if (options.context !== undefined) {
    throw new PatchpanelError(
      'cluster/config',
      `there is no kubeconfig that could hold the context ${JSON.stringify(options.context)}`,
    );
  }
  return directAccess({
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    tokenFile: `${serviceAccount}/token`,
    caFile: `${serviceAccount}/ca.crt`,
  });
}

function kubeconfigFiles(options: KubeconfigAccessOptions): readonly string[] {
  if (options.kubeconfig !== undefined) return [options.kubeconfig];
  const named = options.env.KUBECONFIG;
  if (named !== undefined && named !== '') {
    const files = named.split(delimiter).filter((file) => file !== '');
    // As kubectl does, files of the list that do not exist are passed over, unless that leaves none.
    const present = files.filter((file) => existsSync(file));
    return present.length > 0 ? present : files.slice(0, 1);
  }
  const standard = join(options.env.HOME ?? homedir(), '.kube', 'config');
  return existsSync(standard) ? [standard] : [];
}

/** What a kubeconfig holds itself; what it may hold after a 401 is read in full. */
function inlineAccess(inline: InlineKubeconfig, readAnew: () => Promise<Access>): Access {
  const server = parseServer(inline.server);
  const agent = createAgent(server, inline.tls);
  let renewed: Access | undefined;
  return {
    server,
    async credentials() {
      return (await renewed?.credentials()) ?? { agent, headers: inline.headers };
    },
    async renew() {
      renewed?.close();
      renewed = await readAnew();
      return true;
    },
    close() {
      agent.destroy();
      renewed?.close();
    },
  };
}

async function kubeconfigAccess(files: readonly string[], context: string | undefined): Promise<Access> {
  let config = await loadConfig(files, context);
  const server = parseServer(config.getCurrentCluster()?.server ?? '');
  // By what a TLS session depends on: a credential plugin may hand out a new certificate, while requests that were
  // sent with the old one still run.
  const agents = new Map<string, HttpAgent>();
  let last: { readonly at: number; readonly credentials: Promise<Credentials> } | undefined;

  async function refresh(): Promise<Credentials> {
    const tls = await authenticate(config);
    const fingerprint = tlsFingerprint(tls);
    const agent = agents.get(fingerprint) ?? proxyAgent(config, tls) ?? createAgent(server, tls);
    agents.set(fingerprint, agent);
    return { agent, headers: { ...basicAuth(config), ...stringHeaders(tls) } };
  }

  return {
    server,
    async credentials() {
      if (last === undefined || performance.now() - last.at > credentialCheckMs) {
        last = { at: performance.now(), credentials: refresh() };
      }
      return await last.credentials;
    },
    async renew() {
      config = await loadConfig(files, context);
      last = undefined;
      return true;
    },
    close() {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}

async function loadConfig(files: readonly string[], context: string | undefined): Promise<KubeConfig> {
  // Loaded only here: it costs 0.4 s and 70 MB.
  const client = await import('@kubernetes/client-node');
  const config = new client.KubeConfig();
  for (const file of files) {
    const one = new client.KubeConfig();
    try {
      one.loadFromFile(file);
    } catch (error) {
      throw new PatchpanelError('cluster/config', `kubeconfig ${file} can not be read: ${kubeconfigFault(error)}`);
    }
    // The first file that has a name wins, as with kubectl.
    const news = new client.KubeConfig();
    news.loadFromOptions({
      clusters: one.clusters.filter(({ name }) => config.getCluster(name) === null).map(allowPlainHttp),
      users: one.users.filter(({ name }) => config.getUser(name) === null),
      contexts: one.contexts.filter(({ name }) => config.getContextObject(name) === null),
      currentContext: one.currentContext,
    });
    config.mergeConfig(news, Boolean(config.currentContext));
  }
  const contexts = config.contexts.map(({ name }) => name);
  const chosen = context ?? config.currentContext;
  if (!chosen) {
    throw new PatchpanelError('cluster/config', `kubeconfig ${files.join(delimiter)} has no current context`, {
      remedy: `Choose one with --context: ${contexts.join(', ') || 'it has none'}.`,
    });
  }
  if (!contexts.includes(chosen)) {
    throw new PatchpanelError('cluster/config', `kubeconfig ${files.join(delimiter)} has no context ${chosen}`, {
      remedy: `Choose one with --context: ${contexts.join(', ') || 'it has none'}.`,
    });
  }
  config.setCurrentContext(chosen);
  if (config.getCurrentCluster() === null) {
    throw new PatchpanelError('cluster/config', `the cluster of context ${chosen} is not in the kubeconfig`);
  }
  if (config.getCurrentUser() === null) {
    throw new PatchpanelError('cluster/config', `the user of context ${chosen} is not in the kubeconfig`);
  }
  return config;
}

/** What is wrong with a kubeconfig. The parser of client-node quotes the lines around a fault, and the tokens in them. */
function kubeconfigFault(error: unknown): string {
  if (!(error instanceof Error) || !('mark' in error)) return networkReason(error);
  const { line, column } = fields(error.mark);
  return `it is not YAML from line ${Number(line) + 1}, column ${Number(column) + 1} on`;
}

/** client-node refuses http unless TLS is not verified, which says nothing where there is no TLS. */
function allowPlainHttp<T extends { readonly server: string; readonly skipTLSVerify: boolean }>(cluster: T): T {
  return cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster;
}

async function authenticate(config: KubeConfig): Promise<RequestOptions> {
  const options: RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    // What JSON.parse says quotes what the plugin printed, which may be a token.
    const reason = error instanceof SyntaxError ? 'the plugin printed no JSON' : networkReason(error);
    throw new PatchpanelError(
      'cluster/config',
      `the credentials of user ${config.getCurrentUser()?.name} can not be had: ${reason}`,
    );
  }
  return options;
}

/** client-node's agent, for the proxies of `proxy-url`, made to keep its connections. */
function proxyAgent(config: KubeConfig, options: RequestOptions): HttpAgent | undefined {
  if (!config.getCurrentCluster()?.proxyUrl || !(options.agent instanceof HttpAgent)) return undefined;
  return Object.assign(options.agent, { keepAlive: true, keepAliveMsecs: 15_000 });
}

function basicAuth(config: KubeConfig): Record<string, string> {
  const user = config.getCurrentUser();
  if (!user?.username) return {};
  return { Authorization: `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}` };
}

function stringHeaders(options: RequestOptions): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name] = String(value).trim();
  return headers;
}

function tlsFingerprint(options: RequestOptions): string {
  const hash = createHash('sha256');
  for (const part of [options.ca, options.cert, options.key, options.servername, options.rejectUnauthorized]) {
    hash.update(`${part ?? ''}\0`);
  }
  return hash.digest('hex');
}

function createAgent(
  server: URL,
  tls: Pick<AgentOptions, 'ca' | 'cert' | 'key' | 'servername' | 'rejectUnauthorized'>,
) {
  const pool: HttpAgentOptions = {
    keepAlive: true,
    // A peer that vanished without a word is found out by the kernel, also on a silent watch.
    keepAliveMsecs: 15_000,
    maxFreeSockets: 64,
    scheduling: 'lifo',
    // HTTPS_PROXY and NO_PROXY, as kubectl takes them: never for a server on this machine.
    ...(isLoopback(server.hostname) ? {} : { proxyEnv: process.env }),
  };
  const { ca, cert, key, servername, rejectUnauthorized } = tls;
  try {
    if (server.protocol === 'http:') return new HttpAgent(pool);
    return new HttpsAgent({
      ...pool,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(servername === undefined ? {} : { servername }),
      ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
    });
  } catch (error) {
    if (networkCode(error) !== 'ERR_PROXY_INVALID_CONFIG') throw error;
    // The value, which Node repeats, may hold a password.
    throw new PatchpanelError('cluster/config', 'the proxy variable for the API server is not a URL', {
      remedy: 'Set HTTPS_PROXY (HTTP_PROXY for http) to http://HOST:PORT, or list the server in NO_PROXY.',
    });
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname);
}

function parseServer(text: string): URL {
  const server = URL.canParse(text) ? new URL(text) : undefined;
  if (server === undefined || !/^https?:$/.test(server.protocol)) {
    throw new PatchpanelError('cluster/config', 'the address of the API server is not an http or https URL');
  }
  server.username = '';
  server.password = '';
  server.search = '';
  server.hash = '';
  return server;
}

function readConfigFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new PatchpanelError('cluster/config', `${file} can not be read: ${networkReason(error)}`);
  }
}

async function readTokenFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new PatchpanelError('cluster/config', `${file} can not be read: ${networkReason(error)}`);
  }
}
