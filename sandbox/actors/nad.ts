/** What the nodes read of a NetworkAttachmentDefinition. */
import { fields, items, numeric, text } from '../../reconcile/systems/json-shape.ts';
import type { Informer } from './informer.ts';

export interface Nad {
  /** `spec.config`; empty where it has none. */
  readonly config: string;
}

export function readNad(nads: Informer, namespace: string, name: string): Nad | undefined {
  const object = nads.get(namespace, name);
  return object === undefined ? undefined : { config: text(fields(object.spec).config) ?? '' };
}

/** MTU that a NAD's interface plugin gives, by `namespace/name`; undefined where it says none or can't be read. */
export function mtuOfNad(nads: Informer, key: string): number | undefined {
  const [namespace = '', name = ''] = key.split('/');
  const nad = readNad(nads, namespace, name);
  try {
    const config = fields(JSON.parse(nad?.config ?? ''));
    return numeric(config.mtu) ?? numeric(fields(items(config.plugins)[0]).mtu);
  } catch {
    return undefined;
  }
}
