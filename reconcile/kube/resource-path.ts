/** How the address of a request is made of a resource, a namespace, a name and a subresource. */
import type { KubeObject, Resource, Selection } from './cluster.ts';
import type { Intent } from './failures.ts';

/** start, stop, restart and the like are served by virt-api under a group of their own. */
export function isAggregated(resource: Resource, subresource: string): boolean {
  return resource.group.endsWith('kubevirt.io') && subresource !== 'status' && subresource !== 'scale';
}

/** Path from the root of the API. */
export function resourcePath(resource: Resource, namespace?: string, name?: string, subresource?: string): string {
  const group = groupOf(resource, subresource);
  const parts = group === '' ? ['api', resource.version] : ['apis', group, resource.version];
  if (namespace !== undefined) parts.push('namespaces', namespace);
  parts.push(resource.plural);
  if (name !== undefined) parts.push(name);
  const path = parts.map(encodeURIComponent).join('/');
  return `/${path}${subresource === undefined ? '' : `/${subresource}`}`;
}

function groupOf(resource: Resource, subresource: string | undefined): string {
  const aggregated = subresource !== undefined && isAggregated(resource, subresource);
  return aggregated ? 'subresources.kubevirt.io' : resource.group;
}

export function selectors(selection: Selection): URLSearchParams {
  const query = new URLSearchParams();
  if (selection.labelSelector !== undefined) query.set('labelSelector', selection.labelSelector);
  if (selection.fieldSelector !== undefined) query.set('fieldSelector', selection.fieldSelector);
  return query;
}

export function intentOf(
  verb: string,
  resource: Resource,
  namespace?: string,
  name?: string,
  subresource?: string,
): Intent {
  return {
    verb,
    resource: subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`,
    group: groupOf(resource, subresource),
    namespace,
    name,
  };
}

/** The object with the apiVersion and kind that the server wants to see in a body. */
export function typed(resource: Resource, object: KubeObject): KubeObject {
  const apiVersion = resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
  return { ...object, apiVersion: object.apiVersion ?? apiVersion, kind: object.kind ?? resource.kind };
}
