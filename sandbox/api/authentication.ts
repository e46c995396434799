/** Who is asking, and whether they may. */
import type { ApiServerOptions } from './contract.ts';
import type { ResourceRequest } from './request.ts';
import { ApiError } from './status.ts';

export interface User {
  readonly user: string;
  readonly groups: readonly string[];
}

const anonymous: User = { user: 'system:anonymous', groups: ['system:unauthenticated'] };

/** A bad bearer token is 401; none at all, or another scheme, is the anonymous user. */
export function authenticate(header: string | undefined, tokens: ApiServerOptions['tokens']): User {
  const token = /^Bearer (.+)$/i.exec(header ?? '')?.[1];
  if (token === undefined) return anonymous;
  const found = tokens.get(token);
  if (found === undefined) throw new ApiError(401, 'Unauthorized', 'Unauthorized');
  return { user: found.user, groups: [...new Set([...found.groups, 'system:authenticated'])] };
}

export type Authorize = NonNullable<ApiServerOptions['authorize']>;

export function allowMasters({ groups }: { readonly groups: readonly string[] }): boolean {
  return groups.includes('system:masters');
}

export function forbidden(user: User, verb: string, request: ResourceRequest): ApiError {
  const { group, plural, name, namespace, subresource } = request;
  const resource = subresource === undefined ? plural : `${plural}/${subresource}`;
  const qualified = group === '' ? plural : `${plural}.${group}`;
  const subject = name === undefined ? qualified : `${qualified} ${JSON.stringify(name)}`;
  const scope = namespace === undefined ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  return new ApiError(
    403,
    'Forbidden',
    `${subject} is forbidden: User ${JSON.stringify(user.user)} cannot ${verb} resource ${JSON.stringify(resource)} ` +
      `in API group ${JSON.stringify(group)} ${scope}`,
    { details: { ...(name === undefined ? {} : { name }), ...(group === '' ? {} : { group }), kind: plural } },
  );
}

/** What 1.35 and later answer to a GET of pods/exec by someone who may get but not create it. */
export function forbiddenExec(name: string): ApiError {
  return new ApiError(403, 'Forbidden', `pods ${JSON.stringify(name)} is forbidden: `, {
    details: { name, kind: 'pods' },
  });
}

export function forbiddenPath(user: User, verb: string, path: string): ApiError {
  return new ApiError(
    403,
    'Forbidden',
    `forbidden: User ${JSON.stringify(user.user)} cannot ${verb} path ${JSON.stringify(path)}`,
    { details: {} },
  );
}

const publicPaths = /^\/(version|healthz|livez|readyz)(\/|$)/;
const discoveryPaths = /^\/(api|apis|openapi)(\/|$)/;

/** Paths that name no resource: health and version for all, discovery for whoever has logged in. */
export function mayReadPath(user: User, path: string): boolean {
  if (allowMasters(user) || publicPaths.test(path)) return true;
  return discoveryPaths.test(path) && user.groups.includes('system:authenticated');
}

/** Reviews of oneself are open to whoever has logged in. */
export function isSelfReview(request: ResourceRequest, verb: string): boolean {
  return (
    verb === 'create' &&
    ((request.group === 'authorization.k8s.io' && request.plural.startsWith('selfsubject')) ||
      (request.group === 'authentication.k8s.io' && request.plural === 'selfsubjectreviews'))
  );
}
