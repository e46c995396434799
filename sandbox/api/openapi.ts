/** OpenAPI, as far as kubectl reads it: which parameters a patch takes, and the schemas for explain. */
import { createHash } from 'node:crypto';
import { type Answer, jsonAnswer } from './answer.ts';
import type { ResourceDefinition } from './contract.ts';
import { emptyOpenApiV2 } from './protobuf.ts';
import { PageNotFound } from './status.ts';

function pathOf(group: string, version: string): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

export class OpenApi {
  readonly #resources: readonly ResourceDefinition[];
  readonly #documents = new Map<string, string>();

  constructor(resources: readonly ResourceDefinition[]) {
    this.#resources = resources;
  }

  /** Undefined where the path is none of OpenAPI. */
  answer(path: string, accept: string | undefined): Answer | undefined {
    if (path === '/openapi/v2') return this.#v2(accept);
    if (path === '/openapi/v3') return this.#index();
    const found = /^\/openapi\/v3\/(apis?\/.+)$/.exec(path)?.[1];
    if (found === undefined) return undefined;
    if (!this.#paths().includes(found)) throw new PageNotFound();
    return {
      status: 200,
      json: this.#document(found),
      headers: { vary: 'Accept', etag: `"${hash(this.#document(found))}"` },
    };
  }

  #paths(): readonly string[] {
    const paths = this.#resources.flatMap(({ group, versions }) => versions.map((version) => pathOf(group, version)));
    return [...new Set(paths)];
  }

  #index(): Answer {
    const paths = this.#paths().map((path) => [
      path,
      { serverRelativeURL: `/openapi/v3/${path}?hash=${hash(this.#document(path))}` },
    ]);
    return { ...jsonAnswer({ paths: Object.fromEntries(paths) }), contentType: 'text/plain; charset=utf-8' };
  }

  #v2(accept: string | undefined): Answer {
    const headers = { vary: 'Accept-Encoding, Accept' };
    if (/proto/.test(accept ?? '')) {
      return {
        status: 200,
        bytes: emptyOpenApiV2(),
        contentType: 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf',
        headers,
      };
    }
    return {
      ...jsonAnswer({
        swagger: '2.0',
        info: { title: 'Kubernetes', version: 'sandbox' },
        paths: {},
        definitions: {},
        parameters: {},
        securityDefinitions: {},
        security: [],
      }),
      headers,
    };
  }

  #document(path: string): string {
    let document = this.#documents.get(path);
    if (document === undefined) {
      document = JSON.stringify(this.#make(path));
      this.#documents.set(path, document);
    }
    return document;
  }

  #make(path: string): unknown {
    const paths: Record<string, object> = {};
    const schemas: Record<string, object> = { [objectMetaName]: objectMeta };
    for (const resource of this.#resources) {
      for (const version of resource.versions) {
        if (pathOf(resource.group, version) !== path) continue;
        schemas[schemaName(resource, version)] = objectSchema(resource, version);
        Object.assign(paths, operations(resource, version, path));
      }
    }
    return { openapi: '3.0.0', info: { title: 'Kubernetes', version: 'sandbox' }, paths, components: { schemas } };
  }
}

function hash(document: string): string {
  return createHash('sha512').update(document).digest('hex').toUpperCase();
}

/** `dev.example.v1.Widget` for group `example.dev`. */
function schemaName(resource: ResourceDefinition, version: string): string {
  const prefix = resource.custom
    ? resource.group.split('.').reverse().join('.')
    : `io.k8s.api.${resource.group.split('.')[0] || 'core'}`;
  return `${prefix}.${version}.${resource.kind}`;
}

const objectMetaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const stringMap = { type: 'object', additionalProperties: { type: 'string', default: '' } };
const objectMeta = {
  type: 'object',
  description: 'Metadata that every stored object has.',
  properties: {
    name: { type: 'string', description: 'Unique in a namespace.' },
    namespace: { type: 'string' },
    generateName: { type: 'string', description: 'Prefix of a name that the server completes.' },
    uid: { type: 'string' },
    resourceVersion: { type: 'string' },
    generation: { type: 'integer', format: 'int64' },
    creationTimestamp: { type: 'string', format: 'date-time' },
    deletionTimestamp: { type: 'string', format: 'date-time' },
    labels: stringMap,
    annotations: stringMap,
    finalizers: { type: 'array', items: { type: 'string', default: '' } },
    ownerReferences: { type: 'array', items: { type: 'object' } },
    managedFields: { type: 'array', items: { type: 'object' } },
  },
};

function kindOf(resource: ResourceDefinition, version: string): object {
  return { group: resource.group, kind: resource.kind, version };
}

function objectSchema(resource: ResourceDefinition, version: string): object {
  const own = (resource.schema ?? { type: 'object' }) as { readonly properties?: object };
  return {
    ...own,
    properties: {
      apiVersion: { type: 'string', description: 'Version of this representation.' },
      kind: { type: 'string', description: 'Kind of the object.' },
      ...own.properties,
      metadata: { $ref: `#/components/schemas/${objectMetaName}` },
    },
    'x-kubernetes-group-version-kind': [kindOf(resource, version)],
  };
}

const queryParameters = ['dryRun', 'fieldManager', 'fieldValidation', 'force'].map((name) => ({
  name,
  in: 'query',
  schema: { type: name === 'force' ? 'boolean' : 'string', uniqueItems: true },
}));

function operations(resource: ResourceDefinition, version: string, base: string): Record<string, object> {
  const scope = resource.namespaced ? 'namespaces/{namespace}/' : '';
  const collection = `/${base}/${scope}${resource.plural}`;
  const operation = (action: string, parameters: readonly object[] = []): object => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': kindOf(resource, version),
    parameters,
    responses: { '200': { description: 'OK' } },
  });
  const one = {
    get: operation('get'),
    put: operation('put', queryParameters.slice(0, 3)),
    patch: operation('patch', queryParameters),
    delete: operation('delete', queryParameters.slice(0, 1)),
  };
  return {
    [collection]: { get: operation('list'), post: operation('post', queryParameters.slice(0, 3)) },
    [`${collection}/{name}`]: one,
    ...(resource.statusSubresource
      ? { [`${collection}/{name}/status`]: { get: one.get, put: one.put, patch: one.patch } }
      : {}),
    ...(resource.namespaced ? { [`/${base}/${resource.plural}`]: { get: operation('list') } } : {}),
  };
}
