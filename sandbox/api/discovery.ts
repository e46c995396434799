/** Discovery: aggregated (v2) as kubectl asks for it, and the older lists of groups and resources. */
import { createHash } from 'node:crypto';
import { type Answer, jsonAnswer } from './answer.ts';
import type { ResourceDefinition, SubresourceHandler } from './contract.ts';
import { ApiError, PageNotFound } from './status.ts';

const customVerbs = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];
const builtinVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const statusVerbs = ['get', 'patch', 'update'];

interface Subresource {
  readonly name: string;
  readonly kind: string;
  readonly verbs: readonly string[];
}

function verbsOf(resource: ResourceDefinition): readonly string[] {
  if (resource.custom) return customVerbs;
  return resource.plural === 'namespaces' ? builtinVerbs.filter((verb) => verb !== 'deletecollection') : builtinVerbs;
}

function subresourcesOf(resource: ResourceDefinition): readonly Subresource[] {
  const status = { name: 'status', kind: resource.kind, verbs: statusVerbs };
  if (!resource.custom && resource.plural === 'pods') {
    return [
      { name: 'binding', kind: 'Binding', verbs: ['create'] },
      { name: 'exec', kind: 'PodExecOptions', verbs: ['create', 'get'] },
      { name: 'log', kind: 'Pod', verbs: ['get'] },
      status,
    ];
  }
  return resource.statusSubresource ? [status] : [];
}

interface GroupVersions {
  readonly group: string;
  readonly versions: readonly string[];
}

export class Discovery {
  readonly #resources: readonly ResourceDefinition[];
  readonly #handlers: readonly SubresourceHandler[];

  constructor(resources: readonly ResourceDefinition[], handlers: readonly SubresourceHandler[]) {
    this.#resources = resources;
    this.#handlers = handlers;
  }

  /** Undefined where the path is no discovery path. Throws 404 as text for groups and versions that are not served. */
  answer(path: string, accept: string | undefined, address: string): Answer | undefined {
    const parts = path.split('/').filter((part) => part !== '');
    if (parts[0] === 'api') {
      if (parts.length === 1) return this.#root([''])(accept, () => this.#coreVersions(address));
      return parts.length === 2 ? this.#resourceList('', parts[1] ?? '') : undefined;
    }
    if (parts[0] !== 'apis') return undefined;
    if (parts.length === 1)
      return this.#root(
        this.#groups()
          .map(({ group }) => group)
          .filter((group) => group !== ''),
      )(accept, () => this.#groupList());
    if (parts.length === 2) return this.#oneGroup(parts[1] ?? '');
    return parts.length === 3 ? this.#resourceList(parts[1] ?? '', parts[2] ?? '') : undefined;
  }

