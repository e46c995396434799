/** The annotation by which a person has a VM or pod left alone. */
import type { KubeObject } from '../kube/cluster.ts';
import { fields, items, text } from '../systems/json-shape.ts';
import { suspendAnnotation } from '../systems/patchpanel.ts';

/** Who set the annotation `patchpanel.dev/suspend`, where the server tells. */
export interface Suspension {
  /** Field manager: `kubectl-annotate`, or a console. */
  readonly by?: string;
  readonly at?: string;
}

/** Undefined where the object is not suspended. Whoever wrote something unclear wanted it left alone. */
export function readSuspension({ metadata }: KubeObject): Suspension | undefined {
  const value = metadata.annotations?.[suspendAnnotation]?.trim();
  if (value === undefined || value === 'false') return undefined;
  const entry = items(metadata.managedFields)
    .map(fields)
    .find(({ fieldsV1 }) => fields(fields(fields(fieldsV1)['f:metadata'])['f:annotations'])[`f:${suspendAnnotation}`]);
  const by = text(entry?.manager);
  const at = text(entry?.time);
  return { ...(by === undefined ? {} : { by }), ...(at === undefined ? {} : { at }) };
}
