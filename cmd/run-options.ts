/** The options of a run that leaves something behind: its lock and its record. */
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { PatchpanelError } from '../reconcile/errors.ts';
import type { LockOptions } from '../reconcile/runs/lock.ts';
import type { ObjectName } from '../reconcile/vocabulary.ts';
import { wholeNumber } from './cluster-options.ts';
import { runId } from './run-id.ts';

export interface RunFlags {
  readonly record?: string;
  readonly lockTimeout: number;
  readonly leaseDuration: number;
}

function addRecord(command: Command): Command {
  return command.option(
    '--record <namespace/name>',
    'ConfigMap that tells of the last runs, and Lease that keeps runs apart; default PATCHPANEL_RECORD',
  );
}

export function addRunOptions(command: Command): Command {
  return addRecord(command)
    .option('--lock-timeout <seconds>', 'how long to wait for another run to end', wholeNumber(0), 0)
    .option('--lease-duration <seconds>', 'time after which a lock is free that is not renewed', wholeNumber(2), 60);
}

const dnsName = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Where the record and the lock are; undefined where there is none. @throws PatchpanelError `cli/usage` */
function recordPlace({ record }: Pick<RunFlags, 'record'>): ObjectName | undefined {
  const given = record ?? (process.env.PATCHPANEL_RECORD || undefined);
  if (given === undefined) return undefined;
  const [namespace = '', name = '', ...more] = given.split('/');
  if (more.length > 0 || !dnsName.test(namespace) || !dnsName.test(name)) {
    throw new PatchpanelError('cli/usage', `--record is NAMESPACE/NAME, not ${JSON.stringify(given)}`);
  }
  return { namespace, name };
}

/** Pod or host, and the run. */
const holder = `${hostname()}/${runId}`;

export function lockOptions(flags: RunFlags, signal: AbortSignal): Omit<LockOptions, 'onWait'> | undefined {
  const place = recordPlace(flags);
  if (place === undefined) return undefined;
  return {
    place,
    holder,
    durationSeconds: flags.leaseDuration,
    patienceMs: flags.lockTimeout * 1000,
    signal,
  };
}
