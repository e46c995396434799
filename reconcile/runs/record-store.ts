/** The record in its ConfigMap. */
import { PatchpanelError } from '../errors.ts';
import type { Cluster } from '../kube/cluster.ts';
import { isStatus } from '../kube/failures.ts';
import { configMaps } from '../kube/resources.ts';
import { fields, text } from '../systems/json-shape.ts';
import { managedBy } from '../systems/patchpanel.ts';
import { type ObjectName, objectKey } from '../vocabulary.ts';
import { parseRecord, type RunRecord, recordText } from './record.ts';

const key = 'record.json';
/** Against other writers; only runs write it, and they hold each other off. */
const attempts = 4;

interface Stored {
  /** Undefined where there is no ConfigMap. */
  readonly version: string | undefined;
  /** Undefined where there is none, or of another version. */
  readonly record: RunRecord | undefined;
}

/** One GET; undefined where there is no record that this version can read. @throws PatchpanelError `cluster/*` */
export async function readRecord(cluster: Cluster, place: ObjectName): Promise<RunRecord | undefined> {
  return (await read(cluster, place)).record;
}

async function read(cluster: Cluster, { namespace, name }: ObjectName): Promise<Stored> {
  const found = await cluster.get(configMaps, namespace, name);
  const content = text(fields(found?.data)[key]);
  return {
    version: found?.metadata.resourceVersion,
    record: content === undefined ? undefined : parseRecord(content),
  };
}

/**
 * Writes what `change` makes of the record, where it makes anything of it.
 * @returns what is recorded now, and whether it was written; `before` is what was recorded
 * @throws PatchpanelError `cluster/*`
 */
export async function updateRecord(
  cluster: Cluster,
  place: ObjectName,
  change: (before: RunRecord | undefined) => RunRecord | undefined,
): Promise<{ readonly before: RunRecord | undefined; readonly after: RunRecord | undefined }> {
  for (let attempt = 1; ; attempt += 1) {
    const { version, record: before } = await read(cluster, place);
    const after = change(before);
    if (after === undefined) return { before, after };
    try {
      await write(cluster, place, version, { [key]: recordText(after) });
      return { before, after };
    } catch (error) {
      if (!isStatus(error, 409) || attempt === attempts) throw error;
    }
  }
}

async function write(
  cluster: Cluster,
  { namespace, name }: ObjectName,
  version: string | undefined,
  data: Readonly<Record<string, string>>,
): Promise<void> {
  if (version === undefined) {
    await cluster.create(configMaps, { metadata: { namespace, name, labels: managedBy }, data });
    return;
  }
  // With the version, a record that moved is refused with 409; keys of others stay.
  await cluster.mergePatch(configMaps, namespace, name, { metadata: { resourceVersion: version }, data });
}

/** @throws PatchpanelError `run/no-record` */
export async function needRecord(cluster: Cluster, place: ObjectName): Promise<RunRecord> {
  const record = await readRecord(cluster, place);
  if (record === undefined)
    throw new PatchpanelError('run/no-record', `there is no record in ConfigMap ${objectKey(place)}`);
  return record;
}
