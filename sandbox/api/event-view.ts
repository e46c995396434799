/** events.k8s.io events are core events under other names. */
import { type JsonObject, text } from './json.ts';
import type { View } from './served.ts';
import { type FieldError, fieldInvalid, fieldRequired } from './status.ts';

/** Core name -> name in events.k8s.io, in the order in which the newer API prints them. */
const names: readonly (readonly [string, string])[] = [
  ['eventTime', 'eventTime'],
  ['series', 'series'],
  ['reportingComponent', 'reportingController'],
  ['reportingInstance', 'reportingInstance'],
  ['action', 'action'],
  ['reason', 'reason'],
  ['involvedObject', 'regarding'],
  ['related', 'related'],
  ['message', 'note'],
  ['type', 'type'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
];

function rename(object: JsonObject, apiVersion: string, pairs: readonly (readonly [string, string])[]): JsonObject {
  const renamed: JsonObject = { kind: 'Event', apiVersion, metadata: object.metadata };
  for (const [from, to] of pairs) if (object[from] !== undefined) renamed[to] = object[from];
  return renamed;
}

export const eventView: View = {
  fromStored: (object) => rename(object, 'events.k8s.io/v1', names),
  toStored: (object) =>
    rename(
      object,
      'v1',
      names.map(([core, newer]) => [newer, core] as const),
    ),
  validateNew,
};

/** The newer API asks for a time and a known type, and for none of what the older one had for them. */
function validateNew(event: JsonObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  const type = text(event.type) ?? '';
  if (event.eventTime === null) errors.push(fieldRequired('eventTime'));
  if (type !== 'Normal' && type !== 'Warning') errors.push(fieldInvalid('type', '', `has invalid value: ${type}`));
  for (const key of ['firstTimestamp', 'lastTimestamp', 'count', 'source']) {
    if (!isUnset(event[key])) errors.push(fieldInvalid(key, '', 'needs to be unset'));
  }
  return errors;
}

function isUnset(value: unknown): boolean {
  return (value ?? 0) === 0 || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
}
