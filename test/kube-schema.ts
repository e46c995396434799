/** Checks objects of Kubernetes itself against its API as @kubernetes/client-node was generated from it: keys and types. */
import * as client from '@kubernetes/client-node';
import type { Manifest } from './deploy-manifests.ts';

interface Attribute {
  readonly baseName: string;
  readonly type: string;
}

/** What is not as the API has it, each with its path; none where all is well. Required fields are not known. */
export function schemaFaults(manifest: Manifest): readonly string[] {
  const version = manifest.apiVersion.split('/').at(-1) ?? '';
  const type = `${version[0]?.toUpperCase()}${version.slice(1)}${manifest.kind}`;
  if (attributesOf(type) === undefined) return [`${manifest.apiVersion} ${manifest.kind} is not known`];
  return faults(manifest, type, manifest.kind);
}

function attributesOf(type: string): readonly Attribute[] | undefined {
  const model: unknown = Reflect.get(client, type);
  return typeof model === 'function' ? (Reflect.get(model, 'attributeTypeMap') as readonly Attribute[]) : undefined;
}

function faults(value: unknown, type: string, path: string): readonly string[] {
  const wrong = [`${path} is not of type ${type}`];
  const item = /^Array<(.*)>$/.exec(type)?.[1];
  if (item !== undefined) {
    return Array.isArray(value) ? value.flatMap((each, index) => faults(each, item, `${path}[${index}]`)) : wrong;
  }
  const property = /^\{ \[key: string\]: (.*); \}$/.exec(type)?.[1];
  if (property !== undefined) {
    if (!isMapping(value)) return wrong;
    return Object.entries(value).flatMap(([key, each]) => faults(each, property, `${path}.${key}`));
  }
  if (type === 'IntOrString') return ['string', 'number'].includes(typeof value) ? [] : wrong;
  const attributes = attributesOf(type);
  // What is no model has a type of JavaScript.
  if (attributes === undefined) return typeof value === type ? [] : wrong;
  if (!isMapping(value)) return wrong;
  return Object.entries(value).flatMap(([key, each]) => {
    const attribute = attributes.find(({ baseName }) => baseName === key);
    return attribute === undefined ? [`${path}.${key} is not known`] : faults(each, attribute.type, `${path}.${key}`);
  });
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
