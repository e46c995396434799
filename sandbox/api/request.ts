/** What a URL of the API asks for. */

/** A request for a resource, as kube-apiserver's RequestInfo has it. */
export interface ResourceRequest {
  readonly group: string;
  readonly version: string;
  readonly namespace?: string;
  readonly plural: string;
  readonly name?: string;
  readonly subresource?: string;
  /** The old `/watch/` prefix. */
  readonly watchPrefix: boolean;
}

/** Undefined for paths that name no resource: discovery, health, OpenAPI. */
export function parseResourcePath(path: string): ResourceRequest | undefined {
  const parts = (path.endsWith('/') ? path.slice(0, -1) : path).split('/').slice(1);
  const prefix = parts[0] === 'api' ? 2 : parts[0] === 'apis' ? 3 : 0;
  if (prefix === 0 || parts.length <= prefix) return undefined;
  const group = prefix === 2 ? '' : (parts[1] ?? '');
  const version = parts[prefix - 1] ?? '';
  let rest = parts.slice(prefix).map(decode);
  const watchPrefix = rest[0] === 'watch' && rest.length > 1;
  if (watchPrefix) rest = rest.slice(1);
  const base = { group, version, watchPrefix };
  // A namespace is itself a resource: /namespaces/NAME and its own subresources.
  if (rest[0] === 'namespaces' && rest.length > 2 && !['status', 'finalize'].includes(rest[2] ?? '')) {
    return { ...base, namespace: rest[1] ?? '', ...named(rest.slice(2)) };
  }
  return { ...base, ...named(rest) };
}

function named(parts: readonly string[]): Pick<ResourceRequest, 'plural' | 'name' | 'subresource'> {
  const [plural = '', name, ...subresource] = parts;
  return {
    plural,
    ...(name === undefined ? {} : { name }),
    ...(subresource.length === 0 ? {} : { subresource: subresource.join('/') }),
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The verb that authorization sees. */
export function verbOf(method: string, request: ResourceRequest, query: URLSearchParams): string {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return request.name === undefined ? 'deletecollection' : 'delete';
    default:
      if (wantsWatch(request, query)) return 'watch';
      return request.name === undefined ? 'list' : 'get';
  }
}

export function wantsWatch(request: ResourceRequest, query: URLSearchParams): boolean {
  if (request.watchPrefix) return true;
  if (request.name !== undefined) return false;
  const watch = query.get('watch');
  return watch !== null && watch !== 'false' && watch !== '0';
}