  #root(groups: readonly string[]): (accept: string | undefined, legacy: () => unknown) => Answer {
    return (accept, legacy) => {
      for (const range of (accept ?? '*/*').split(',').map((part) => part.trim())) {
        const [type, ...parameters] = range.split(';').map((part) => part.trim());
        if (parameters.includes('as=APIGroupDiscoveryList')) {
          if (parameters.includes('v=v2') && parameters.includes('g=apidiscovery.k8s.io'))
            return this.#aggregated(groups);
        } else if (type === 'application/json' || type === '*/*' || type === 'application/*') {
          return jsonAnswer(legacy());
        }
      }
      throw new ApiError(
        406,
        '',
        'only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf',
      );
    };
  }

  #groups(): readonly GroupVersions[] {
    const groups = new Map<string, Set<string>>();
    for (const { group, versions } of this.#resources) {
      const known = groups.get(group) ?? new Set();
      for (const version of versions) known.add(version);
      groups.set(group, known);
    }
    for (const { group, version } of this.#handlers) {
      groups.set(group, (groups.get(group) ?? new Set()).add(version));
    }
    for (const group of ['authentication.k8s.io', 'authorization.k8s.io']) groups.set(group, new Set(['v1']));
    return [...groups].map(([group, versions]) => ({ group, versions: [...versions] }));
  }

  #coreVersions(address: string): unknown {
    return {
      kind: 'APIVersions',
      versions: ['v1'],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
    };
  }

  #groupList(): unknown {
    const groups = this.#groups().filter(({ group }) => group !== '');
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(describeGroup) };
  }

  #oneGroup(name: string): Answer {
    const found = this.#groups().find(({ group }) => group === name && group !== '');
    if (found === undefined) throw new PageNotFound();
    return jsonAnswer({ kind: 'APIGroup', apiVersion: 'v1', ...describeGroup(found) });
  }

  #resourceList(group: string, version: string): Answer {
    const known = this.#groups().find((candidate) => candidate.group === group);
    if (known === undefined || !known.versions.includes(version)) throw new PageNotFound();
    const resources = this.#in(group, version).flatMap((resource) => [
      {
        name: resource.plural,
        singularName: resource.singular,
        namespaced: resource.namespaced,
        kind: resource.kind,
        verbs: verbsOf(resource),
        ...names(resource),
        storageVersionHash: createHash('sha512')
          .update(`${group}/${version}/${resource.kind}`)
          .digest()
          .subarray(0, 8)
          .toString('base64'),
      },
      ...subresourcesOf(resource).map(({ name, kind, verbs }) => ({
        name: `${resource.plural}/${name}`,
        singularName: '',
        namespaced: resource.namespaced,
        kind,
        verbs,
      })),
    ]);
    const aggregated = this.#handlers
      .filter((handler) => handler.group === group && handler.version === version)
      .map(({ plural, subresource }) => ({
        name: `${plural}/${subresource}`,
        singularName: '',
        namespaced: true,
        kind: '',
        verbs: null,
      }));
    return jsonAnswer({
      kind: 'APIResourceList',
      ...(group === '' ? {} : { apiVersion: 'v1' }),
      groupVersion: group === '' ? version : `${group}/${version}`,
      resources: [...resources, ...aggregated],
    });
  }

  #in(group: string, version: string): readonly ResourceDefinition[] {
    return this.#resources.filter((resource) => resource.group === group && resource.versions.includes(version));
  }

  #aggregated(groups: readonly string[]): Answer {
    const items = this.#groups()
      .filter(({ group }) => groups.includes(group))
      .map(({ group, versions }) => ({
        metadata: group === '' ? {} : { name: group },
        versions: versions.map((version) => ({
          version,
          resources: this.#in(group, version).map((resource) => aggregatedResource(resource, group, version)),
          freshness: 'Current',
        })),
      }));
    const body = JSON.stringify({
      kind: 'APIGroupDiscoveryList',
      apiVersion: 'apidiscovery.k8s.io/v2',
      metadata: {},
      items,
    });
    const tag = createHash('sha512').update(body).digest('hex').toUpperCase();
    return {
      status: 200,
      json: body,
      contentType: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
      headers: { vary: 'Accept', 'cache-control': 'public', etag: `"${tag}"` },
    };
  }
}

function describeGroup({ group, versions }: GroupVersions): object {
  const described = versions.map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions: described, preferredVersion: described[0] };
}

function names(resource: ResourceDefinition): object {
  return {
    ...(resource.shortNames === undefined ? {} : { shortNames: resource.shortNames }),
    ...(resource.categories === undefined ? {} : { categories: resource.categories }),
  };
}

function aggregatedResource(resource: ResourceDefinition, group: string, version: string): object {
  // Built-in kinds leave out what equals the group version that they stand in.
  const kindOf = (kind: string): object =>
    resource.custom ? { group, version, kind } : { group: '', version: '', kind };
  const subresources = subresourcesOf(resource).map(({ name, kind, verbs }) => ({
    subresource: name,
    responseKind: kindOf(kind),
    verbs,
  }));
  return {
    resource: resource.plural,
    responseKind: kindOf(resource.kind),
    scope: resource.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: resource.singular,
    verbs: verbsOf(resource),
    ...names(resource),
    ...(subresources.length === 0 ? {} : { subresources }),
  };
}
