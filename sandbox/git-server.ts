/**
 * Serves git repositories over HTTP on loopback, for the demo and for tests: Node in front of git's own
 * `git http-backend`, by the CGI protocol. It needs git on the machine.
 */
import { execFile, spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface GitServerOptions {
  /** Folder that holds the repositories, bare or not. */
  readonly root: string;
  /** Port on loopback; any free one by default. */
  readonly port?: number;
  /** Where set, others get 401. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** PEM; where set, the server speaks https. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Sees each request first; true: it has answered, or never will. For faults. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export interface GitServer {
  /** `http://127.0.0.1:PORT`; a repository is at this plus `/` and its folder. */
  readonly url: string;
  close(): Promise<void>;
}

export async function startGitServer(options: GitServerOptions): Promise<GitServer> {
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    if (options.intercept?.(request, response) === true) return;
    if (!isAuthorized(request, options.credentials)) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('credentials wanted\n');
      return;
    }
    backend(options.root, request, response);
  };
  const server = options.tls === undefined ? createServer(handle) : createTlsServer(options.tls, handle);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * Runs git in a folder, untouched by the configuration of the user or the machine, with fixed author and time, so that
 * the same commands make the same commits. @returns standard output without the final newline
 */
export async function git(folder: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run('git', args, { cwd: folder, env: { ...plainEnvironment(), ...author } });
  return stdout.trimEnd();
}

const author = {
  GIT_AUTHOR_NAME: 'patchpanel',
  GIT_AUTHOR_EMAIL: 'patchpanel@example.com',
  GIT_AUTHOR_DATE: '2026-01-01T00:00:00Z',
  GIT_COMMITTER_NAME: 'patchpanel',
  GIT_COMMITTER_EMAIL: 'patchpanel@example.com',
  GIT_COMMITTER_DATE: '2026-01-01T00:00:00Z',
};

function plainEnvironment(): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    // The folder may belong to another user, as in a container.
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
  };
}

function isAuthorized(request: IncomingMessage, wanted: GitServerOptions['credentials']): boolean {
  if (wanted === undefined) return true;
  const expected = Buffer.from(`${wanted.username}:${wanted.password}`).toString('base64');
  return request.headers.authorization === `Basic ${expected}`;
}

function backend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  const child = spawn('git', ['http-backend'], {
    env: {
      ...plainEnvironment(),
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: decodeURIComponent(pathname),
      QUERY_STRING: searchParams.toString(),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      CONTENT_LENGTH: request.headers['content-length'] ?? '',
      GIT_PROTOCOL: [request.headers['git-protocol'] ?? ''].flat().join(),
      REMOTE_ADDR: '127.0.0.1',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const fail = (): void => {
    if (!response.headersSent) response.writeHead(500);
    response.end();
  };
  child.on('error', fail);
  // The client may go away, or git may answer without reading all of the request.
  child.stdin.on('error', () => {});
  response.on('close', () => child.kill());
  request.pipe(child.stdin);
  let head = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    child.stdout.off('data', onData);
    const { status, headers } = cgiHead(head.toString('latin1', 0, end));
    response.writeHead(status, headers);
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  };
  child.stdout.on('data', onData);
  child.stdout.on('end', () => {
    if (!response.headersSent) fail();
  });
}

function cgiHead(text: string): { readonly status: number; readonly headers: Record<string, string> } {
  let status = 200;
  const headers: Record<string, string> = {};
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === 'status') status = Number.parseInt(value, 10);
    else headers[name] = value;
  }
  return { status, headers };
}
