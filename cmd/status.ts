/** `patchpanel status`: what the last runs left, read from their record. */
import type { Command } from 'commander';
import { exitCodes, PatchpanelError } from '../reconcile/errors.ts';
import { recordAsText } from '../reconcile/report/record-text.ts';
import { lockState } from '../reconcile/runs/lock.ts';
import { needRecord } from '../reconcile/runs/record-store.ts';
import { addClusterAccess, type ClusterAccessFlags, openCluster } from './cluster-options.ts';
import { addOutput } from './output-options.ts';
import type { Exit } from './program.ts';
import { addRecord, type RecordFlags, recordPlace } from './run-options.ts';
import { outputStyle, print } from './terminal.ts';

interface StatusFlags extends RecordFlags, ClusterAccessFlags {
  readonly output: 'text' | 'json';
}

export function addStatus(program: Command, exit: Exit): void {
  const command = program
    .command('status')
    .summary('show the last runs of a repository')
    .description(
      'Shows the record that `apply --record` keeps: commit, outcome, VMs that are not in sync, the last runs with news, and whether one is under way.',
    );
  addOutput(addClusterAccess(addRecord(command)), ['text', 'json'])
    .addHelpText(
      'after',
      `
Examples:
  patchpanel status --record patchpanel/patchpanel-record
  patchpanel status --record patchpanel/patchpanel-record -o json
`,
    )
    .action(async (flags: StatusFlags) => {
      await statusVerb(flags);
      exit.code = exitCodes.ok;
    });
}

async function statusVerb(flags: StatusFlags): Promise<void> {
  const place = recordPlace(flags);
  if (place === undefined) {
    throw new PatchpanelError('cli/usage', 'status needs --record NAMESPACE/NAME, or PATCHPANEL_RECORD');
  }
  const cluster = await openCluster(flags);
  try {
    const [record, lock] = await Promise.all([needRecord(cluster, place), lockState(cluster, place)]);
    await print(
      flags.output === 'json'
        ? `${JSON.stringify({ record, ...(lock === undefined ? {} : { lock }) }, undefined, 2)}\n`
        : recordAsText(record, lock, new Date(), outputStyle()),
    );
  } finally {
    await cluster.close();
  }
}
